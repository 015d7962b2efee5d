/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths of layers inside the image's tree. Symbolic links on the way are followed inside the tree, with the tree's root
 * as `/`, as they will be once the image runs: a layer that writes `bin/sh` where `bin` leads to `usr/bin` writes
 * `usr/bin/sh`. The last component is never followed.
 */
#ifndef IMAGE_TREE_PATH_H
#define IMAGE_TREE_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/tree.h"

enum {
    TREE_PATH_MAX = 4096,   /**< bytes of a path, as PATH_MAX */
    TREE_SYMLINKS_MAX = 40, /**< symbolic links followed on one path, as the kernel does */
    TREE_STEPS_MAX = 4096,  /**< directories gone through on one path, those of its symbolic links included */
};

/** Where a path leads: a name in a directory. The name may not be there yet. */
struct tree_location {
    struct tree_inode *directory;
    char name[TREE_NAME_MAX + 1]; /**< empty for the root directory itself */
    size_t name_length;
};

enum tree_path_mode {
    /** A missing directory on the way is -ENOENT, without words; one that the layer has whited out is still there. */
    TREE_PATH_FIND,
    /** A missing directory is created, with the attributes of tree_imply_directory(). */
    TREE_PATH_CREATE,
};

/**
 * Follows @p path. Leading slashes, empty components and `.` mean nothing.
 *
 * @param layer  written into directories that are created
 * @return 0; -ENOENT (only with TREE_PATH_FIND); -EBADMSG for a `..`, a name or path that is too long, a way through
 *         something that is no directory, or too many symbolic links; -ENOMEM and others of tree_add()
 */
int tree_path_locate(struct tree *tree, const char *path, uint32_t layer, enum tree_path_mode mode,
                     struct tree_location *location, struct error *err);

#endif
