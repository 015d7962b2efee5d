/* SPDX-License-Identifier: Apache-2.0 */
/* The last pass: inode tables, bitmaps, group descriptors and the superblock, each block written once. */
#ifndef IMAGE_EXT4_GROUP_TABLE_H
#define IMAGE_EXT4_GROUP_TABLE_H

struct error;
struct ext4_filesystem;
struct tree;

/** Everything else has been written and the layout stands. @return 0 or -errno */
int ext4_groups_write(struct ext4_filesystem *fs, struct tree *tree, struct error *err);

#endif
