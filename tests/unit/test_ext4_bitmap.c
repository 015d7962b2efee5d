/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "image/ext4/bitmap.h"

enum { BITS = 80 };

static bool is_set(const uint8_t *bitmap, uint32_t bit)
{
    return bitmap[bit / 8] >> (bit % 8) & 1;
}

static void test_every_range(void **state)
{
    (void)state;
    for (uint32_t first = 0; first < BITS; first++) {
        for (uint32_t count = 0; first + count <= BITS; count++) {
            uint8_t set[BITS / 8] = {0}, cleared[BITS / 8];
            memset(cleared, 0xff, sizeof cleared);
            ext4_bitmap_set(set, first, count);
            ext4_bitmap_clear(cleared, first, count);
            for (uint32_t bit = 0; bit < BITS; bit++) {
                bool inside = bit >= first && bit < first + count;
                assert_int_equal(is_set(set, bit), inside);
                assert_int_equal(is_set(cleared, bit), !inside);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_range)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
