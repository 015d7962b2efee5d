/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories (Documentation/filesystems/ext4/directory.rst): one block of entries, or a hash tree over several
 * (htree.c) when they do not fit.
 */
#ifndef IMAGE_EXT4_DIRECTORY_H
#define IMAGE_EXT4_DIRECTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/ext4/format.h"

struct error;
struct ext4_filesystem;
struct tree_inode;

/** One block of entries being filled. */
struct ext4_directory_block {
    uint8_t bytes[EXT4_BLOCK_SIZE];
    size_t used;
    size_t last; /**< where the last entry starts */
};

/** The i_mode's type as entries tell it. */
uint8_t ext4_directory_file_type(uint16_t mode);

/** Empties the block. */
void ext4_directory_block_clear(struct ext4_directory_block *block);

/** Appends an entry. @return false if it does not fit */
bool ext4_directory_block_add(struct ext4_directory_block *block, uint32_t inode, uint8_t file_type, const char *name,
                              size_t length);

/** Lengthens the last entry up to the checksum and computes that. The block has an entry. */
void ext4_directory_block_finish(struct ext4_directory_block *block, uint32_t checksum_seed);

/**
 * Writes the contents of @p directory; its extents and its size are set. All inodes have their numbers.
 * @return 0 or -errno
 */
int ext4_directory_write(struct ext4_filesystem *fs, struct tree_inode *directory, struct error *err);

/** Whether the directory is a hash tree: more than one block. */
bool ext4_directory_is_indexed(const struct tree_inode *directory);

/** The inode number of the directory above; the root is above itself. */
uint32_t ext4_directory_parent(const struct tree_inode *directory);

#endif
