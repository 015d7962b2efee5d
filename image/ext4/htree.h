/* SPDX-License-Identifier: Apache-2.0 */
/* Directories as hash trees (Documentation/filesystems/ext4/directory.rst, "Hash Tree Directories"). */
#ifndef IMAGE_EXT4_HTREE_H
#define IMAGE_EXT4_HTREE_H

struct error;
struct ext4_filesystem;
struct tree_inode;

/**
 * Writes the contents of a directory whose entries fill more than one block; its extents and its size are set.
 * @return 0; -ENOMEM; -E2BIG for more entries than two levels can hold; or -errno of the output
 */
int ext4_htree_write(struct ext4_filesystem *fs, struct tree_inode *directory, struct error *err);

#endif
