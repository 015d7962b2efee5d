/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "devices/power.h"

struct log {
    unsigned off, reset;
};

static void record(void *context, enum power_request request)
{
    struct log *log = context;
    if (request == POWER_OFF)
        log->off++;
    else
        log->reset++;
}

static void test_reset(void **state)
{
    (void)state;
    struct log log = {0};
    struct power power = {.request = record, .context = &log};
    for (unsigned byte = 0; byte <= 0xff; byte++) {
        uint8_t data = (uint8_t)byte;
        power_reset_bus_ops.write(&power, 0, &data, 1);
        assert_int_equal(log.reset, byte >= 0xfe);
    }
    assert_int_equal(log.off, 0);
}

static void test_power_off(void **state)
{
    (void)state;
    struct log log = {0};
    struct power power = {.request = record, .context = &log};
    static const uint8_t not_s5[] = {0x00, 0x14, 0x20, 0x30, 0x38, 0x3c, 0x1f};
    for (size_t i = 0; i < sizeof not_s5; i++)
        power_sleep_bus_ops.write(&power, 0, &not_s5[i], 1);
    assert_int_equal(log.off, 0);
    power_sleep_bus_ops.write(&power, 0, "\x34", 1);
    assert_int_equal(log.off, 1);
    assert_int_equal(log.reset, 0);
}

static void test_reads_as_zero(void **state)
{
    (void)state;
    struct power power = {0};
    uint8_t data[4] = {1, 2, 3, 4};
    power_reset_bus_ops.read(&power, 0, data, 1);
    assert_int_equal(data[0], 0);
    assert_int_equal(data[1], 2);
    power_sleep_bus_ops.read(&power, 0, data, 4);
    assert_memory_equal(data, "\0\0\0\0", 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_power_off),
        cmocka_unit_test(test_reads_as_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
