/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pulling: from a name to a root file system ready to boot. Resolve the name, choose the platform, fetch what the store
 * does not have (each byte verified on its way in), name the image, make its root file system.
 */
#ifndef IMAGE_PULL_H
#define IMAGE_PULL_H

#include <stdint.h>

#include "image/digest.h"
#include "image/platform.h"
#include "image/reference.h"

struct error;
struct store;

/** What a pull is at. */
enum pull_phase {
    PULL_RESOLVED,      /**< the manifest is known; digest = the manifest's, total = bytes of all blobs */
    PULL_LAYER_EXISTS,  /**< a blob that is already there; total = its size */
    PULL_LAYER_FETCH,   /**< bytes are arriving: first with done = 0, then many times */
    PULL_LAYER_FETCHED, /**< a blob is complete and verified; done = total */
    PULL_LAYER_WAIT,    /**< another process is downloading the blob: waiting for it; total = its size */
    PULL_ROOTFS_BEGIN,  /**< the root file system is being made; digest = the manifest's */
    PULL_ROOTFS_READY,  /**< it is in the cache (total = its size), or was already */
};

struct pull_event {
    enum pull_phase phase;
    struct digest digest;
    uint64_t done;  /**< bytes */
    uint64_t total; /**< bytes */
};

struct pull_options {
    struct platform platform; /**< os "" = platform_host() */
    void (*progress)(void *context,
                     const struct pull_event *event); /**< NULL = silent; called on the caller's thread */
    void *context;
};

/**
 * Pulls an image, from a mirror if one is named (image/mirror.h) and has it, else from the registry of its name.
 *
 * @param options   NULL = for this machine, silently
 * @param manifest  set to the digest of the image's manifest; may be NULL
 * @return 0, or: -ENOENT the registry has no such image (or not for this platform), -EACCES the registry wants
 *         credentials or refuses, -EBADMSG what it sent is not what was promised, -ENOTSUP a kind of image that is
 *         refused, -ECONNREFUSED, -EHOSTUNREACH, -ETIMEDOUT, -EPROTO, -ECONNRESET for the network; or -errno.
 *         A failed pull leaves complete blobs and beginnings of blobs; the next pull goes on from there.
 */
int image_pull(struct store *store, const struct reference *reference, const struct pull_options *options,
               struct digest *manifest, struct error *err);

#endif
