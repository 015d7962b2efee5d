/* SPDX-License-Identifier: Apache-2.0 */
/* What store.c, store_blob.c and store_index.c know of each other; for nobody else. */
#ifndef IMAGE_STORE_INTERNAL_H
#define IMAGE_STORE_INTERNAL_H

#include "image/store.h"

#define STORE_INDEX_NAME "index.json"

/** An open store: its directories. */
struct store {
    char *path;
    int root;
    int images; /**< ROOT/images */
    int sha256; /**< ROOT/images/blobs/sha256 */
    int sha512; /**< ROOT/images/blobs/sha512 */
    int rootfs; /**< ROOT/rootfs */
    int tmp;    /**< ROOT/tmp */
};

/** The directory for blobs of an algorithm; borrowed. */
static inline int store_blob_dir(const struct store *store, const struct digest *digest)
{
    return digest->algorithm == DIGEST_SHA512 ? store->sha512 : store->sha256;
}

/** Writes an index.json without entries unless there is one. */
int store_index_create(struct store *store, struct error *err);

#endif
