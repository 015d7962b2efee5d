/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/bus.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"

/* A device that remembers what it was asked last. */
struct recorder {
    unsigned reads, writes;
    uint64_t offset;
    uint32_t length;
    uint8_t bytes[8];
};

static void recorder_read(void *device, uint64_t offset, void *data, uint32_t length)
{
    struct recorder *recorder = device;
    recorder->reads++;
    recorder->offset = offset;
    recorder->length = length;
    memset(data, 0x5a, length);
}

static void recorder_write(void *device, uint64_t offset, const void *data, uint32_t length)
{
    struct recorder *recorder = device;
    recorder->writes++;
    recorder->offset = offset;
    recorder->length = length;
    memcpy(recorder->bytes, data, length);
}

static const struct bus_device_ops recorder_ops = {.name = "recorder", .read = recorder_read, .write = recorder_write};

static void an_access_goes_to_the_window_it_lies_in(void **state)
{
    (void)state;
    struct recorder devices[3] = {0};
    struct bus bus = {0};
    struct error err = {0};
    /* Not in order. */
    assert_int_equal(bus_add(&bus, 0x2000, 0x1000, &recorder_ops, &devices[1], &err), 0);
    assert_int_equal(bus_add(&bus, 0x3000, 0x10, &recorder_ops, &devices[2], &err), 0);
    assert_int_equal(bus_add(&bus, 0x1000, 0x800, &recorder_ops, &devices[0], &err), 0);

    uint8_t data[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    assert_true(bus_write(&bus, 0x1000, data, 4));
    assert_int_equal(devices[0].writes, 1);
    assert_int_equal(devices[0].offset, 0);
    assert_memory_equal(devices[0].bytes, data, 4);
    assert_true(bus_write(&bus, 0x2ff8, data, 8));
    assert_int_equal(devices[1].offset, 0xff8);
    assert_int_equal(devices[1].length, 8);
    assert_true(bus_read(&bus, 0x300f, data, 1));
    assert_int_equal(devices[2].offset, 0xf);
    assert_int_equal(data[0], 0x5a);
    assert_int_equal(data[1], 2);
}

static void what_nobody_claims_reads_as_ones(void **state)
{
    (void)state;
    struct recorder device = {0};
    struct bus bus = {0};
    struct error err = {0};
    assert_int_equal(bus_add(&bus, 0x1000, 0x100, &recorder_ops, &device, &err), 0);
    static const struct {
        uint64_t address;
        uint32_t length;
    } cases[] = {
        {0xfff, 1},  {0x1100, 1}, {0xffe, 4}, /* reaches in */
        {0x10fd, 4},                          /* reaches out */
        {0x1000, 3}, {0x1000, 5}, {0x1000, 7}, {0x1000, 0}, {UINT64_MAX, 8}, {0, 8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t data[9];
        memset(data, 0, sizeof data);
        assert_false(bus_read(&bus, cases[i].address, data, cases[i].length));
        for (uint32_t j = 0; j < sizeof data; j++)
            assert_int_equal(data[j], j < cases[i].length ? 0xff : 0);
        assert_false(bus_write(&bus, cases[i].address, data, cases[i].length));
    }
    assert_int_equal(device.reads + device.writes, 0);
}

static void an_empty_bus_answers_nothing(void **state)
{
    (void)state;
    struct bus bus = {0};
    uint8_t byte = 0;
    assert_false(bus_read(&bus, 0, &byte, 1));
    assert_int_equal(byte, 0xff);
}

static void overlaps_are_refused(void **state)
{
    (void)state;
    struct recorder device = {0};
    struct bus bus = {0};
    struct error err = {0};
    assert_int_equal(bus_add(&bus, 0x1000, 0x1000, &recorder_ops, &device, &err), 0);
    assert_int_equal(bus_add(&bus, 0x4000, 0x1000, &recorder_ops, &device, &err), 0);
    static const struct {
        uint64_t start, size;
        int rc;
    } cases[] = {
        {0x1000, 0x1000, -EEXIST},     {0x0, 0x1001, -EEXIST},    {0x1fff, 1, -EEXIST}, {0x1800, 0x10, -EEXIST},
        {0x0, 0x10000, -EEXIST},       {0x2000, 0x2001, -EEXIST}, {0x2000, 0, -EINVAL}, {UINT64_MAX, 2, -EINVAL},
        {0x5000, UINT64_MAX, -EINVAL}, {0x0, 0x1000, 0},          {0x2000, 0x2000, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(bus_add(&bus, cases[i].start, cases[i].size, &recorder_ops, &device, &err), cases[i].rc);
}

static void a_bus_can_be_full(void **state)
{
    (void)state;
    struct recorder devices[BUS_WINDOWS_MAX] = {0};
    struct bus bus = {0};
    struct error err = {0};
    for (unsigned i = BUS_WINDOWS_MAX; i-- > 0;)
        assert_int_equal(bus_add(&bus, UINT64_C(16) * i, 16, &recorder_ops, &devices[i], &err), 0);
    assert_int_equal(bus_add(&bus, 0x10000, 16, &recorder_ops, &devices[0], &err), -ENOSPC);
    for (unsigned i = 0; i < BUS_WINDOWS_MAX; i++) {
        uint32_t data;
        assert_true(bus_read(&bus, UINT64_C(16) * i + 12, &data, 4));
        assert_int_equal(devices[i].reads, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_access_goes_to_the_window_it_lies_in),
        cmocka_unit_test(what_nobody_claims_reads_as_ones),
        cmocka_unit_test(an_empty_bus_answers_nothing),
        cmocka_unit_test(overlaps_are_refused),
        cmocka_unit_test(a_bus_can_be_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
