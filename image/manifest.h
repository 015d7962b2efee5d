/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manifests and indexes (OCI image-spec, manifest.md and image-index.md; Docker image manifest v2, schema 2 and its
 * manifest list). What they list are descriptors: media type, digest, size.
 */
#ifndef IMAGE_MANIFEST_H
#define IMAGE_MANIFEST_H

#include <stddef.h>
#include <stdint.h>

#include "image/config.h"
#include "image/media_type.h"
#include "image/platform.h"

struct error;
struct json_t;

enum {
    MANIFEST_BYTES_MAX = 4 << 20, /**< of JSON text (OCI distribution-spec, "Pushing Manifests") */
    INDEX_ENTRIES_MAX = 1024,
    INDEX_DEPTH_MAX = 4 /**< indexes inside indexes */
};

/** The largest blob that is fetched. */
#define BLOB_BYTES_MAX (UINT64_C(1) << 40)

/** A pointer to content (OCI image-spec, descriptor.md), by value. */
struct descriptor {
    char media_type[MEDIA_TYPE_MAX + 1];
    struct digest digest;
    uint64_t size;            /**< bytes; at most BLOB_BYTES_MAX */
    struct platform platform; /**< os "" = not given */
};

/** One image: its configuration and its layers, lowest first. */
struct manifest {
    struct descriptor config;
    struct descriptor *layers; /**< layer_count of them, each of a kind that media_type_layer() knows */
    size_t layer_count;        /**< 1 to IMAGE_LAYERS_MAX */
};

/** Images and indexes for several platforms. */
struct manifest_index {
    struct descriptor *entries;
    size_t count; /**< up to INDEX_ENTRIES_MAX */
};

/** Takes a descriptor from JSON. @return 0 or -EBADMSG */
int descriptor_from_json(struct descriptor *descriptor, const struct json_t *object, struct error *err);

/**
 * What a document is: by @p content_type when that says it, else by its mediaType, else by what it holds.
 *
 * @param content_type  as the registry sent it, parameters included; NULL or "" = none
 * @param kind          set to MEDIA_INDEX or MEDIA_MANIFEST
 * @return 0; -EBADMSG when it is neither; -ENOTSUP for Docker's schema 1
 */
int manifest_kind(enum media_kind *kind, const char *content_type, const char *json, size_t length, struct error *err);

/**
 * Parses a manifest. Layers that may not be distributed (foreign) and unknown kinds are refused with their reason.
 * @return 0; -EBADMSG or -ENOTSUP; -ENOMEM. Release with manifest_done().
 */
int manifest_parse(struct manifest *manifest, const char *json, size_t length, struct error *err);

/** Releases what a manifest holds. Fine on a zeroed one. */
void manifest_done(struct manifest *manifest);

/** Parses an index. Entries of unknown kinds are kept: choosing passes over them. Release with manifest_index_done().
 */
int manifest_index_parse(struct manifest_index *index, const char *json, size_t length, struct error *err);

/** Releases what an index holds. Fine on a zeroed one. */
void manifest_index_done(struct manifest_index *index);

/**
 * The entry that fits a platform best, the first of equals; attestations (platform unknown/unknown) and entries of
 * unknown kinds are passed over. An entry without platform, or a nested index, is taken when no other fits.
 *
 * @param chosen  set to an entry of @p index
 * @return 0, or -ENOENT with the platforms that there are
 */
int manifest_index_choose(const struct manifest_index *index, const struct platform *wanted,
                          const struct descriptor **chosen, struct error *err);

#endif
