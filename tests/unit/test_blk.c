/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-blk over a memory file: what a driver asks for, and what only a hostile one does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/error.h"
#include "devices/virtio/blk.h"
#include "tests/support/virtio_driver.h"

enum { SECTOR = 512, SECTORS = 64, QUEUE_SIZE = 64 };
enum { TWO_SECTORS = 2 * SECTOR, THREE_SECTORS = 3 * SECTOR, IMAGE_SIZE = SECTORS * SECTOR };
enum { IN = 0, OUT = 1, FLUSH = 4, GET_ID = 8, DISCARD = 11, WRITE_ZEROES = 13 };
enum { OK = 0, IOERR = 1, UNSUPP = 2, UNTOUCHED = 0xee };
enum { ALL_FEATURES = -1 };
#define F_RO           (UINT64_C(1) << 5)
#define F_FLUSH        (UINT64_C(1) << 9)
#define F_DISCARD      (UINT64_C(1) << 13)
#define F_WRITE_ZEROES (UINT64_C(1) << 14)

struct fixture {
    struct virtio_driver driver;
    int file; /* the test's own descriptor of the image */
    uint64_t header, data, status;
};

enum { DATA_SIZE = 16 * SECTOR };

static uint8_t pattern(uint64_t position)
{
    return (uint8_t)(position / SECTOR * 7 + position % 251 + 1);
}

static void make_image(struct fixture *f, size_t size)
{
    f->file = memfd_create("image", MFD_CLOEXEC);
    assert_true(f->file >= 0);
    uint8_t *bytes = malloc(size);
    for (size_t i = 0; i < size; i++)
        bytes[i] = pattern(i);
    assert_int_equal(pwrite(f->file, bytes, size, 0), size);
    free(bytes);
}

static void attach(struct fixture *f, bool readonly, uint64_t features)
{
    void *device = NULL;
    driver_init(&f->driver);
    assert_int_equal(virtio_blk_new(&device, dup(f->file), readonly, "a-disk", NULL), 0);
    driver_attach(&f->driver, &virtio_blk_ops, device);
    driver_start(&f->driver, features, QUEUE_SIZE);
    driver_run(&f->driver);
    f->header = driver_alloc(&f->driver, 16, 8);
    f->data = driver_alloc(&f->driver, DATA_SIZE, SECTOR);
    f->status = driver_alloc(&f->driver, 1, 1);
}

static struct fixture fixture;

static int setup(void **state)
{
    memset(&fixture, 0, sizeof fixture);
    make_image(&fixture, IMAGE_SIZE);
    attach(&fixture, false, (uint64_t)ALL_FEATURES);
    *state = &fixture;
    return 0;
}

static int setup_readonly(void **state)
{
    memset(&fixture, 0, sizeof fixture);
    make_image(&fixture, IMAGE_SIZE);
    attach(&fixture, true, (uint64_t)ALL_FEATURES);
    *state = &fixture;
    return 0;
}

static int setup_plain(void **state)
{
    memset(&fixture, 0, sizeof fixture);
    make_image(&fixture, IMAGE_SIZE);
    attach(&fixture, false, 0);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    driver_done(&f->driver);
    close(f->file);
    return 0;
}

static void put_header(struct fixture *f, uint32_t type, uint64_t sector)
{
    uint8_t *header = driver_at(&f->driver, f->header);
    store_le32(header, type);
    store_le32(header + 4, 0);
    store_le64(header + 8, sector);
    *(uint8_t *)driver_at(&f->driver, f->status) = UNTOUCHED;
}

static uint8_t status_byte(struct fixture *f)
{
    return *(uint8_t *)driver_at(&f->driver, f->status);
}

