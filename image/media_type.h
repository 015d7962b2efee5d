/* SPDX-License-Identifier: Apache-2.0 */
/* The media types of OCI images (image-spec, media-types.md) and of Docker's schema 2, in one table. */
#ifndef IMAGE_MEDIA_TYPE_H
#define IMAGE_MEDIA_TYPE_H

#include "image/rootfs.h"

/** The longest that is accepted (RFC 6838: 127 for each half). */
enum { MEDIA_TYPE_MAX = 255 };

#define MEDIA_TYPE_OCI_INDEX       "application/vnd.oci.image.index.v1+json"
#define MEDIA_TYPE_OCI_MANIFEST    "application/vnd.oci.image.manifest.v1+json"
#define MEDIA_TYPE_OCI_CONFIG      "application/vnd.oci.image.config.v1+json"
#define MEDIA_TYPE_DOCKER_INDEX    "application/vnd.docker.distribution.manifest.list.v2+json"
#define MEDIA_TYPE_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define MEDIA_TYPE_DOCKER_CONFIG   "application/vnd.docker.container.image.v1+json"

enum media_kind {
    MEDIA_UNKNOWN,
    MEDIA_INDEX,
    MEDIA_MANIFEST,
    MEDIA_SCHEMA1, /**< Docker's old, unverifiable manifest: recognised in order to be refused */
    MEDIA_CONFIG,
    MEDIA_LAYER,
    MEDIA_FOREIGN_LAYER /**< a layer that registries may not hold */
};

/** What a media type says. */
struct media_type {
    const char *name;
    enum media_kind kind;
    enum layer_compression compression; /**< of MEDIA_LAYER and MEDIA_FOREIGN_LAYER */
};

/** OCI's media type for a layer; a constant. */
const char *media_type_of_layer(enum layer_compression compression);

/**
 * Looks a media type up; case does not matter and parameters (`; charset=utf-8`) are passed over.
 * @return a constant; one of kind MEDIA_UNKNOWN for an unknown type or NULL
 */
const struct media_type *media_type_lookup(const char *text);

#endif
