/* SPDX-License-Identifier: Apache-2.0 */
/* What an image of the store says of itself, as JSON in docker's words. */
#ifndef IMAGE_INSPECT_H
#define IMAGE_INSPECT_H

#include "image/reference.h"

struct error;
struct json_t;
struct store;

/**
 * Describes an image: Id, RepoTags, RepoDigests, Created, Os, Architecture, Config, RootFS, Size, and History (oldest
 * first; Size is the stored layer's, 0 for what made none). What comes out of its configuration is as its maker wrote
 * it, control characters included.
 *
 * @return 0 with *object owned by the caller; -ENOENT; -EBADMSG when what is stored is damaged; or -errno
 */
int image_inspect(struct store *store, const struct reference *reference, struct json_t **object, struct error *err);

#endif
