/* SPDX-License-Identifier: Apache-2.0 */
/* Layers applied one after the other to a tree and a file system in a nameless file, and what came out. */
#ifndef TESTS_SUPPORT_LAYERS_H
#define TESTS_SUPPORT_LAYERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "image/ext4/filesystem.h"

struct buffer;
struct tree;
struct tree_entry;

struct layers {
    int fd; /**< the file system */
    struct ext4_filesystem fs;
    struct tree *tree;
    uint32_t count; /**< layers applied */
    struct error err;
};

/** Starts with nothing. Aborts when memory runs out. */
void layers_init(struct layers *layers);

void layers_done(struct layers *layers);

/** Ends the archive, applies it as the next layer and empties it. @return what layer_apply() says */
int layers_apply(struct layers *layers, struct buffer *tar);

/** The entry at a path without symbolic links on the way, or NULL. */
struct tree_entry *layers_find(const struct layers *layers, const char *path);

/**
 * What is in the tree, in the order of a walk, each followed by a semicolon: the path and what it is.
 *
 *     dir/;file=contents;link->target;hard(2)=contents of a file with two names;null c1:3;disk b8:0;pipe p;socket s;
 *
 * @return a text; free() it
 */
char *layers_describe(struct layers *layers);

/** Finishes the file system; whether that works and e2fsck(8) has nothing to say. */
bool layers_finish(struct layers *layers);

#endif
