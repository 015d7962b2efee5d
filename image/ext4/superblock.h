/* SPDX-License-Identifier: Apache-2.0 */
/* The superblock and the group descriptors (Documentation/filesystems/ext4/super.rst, group_descr.rst). */
#ifndef IMAGE_EXT4_SUPERBLOCK_H
#define IMAGE_EXT4_SUPERBLOCK_H

#include <stdint.h>

#include "image/ext4/format.h"

struct error;
struct ext4_geometry;
struct ext4_group;
struct ext4_layout;

enum { EXT4_SUPERBLOCK_OFFSET = 1024, EXT4_SUPERBLOCK_SIZE = 1024 };

/** Fills in the superblock; the free counts are the sums over the layout's groups. */
void ext4_superblock_encode(uint8_t bytes[static EXT4_SUPERBLOCK_SIZE], const struct ext4_layout *layout,
                            const struct ext4_identity *identity);

/** Fills in the descriptor of group number @p number. */
void ext4_group_encode(uint8_t bytes[static EXT4_DESCRIPTOR_SIZE], const struct ext4_group *group, uint32_t number,
                       const struct ext4_identity *identity);

/**
 * Reads and checks the superblock.
 * @return 0; -ENOTSUP for a file system that this writer does not write; -EBADMSG for a damaged one
 */
int ext4_superblock_decode(const uint8_t bytes[static EXT4_SUPERBLOCK_SIZE], struct ext4_geometry *geometry,
                           struct error *err);

/** Reads the descriptor of group number @p number. @return 0, or -EBADMSG when it is damaged */
int ext4_group_decode(const uint8_t bytes[static EXT4_DESCRIPTOR_SIZE], uint32_t number, uint32_t checksum_seed,
                      struct ext4_group *group, struct error *err);

#endif
