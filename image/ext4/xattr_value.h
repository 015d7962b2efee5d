/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inodes that hold the value of one extended attribute (ea_inode; Documentation/filesystems/ext4/attributes.rst,
 * "Extended Attributes in inodes"). They have no names and stand behind the tree's inodes.
 */
#ifndef IMAGE_EXT4_XATTR_VALUE_H
#define IMAGE_EXT4_XATTR_VALUE_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct ext4_filesystem;
struct ext4_xattr_plan;
struct tree_inode;

/** Makes the inodes that @p plan asks for and writes the values. @return 0 or -errno */
int ext4_xattr_values_write(struct ext4_filesystem *fs, const struct ext4_xattr_plan *plan, struct error *err);

/** Blocks of all these values; they count as those of the inode that has the attributes. */
uint64_t ext4_xattr_values_blocks(const struct ext4_xattr_plan *plan);

/** Whether @p inode is one of these. */
bool ext4_xattr_value_is(const struct ext4_filesystem *fs, const struct tree_inode *inode);

/** The value's checksum. */
uint32_t ext4_xattr_value_checksum(const struct tree_inode *inode);

#endif
