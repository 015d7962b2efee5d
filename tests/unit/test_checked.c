/* SPDX-License-Identifier: Apache-2.0 */
/* base/checked.h and base/bytes.h: headers of inline functions, tested together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/checked.h"

static void test_add(void **state)
{
    (void)state;
    uint64_t result = 42;
    assert_true(checked_add_u64(UINT64_MAX - 1, 1, &result));
    assert_true(result == UINT64_MAX);
    result = 42;
    assert_false(checked_add_u64(UINT64_MAX, 1, &result));
    assert_true(result == 42);
}

static void test_multiply(void **state)
{
    (void)state;
    uint64_t result = 42;
    assert_true(checked_mul_u64(UINT32_MAX, UINT32_MAX, &result));
    assert_true(result == UINT64_C(0xfffffffe00000001));
    result = 42;
    assert_false(checked_mul_u64(UINT64_C(1) << 63, 2, &result));
    assert_true(result == 42);
    assert_true(checked_mul_u64(UINT64_MAX, 0, &result));
    assert_true(result == 0);
}

static void test_align(void **state)
{
    (void)state;
    uint64_t result = 42;
    assert_true(checked_align_up_u64(0, 4096, &result) && result == 0);
    assert_true(checked_align_up_u64(1, 4096, &result) && result == 4096);
    assert_true(checked_align_up_u64(4096, 4096, &result) && result == 4096);
    assert_true(checked_align_up_u64(UINT64_MAX - 4095, 4096, &result) && result == UINT64_MAX - 4095);
    assert_false(checked_align_up_u64(UINT64_MAX - 4094, 4096, &result));
}

static void test_range(void **state)
{
    (void)state;
    assert_true(checked_range_within(0, 10, 10));
    assert_true(checked_range_within(10, 0, 10));
    assert_false(checked_range_within(11, 0, 10));
    assert_false(checked_range_within(1, 10, 10));
    assert_false(checked_range_within(UINT64_MAX, 2, 10));
    assert_false(checked_range_within(2, UINT64_MAX, 10));
}

static void test_divide(void **state)
{
    (void)state;
    assert_true(divide_round_up_u64(0, 8) == 0);
    assert_true(divide_round_up_u64(1, 8) == 1);
    assert_true(divide_round_up_u64(16, 8) == 2);
    assert_true(divide_round_up_u64(UINT64_MAX, 2) == UINT64_C(1) << 63);
}

static void test_little_endian(void **state)
{
    (void)state;
    static const uint8_t expected[] = {0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01};
    uint8_t bytes[9];
    store_le64(bytes + 1, UINT64_C(0x0102030405060708)); /* at an odd address */
    assert_memory_equal(bytes + 1, expected, 8);
    assert_true(load_le64(bytes + 1) == UINT64_C(0x0102030405060708));
    assert_int_equal(load_le32(bytes + 1), 0x05060708);
    assert_int_equal(load_le16(bytes + 1), 0x0708);
    le32 field = le32_from(0x05060708);
    assert_memory_equal(&field, expected, 4);
    assert_int_equal(le32_get(field), 0x05060708);
    le16 half = le16_from(0x0708);
    assert_memory_equal(&half, expected, 2);
    assert_int_equal(le16_get(half), 0x0708);
    le64 whole = le64_from(UINT64_C(0x0102030405060708));
    assert_memory_equal(&whole, expected, 8);
    assert_true(le64_get(whole) == UINT64_C(0x0102030405060708));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add),   cmocka_unit_test(test_multiply), cmocka_unit_test(test_align),
        cmocka_unit_test(test_range), cmocka_unit_test(test_divide),   cmocka_unit_test(test_little_endian),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
