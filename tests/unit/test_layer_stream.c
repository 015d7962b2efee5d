/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <isa-l/igzip_lib.h>
#include <zstd.h>

#include "base/error.h"
#include "base/fd.h"
#include "image/layer_stream.h"
#include "tests/support/e2fs.h"

enum { PLAIN_SIZE = 1500000, PACKED_MAX = PLAIN_SIZE + 100000 };

/* Packed bytes on their way into a file. */
struct packed {
    uint8_t bytes[3 * PACKED_MAX];
    size_t length;
};

static uint8_t plain[PLAIN_SIZE];
static struct packed packed;

static void add_gzip_member(const uint8_t *bytes, size_t length)
{
    struct isal_zstream stream;
    isal_deflate_init(&stream);
    stream.gzip_flag = IGZIP_GZIP;
    stream.end_of_stream = 1;
    stream.next_in = (uint8_t *)(uintptr_t)bytes;
    stream.avail_in = (uint32_t)length;
    stream.next_out = packed.bytes + packed.length;
    stream.avail_out = (uint32_t)(sizeof packed.bytes - packed.length);
    assert_int_equal(isal_deflate(&stream), COMP_OK);
    packed.length += stream.total_out;
}

static void add_zstd_frame(const uint8_t *bytes, size_t length)
{
    size_t size = ZSTD_compress(packed.bytes + packed.length, sizeof packed.bytes - packed.length, bytes, length, 1);
    assert_false(ZSTD_isError(size));
    packed.length += size;
}

static void add_zstd_skippable_frame(void)
{
    static const uint8_t frame[] = {0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 'a', 'b', 'c'};
    memcpy(packed.bytes + packed.length, frame, sizeof frame);
    packed.length += sizeof frame;
}

static void add_plain(const uint8_t *bytes, size_t length)
{
    memcpy(packed.bytes + packed.length, bytes, length);
    packed.length += length;
}

static int set_up(void **state)
{
    (void)state;
    uint32_t random = 1;
    for (size_t i = 0; i < sizeof plain; i++) { /* half of it compresses */
        random = random * 1664525 + 1013904223;
        plain[i] = i % 8192 < 4096 ? (uint8_t)(random >> 24) : (uint8_t)(i >> 12);
    }
    packed.length = 0;
    return 0;
}

static struct digest digest_of_plain(enum digest_algorithm algorithm, size_t length)
{
    struct hasher *hasher;
    struct digest digest;
    assert_int_equal(hasher_new(&hasher, algorithm, NULL), 0);
    hasher_update(hasher, plain, length);
    assert_int_equal(hasher_finish(hasher, &digest, NULL), 0);
    hasher_free(hasher);
    return digest;
}

/* Reads all there is and compares it with plain. @return the last result of layer_stream_next() */
static ssize_t read_all(struct layer_stream *stream, size_t *total, struct error *err)
{
    const void *bytes;
    ssize_t length;
    *total = 0;
    while ((length = layer_stream_next(stream, &bytes, err)) > 0) {
        assert_true(*total + (size_t)length <= PLAIN_SIZE);
        assert_memory_equal(bytes, plain + *total, (size_t)length);
        *total += (size_t)length;
    }
    return length;
}

static struct layer_stream *open_packed(int *fd, enum layer_compression compression, enum digest_algorithm algorithm)
{
    struct layer_stream *stream;
    *fd = e2fs_new_file();
    assert_int_equal(fd_write_full(*fd, packed.bytes, packed.length), 0);
    assert_int_equal(lseek(*fd, 0, SEEK_SET), 0);
    assert_int_equal(layer_stream_new(&stream, *fd, compression, algorithm, NULL), 0);
    return stream;
}

static void assert_whole(enum layer_compression compression, enum digest_algorithm algorithm)
{
    int fd;
    size_t total;
    struct error err = {0};
    struct layer_stream *stream = open_packed(&fd, compression, algorithm);
    assert_int_equal(read_all(stream, &total, &err), 0);
    assert_int_equal(total, PLAIN_SIZE);
    struct digest digest = digest_of_plain(algorithm, PLAIN_SIZE);
    assert_int_equal(layer_stream_verify(stream, &digest, &err), 0);
    layer_stream_free(stream);
    close(fd);
}

static void assert_damaged(enum layer_compression compression, const char *reason)
{
    int fd;
    size_t total;
    struct error err = {0};
    struct layer_stream *stream = open_packed(&fd, compression, DIGEST_SHA256);
    assert_int_equal(read_all(stream, &total, &err), -74);
    assert_non_null(strstr(err.text, reason));
    layer_stream_free(stream);
    close(fd);
}