/* A request with @p length bytes of data behind the header (or before the status): its status byte. */
static uint8_t request(struct fixture *f, uint32_t type, uint64_t sector, uint32_t length, bool data_writable)
{
    put_header(f, type, sector);
    const struct driver_span spans[] = {{f->header, 16, false}, {f->data, length, data_writable}, {f->status, 1, true}};
    uint16_t offered = driver_submit(&f->driver, 0, spans, 3);
    driver_kick(&f->driver, 0);
    uint32_t head, used;
    assert_true(driver_used(&f->driver, 0, &head, &used));
    assert_int_equal(head, offered);
    assert_int_equal(used, (data_writable ? length : 0) + 1);
    return status_byte(f);
}

static void put_range(struct fixture *f, unsigned index, uint64_t sector, uint32_t sectors, uint32_t flags)
{
    uint8_t *range = (uint8_t *)driver_at(&f->driver, f->data) + (size_t)index * 16;
    store_le64(range, sector);
    store_le32(range + 8, sectors);
    store_le32(range + 12, flags);
}

static uint8_t one_range(struct fixture *f, uint32_t type, uint64_t sector, uint32_t sectors, uint32_t flags)
{
    put_range(f, 0, sector, sectors, flags);
    return request(f, type, 0, 16, false);
}

