/* SPDX-License-Identifier: Apache-2.0 */
/* The contents of one regular file, streaming into blocks; what is never written stays a hole. */
#ifndef IMAGE_EXT4_CONTENT_H
#define IMAGE_EXT4_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/ext4/allocator.h"
#include "image/ext4/format.h"

struct error;
struct ext4_filesystem;
struct tree_inode;

/** One file being written; of several only one at a time. */
struct ext4_content {
    struct ext4_filesystem *fs;
    struct tree_inode *inode;
    uint64_t expected;      /**< bytes that are still expected: how much to take at once */
    uint64_t position;      /**< nothing before it can be written any more */
    struct ext4_run taken;  /**< blocks taken and not yet used */
    uint32_t partial_block; /**< the block being put together */
    bool partial;           /**< whether there is one */
    uint8_t bytes[EXT4_BLOCK_SIZE];
};

/**
 * Starts with the contents of @p inode, a regular file that has its size and no extents.
 * @param expected  bytes that will be written, as far as is known: less than the size for a file with holes
 */
void ext4_content_begin(struct ext4_content *content, struct ext4_filesystem *fs, struct tree_inode *inode,
                        uint64_t expected);

/**
 * Writes bytes at @p offset, which is not before the end of the last write.
 * @return 0; -EINVAL before the last end or past the file's size; -ENOSPC; -ENOMEM; or -errno of the output
 */
int ext4_content_write(struct ext4_content *content, uint64_t offset, const void *bytes, size_t length,
                       struct error *err);

/** Writes what is left. The content is done, even on failure. */
int ext4_content_end(struct ext4_content *content, struct error *err);

#endif
