/* SPDX-License-Identifier: Apache-2.0 */
/* What following and removing know of each other. */
#ifndef IMAGE_PRUNE_INTERNAL_H
#define IMAGE_PRUNE_INTERNAL_H

#include "image/digest_set.h"

struct error;
struct store;

/** What is needed. Zero-initialise; release with prune_marks_done(). */
struct prune_marks {
    struct digest_set blobs;
    struct digest_set rootfs; /**< rootfs_cache_key()s */
};

/** Follows all entries of index.json. The caller holds its lock. @return as store_prune() */
int prune_mark(const struct store *store, struct prune_marks *marks, struct error *err);

void prune_marks_done(struct prune_marks *marks);

#endif
