/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store with every single allocation failing once, and with every single writing call failing once or from there
 * on: always one clear error, never a leak, and always a store in which each name leads to a whole image.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "image/image.h"
#include "image/import.h"
#include "image/inspect.h"
#include "image/load.h"
#include "image/prune.h"
#include "image/save.h"
#include "image/store.h"
#include "tests/support/tar_builder.h"
#include "tests/support/temp_dir.h"

/* ---- calls that fail: the linker sends the project's here (--wrap, see the Makefile) ----------------------------- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
ssize_t __real_write(int fd, const void *bytes, size_t length);
ssize_t __real_pwrite(int fd, const void *bytes, size_t length, off_t offset);
int __real_ftruncate(int fd, off_t length);
int __real_fchmod(int fd, mode_t mode);
int __real_linkat(int from_dir, const char *from, int to_dir, const char *to, int flags);
int __real_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __real_mkdirat(int dir, const char *name, mode_t mode);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
ssize_t __wrap_write(int fd, const void *bytes, size_t length);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t length, off_t offset);
int __wrap_ftruncate(int fd, off_t length);
int __wrap_fchmod(int fd, mode_t mode);
int __wrap_fsync(int fd);
int __wrap_linkat(int from_dir, const char *from, int to_dir, const char *to, int flags);
int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __wrap_mkdirat(int dir, const char *name, mode_t mode);

/* Calls of one kind until one fails; negative: none does. */
struct fault {
    long countdown;
    int code;      /* errno */
    bool persists; /* all calls after it fail too */
    bool happened;
};

static struct fault allocation = {.countdown = -1, .code = ENOMEM};
static struct fault writing = {.countdown = -1};

static bool fails(struct fault *fault)
{
    if (fault->countdown < 0 || (fault->countdown > 0 && fault->countdown-- > 0))
        return false;
    fault->happened = true;
    if (!fault->persists)
        fault->countdown = -1;
    errno = fault->code;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails(&allocation) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails(&allocation) ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails(&allocation) ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
    return fails(&allocation) ? NULL : __real_strdup(text);
}

ssize_t __wrap_write(int fd, const void *bytes, size_t length)
{
    return fails(&writing) ? -1 : __real_write(fd, bytes, length);
}

ssize_t __wrap_pwrite(int fd, const void *bytes, size_t length, off_t offset)
{
    return fails(&writing) ? -1 : __real_pwrite(fd, bytes, length, offset);
}

int __wrap_ftruncate(int fd, off_t length)
{
    return fails(&writing) ? -1 : __real_ftruncate(fd, length);
}

int __wrap_fchmod(int fd, mode_t mode)
{
    return fails(&writing) ? -1 : __real_fchmod(fd, mode);
}

/* Nothing here outlives the power: thousands of rounds need not wait for the disk. */
int __wrap_fsync(int fd)
{
    (void)fd;
    return fails(&writing) ? -1 : 0;
}

int __wrap_linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
    return fails(&writing) ? -1 : __real_linkat(from_dir, from, to_dir, to, flags);
}

int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    return fails(&writing) ? -1 : __real_renameat(from_dir, from, to_dir, to);
}

int __wrap_mkdirat(int dir, const char *name, mode_t mode)
{
    return fails(&writing) ? -1 : __real_mkdirat(dir, name, mode);
}

/* ---- a life of a store ------------------------------------------------------------------------------------------- */

struct fixture {
    char path[TEMP_DIR_PATH_MAX];
    char root[TEMP_DIR_PATH_MAX + 8];
    int layer; /* tar files, read from their beginnings */
    int other_layer;
    int archive;
};

static int memory_file(const struct buffer *content)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    assert_true(fd >= 0);
    if (content)
        assert_int_equal(fd_pwrite_full(fd, content->bytes, content->length, 0), 0);
    return fd;
}

static int layer_of(const char *name)
{
    struct buffer tar = TAR_BUILDER_INIT;
    TAR_ADD(&tar, .name = name, .content = name);
    tar_end(&tar);
    int fd = memory_file(&tar);
    buffer_done(&tar);
    return fd;
}

static struct reference reference_of(const char *text)
{
    struct reference reference;
    assert_int_equal(reference_parse(&reference, text, NULL), 0);
    return reference;
}

static int import(struct store *store, int layer, const char *name, struct error *err)
{
    struct reference reference = reference_of(name);
    struct import_options options = {.created = 1};
    struct digest manifest;
    assert_int_equal(lseek(layer, 0, SEEK_SET), 0);
    return image_import(store, layer, &reference, &options, &manifest, err);
}

static int resume_blob(struct store *store, struct error *err)
{
    static const char content[] = "fetched in two pieces";
    enum { LENGTH = sizeof content - 1, HALF = LENGTH / 2 };
    struct digest digest;
    struct blob_writer *writer;
    int rc = digest_of(&digest, DIGEST_SHA256, content, LENGTH, err);
    if (rc < 0)
        return rc;
    rc = blob_writer_resume(&writer, store, &digest, LENGTH, false, err);
    if (rc < 0)
        return rc == -EEXIST ? 0 : rc;
    uint64_t written = blob_writer_written(writer);
    rc = blob_writer_write(writer, content + written, written < HALF ? HALF - written : LENGTH - written, err);
    if (rc == 0 && blob_writer_written(writer) == LENGTH)
        rc = blob_writer_commit(writer, err);
    blob_writer_free(writer);
    return rc;
}

