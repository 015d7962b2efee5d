/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images out of files: an OCI layout (image-spec, image-layout.md) as a directory or as a tar file, and what
 * `docker save` writes (manifest.json; skopeo's and podman's docker-archive). Everything is verified as a pull verifies
 * it, the layers' diffIDs included, before the image gets its name.
 */
#ifndef IMAGE_LOAD_H
#define IMAGE_LOAD_H

#include "image/digest.h"
#include "image/platform.h"
#include "image/reference.h"

struct error;
struct store;

/** What is to be read. */
enum load_format {
    LOAD_ANY, /**< what it turns out to be; an archive that is both is taken for an OCI layout */
    LOAD_OCI,
    LOAD_DOCKER
};

enum { LOAD_IMAGES_MAX = 1024 /**< in one archive */ };

/** Is told each image that got its name. */
typedef void load_done(void *context, const struct reference *reference, const struct digest *manifest);

struct load_options {
    enum load_format format;
    const char *select;           /**< only the image that is so named there; NULL = all */
    const struct reference *name; /**< instead of the name that it has there, of one image only; NULL = its own */
    struct platform platform;     /**< to choose from indexes; os "" = platform_host() */
    load_done *done;
    void *context;
};

/**
 * Loads images.
 *
 * @param fd  an archive, read from its position on (a pipe will do), or a directory that holds an OCI layout; borrowed
 * @return 0; -ENOENT when the selected image is not in it; -EBADMSG for what is damaged, hostile or no image; -EINVAL
 *         when an image has no name and none was given; -ENOTSUP; or -errno. Images before the failing one are loaded;
 *         blobs to which no name leads may be left (image/prune.h).
 */
int image_load(struct store *store, int fd, const struct load_options *options, struct error *err);

#endif
