/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a file system that this writer has written is whole: all checksums; every block and every inode used once and
 * marked as used, and nothing else marked; names, types and link counts that agree with the inodes. Contents of files
 * have no checksums.
 */
#ifndef IMAGE_EXT4_CHECK_H
#define IMAGE_EXT4_CHECK_H

#include <stdint.h>

struct error;
struct ext4_reader;

enum {
    EXT4_CHECK_BLOCKS_MAX = 1 << 28, /**< 1 TiB; what is larger is not checked: the bitmap would not be small */
    EXT4_CHECK_INODES_MAX = 1 << 26,
};

/** What there is. */
struct ext4_check_summary {
    uint64_t directories;
    uint64_t files; /**< of any other type, whatever the number of their names */
    uint64_t used_blocks;
};

/** @return 0; -EBADMSG with what is wrong first; -EFBIG past a maximum; -ENOMEM; or -errno of reading */
int ext4_check(const struct ext4_reader *reader, struct ext4_check_summary *summary, struct error *err);

#endif
