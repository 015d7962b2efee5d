/* SPDX-License-Identifier: Apache-2.0 */
/* Taking images' names away, by name, by id, or by use. Their content goes with the next pruning (image/prune.h). */
#ifndef IMAGE_REMOVE_H
#define IMAGE_REMOVE_H

#include <stdbool.h>
#include <stdint.h>

#include "image/reference.h"

struct error;
struct store;

/** Is told each name that was taken away. */
typedef void image_removed(void *context, const struct reference *reference);

/** Digits of an id that are enough to mean it. */
enum { IMAGE_ID_DIGITS_MIN = 4 };

/**
 * Takes a name away, or the names of the image whose id (of its configuration, with or without "sha256:") begins with
 * @p text.
 *
 * @param all  all names of an id, not only the single one
 * @return 0; -ENOENT when there is none; -EBUSY when an id has several names and not all are to go, or when it could
 *         mean several images; -EINVAL; or -errno
 */
int image_remove(struct store *store, const char *text, bool all, image_removed *removed, void *context,
                 struct error *err);

/**
 * Takes the names of all images away that no running container uses and that were created before a point in time.
 * @param before  seconds since 1970; INT64_MAX = all. Images that do not say when they were created go only then
 */
int image_remove_unused(struct store *store, int64_t before, image_removed *removed, void *context, struct error *err);

#endif