/* The image holds zeros in sectors [first, end) and the pattern everywhere else. */
static void assert_zero_between(struct fixture *f, size_t first, size_t end)
{
    uint8_t bytes[SECTORS * SECTOR];
    assert_int_equal(pread(f->file, bytes, sizeof bytes, 0), sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        if (bytes[i] != (i / SECTOR >= first && i / SECTOR < end ? 0 : pattern(i)))
            fail_msg("byte %zu is %d", i, bytes[i]);
}

/* ---- what drivers ask for
 * -------------------------------------------------------------------------------------------- */

static void test_config(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(driver_read(&f->driver, MMIO_CONFIG), SECTORS);
    assert_int_equal(driver_read(&f->driver, MMIO_CONFIG + 12), 126); /* seg_max: queue less header and status */
    assert_int_equal(driver_read(&f->driver, MMIO_CONFIG + 20), SECTOR);
    assert_int_equal(driver_read(&f->driver, MMIO_CONFIG + 40), 16); /* max_discard_seg */
    assert_int_equal(driver_read(&f->driver, MMIO_CONFIG + 56), 1);  /* may unmap */
    assert_int_equal(driver_read(&f->driver, MMIO_CONFIG + 64), 0);
    assert_true(driver_offered(&f->driver) & F_DISCARD);
    assert_false(driver_offered(&f->driver) & F_RO);
}

static void test_read(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(request(f, IN, 3, 2 * SECTOR, true), OK);
    const uint8_t *data = driver_at(&f->driver, f->data);
    for (size_t i = 0; i < TWO_SECTORS; i++)
        assert_int_equal(data[i], pattern(THREE_SECTORS + i));
    assert_int_equal(driver_interrupts(&f->driver), 1);
    assert_int_equal(request(f, IN, SECTORS - 1, SECTOR, true), OK);
}

static void test_write(void **state)
{
    struct fixture *f = *state;
    memset(driver_at(&f->driver, f->data), 0, THREE_SECTORS);
    assert_int_equal(request(f, OUT, 5, 3 * SECTOR, false), OK);
    assert_zero_between(f, 5, 8);
    assert_int_equal(request(f, OUT, SECTORS - 1, SECTOR, false), OK);
}

static void test_scattered_read(void **state)
{
    struct fixture *f = *state;
    put_header(f, IN, 1);
    const struct driver_span spans[] = {
        {f->header, 7, false}, {f->header + 7, 9, false},                              /* a header in two pieces */
        {f->data, 100, true},  {f->data + 200, 411, true}, {f->data + 700, 514, true}, /* the last holds the status */
    };
    driver_submit(&f->driver, 0, spans, 5);
    driver_kick(&f->driver, 0);
    const uint8_t *data = driver_at(&f->driver, f->data);
    assert_int_equal(data[0], pattern(SECTOR));
    assert_int_equal(data[200], pattern(SECTOR + 100));
    assert_int_equal(data[700], pattern(SECTOR + 511));
    assert_int_equal(data[700 + 512], pattern(SECTOR + 1023));
    assert_int_equal(data[700 + 513], OK);
}

static void test_batch_takes_one_interrupt(void **state)
{
    struct fixture *f = *state;
    put_header(f, FLUSH, 0);
    const struct driver_span spans[] = {{f->header, 16, false}, {f->status, 1, true}};
    for (unsigned i = 0; i < QUEUE_SIZE / 2; i++)
        driver_submit(&f->driver, 0, spans, 2);
    driver_kick(&f->driver, 0);
    uint32_t head, used;
    for (unsigned i = 0; i < QUEUE_SIZE / 2; i++)
        assert_true(driver_used(&f->driver, 0, &head, &used));
    assert_int_equal(driver_interrupts(&f->driver), 1);
}

static void test_more_than_one_turn(void **state)
{
    struct fixture *f = *state;
    driver_start(&f->driver, 0, 128);
    put_header(f, FLUSH, 0);
    const struct driver_span span = {f->status, 1, true};
    for (unsigned i = 0; i < 128; i++) /* no header: an error each, but answered */
        driver_submit(&f->driver, 0, &span, 1);
    driver_kick(&f->driver, 0);
    uint32_t head, used;
    for (unsigned i = 0; i < 128; i++)
        assert_true(driver_used(&f->driver, 0, &head, &used));
    assert_int_equal(status_byte(f), IOERR);
}

static void test_flush(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(request(f, FLUSH, 0, 0, false), OK);
}

static void test_get_id(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(request(f, GET_ID, 0, VIRTIO_BLK_ID_MAX, true), OK);
    assert_memory_equal(driver_at(&f->driver, f->data), "a-disk\0\0\0\0\0\0\0\0\0\0\0\0\0\0", VIRTIO_BLK_ID_MAX);
    assert_int_equal(request(f, GET_ID, 0, VIRTIO_BLK_ID_MAX - 1, true), IOERR);
}

static void test_discard(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(one_range(f, DISCARD, 8, 16, 0), OK);
    assert_zero_between(f, 8, 24); /* a memory file punches holes */
}

static void test_write_zeroes(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(one_range(f, WRITE_ZEROES, 3, 2, 0), OK); /* a memory file has no ZERO_RANGE: zeros are written */
    assert_zero_between(f, 3, 5);
    assert_int_equal(one_range(f, WRITE_ZEROES, 5, 4, 1), OK); /* unmap */
    assert_zero_between(f, 3, 9);
}

static void test_many_ranges(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < 16; i++)
        put_range(f, i, 4 + i, 1, 0);
    assert_int_equal(request(f, WRITE_ZEROES, 0, 16 * 16, false), OK);
    assert_zero_between(f, 4, 20);
}

/* ---- read-only disks, and drivers that negotiated nothing
 * ------------------------------------------------------------ */

static void test_readonly(void **state)
{
    struct fixture *f = *state;
    assert_true(driver_offered(&f->driver) & F_RO);
    assert_false(driver_offered(&f->driver) & (F_DISCARD | F_WRITE_ZEROES));
    assert_int_equal(request(f, IN, 0, SECTOR, true), OK);
    assert_int_equal(request(f, OUT, 0, SECTOR, false), IOERR);
    assert_int_equal(one_range(f, DISCARD, 0, 8, 0), IOERR);
    assert_int_equal(one_range(f, WRITE_ZEROES, 0, 8, 0), IOERR);
    assert_int_equal(request(f, FLUSH, 0, 0, false), OK);
    assert_zero_between(f, 0, 0);
}

