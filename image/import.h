/* SPDX-License-Identifier: Apache-2.0 */
/* A tar file of a root file system as an image of one layer. */
#ifndef IMAGE_IMPORT_H
#define IMAGE_IMPORT_H

#include <stdint.h>

#include "image/digest.h"
#include "image/platform.h"
#include "image/reference.h"

struct error;
struct store;

struct import_options {
    struct platform platform; /**< what the files are for; os "" = platform_host() */
    int64_t created;          /**< seconds since 1970 */
    const char *comment;      /**< for the image's history; NULL = none */
};

/**
 * Makes an image of the layer that @p fd holds from its position on (a pipe will do): tar, bare or as gzip or zstd. The
 * same layer, options and name give the same image.
 *
 * @param manifest  set to the digest of its manifest
 * @return 0; -EBADMSG when that is no sound layer; or -errno
 */
int image_import(struct store *store, int fd, const struct reference *reference, const struct import_options *options,
                 struct digest *manifest, struct error *err);

#endif
