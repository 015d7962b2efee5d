/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing an EXT4 file system. Contents of files come first and go straight to their blocks, in the order in which they
 * come; when the tree is complete, all metadata follows once. Nothing is read back.
 *
 *     ext4_filesystem_init()
 *       for each file: ext4_content_begin(), ext4_content_write() ..., ext4_content_end()     (content.h)
 *       a file is replaced: ext4_filesystem_release(); between layers: ext4_filesystem_settle()
 *     ext4_filesystem_finish()
 */
#ifndef IMAGE_EXT4_FILESYSTEM_H
#define IMAGE_EXT4_FILESYSTEM_H

#include <stdint.h>

#include "image/ext4/allocator.h"
#include "image/ext4/format.h"
#include "image/ext4/layout.h"
#include "image/ext4/writer.h"

struct error;
struct tree;
struct tree_inode;

/** One file system being written. Release with ext4_filesystem_done(). */
struct ext4_filesystem {
    struct ext4_identity identity;
    struct ext4_writer writer;
    struct ext4_allocator allocator;
    struct ext4_layout layout;
    struct tree_inode **inodes; /**< by number, from EXT4_FIRST_INODE on; while finishing */
    uint32_t inode_count;       /**< of them */
    uint32_t tree_inode_count;  /**< of them, the tree's; the others hold values of attributes and are owned */
    uint32_t inode_capacity;
    int release_failed; /**< 0 or the -errno of a release, reported when settling */
};

/** The UUID and the hash seed come from @p seed: 32 bytes that depend on the contents. */
struct ext4_identity ext4_identity_from(const uint8_t seed[static 32]);

/** @return 0 or -ENOMEM */
int ext4_filesystem_init(struct ext4_filesystem *fs, struct ext4_io io, const struct ext4_identity *identity,
                         struct error *err);

/** NULL is fine. */
void ext4_filesystem_done(struct ext4_filesystem *fs);

/** Gives back the blocks of an inode that goes; a failure shows in ext4_filesystem_settle(). */
void ext4_filesystem_release(struct ext4_filesystem *fs, const struct tree_inode *inode);

/** Makes the blocks that were given back usable. @return 0 or -ENOMEM */
int ext4_filesystem_settle(struct ext4_filesystem *fs, struct error *err);

/** Writes all metadata of @p tree; the size of the output becomes exactly what is needed. @return 0 or -errno */
int ext4_filesystem_finish(struct ext4_filesystem *fs, struct tree *tree, struct error *err);

/**
 * ext4_filesystem_finish() for a file system of @p blocks, with inodes in proportion; what is free stays unwritten.
 * @return 0; -ENOSPC when it needs more; or -errno
 */
int ext4_filesystem_finish_sized(struct ext4_filesystem *fs, struct tree *tree, uint64_t blocks, struct error *err);

/**
 * Instead of contents and ext4_filesystem_finish(): an empty file system of @p blocks with the directories of @p tree,
 * which fit group 0. Little is written, whatever the size.
 */
int ext4_filesystem_finish_empty(struct ext4_filesystem *fs, struct tree *tree, uint64_t blocks, struct error *err);

/**
 * Gives @p inode, which is not the tree's, the next number.
 * @return 0, and @p inode is owned by @p fs; or -ENOMEM
 */
int ext4_filesystem_add_inode(struct ext4_filesystem *fs, struct tree_inode *inode, struct error *err);

/** Takes a block for the file's block @p logical, past all it has, and writes it. */
int ext4_filesystem_put_block(struct ext4_filesystem *fs, struct tree_inode *inode, uint32_t logical,
                              const uint8_t bytes[static EXT4_BLOCK_SIZE], struct error *err);

#endif
