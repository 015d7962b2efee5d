/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests and indexes: from JSON to descriptors, every field checked. */
#include "image/manifest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "image/json.h"

int manifest_kind(enum media_kind *kind, const char *content_type, const char *json, size_t length, struct error *err)
{
    cleanup_json json_t *document = NULL;
    int rc = json_parse_object(&document, json, length, err);
    if (rc < 0)
        return rc;
    const char *declared = "";
    rc = json_member_text(document, "mediaType", MEDIA_TYPE_MAX, &declared, err);
    if (rc < 0)
        return rc;

    enum media_kind found = media_type_lookup(content_type)->kind;
    if (found == MEDIA_UNKNOWN)
        found = media_type_lookup(declared)->kind;
    if (found == MEDIA_UNKNOWN && !declared[0]) {
        if (json_is_array(json_object_get(document, "manifests")))
            found = MEDIA_INDEX;
        else if (json_is_object(json_object_get(document, "config")))
            found = MEDIA_MANIFEST;
        else if (json_is_array(json_object_get(document, "fsLayers")))
            found = MEDIA_SCHEMA1;
    }

    if (found == MEDIA_SCHEMA1)
        return error_set(err, ENOTSUP,
                         "an image in Docker's obsolete schema 1, which can't be verified: push it anew with a current "
                         "tool");
    if (found != MEDIA_INDEX && found != MEDIA_MANIFEST)
        return error_set(err, EBADMSG, "neither an image manifest nor an index but '%.100s'",
                         declared[0] ? declared : (content_type && content_type[0] ? content_type : "unknown"));
    *kind = found;
    return 0;
}

int descriptor_from_json(struct descriptor *descriptor, const json_t *object, struct error *err)
{
    if (!json_is_object(object))
        return error_set(err, EBADMSG, "a descriptor is missing or no object");

    struct descriptor parsed = {0};
    const char *media_type;
    const char *digest;
    json_t *platform;
    int rc;
    if ((rc = json_member_text(object, "mediaType", MEDIA_TYPE_MAX, &media_type, err)) < 0 ||
        (rc = json_member_text(object, "digest", DIGEST_TEXT_MAX, &digest, err)) < 0 ||
        (rc = json_member_size(object, "size", BLOB_BYTES_MAX, &parsed.size, err)) < 0 ||
        (rc = json_member(object, "platform", JSON_OBJECT, &platform, err)) < 0)
        return rc;
    if (digest_parse(&parsed.digest, digest, err) < 0)
        return error_context(err, -EBADMSG, "descriptor");
    if (platform && (rc = platform_from_json(&parsed.platform, platform, err)) < 0)
        return rc;
    (void)snprintf(parsed.media_type, sizeof parsed.media_type, "%s", media_type);
    *descriptor = parsed;
    return 0;
}

/* Parses an array of descriptors into an allocation; an absent or empty array gives NULL and 0. */
static int parse_descriptors(struct descriptor **list, size_t *count, const json_t *array, size_t max,
                             struct error *err)
{
    size_t length = json_array_size(array);
    *list = NULL;
    *count = 0;
    if (length == 0)
        return 0;
    if (length > max)
        return error_set(err, EBADMSG, "%zu descriptors in one list, more than %zu", length, max);

    struct descriptor *parsed = calloc(length, sizeof *parsed);
    if (!parsed)
        return error_set(err, ENOMEM, "out of memory for %zu descriptors", length);
    for (size_t i = 0; i < length; i++) {
        int rc = descriptor_from_json(&parsed[i], json_array_get(array, i), err);
        if (rc < 0) {
            free(parsed);
            return error_context(err, rc, "entry %zu", i);
        }
    }
    *list = parsed;
    *count = length;
    return 0;
}

/* Whether hull can use a layer of that media type. */
static int check_layer(const struct descriptor *layer, struct error *err)
{
    switch (media_type_lookup(layer->media_type)->kind) {
    case MEDIA_LAYER:
        return 0;
    case MEDIA_FOREIGN_LAYER:
        return error_set(
            err, ENOTSUP,
            "a foreign layer ('%s'): its owner does not let registries distribute it, so it can't be pulled",
            layer->media_type);
    default:
        return error_set(err, ENOTSUP, "media type '%s' is no file system layer: this is not a container image",
                         layer->media_type);
    }
}

