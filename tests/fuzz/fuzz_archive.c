/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as an image archive: tar, manifest.json of `docker save`, index.json of an OCI layout, configuration and
 * layers. Header checksums are put right, so that mutations get past them. Whatever comes, each name in the store must
 * lead to a whole image.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "image/image.h"
#include "image/load.h"
#include "image/prune.h"
#include "image/store.h"
#include "tests/support/temp_dir.h"

enum { BLOCK = 512, INPUT_MAX = 64 << 10, MAGIC_OFFSET = 257, CHECKSUM_OFFSET = 148, CHECKSUM_SIZE = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char root[TEMP_DIR_PATH_MAX];

static void remove_root(void)
{
    temp_dir_remove(root);
}

/* In memory where there is such a place: each input becomes files. */
static struct store *the_store(void)
{
    static struct store *store;
    if (store)
        return store;
    (void)snprintf(root, sizeof root, "%s/hull-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(root) || store_open(&store, root, NULL) < 0 || atexit(remove_root) != 0)
        abort();
    return store;
}

static void repair_checksum(uint8_t *header)
{
    unsigned sum = 0;
    memset(header + CHECKSUM_OFFSET, ' ', CHECKSUM_SIZE);
    for (size_t i = 0; i < BLOCK; i++)
        sum += header[i];
    char text[CHECKSUM_SIZE];
    (void)snprintf(text, sizeof text, "%06o", sum & 0777777);
    memcpy(header + CHECKSUM_OFFSET, text, CHECKSUM_SIZE - 1);
}

static int archive_of(const uint8_t *data, size_t size)
{
    static uint8_t copy[INPUT_MAX];
    memcpy(copy, data, size);
    for (size_t at = 0; at + BLOCK <= size; at += BLOCK)
        if (memcmp(copy + at + MAGIC_OFFSET, "ustar", 5) == 0)
            repair_checksum(copy + at);
    int fd = memfd_create("archive", MFD_CLOEXEC);
    if (fd < 0 || fd_pwrite_full(fd, copy, size, 0) < 0)
        abort();
    return fd;
}

/* Opens every image, takes its name away, and empties the store. */
static void check_and_empty(struct store *store)
{
    struct store_entry *entries;
    size_t count;
    struct prune_report report;
    static const struct prune_options everything = {.partials = true};
    if (store_list(store, &entries, &count, NULL) < 0)
        abort();
    for (size_t i = 0; i < count; i++) {
        struct image image = IMAGE_NONE;
        if (image_open(store, &entries[i].reference, &image, NULL) < 0 ||
            store_untag(store, &entries[i].reference, NULL) < 0)
            abort();
        image_done(&image);
    }
    free(entries);
    if (store_prune(store, &everything, &report, NULL) < 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > INPUT_MAX)
        return 0;
    struct error err = {0};
    const struct load_options options = {.format = LOAD_ANY};
    int fd = archive_of(data, size);
    int rc = image_load(the_store(), fd, &options, &err);
    close(fd);
    if (rc < 0 && (err.code != -rc || !err.text[0]))
        abort();
    check_and_empty(the_store());
    return 0;
}
