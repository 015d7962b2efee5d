/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended attributes (Documentation/filesystems/ext4/attributes.rst): as many as fit behind the inode's fields, the
 * others in one block of the inode's own. When they don't fit there, the longest values get inodes of their own
 * (xattr_value.h) until they do.
 */
#ifndef IMAGE_EXT4_XATTR_H
#define IMAGE_EXT4_XATTR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/ext4/format.h"

struct error;
struct tree_inode;
struct tree_xattr;

enum {
    EXT4_XATTR_VALUE_INODE_MIN = 256, /**< bytes of a value that may get an inode of its own */
    EXT4_XATTR_MAX = 256,             /**< attributes of one inode; more cannot fit anyway */
    EXT4_XATTR_INODE_ROOM = EXT4_INODE_SIZE - 128 - 32,
};

/** Whether EXT4 has a place for attributes of this name: user., trusted., security., system. */
bool ext4_xattr_is_known(const char *name);

/** An attribute as it is stored. */
struct ext4_xattr_item {
    const char *name; /**< without the prefix that the index stands for */
    const uint8_t *value;
    struct tree_xattr *xattr; /**< where it comes from */
    uint32_t value_length;
    uint8_t name_length, index;
    bool in_inode;       /**< the entry is behind the inode's fields, not in the block */
    bool in_value_inode; /**< the value is in an inode of its own */
};

/** What goes where. Borrows from the inode, except for `converted`. Release with ext4_xattr_plan_done(). */
struct ext4_xattr_plan {
    struct ext4_xattr_item items[EXT4_XATTR_MAX]; /**< in the order that blocks want */
    size_t count;
    bool needs_block;
    bool needs_value_inodes;
    uint8_t *converted[2]; /**< ACLs in EXT4's form; owned */
};

/**
 * Plans an inode's attributes.
 * @return 0; -E2BIG when they do not fit; -EINVAL for a malformed ACL; -ENOMEM
 */
int ext4_xattr_plan(struct ext4_xattr_plan *plan, const struct tree_inode *inode, struct error *err);

void ext4_xattr_plan_done(struct ext4_xattr_plan *plan);

/** Writes those that go into the inode; @p room is all zeros before. */
void ext4_xattr_encode_inode(const struct ext4_xattr_plan *plan, uint8_t room[static EXT4_XATTR_INODE_ROOM],
                             uint32_t checksum_seed);

/** Writes the others into the block that will lie at @p place. */
void ext4_xattr_encode_block(const struct ext4_xattr_plan *plan, uint8_t block[static EXT4_BLOCK_SIZE], uint64_t place,
                             uint32_t checksum_seed);

#endif
