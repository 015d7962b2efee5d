/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <zstd.h>

#include "base/error.h"
#include "base/fd.h"
#include "image/rootfs.h"
#include "tests/support/e2fs.h"
#include "tests/support/tar_builder.h"

static struct buffer tar = TAR_BUILDER_INIT;

#define ADD(...) TAR_ADD(&tar, __VA_ARGS__)

static int tear_down(void **state)
{
    (void)state;
    buffer_done(&tar);
    return 0;
}

static struct digest digest_of_tar(void)
{
    struct hasher *hasher;
    struct digest digest;
    assert_int_equal(hasher_new(&hasher, DIGEST_SHA256, NULL), 0);
    hasher_update(hasher, tar.bytes, tar.length);
    assert_int_equal(hasher_finish(hasher, &digest, NULL), 0);
    hasher_free(hasher);
    return digest;
}

/* Ends the archive, packs it and empties it. */
static struct rootfs_layer pack(enum layer_compression compression)
{
    tar_end(&tar);
    struct rootfs_layer layer = {.fd = e2fs_new_file(), .compression = compression, .diff_id = digest_of_tar()};
    if (compression == LAYER_ZSTD) {
        size_t bound = ZSTD_compressBound(tar.length);
        void *packed = malloc(bound);
        size_t size = ZSTD_compress(packed, bound, tar.bytes, tar.length, 1);
        assert_false(ZSTD_isError(size));
        assert_int_equal(fd_pwrite_full(layer.fd, packed, size, 0), 0);
        free(packed);
    } else {
        assert_int_equal(fd_pwrite_full(layer.fd, tar.bytes, tar.length, 0), 0);
    }
    buffer_clear(&tar);
    return layer;
}

static void close_layers(const struct rootfs_layer *layers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        close(layers[i].fd);
}

static void make_two_layers(struct rootfs_layer layers[2])
{
    ADD(.name = "bin/", .type = '5');
    ADD(.name = "bin/sh", .content = "shell", .mode = 0755);
    ADD(.name = "bin/gone", .content = "gone");
    layers[0] = pack(LAYER_ZSTD);
    ADD(.name = "bin/.wh.gone");
    ADD(.name = "bin/ash", .type = '1', .link = "bin/sh");
    layers[1] = pack(LAYER_TAR);
}

static void test_layers_become_a_file_system(void **state)
{
    (void)state;
    struct rootfs_layer layers[2];
    make_two_layers(layers);
    int fd = e2fs_new_file();
    assert_int_equal(rootfs_write(layers, 2, fd, NULL), 0);
    assert_true(e2fs_is_clean(fd));
    assert_true(e2fs_holds(fd, "/bin/ash", "shell", 5));
    assert_true(e2fs_says(fd, "stat /bin/sh", "Links: 2 "));
    assert_true(e2fs_says(fd, "stat /bin/gone", "File not found"));
    close(fd);
    close_layers(layers, 2);
}

static void *read_file(int fd, size_t *length)
{
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    void *bytes = malloc((size_t)status.st_size);
    assert_int_equal(fd_pread_full(fd, bytes, (size_t)status.st_size, 0), status.st_size);
    *length = (size_t)status.st_size;
    return bytes;
}

static void test_the_same_layers_give_the_same_bytes(void **state)
{
    (void)state;
    void *bytes[2];
    size_t lengths[2];
    for (int i = 0; i < 2; i++) {
        struct rootfs_layer layers[2];
        make_two_layers(layers);
        int fd = e2fs_new_file();
        assert_int_equal(rootfs_write(layers, 2, fd, NULL), 0);
        bytes[i] = read_file(fd, &lengths[i]);
        close(fd);
        close_layers(layers, 2);
    }
    assert_int_equal(lengths[0], lengths[1]);
    assert_memory_equal(bytes[0], bytes[1], lengths[0]);
    free(bytes[0]);
    free(bytes[1]);
}

/* What a layer removed is nowhere in the image. */
static void test_removed_contents_are_gone(void **state)
{
    (void)state;
    static const char secret[] = "a secret that a later layer removes";
    static char content[400000];
    struct rootfs_layer layers[2];
    memset(content, 'x', sizeof content);
    memcpy(content + 390000, secret, sizeof secret);
    ADD(.name = "secret", .content = content, .length = sizeof content);
    memset(content, 'y', sizeof content);
    ADD(.name = "kept", .content = content, .length = sizeof content);
    layers[0] = pack(LAYER_TAR);
    ADD(.name = ".wh.secret");
    layers[1] = pack(LAYER_TAR);
    int fd = e2fs_new_file();
    assert_int_equal(rootfs_write(layers, 2, fd, NULL), 0);
    assert_true(e2fs_is_clean(fd));
    size_t length;
    void *bytes = read_file(fd, &length);
    assert_null(memmem(bytes, length, secret, sizeof secret));
    assert_non_null(memmem(bytes, length, content, sizeof content));
    free(bytes);
    close(fd);
    close_layers(layers, 2);
}

static void assert_refused(const struct rootfs_layer *layers, size_t count, int code, const char *text)
{
    struct error err = {0};
    int fd = e2fs_new_file();
    assert_int_equal(rootfs_write(layers, count, fd, &err), -code);
    if (!strstr(err.text, text))
        fail_msg("'%s' should say '%s'", err.text, text);
    close(fd);
}

