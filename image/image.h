/* SPDX-License-Identifier: Apache-2.0 */
/* Images that are in the store, as those who start containers see them. Nothing here uses the network. */
#ifndef IMAGE_IMAGE_H
#define IMAGE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/config.h"
#include "image/manifest.h"
#include "image/reference.h"

struct error;
struct store;

/** An image ready to run. Zero-initialise with IMAGE_NONE, release with image_done(). */
struct image {
    struct digest digest;       /**< of the manifest */
    struct digest id;           /**< of the configuration: what docker calls the image id */
    struct image_config config; /**< how to start it */
    int rootfs_fd;              /**< its root file system (EXT4), open for reading only; owned */
};

#define IMAGE_NONE                                                                                                     \
    (struct image)                                                                                                     \
    {                                                                                                                  \
        .rootfs_fd = -1                                                                                                \
    }

/**
 * Opens an image of the store. Its root file system is taken from the cache, or made from its layers if the cache does
 * not have it (which takes seconds).
 *
 * @return 0; -ENOENT when the store has no such image ("pull it first"); -EBADMSG when what is stored is damaged; or
 *         -errno
 */
int image_open(struct store *store, const struct reference *reference, struct image *image, struct error *err);

/** Releases what an image holds; it is IMAGE_NONE afterwards. */
void image_done(struct image *image);

/**
 * Reads the manifest of an image, for this machine's platform where there are several.
 * @param manifest  filled on success; release with manifest_done()
 * @return as image_open()
 */
int image_read_manifest(struct store *store, const struct reference *reference, struct descriptor *descriptor,
                        struct manifest *manifest, struct error *err);

/** One line of `hull images`. */
struct image_summary {
    struct reference reference;
    struct digest digest; /**< of the manifest */
    struct digest id;     /**< of the configuration */
    struct platform platform;
    uint64_t size;   /**< bytes of configuration and layers as stored (compressed) */
    bool in_use;     /**< a container of it runs, or of another with the same layers */
    int64_t created; /**< seconds since 1970; 0 = the image does not say */
};

/**
 * Lists the images of the store, newest name last. An image whose blobs are damaged or gone is listed with an id of
 * algorithm 0.
 * @return 0 with *list (free() it) and *count, or -errno
 */
int image_list(struct store *store, struct image_summary **list, size_t *count, struct error *err);

#endif
