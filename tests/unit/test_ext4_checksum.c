/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "image/ext4/checksum.h"

/* RFC 3720, B.4: CRC-32C with both ends inverted. */
static uint32_t crc32c(uint32_t (*function)(uint32_t, const void *, size_t), const void *bytes, size_t length)
{
    return ~function(UINT32_MAX, bytes, length);
}

static void test_known_answers(void **state)
{
    (void)state;
    uint8_t zeros[32] = {0}, ones[32], rising[32];
    for (unsigned i = 0; i < 32; i++) {
        ones[i] = 0xff;
        rising[i] = (uint8_t)i;
    }
    uint32_t (*const functions[])(uint32_t, const void *, size_t) = {ext4_checksum, ext4_checksum_portable};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(crc32c(functions[i], "123456789", 9), 0xe3069283);
        assert_int_equal(crc32c(functions[i], zeros, 32), 0x8a9136aa);
        assert_int_equal(crc32c(functions[i], ones, 32), 0x62a8ab43);
        assert_int_equal(crc32c(functions[i], rising, 32), 0x46dd794e);
        assert_int_equal(crc32c(functions[i], "", 0), 0);
    }
}

static void test_both_ways_agree_at_any_length_and_place(void **state)
{
    (void)state;
    uint8_t bytes[300];
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 37 + i / 7);
    for (size_t start = 0; start < 9; start++)
        for (size_t length = 0; length + start <= sizeof bytes; length++)
            assert_int_equal(ext4_checksum(7, bytes + start, length), ext4_checksum_portable(7, bytes + start, length));
}

static void test_pieces_continue(void **state)
{
    (void)state;
    uint32_t whole = ext4_checksum(UINT32_MAX, "\1\2\3\4\5\0\0\0\0", 9);
    uint32_t pieces = ext4_checksum(UINT32_MAX, "\1", 1);
    pieces = ext4_checksum_le32(pieces, 0x05040302);
    assert_int_equal(ext4_checksum_le32(pieces, 0), whole);
    pieces = ext4_checksum(UINT32_MAX, "\1", 1);
    assert_int_equal(ext4_checksum_of_inode(pieces, 0x05040302), whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_both_ways_agree_at_any_length_and_place),
        cmocka_unit_test(test_pieces_continue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
