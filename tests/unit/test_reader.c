/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/reader.h"

static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

static void test_numbers(void **state)
{
    (void)state;
    struct reader reader = reader_over(bytes, sizeof bytes);
    assert_int_equal(reader_u8(&reader), 1);
    assert_int_equal(reader_le16(&reader), 0x0302);
    assert_int_equal(reader_le32(&reader), 0x07060504);
    assert_true(reader_le64(&reader) == UINT64_C(0x0f0e0d0c0b0a0908));
    assert_true(reader_complete(&reader));
}

static void test_what_does_not_fit_fails_for_good(void **state)
{
    (void)state;
    struct reader reader = reader_over(bytes, 3);
    assert_int_equal(reader_le32(&reader), 0);
    assert_true(reader.failed);
    assert_int_equal(reader_u8(&reader), 0); /* though a byte would have been there */
    assert_null(reader_take(&reader, 0));
    assert_false(reader_complete(&reader));
}

static void test_take(void **state)
{
    (void)state;
    struct reader reader = reader_over(bytes, 4);
    assert_ptr_equal(reader_take(&reader, 4), bytes);
    assert_ptr_equal(reader_take(&reader, 0), bytes + 4);
    assert_true(reader_complete(&reader));
    assert_null(reader_take(&reader, SIZE_MAX));
    assert_false(reader_complete(&reader));
}

static void test_rest_is_not_complete(void **state)
{
    (void)state;
    struct reader reader = reader_over(bytes, 2);
    (void)reader_u8(&reader);
    assert_false(reader_complete(&reader));
    assert_false(reader.failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_what_does_not_fit_fails_for_good),
        cmocka_unit_test(test_take),
        cmocka_unit_test(test_rest_is_not_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
