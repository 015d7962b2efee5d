/* SPDX-License-Identifier: Apache-2.0 */
/* Inodes on the disk (Documentation/filesystems/ext4/inodes.rst). */
#ifndef IMAGE_EXT4_INODE_H
#define IMAGE_EXT4_INODE_H

#include <stdint.h>

#include "image/ext4/format.h"

struct error;
struct ext4_file;
struct ext4_filesystem;
struct tree_inode;

enum {
    EXT4_FAST_SYMLINK_MAX = 59, /**< bytes of a target that fits the inode */
    EXT4_DEVICE_MAJOR_MAX = 0xfff,
    EXT4_DEVICE_MINOR_MAX = 0xfffff,
};

/** Seconds since the epoch that a time can have: 34 bits, shifted so that they start in 1901. */
#define EXT4_TIME_MIN (-0x80000000LL)
#define EXT4_TIME_MAX 0x37fffffffLL

/**
 * Writes what belongs to an inode but not into it: the contents of a directory or of a long symbolic link, its extended
 * attributes, its extent tree. All inodes have their numbers.
 * @return 0 or -errno
 */
int ext4_inode_place(struct ext4_filesystem *fs, struct tree_inode *inode, struct error *err);

/** Fills in the inode itself; it has been placed. @return 0, or -ENOMEM */
int ext4_inode_encode(const struct ext4_filesystem *fs, const struct tree_inode *inode,
                      uint8_t bytes[static EXT4_INODE_SIZE], struct error *err);

/** Reads an inode; one that is not in use has mode 0. @return 0, or -EBADMSG when it is damaged */
int ext4_inode_decode(const uint8_t bytes[static EXT4_INODE_SIZE], uint32_t number, uint32_t checksum_seed,
                      struct ext4_file *file, struct error *err);

#endif