static void test_bad_layers_are_named(void **state)
{
    (void)state;
    struct rootfs_layer layers[2];
    make_two_layers(layers);
    layers[1].diff_id.bytes[0] ^= 1;
    assert_refused(layers, 2, 74, "layer 2: its tar stream is sha256:");
    close_layers(layers, 2);

    make_two_layers(layers);
    assert_int_equal(ftruncate(layers[0].fd, 50), 0);
    assert_refused(layers, 2, 74, "layer 1: the zstd data ends too early");
    close_layers(layers, 2);

    make_two_layers(layers);
    layers[0].compression = LAYER_GZIP;
    assert_refused(layers, 2, 74, "layer 1: cannot decompress gzip: it is no gzip data");
    close_layers(layers, 2);

    ADD(.name = "ok");
    ADD(.name = "a/../../b");
    layers[0] = pack(LAYER_TAR);
    assert_refused(layers, 1, 74, "layer 1: entry 'a/../../b': '..' in a path is not allowed");
    close_layers(layers, 1);

    make_two_layers(layers);
    close(layers[1].fd);
    layers[1].fd = -1;
    assert_refused(layers, 2, 9, "layer 2: cannot read the blob");
    close_layers(layers, 1);

    assert_refused(NULL, ROOTFS_LAYERS_MAX + 1, 74, "512 are possible");
}

static void test_no_layers(void **state)
{
    (void)state;
    int fd = e2fs_new_file();
    assert_int_equal(rootfs_write(NULL, 0, fd, NULL), 0);
    assert_true(e2fs_is_clean(fd));
    close(fd);
}

static void test_output_errors_are_told(void **state)
{
    (void)state;
    struct rootfs_layer layers[2];
    struct error err = {0};
    make_two_layers(layers);
    assert_int_equal(rootfs_write(layers, 2, STDIN_FILENO + 1000, &err), -9);
    close_layers(layers, 2);
    assert_int_equal(rootfs_write_scratch(STDIN_FILENO + 1000, 1 << 20, &err), -9);
    assert_non_null(strstr(err.text, "cannot write the file system"));
}

/* ---- scratch disks ----------------------------------------------------------------------------------------------- */

static void test_scratch_disks_of_every_size(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {
        1 << 20,
        (1 << 20) + 5000,
        16 << 20,
        128 << 20,
        (128 << 20) + 4096,
        (130ULL << 20),
        (131ULL << 20),
        1ULL << 30,
        10ULL << 30,
        64ULL << 30,
        100ULL << 30,
        (8ULL << 30) + 4096,
        (8ULL << 30) - 8192,
        1ULL << 40,
        (16ULL << 40) - 4096,
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        int fd = e2fs_new_file();
        struct error err = {0};
        if (rootfs_write_scratch(fd, sizes[i], &err) < 0)
            fail_msg("%llu bytes: %s", (unsigned long long)sizes[i], err.text);
        struct stat status;
        assert_int_equal(fstat(fd, &status), 0);
        assert_int_equal(status.st_size, sizes[i] / 4096 * 4096);
        if (sizes[i] <= 64ULL << 30)
            assert_true(status.st_blocks <= (64 << 10) / 512);
        if (sizes[i] <= 1ULL << 40) /* e2fsck reads bitmaps of a gigabyte for the others */
            assert_true(e2fs_is_clean(fd));
        assert_true(e2fs_says(fd, "stat /upper", "Type: directory    Mode:  0755"));
        assert_true(e2fs_says(fd, "stat /work", "Type: directory    Mode:  0755"));
        close(fd);
    }
}

enum { UUID_OFFSET = 1024 + 0x68, UUID_SIZE = 16 };

static void read_uuid(int fd, uint8_t uuid[UUID_SIZE])
{
    assert_int_equal(fd_pread_full(fd, uuid, UUID_SIZE, UUID_OFFSET), UUID_SIZE);
    close(fd);
}

static void test_identities_differ(void **state)
{
    (void)state;
    uint8_t uuids[4][UUID_SIZE];
    for (unsigned i = 0; i < 4; i++) {
        int fd = e2fs_new_file();
        if (i < 2) {
            assert_int_equal(rootfs_write_scratch(fd, (1ULL + i) << 20, NULL), 0);
        } else {
            ADD(.name = i == 2 ? "one" : "two");
            struct rootfs_layer layer = pack(LAYER_TAR);
            assert_int_equal(rootfs_write(&layer, 1, fd, NULL), 0);
            close_layers(&layer, 1);
        }
        read_uuid(fd, uuids[i]);
        assert_int_equal(uuids[i][6] >> 4, 8); /* RFC 9562: version 8, variant 10 */
        assert_int_equal(uuids[i][8] >> 6, 2);
        for (unsigned j = 0; j < i; j++)
            assert_memory_not_equal(uuids[i], uuids[j], UUID_SIZE);
    }
}

static void test_scratch_disks_out_of_range(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {0, 4096, (1 << 20) - 1, (16ULL << 40) + 4096, UINT64_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        int fd = e2fs_new_file();
        struct error err = {0};
        assert_int_equal(rootfs_write_scratch(fd, sizes[i], &err), -22);
        assert_non_null(strstr(err.text, "1 MiB to 16 TiB"));
        close(fd);
    }
}

int main(void)
{
#define CASE(test) cmocka_unit_test_teardown(test, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_layers_become_a_file_system),
        CASE(test_the_same_layers_give_the_same_bytes),
        CASE(test_removed_contents_are_gone),
        CASE(test_bad_layers_are_named),
        CASE(test_no_layers),
        CASE(test_output_errors_are_told),
        CASE(test_scratch_disks_of_every_size),
        CASE(test_identities_differ),
        CASE(test_scratch_disks_out_of_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
