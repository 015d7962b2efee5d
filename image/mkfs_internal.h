/* SPDX-License-Identifier: Apache-2.0 */
/* What both sources of mkfs.h share: a tree, the file system that it goes to, a hash of all that went in. */
#ifndef IMAGE_MKFS_INTERNAL_H
#define IMAGE_MKFS_INTERNAL_H

#include "image/digest.h"
#include "image/ext4/filesystem.h"
#include "image/tree.h"

/** One file system being made. Must not be moved. */
struct mkfs {
    int fd; /**< borrowed */
    uint64_t blocks;
    struct tree *tree;
    struct ext4_filesystem fs;
};

/** @return 0; -EINVAL for a size out of range; -ENOMEM. Release with mkfs_done() whatever it says. */
int mkfs_init(struct mkfs *mkfs, int fd, uint64_t size, struct error *err);

/** Writes the rest; @p contents is a digest of all that is in the tree. @return 0 or -errno */
int mkfs_finish(struct mkfs *mkfs, const struct digest *contents, struct error *err);

void mkfs_done(struct mkfs *mkfs);

#endif