static void test_readonly_descriptor_suffices(void **state)
{
    (void)state;
    char path[] = "/tmp/hull-test-blk-XXXXXX";
    int writer = mkstemp(path);
    assert_int_equal(ftruncate(writer, SECTOR), 0);
    assert_int_equal(unlink(path), 0);
    char proc[64];
    snprintf(proc, sizeof proc, "/proc/self/fd/%d", writer);
    FILE *reader = fopen(proc, "re");
    assert_non_null(reader);
    void *device = NULL;
    assert_int_equal(virtio_blk_new(&device, dup(fileno(reader)), true, "", NULL), 0);
    virtio_blk_ops.free(device);
    fclose(reader);
    close(writer);
}

static void test_features_not_negotiated(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(one_range(f, DISCARD, 0, 8, 0), UNSUPP);
    assert_int_equal(one_range(f, WRITE_ZEROES, 0, 8, 0), UNSUPP);
    assert_zero_between(f, 0, 0);
    memset(driver_at(&f->driver, f->data), 0, SECTOR);
    assert_int_equal(request(f, OUT, 0, SECTOR, false), OK);
    assert_zero_between(f, 0, 1);
}

/* ---- requests that make no sense
 * ------------------------------------------------------------------------------------- */

static void test_unknown_types(void **state)
{
    struct fixture *f = *state;
    static const uint32_t types[] = {2, 3, 5, 10, 12, 14, 16, 0x80000000, UINT32_MAX};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        assert_int_equal(request(f, types[i], 0, SECTOR, true), UNSUPP);
}

static void test_ranges_off_the_disk(void **state)
{
    struct fixture *f = *state;
    static const uint64_t sectors[] = {
        SECTORS - 1,       SECTORS,          UINT64_MAX, UINT64_MAX - 1, UINT64_MAX / SECTOR + 1,
        UINT64_C(1) << 63, UINT64_C(1) << 55};
    for (size_t i = 0; i < sizeof sectors / sizeof sectors[0]; i++) {
        assert_int_equal(request(f, IN, sectors[i], 2 * SECTOR, true), IOERR);
        assert_int_equal(request(f, OUT, sectors[i], 2 * SECTOR, false), IOERR);
        assert_int_equal(one_range(f, DISCARD, sectors[i], 2, 0), IOERR);
        assert_int_equal(one_range(f, WRITE_ZEROES, sectors[i], 2, 0), IOERR);
    }
    assert_zero_between(f, 0, 0);
    struct stat now;
    assert_int_equal(fstat(f->file, &now), 0);
    assert_int_equal(now.st_size, SECTORS * SECTOR);
}

static void test_lengths_not_in_sectors(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(request(f, IN, 0, SECTOR - 1, true), IOERR);
    assert_int_equal(request(f, OUT, 0, SECTOR + 1, false), IOERR);
    assert_zero_between(f, 0, 0);
}

static void test_bad_discards(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(request(f, DISCARD, 0, 0, false), IOERR);
    assert_int_equal(request(f, DISCARD, 0, 15, false), IOERR);
    assert_int_equal(request(f, DISCARD, 0, 17 * 16, false), IOERR); /* more ranges than offered */
    assert_int_equal(one_range(f, DISCARD, 0, 0, 0), IOERR);
    assert_int_equal(one_range(f, DISCARD, 0, UINT32_MAX, 0), IOERR);
    assert_int_equal(one_range(f, DISCARD, 0, 8, 1), UNSUPP); /* unmap is for write zeroes */
    assert_int_equal(one_range(f, WRITE_ZEROES, 0, 8, 2), UNSUPP);
    assert_int_equal(one_range(f, WRITE_ZEROES, 0, UINT32_MAX, 0), IOERR);
    assert_zero_between(f, 0, 0);
}

/* The second range is bad, so the first is not done either. */
static void test_ranges_are_refused_whole(void **state)
{
    struct fixture *f = *state;
    put_range(f, 0, 0, 8, 0);
    put_range(f, 1, SECTORS, 1, 0);
    assert_int_equal(request(f, WRITE_ZEROES, 0, 32, false), IOERR);
    assert_zero_between(f, 0, 0);
}

