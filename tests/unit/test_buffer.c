/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"

static void test_numbers_and_text(void **state)
{
    (void)state;
    cleanup_buffer struct buffer buffer = BUFFER_INIT(100);
    buffer_append_u8(&buffer, 1);
    buffer_append_le16(&buffer, 0x0302);
    buffer_append_le32(&buffer, 0x07060504);
    buffer_append_le64(&buffer, UINT64_C(0x0f0e0d0c0b0a0908));
    buffer_append_format(&buffer, "%s-%d", "x", 7);
    buffer_append(&buffer, "", 0);
    assert_false(buffer.failed);
    assert_int_equal(buffer.length, 15 + 3);
    assert_memory_equal(buffer.bytes, "\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17x-7", 18);
}

static void test_maximum(void **state)
{
    (void)state;
    cleanup_buffer struct buffer buffer = BUFFER_INIT(1000);
    char bytes[999] = {0};
    buffer_append(&buffer, bytes, sizeof bytes);
    buffer_append_u8(&buffer, 9);
    assert_false(buffer.failed);
    assert_int_equal(buffer.length, 1000);
    buffer_append_u8(&buffer, 10);
    assert_true(buffer.failed);
    assert_int_equal(buffer.length, 1000); /* what was there stays */
    assert_int_equal(buffer.bytes[999], 9);
    buffer_consume(&buffer, 10);
    buffer_append_u8(&buffer, 11); /* there would be room now, but failure is remembered */
    assert_int_equal(buffer.length, 990);
    buffer_clear(&buffer);
    assert_null(buffer_extend(&buffer, SIZE_MAX));
    assert_true(buffer.failed);
}

static void test_growth_keeps_contents(void **state)
{
    (void)state;
    cleanup_buffer struct buffer buffer = BUFFER_INIT(100000);
    for (unsigned i = 0; i < 100000; i++)
        buffer_append_u8(&buffer, (uint8_t)(i % 251));
    assert_false(buffer.failed);
    assert_int_equal(buffer.length, 100000);
    for (unsigned i = 0; i < 100000; i++)
        assert_int_equal(buffer.bytes[i], i % 251);
}

static void test_consume(void **state)
{
    (void)state;
    cleanup_buffer struct buffer buffer = BUFFER_INIT(100);
    buffer_append(&buffer, "0123456789", 10);
    buffer_consume(&buffer, 3);
    assert_int_equal(buffer.length, 7);
    assert_memory_equal(buffer.bytes, "3456789", 7);
    buffer_consume(&buffer, 100);
    assert_int_equal(buffer.length, 0);
}

static void test_format_at_the_maximum(void **state)
{
    (void)state;
    cleanup_buffer struct buffer buffer = BUFFER_INIT(4);
    buffer_append_format(&buffer, "%s", "12345");
    assert_true(buffer.failed);
    assert_int_equal(buffer.length, 0);
}

static void test_usable_after_done(void **state)
{
    (void)state;
    struct buffer buffer = BUFFER_INIT(10);
    buffer_append(&buffer, "abc", 3);
    buffer_done(&buffer);
    assert_null(buffer.bytes);
    buffer_append(&buffer, "de", 2);
    assert_memory_equal(buffer.bytes, "de", 2);
    buffer_done(&buffer);
    buffer_done(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_and_text),      cmocka_unit_test(test_maximum),
        cmocka_unit_test(test_growth_keeps_contents), cmocka_unit_test(test_consume),
        cmocka_unit_test(test_format_at_the_maximum), cmocka_unit_test(test_usable_after_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
