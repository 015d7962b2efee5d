/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree on the disk that maps a file's blocks (Documentation/filesystems/ext4/ifork.rst, "Extent Tree"). Four runs
 * fit the inode itself; more need blocks, which lie in one run: all leaves, then each level above.
 */
#ifndef IMAGE_EXT4_EXTENT_TREE_H
#define IMAGE_EXT4_EXTENT_TREE_H

#include <stdint.h>

#include "image/extents.h"

struct error;
struct ext4_writer;

enum { EXT4_EXTENT_ROOT_SIZE = 60 };

/** Blocks that the tree needs outside of the inode. */
uint64_t ext4_extent_tree_blocks(const struct extents *extents);

/**
 * Builds the tree.
 *
 * @param root           filled in: the inode's i_block
 * @param start          the first of the tree's blocks, if it needs any
 * @param checksum_seed  of the inode (ext4_checksum_of_inode())
 * @param writer         where the blocks go; NULL fills in the root only
 * @return 0, -ENOMEM or -errno of the output
 */
int ext4_extent_tree_build(const struct extents *extents, uint8_t root[static EXT4_EXTENT_ROOT_SIZE], uint64_t start,
                           uint32_t checksum_seed, struct ext4_writer *writer, struct error *err);

#endif