static int save_and_load(struct store *store, const struct fixture *fixture, enum save_format format, struct error *err)
{
    struct reference references[2] = {reference_of("one:1"), reference_of("two:2")};
    struct load_options options = {.format = LOAD_ANY};
    assert_int_equal(__real_ftruncate(fixture->archive, 0), 0);
    assert_int_equal(lseek(fixture->archive, 0, SEEK_SET), 0);
    int rc = image_save(store, references, 2, format, fixture->archive, err);
    if (rc < 0)
        return rc;
    assert_int_equal(lseek(fixture->archive, 0, SEEK_SET), 0);
    return image_load(store, fixture->archive, &options, err);
}

static int look_and_prune(struct store *store, struct error *err)
{
    cleanup_free struct image_summary *list = NULL;
    size_t count;
    struct prune_report report;
    struct reference gone = reference_of("two:2");
    static const struct prune_options options = {.partials = true};
    json_t *described = NULL;
    int rc = image_list(store, &list, &count, err);
    if (rc == 0)
        rc = image_inspect(store, &gone, &described, err);
    json_decref(described);
    if (rc == 0)
        rc = store_untag(store, &gone, err);
    return rc < 0 ? rc : store_prune(store, &options, &report, err);
}

/* Everything that the store is asked to do, once. */
static int live(const struct fixture *fixture, struct error *err)
{
    struct store *store;
    int rc = store_open(&store, fixture->root, err);
    if (rc < 0)
        return rc;
    rc = resume_blob(store, err);
    if (rc == 0)
        rc = resume_blob(store, err);
    if (rc == 0)
        rc = import(store, fixture->layer, "one:1", err);
    if (rc == 0)
        rc = import(store, fixture->other_layer, "two:2", err);
    if (rc == 0)
        rc = save_and_load(store, fixture, SAVE_OCI, err);
    if (rc == 0)
        rc = save_and_load(store, fixture, SAVE_DOCKER, err);
    if (rc == 0)
        rc = look_and_prune(store, err);
    store_close(store);
    return rc;
}

/* ---- what must hold afterwards ----------------------------------------------------------------------------------- */

static void check_blobs(struct store *store, const struct fixture *fixture)
{
    char path[TEMP_DIR_PATH_MAX + 64];
    (void)snprintf(path, sizeof path, "%s/images/blobs/sha256", fixture->root);
    DIR *stream = opendir(path);
    assert_non_null(stream);
    for (const struct dirent *entry; (entry = readdir(stream));) {
        char text[DIGEST_TEXT_MAX + 256];
        struct digest digest;
        struct error err = {0};
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(text, sizeof text, "sha256:%s", entry->d_name);
        assert_int_equal(digest_parse(&digest, text, NULL), 0);
        if (store_check_blob(store, &digest, &err) != 0)
            fail_msg("%s", err.text);
    }
    closedir(stream);
}

static void check_store(const struct fixture *fixture)
{
    struct store *store;
    struct error err = {0};
    cleanup_free struct store_entry *entries = NULL;
    size_t count = 0;
    char path[TEMP_DIR_PATH_MAX + 64];
    if (store_open(&store, fixture->root, &err) != 0 || store_list(store, &entries, &count, &err) != 0)
        fail_msg("%s", err.text);
    check_blobs(store, fixture);
    for (size_t i = 0; i < count; i++) {
        struct image image = IMAGE_NONE;
        if (image_open(store, &entries[i].reference, &image, &err) != 0)
            fail_msg("%s", err.text);
        image_done(&image);
    }
    store_close(store);
    (void)snprintf(path, sizeof path, "%s/tmp", fixture->root);
    assert_int_equal(temp_dir_count_files(path), 0);
}

/* One life per call that could fail, which ends well or with an error that says so. @return how many there are */
static long sweep(const struct fixture *fixture, struct fault *fault, const char *says)
{
    for (long number = 0;; number++) {
        struct error err = {0};
        fault->happened = false;
        fault->countdown = number;
        int rc = live(fixture, &err);
        fault->countdown = -1;
        if (!fault->happened) {
            assert_int_equal(rc, 0);
            temp_dir_remove(fixture->root);
            return number;
        }
        /* What only saves work or cleans up may fail unnoticed. */
        if (rc != 0 && (rc != -fault->code || err.code != fault->code || !strstr(err.text, says)))
            fail_msg("call %ld: %d, '%s'", number, rc, err.text);
        check_store(fixture);
        if (number % 3 == 0)
            temp_dir_remove(fixture->root); /* and with what the last life left, the other times */
    }
}

static void every_allocation_may_fail(void **state)
{
    const struct fixture *fixture = *state;
    assert_true(sweep(fixture, &allocation, "emory") > 200);
}

static void every_write_may_fail(void **state)
{
    const struct fixture *fixture = *state;
    writing = (struct fault){.code = EIO};
    assert_true(sweep(fixture, &writing, "nput/output error") > 100);
}

static void the_disk_may_be_full_at_any_time(void **state)
{
    const struct fixture *fixture = *state;
    writing = (struct fault){.code = ENOSPC, .persists = true};
    assert_true(sweep(fixture, &writing, "No space left on device") > 100);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    assert_int_equal(temp_dir_new(fixture->path), 0);
    (void)snprintf(fixture->root, sizeof fixture->root, "%s/root", fixture->path);
    fixture->layer = layer_of("first");
    fixture->other_layer = layer_of("second");
    fixture->archive = memory_file(NULL);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    close(fixture->layer);
    close(fixture->other_layer);
    close(fixture->archive);
    temp_dir_remove(fixture->path);
    free(fixture);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_allocation_may_fail, setup, teardown),
        cmocka_unit_test_setup_teardown(every_write_may_fail, setup, teardown),
        cmocka_unit_test_setup_teardown(the_disk_may_be_full_at_any_time, setup, teardown),
    };
    /* Some thousand lives: in memory where that is possible. */
    if (access("/dev/shm", W_OK) == 0)
        (void)setenv("TMPDIR", "/dev/shm", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