static void test_whole_streams(void **state)
{
    (void)state;
    add_plain(plain, PLAIN_SIZE);
    assert_whole(LAYER_TAR, DIGEST_SHA256);
    assert_whole(LAYER_TAR, DIGEST_SHA512);
    packed.length = 0;
    add_gzip_member(plain, PLAIN_SIZE);
    assert_whole(LAYER_GZIP, DIGEST_SHA256);
    packed.length = 0;
    add_zstd_frame(plain, PLAIN_SIZE);
    assert_whole(LAYER_ZSTD, DIGEST_SHA256);
}

static void test_members_and_frames_behind_each_other(void **state)
{
    (void)state;
    static const size_t cuts[] = {0, 0, 1, 70000, 70001, 1200000, PLAIN_SIZE};
    for (size_t i = 1; i < sizeof cuts / sizeof cuts[0]; i++)
        add_gzip_member(plain + cuts[i - 1], cuts[i] - cuts[i - 1]);
    assert_whole(LAYER_GZIP, DIGEST_SHA256);

    packed.length = 0;
    add_zstd_skippable_frame();
    for (size_t i = 1; i < sizeof cuts / sizeof cuts[0]; i++) {
        add_zstd_frame(plain + cuts[i - 1], cuts[i] - cuts[i - 1]);
        add_zstd_skippable_frame();
    }
    assert_whole(LAYER_ZSTD, DIGEST_SHA256);
}

static void test_truncation_is_noticed_everywhere(void **state)
{
    (void)state;
    add_gzip_member(plain, 40000);
    add_gzip_member(plain + 40000, 40000);
    size_t whole = packed.length;
    for (size_t cut = 0; cut < whole; cut += cut < 30 || cut > whole - 30 ? 1 : 977) {
        packed.length = cut;
        int fd;
        size_t total;
        struct error err = {0};
        struct layer_stream *stream = open_packed(&fd, LAYER_GZIP, DIGEST_SHA256);
        ssize_t rc = read_all(stream, &total, &err);
        /* Between the members the stream may end; then the digest tells. */
        if (rc == 0) {
            assert_int_equal(total, 40000);
            struct digest digest = digest_of_plain(DIGEST_SHA256, 80000);
            rc = layer_stream_verify(stream, &digest, &err);
        }
        assert_int_equal(rc, -74);
        layer_stream_free(stream);
        close(fd);
    }
    packed.length = 0;
    add_zstd_frame(plain, 80000);
    whole = packed.length;
    for (size_t cut = 0; cut < whole; cut += 1009) {
        packed.length = cut;
        assert_damaged(LAYER_ZSTD, "the zstd data ends too early");
    }
}

static void test_damage_is_noticed(void **state)
{
    (void)state;
    add_gzip_member(plain, PLAIN_SIZE);
    packed.bytes[packed.length - 6] ^= 1; /* in the checksum */
    assert_damaged(LAYER_GZIP, "a gzip checksum does not match");
    packed.bytes[0] ^= 1;
    assert_damaged(LAYER_GZIP, "it is no gzip data");

    packed.length = 0;
    add_gzip_member(plain, PLAIN_SIZE);
    add_plain((const uint8_t *)"garbage behind it", 17);
    assert_damaged(LAYER_GZIP, "it is no gzip data");

    packed.length = 0;
    add_zstd_frame(plain, PLAIN_SIZE);
    packed.bytes[packed.length / 2] ^= 0x55;
    packed.bytes[0] ^= 1;
    assert_damaged(LAYER_ZSTD, "cannot decompress zstd");
    assert_damaged(LAYER_GZIP, "it is no gzip data");
}

static void test_another_digest_is_refused(void **state)
{
    (void)state;
    add_plain(plain, 1000);
    int fd;
    struct error err = {0};
    struct layer_stream *stream = open_packed(&fd, LAYER_TAR, DIGEST_SHA256);
    struct digest digest = digest_of_plain(DIGEST_SHA256, 999);
    assert_int_equal(layer_stream_verify(stream, &digest, &err), -74);
    assert_non_null(strstr(err.text, "its tar stream is sha256:"));
    layer_stream_free(stream);
    close(fd);
}

static void test_read_errors_are_told(void **state)
{
    (void)state;
    struct layer_stream *stream;
    struct error err = {0};
    const void *bytes;
    assert_int_equal(layer_stream_new(&stream, -1, LAYER_GZIP, DIGEST_SHA256, &err), 0);
    assert_int_equal(layer_stream_next(stream, &bytes, &err), -9);
    assert_non_null(strstr(err.text, "cannot read the blob"));
    layer_stream_free(stream);
    assert_int_equal(layer_stream_new(&stream, -1, (enum layer_compression)7, DIGEST_SHA256, &err), -22);
    layer_stream_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_whole_streams, set_up),
        cmocka_unit_test_setup(test_members_and_frames_behind_each_other, set_up),
        cmocka_unit_test_setup(test_truncation_is_noticed_everywhere, set_up),
        cmocka_unit_test_setup(test_damage_is_noticed, set_up),
        cmocka_unit_test_setup(test_another_digest_is_refused, set_up),
        cmocka_unit_test_setup(test_read_errors_are_told, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