static void test_short_header(void **state)
{
    struct fixture *f = *state;
    put_header(f, IN, 0);
    const struct driver_span spans[] = {{f->header, 15, false}, {f->status, 1, true}};
    driver_submit(&f->driver, 0, spans, 2);
    driver_kick(&f->driver, 0);
    assert_int_equal(status_byte(f), IOERR);
}

static void test_data_of_the_wrong_kind(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(request(f, IN, 0, SECTOR, false), OK); /* nothing to read into: nothing is read */
    assert_int_equal(request(f, OUT, 0, SECTOR, true), OK); /* nothing to write */
    assert_zero_between(f, 0, 0);
}

static void test_no_status_byte_needs_reset(void **state)
{
    struct fixture *f = *state;
    put_header(f, IN, 0);
    driver_submit(&f->driver, 0, &(struct driver_span){f->header, 16, false}, 1);
    driver_kick(&f->driver, 0);
    assert_true(driver_read(&f->driver, MMIO_STATUS) & STATUS_NEEDS_RESET);
    driver_start(&f->driver, 0, QUEUE_SIZE);
    driver_run(&f->driver);
    assert_int_equal(request(f, IN, 0, SECTOR, true), OK);
}

static void test_image_that_shrank(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(ftruncate(f->file, SECTOR + 100), 0);
    assert_int_equal(request(f, IN, 0, SECTOR, true), OK);
    assert_int_equal(request(f, IN, 1, SECTOR, true), IOERR);
}

static void test_part_of_a_sector_is_not_reachable(void **state)
{
    (void)state;
    struct fixture *f = &fixture;
    memset(f, 0, sizeof *f);
    make_image(f, 3 * SECTOR + 100);
    attach(f, false, 0);
    assert_int_equal(driver_read(&f->driver, MMIO_CONFIG), 3);
    assert_int_equal(request(f, IN, 3, SECTOR, true), IOERR);
    driver_done(&f->driver);
    close(f->file);
}

static void test_what_is_no_disk(void **state)
{
    (void)state;
    struct error err = {0};
    void *device = NULL;
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    assert_true(virtio_blk_new(&device, pipes[0], true, "", &err) < 0);
    assert_string_equal(err.text, "a disk must be a regular file or a block device");
    close(pipes[1]);
    int empty = memfd_create("empty", MFD_CLOEXEC);
    assert_true(virtio_blk_new(&device, empty, true, "", &err) < 0);
    assert_string_equal(err.text, "a disk must have at least 512 bytes");
    assert_null(device);
    assert_true(virtio_blk_new(&device, -1, true, "", &err) < 0);
}

#define CASE(test, setup) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_config, setup),
        CASE(test_read, setup),
        CASE(test_write, setup),
        CASE(test_scattered_read, setup),
        CASE(test_batch_takes_one_interrupt, setup),
        CASE(test_more_than_one_turn, setup),
        CASE(test_flush, setup),
        CASE(test_get_id, setup),
        CASE(test_discard, setup),
        CASE(test_write_zeroes, setup),
        CASE(test_many_ranges, setup),
        CASE(test_readonly, setup_readonly),
        CASE(test_features_not_negotiated, setup_plain),
        CASE(test_unknown_types, setup),
        CASE(test_ranges_off_the_disk, setup),
        CASE(test_lengths_not_in_sectors, setup),
        CASE(test_bad_discards, setup),
        CASE(test_ranges_are_refused_whole, setup),
        CASE(test_short_header, setup),
        CASE(test_data_of_the_wrong_kind, setup),
        CASE(test_no_status_byte_needs_reset, setup),
        CASE(test_image_that_shrank, setup),
        cmocka_unit_test(test_readonly_descriptor_suffices),
        cmocka_unit_test(test_part_of_a_sector_is_not_reachable),
        cmocka_unit_test(test_what_is_no_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
