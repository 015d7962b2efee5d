/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the store holds, what of it is still needed, and removing the rest. Needed is what index.json leads to, over
 * indexes, manifests and their subjects (image-layout.md), and the root file systems of the images among it; nothing is
 * counted anywhere, so no count can be wrong after a crash. The locks are described in image/store.h.
 */
#ifndef IMAGE_PRUNE_H
#define IMAGE_PRUNE_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct store;

/** While images are being brought in, what is younger than this is spared: it may be theirs. Also how long the
 * beginning of a download is kept for somebody to continue it. */
enum { PRUNE_GRACE_SECONDS = 24 * 3600 };

/** Kinds of files in a store. */
enum prune_kind {
    PRUNE_BLOBS,
    PRUNE_ROOTFS,    /**< cached root file systems */
    PRUNE_PARTIAL,   /**< beginnings of downloads; unneeded while nobody continues them */
    PRUNE_TEMPORARY, /**< files of dead processes, where the file system has no O_TMPFILE */
    PRUNE_KINDS
};

struct prune_count {
    uint64_t files;
    uint64_t bytes; /**< on disk */
};

/** One kind's sum. */
struct prune_tally {
    struct prune_count all;
    struct prune_count unneeded; /**< of all */
    struct prune_count removed;  /**< of unneeded */
};

struct prune_options {
    uint64_t grace;     /**< seconds; see PRUNE_GRACE_SECONDS */
    uint64_t least_age; /**< seconds since its last change; what is younger stays in any case */
    bool partials;      /**< beginnings of downloads of any age too */
    bool count_only;    /**< remove nothing */
};

struct prune_report {
    struct prune_tally kinds[PRUNE_KINDS];
    bool leased; /**< somebody was bringing in an image: the grace period was kept */
};

/**
 * Counts everything and removes what is not needed. Safe at any time: beside pulls, starts and running containers.
 *
 * @return 0; -EBADMSG when a document that a name leads to is damaged, and so nobody can tell what it needs (nothing
 *         has been removed then); or -errno
 */
int store_prune(struct store *store, const struct prune_options *options, struct prune_report *report,
                struct error *err);

#endif
