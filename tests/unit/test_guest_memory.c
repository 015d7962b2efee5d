/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "devices/guest_memory.h"

enum { LOW_SIZE = 0x4000, HIGH_SIZE = 0x1000 };
#define HIGH_BASE (UINT64_C(4) << 30)

static uint8_t low[LOW_SIZE], high[HIGH_SIZE];

/* As on a machine with the hole below 4 GiB. */
static const struct guest_memory memory = {
    .regions = {{.guest_address = 0, .size = LOW_SIZE, .host = low},
                {.guest_address = HIGH_BASE, .size = HIGH_SIZE, .host = high}},
    .count = 2,
};

static void test_inside(void **state)
{
    (void)state;
    assert_ptr_equal(guest_memory_at(&memory, 0, 1), low);
    assert_ptr_equal(guest_memory_at(&memory, 0, LOW_SIZE), low);
    assert_ptr_equal(guest_memory_at(&memory, LOW_SIZE - 1, 1), low + LOW_SIZE - 1);
    assert_ptr_equal(guest_memory_at(&memory, HIGH_BASE + 8, HIGH_SIZE - 8), high + 8);
}

static void test_past_the_end(void **state)
{
    (void)state;
    assert_null(guest_memory_at(&memory, 0, LOW_SIZE + 1));
    assert_null(guest_memory_at(&memory, LOW_SIZE - 1, 2));
    assert_null(guest_memory_at(&memory, LOW_SIZE, 1));
    assert_null(guest_memory_at(&memory, HIGH_BASE + HIGH_SIZE, 1));
}

static void test_hole(void **state)
{
    (void)state;
    assert_null(guest_memory_at(&memory, HIGH_BASE - 1, 1));
    assert_null(guest_memory_at(&memory, HIGH_BASE - 1, 2));
    assert_null(guest_memory_at(&memory, LOW_SIZE - 8, HIGH_BASE));
}

static void test_overflow(void **state)
{
    (void)state;
    assert_null(guest_memory_at(&memory, UINT64_MAX, 1));
    assert_null(guest_memory_at(&memory, UINT64_MAX, UINT64_MAX));
    assert_null(guest_memory_at(&memory, 1, UINT64_MAX));
    assert_null(guest_memory_at(&memory, HIGH_BASE + 1, UINT64_MAX - HIGH_BASE));
}

static void test_zero_length(void **state)
{
    (void)state;
    assert_ptr_equal(guest_memory_at(&memory, 5, 0), low + 5);
    assert_null(guest_memory_at(&memory, LOW_SIZE, 0));
    assert_null(guest_memory_at(&memory, UINT64_MAX, 0));
}

static void test_size(void **state)
{
    (void)state;
    assert_int_equal(guest_memory_size(&memory), LOW_SIZE + HIGH_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inside),   cmocka_unit_test(test_past_the_end), cmocka_unit_test(test_hole),
        cmocka_unit_test(test_overflow), cmocka_unit_test(test_zero_length),  cmocka_unit_test(test_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
