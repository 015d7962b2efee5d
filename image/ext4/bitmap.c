/* SPDX-License-Identifier: Apache-2.0 */
#include "image/ext4/bitmap.h"

#include <stdbool.h>
#include <string.h>

static void assign_bit(uint8_t *bitmap, uint32_t bit, bool value)
{
    uint8_t mask = (uint8_t)(1u << (bit & 7));
    bitmap[bit >> 3] = (uint8_t)(value ? bitmap[bit >> 3] | mask : bitmap[bit >> 3] & ~mask);
}

static void assign(uint8_t *bitmap, uint32_t first, uint32_t count, bool value)
{
    uint32_t bit = first, end = first + count;
    for (; bit < end && (bit & 7) != 0; bit++)
        assign_bit(bitmap, bit, value);
    uint32_t bytes = (end - bit) / 8;
    memset(bitmap + (bit >> 3), value ? 0xff : 0, bytes);
    for (bit += 8 * bytes; bit < end; bit++)
        assign_bit(bitmap, bit, value);
}

void ext4_bitmap_set(uint8_t *bitmap, uint32_t first, uint32_t count)
{
    assign(bitmap, first, count, true);
}

void ext4_bitmap_clear(uint8_t *bitmap, uint32_t first, uint32_t count)
{
    assign(bitmap, first, count, false);
}
