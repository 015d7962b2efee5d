/* SPDX-License-Identifier: Apache-2.0 */
/* Images of the store into a file: an OCI layout as a tar file, or what `docker load` reads. */
#ifndef IMAGE_SAVE_H
#define IMAGE_SAVE_H

#include <stddef.h>

#include "image/reference.h"

struct error;
struct store;

enum save_format {
    SAVE_OCI,   /**< the blobs as they are: all digests stay */
    SAVE_DOCKER /**< layers unpacked, as docker of any age wants them: image ids stay, manifests' digests do not */
};

enum { SAVE_IMAGES_MAX = 256 };

/**
 * Writes images to a file, each blob once; the same images give the same bytes. Every byte is verified again.
 *
 * @param fd     written from its position on (a pipe will do); borrowed. On failure what was written is no archive
 * @param count  1 to SAVE_IMAGES_MAX
 * @return 0; -ENOENT when the store has no such image; -EBADMSG when what is stored is damaged; or -errno
 */
int image_save(struct store *store, const struct reference *references, size_t count, enum save_format format, int fd,
               struct error *err);

#endif
