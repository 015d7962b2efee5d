/* SPDX-License-Identifier: Apache-2.0 */
/* Bitmaps of blocks and inodes (Documentation/filesystems/ext4/bitmaps.rst): bit N is bit N % 8 of byte N / 8. */
#ifndef IMAGE_EXT4_BITMAP_H
#define IMAGE_EXT4_BITMAP_H

#include <stdint.h>

/** Sets bits [first, first + count). */
void ext4_bitmap_set(uint8_t *bitmap, uint32_t first, uint32_t count);

/** Clears bits [first, first + count). */
void ext4_bitmap_clear(uint8_t *bitmap, uint32_t first, uint32_t count);

#endif
