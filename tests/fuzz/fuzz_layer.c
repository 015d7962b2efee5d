/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two layers as plain tar, merged and written as EXT4 to nowhere. Input: the number of 512-byte blocks of the first
 * layer (16 bits, little-endian), then both. Header checksums are put right, so that mutations get past them.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "image/ext4/filesystem.h"
#include "image/layer.h"
#include "image/layer_stream.h"
#include "image/tree.h"

enum { BLOCK = 512, INPUT_MAX = 256 << 10, MAGIC_OFFSET = 257, CHECKSUM_OFFSET = 148, CHECKSUM_SIZE = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int drop_write(void *context, const void *bytes, size_t length, uint64_t offset)
{
    (void)context;
    (void)offset;
    /* Uninitialised or foreign memory on its way out is a finding too. */
    uint8_t sum = 0;
    for (size_t i = 0; i < length; i++)
        sum ^= ((const uint8_t *)bytes)[i];
    *(volatile uint8_t *)&sum = sum;
    return 0;
}

static int drop_discard(void *context, uint64_t offset, uint64_t length)
{
    (void)context;
    (void)offset;
    return length ? 0 : -1;
}

static int drop_resize(void *context, uint64_t size)
{
    (void)context;
    return size ? 0 : -1;
}

static void release(void *context, const struct tree_inode *inode)
{
    ext4_filesystem_release(context, inode);
}

static void repair_checksum(uint8_t *header)
{
    unsigned sum = 0;
    memset(header + CHECKSUM_OFFSET, ' ', CHECKSUM_SIZE);
    for (size_t i = 0; i < BLOCK; i++)
        sum += header[i];
    char text[CHECKSUM_SIZE];
    snprintf(text, sizeof text, "%06o", sum & 0777777);
    memcpy(header + CHECKSUM_OFFSET, text, CHECKSUM_SIZE - 1);
}

static int apply(struct tree *tree, struct ext4_filesystem *fs, const uint8_t *bytes, size_t length, uint32_t number)
{
    int fd = memfd_create("layer", MFD_CLOEXEC);
    struct layer_stream *stream = NULL;
    int rc = fd_pwrite_full(fd, bytes, length, 0);
    if (rc == 0)
        rc = layer_stream_new(&stream, fd, LAYER_TAR, DIGEST_SHA256, NULL);
    if (rc == 0)
        rc = layer_apply(tree, fs, stream, number, NULL);
    layer_stream_free(stream);
    close(fd);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t seed[32];
    static uint8_t input[INPUT_MAX];
    static const struct ext4_io nowhere = {drop_write, drop_discard, drop_resize, NULL};
    if (size < 2 || size - 2 > sizeof input)
        return 0;
    size_t split = (size_t)load_le16(data) * BLOCK;
    size -= 2;
    memcpy(input, data + 2, size);
    if (split > size)
        split = size;
    for (size_t at = 0; at + BLOCK <= size; at += BLOCK)
        if (memcmp(input + at + MAGIC_OFFSET, "ustar", 5) == 0)
            repair_checksum(input + at);

    struct ext4_filesystem fs;
    struct tree *tree = NULL;
    struct ext4_identity identity = ext4_identity_from(seed);
    if (ext4_filesystem_init(&fs, nowhere, &identity, NULL) == 0 && tree_new(&tree, release, &fs, NULL) == 0) {
        int rc = apply(tree, &fs, input, split, 0);
        if (rc == 0)
            rc = apply(tree, &fs, input + split, size - split, 1);
        if (rc == 0)
            rc = ext4_filesystem_finish(&fs, tree, NULL);
        /* A tree that was accepted can be written: names, values and maxima are checked on the way in. */
        if (rc == -22 || rc == -7)
            abort();
    }
    tree_free(tree);
    ext4_filesystem_done(&fs);
    return 0;
}
