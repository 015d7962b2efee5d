/* SPDX-License-Identifier: Apache-2.0 */
/* The superblock and the group descriptors (Documentation/filesystems/ext4/super.rst, group_descr.rst). */
#ifndef IMAGE_EXT4_SUPERBLOCK_H
#define IMAGE_EXT4_SUPERBLOCK_H

#include <stdint.h>

#include "image/ext4/format.h"

struct ext4_group;
struct ext4_layout;

enum { EXT4_SUPERBLOCK_OFFSET = 1024, EXT4_SUPERBLOCK_SIZE = 1024 };

/** Fills in the superblock; the free counts are the sums over the layout's groups. */
void ext4_superblock_encode(uint8_t bytes[static EXT4_SUPERBLOCK_SIZE], const struct ext4_layout *layout,
                            const struct ext4_identity *identity);

/** Fills in the descriptor of group number @p number. */
void ext4_group_encode(uint8_t bytes[static EXT4_DESCRIPTOR_SIZE], const struct ext4_group *group, uint32_t number,
                       const struct ext4_identity *identity);

#endif
