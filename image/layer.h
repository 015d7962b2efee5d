/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One layer applied to the tree of an image (OCI image-spec, layer.md): its entries in order, contents straight into
 * the file system being written.
 *
 * - `.wh.NAME` removes NAME, `.wh..wh..opq` all that is in its directory; both only what lower layers put there.
 * - Of several entries of one name the last wins; a directory over a directory changes its attributes only.
 * - Parents that no layer describes are implied. Parents may lead through symbolic links (image/tree_path.h).
 * - A hard link shares the inode that its target names at that moment; a target that comes later is found at the end of
 *   the layer, one that this layer whites out stays to be linked to.
 */
#ifndef IMAGE_LAYER_H
#define IMAGE_LAYER_H

#include <stdint.h>

struct error;
struct ext4_filesystem;
struct layer_stream;
struct tree;

enum {
    LAYER_DEFERRED_LINKS_MAX = 1 << 20, /**< hard links whose targets come later, per layer */
};

/**
 * Applies the whole stream and ends the layer in @p tree and @p fs.
 *
 * @param number  0 for the lowest layer, then upwards
 * @return 0; -EBADMSG for a layer that is damaged or hostile (the error names the entry); -ENOMEM; -ENOSPC; or -errno
 *         of reading or writing
 */
int layer_apply(struct tree *tree, struct ext4_filesystem *fs, struct layer_stream *stream, uint32_t number,
                struct error *err);

#endif
