/* SPDX-License-Identifier: Apache-2.0 */
/* Layers to a file system with every single allocation failing once: always one clear error, never a leak. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/fd.h"
#include "image/rootfs.h"
#include "tests/support/e2fs.h"
#include "tests/support/tar_builder.h"

/* ---- allocations that fail: the linker sends the project's calls here (--wrap, see the Makefile) ----------------- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);

static long countdown = -1; /* allocations until the one that fails; negative: none does */

static bool fails(void)
{
    return countdown >= 0 && countdown-- == 0;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

/* ---- layers that need every kind of memory ----------------------------------------------------------------------- */

static int file_of(const struct buffer *tar)
{
    int fd = e2fs_new_file();
    assert_int_equal(fd_pwrite_full(fd, tar->bytes, tar->length, 0), 0);
    return fd;
}

static struct rootfs_layer end_layer(struct buffer *tar)
{
    struct rootfs_layer layer = {.compression = LAYER_TAR};
    tar_end(tar);
    assert_int_equal(digest_of(&layer.diff_id, DIGEST_SHA256, tar->bytes, tar->length, NULL), 0);
    layer.fd = file_of(tar);
    buffer_done(tar);
    return layer;
}

static void add_sparse(struct buffer *tar, const char *name)
{
    enum { RUNS = 8, MAP = 512, RUN = 512 };
    char *content = calloc(1, MAP + RUNS * RUN);
    assert_non_null(content);
    int length = snprintf(content, MAP, "%d\n", RUNS);
    for (int i = 0; i < RUNS; i++)
        length += snprintf(content + length, MAP - (size_t)length, "%d\n%d\n", i * 16384, RUN);
    TAR_ADD(tar, .name = "GNUSparseFile.0/s", .content = content, .length = MAP + RUNS * RUN,
            .records = {{.key = "GNU.sparse.major", .value = "1"},
                        {.key = "GNU.sparse.minor", .value = "0"},
                        {.key = "GNU.sparse.name", .value = name},
                        {.key = "GNU.sparse.realsize", .value = "1048576"}});
    free(content);
}

static void make_layers(struct rootfs_layer layers[2])
{
    static const char acl[] = {2, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 4, 0, 4, 0, 0, 0, 0, 0, 32, 0, 4, 0, 0, 0, 0, 0};
    struct buffer tar = TAR_BUILDER_INIT;
    char name[64], target[200];
    memset(target, 't', sizeof target - 1);
    target[sizeof target - 1] = '\0';
    for (int i = 0; i < 300; i++) { /* enough for the table of names to grow and for an index */
        snprintf(name, sizeof name, "d/a-name-of-some-length-%d", i);
        TAR_ADD(&tar, .name = name, .content = "x");
    }
    TAR_ADD(&tar, .name = "acl",
            .records = {{.key = "SCHILY.xattr.system.posix_acl_access", .value = acl, .length = sizeof acl},
                        {.key = "SCHILY.xattr.user.long", .value = target}});
    TAR_ADD(&tar, .name = "slow", .type = '2', .link = target);
    add_sparse(&tar, "sparse");
    layers[0] = end_layer(&tar);
    TAR_ADD(&tar, .name = "d/.wh.a-name-of-some-length-7");
    TAR_ADD(&tar, .name = "d/a-name-of-some-length-9", .content = "y");
    TAR_ADD(&tar, .name = "early", .type = '1', .link = "late");
    TAR_ADD(&tar, .name = "late", .content = "z");
    add_sparse(&tar, "sparse");
    layers[1] = end_layer(&tar);
}

static int write_layers(const struct rootfs_layer layers[2], int fd, struct error *err)
{
    assert_int_equal(lseek(layers[0].fd, 0, SEEK_SET), 0);
    assert_int_equal(lseek(layers[1].fd, 0, SEEK_SET), 0);
    return rootfs_write(layers, 2, fd, err);
}

static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    struct rootfs_layer layers[2];
    make_layers(layers);
    int rc = -12;
    long number = 0;
    for (; rc < 0; number++) {
        struct error err = {0};
        int fd = e2fs_new_file();
        countdown = number;
        rc = write_layers(layers, fd, &err);
        bool failed = countdown < 0;
        countdown = -1;
        if (failed) {
            assert_int_equal(rc, -12);
            assert_non_null(strstr(err.text, "out of memory"));
        } else {
            assert_int_equal(rc, 0);
            assert_true(e2fs_is_clean(fd));
        }
        close(fd);
    }
    assert_true(number > 600);
    close(layers[0].fd);
    close(layers[1].fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_allocation_may_fail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