static int parse_layers(struct manifest *manifest, const json_t *document, struct error *err)
{
    json_t *array;
    int rc = json_member(document, "layers", JSON_ARRAY, &array, err);
    if (rc == 0)
        rc = parse_descriptors(&manifest->layers, &manifest->layer_count, array, IMAGE_LAYERS_MAX, err);
    if (rc < 0)
        return rc;
    if (manifest->layer_count == 0)
        return error_set(err, ENOTSUP, "it has no layers: there is nothing to run");
    for (size_t i = 0; i < manifest->layer_count; i++) {
        rc = check_layer(&manifest->layers[i], err);
        if (rc < 0)
            return error_context(err, rc, "layer %zu", i + 1);
    }
    return 0;
}

int manifest_parse(struct manifest *manifest, const char *json, size_t length, struct error *err)
{
    cleanup_json json_t *document = NULL;
    int rc = json_parse_object(&document, json, length, err);
    if (rc < 0)
        return error_context(err, rc, "manifest");

    struct manifest parsed = {0};
    rc = descriptor_from_json(&parsed.config, json_object_get(document, "config"), err);
    if (rc < 0)
        return error_context(err, rc, "manifest: config");
    if (media_type_lookup(parsed.config.media_type)->kind != MEDIA_CONFIG)
        return error_set(err, ENOTSUP, "manifest: '%s' is no configuration of a container image",
                         parsed.config.media_type);
    if (parsed.config.size > IMAGE_CONFIG_BYTES_MAX)
        return error_set(err, EBADMSG, "manifest: a configuration of more than %d bytes", IMAGE_CONFIG_BYTES_MAX);

    rc = parse_layers(&parsed, document, err);
    if (rc < 0) {
        manifest_done(&parsed);
        return error_context(err, rc, "manifest");
    }
    *manifest = parsed;
    return 0;
}

void manifest_done(struct manifest *manifest)
{
    free(manifest->layers);
    *manifest = (struct manifest){0};
}

int manifest_index_parse(struct manifest_index *index, const char *json, size_t length, struct error *err)
{
    cleanup_json json_t *document = NULL;
    json_t *array;
    struct manifest_index parsed = {0};
    int rc;
    if ((rc = json_parse_object(&document, json, length, err)) < 0 ||
        (rc = json_member(document, "manifests", JSON_ARRAY, &array, err)) < 0 ||
        (rc = parse_descriptors(&parsed.entries, &parsed.count, array, INDEX_ENTRIES_MAX, err)) < 0)
        return error_context(err, rc, "index");
    *index = parsed;
    return 0;
}

void manifest_index_done(struct manifest_index *index)
{
    free(index->entries);
    *index = (struct manifest_index){0};
}

/* Behind every entry that names a fitting platform. */
enum { DISTANCE_UNTOLD = 1000 };

static int entry_distance(const struct descriptor *entry, const struct platform *wanted)
{
    enum media_kind kind = media_type_lookup(entry->media_type)->kind;
    if (kind != MEDIA_MANIFEST && kind != MEDIA_INDEX)
        return -1;
    if (!entry->platform.os[0])
        return DISTANCE_UNTOLD;
    return platform_distance(wanted, &entry->platform);
}

/* Lists the platforms on offer, as many as fit. */
static void format_offers(const struct manifest_index *index, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < index->count; i++) {
        const struct platform *platform = &index->entries[i].platform;
        char name[PLATFORM_TEXT_MAX];
        platform_format(platform, name);
        if (!platform->os[0] || strcmp(platform->os, "unknown") == 0)
            continue;
        if (used + strlen(name) + 3 > size)
            return;
        used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "", name);
    }
}

int manifest_index_choose(const struct manifest_index *index, const struct platform *wanted,
                          const struct descriptor **chosen, struct error *err)
{
    const struct descriptor *best = NULL;
    int best_distance = 0;
    for (size_t i = 0; i < index->count; i++) {
        int distance = entry_distance(&index->entries[i], wanted);
        if (distance >= 0 && (!best || distance < best_distance)) {
            best = &index->entries[i];
            best_distance = distance;
        }
    }
    if (!best) {
        char name[PLATFORM_TEXT_MAX];
        char offers[256];
        platform_format(wanted, name);
        format_offers(index, offers, sizeof offers);
        return error_set(err, ENOENT, "no image for %s; there is: %s", name, offers[0] ? offers : "none at all");
    }
    *chosen = best;
    return 0;
}
