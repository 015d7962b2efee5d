/* SPDX-License-Identifier: Apache-2.0 */
#include "image/inspect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "image/config.h"
#include "image/image.h"
#include "image/json.h"
#include "image/store.h"

/* Adds a member unless there is nothing to add. @return -1 when memory runs out */
static int copy_member(json_t *object, const char *name, const json_t *from, const char *from_name)
{
    json_t *value = json_object_get(from, from_name);
    return value ? json_object_set(object, name, value) : 0;
}

static bool has_text(const json_t *texts, const char *text)
{
    for (size_t i = 0; i < json_array_size(texts); i++)
        if (strcmp(json_string_value(json_array_get(texts, i)), text) == 0)
            return true;
    return false;
}

/* The names of a manifest: with tags, and by digest. */
static int add_names(json_t *tags, json_t *digests, struct store *store, const struct digest *manifest,
                     struct error *err)
{
    cleanup_free struct store_entry *entries = NULL;
    size_t count = 0;
    int rc = store_list(store, &entries, &count, err);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        char text[REFERENCE_TEXT_MAX];
        struct reference named = entries[i].reference;
        if (!digest_equal(&entries[i].manifest.digest, manifest))
            continue;
        reference_format_familiar(&named, text);
        if (named.tag[0] && json_array_append_new(tags, json_string(text)) < 0)
            return error_set(err, ENOMEM, "out of memory for names");
        named.tag[0] = '\0';
        named.digest = *manifest;
        reference_format_familiar(&named, text);
        if (!has_text(digests, text) && json_array_append_new(digests, json_string(text)) < 0)
            return error_set(err, ENOMEM, "out of memory for names");
    }
    return rc;
}

/* An entry of the history with its layer's size; *layer counts those that made one. */
static json_t *pack_step(const json_t *step, const struct manifest *manifest, size_t *layer)
{
    cleanup_json json_t *packed = json_object();
    bool made = !json_is_true(json_object_get(step, "empty_layer")) && *layer < manifest->layer_count;
    uint64_t size = made ? manifest->layers[(*layer)++].size : 0;
    if (!packed || copy_member(packed, "Created", step, "created") < 0 ||
        copy_member(packed, "CreatedBy", step, "created_by") < 0 ||
        copy_member(packed, "Comment", step, "comment") < 0 ||
        json_object_set_new(packed, "Size", json_integer((json_int_t)size)) < 0)
        return NULL;
    return steal_pointer(packed);
}

static json_t *pack_history(const json_t *steps, const struct manifest *manifest)
{
    cleanup_json json_t *history = json_array();
    size_t layer = 0;
    for (size_t i = 0; i < json_array_size(steps); i++)
        if (json_array_append_new(history, pack_step(json_array_get(steps, i), manifest, &layer)) < 0)
            return NULL;
    return steal_pointer(history);
}

static json_t *pack_image(const struct manifest *manifest, const json_t *config, json_t *tags, json_t *digests)
{
    char id[DIGEST_TEXT_MAX];
    uint64_t size = manifest->config.size; /* at most 513 blobs of at most 2^40 bytes: no overflow */
    for (size_t i = 0; i < manifest->layer_count; i++)
        size += manifest->layers[i].size;
    digest_format(&manifest->config.digest, id);
    cleanup_json json_t *image = json_pack("{s:s, s:O, s:O}", "Id", id, "RepoTags", tags, "RepoDigests", digests);
    json_t *layers = json_object_get(json_object_get(config, "rootfs"), "diff_ids");
    if (!image || copy_member(image, "Created", config, "created") < 0 || copy_member(image, "Os", config, "os") < 0 ||
        copy_member(image, "Architecture", config, "architecture") < 0 ||
        copy_member(image, "Variant", config, "variant") < 0 || copy_member(image, "Config", config, "config") < 0 ||
        json_object_set_new(image, "RootFS", json_pack("{s:s, s:O}", "Type", "layers", "Layers", layers)) < 0 ||
        json_object_set_new(image, "Size", json_integer((json_int_t)size)) < 0 ||
        json_object_set_new(image, "History", pack_history(json_object_get(config, "history"), manifest)) < 0)
        return NULL;
    return steal_pointer(image);
}

/* The configuration as JSON, which must be one by hull's measure too. */
static int read_config(const struct store *store, const struct manifest *manifest, json_t **config, struct error *err)
{
    cleanup_buffer struct buffer body = BUFFER_INIT(IMAGE_CONFIG_BYTES_MAX);
    struct image_config parsed;
    int rc = store_read_blob(store, &manifest->config.digest, &body, err);
    if (rc == 0)
        rc = image_config_parse(&parsed, (const char *)body.bytes, body.length, err);
    if (rc < 0)
        return rc;
    image_config_done(&parsed);
    return json_parse_object(config, (const char *)body.bytes, body.length, err);
}

int image_inspect(struct store *store, const struct reference *reference, json_t **object, struct error *err)
{
    struct descriptor descriptor;
    struct manifest manifest;
    cleanup_json json_t *config = NULL;
    cleanup_json json_t *tags = json_array();
    cleanup_json json_t *digests = json_array();
    int rc = image_read_manifest(store, reference, &descriptor, &manifest, err);
    if (rc < 0)
        return rc;
    rc = read_config(store, &manifest, &config, err);
    if (rc == 0)
        rc = add_names(tags, digests, store, &descriptor.digest, err);
    json_t *packed = rc == 0 ? pack_image(&manifest, config, tags, digests) : NULL;
    manifest_done(&manifest);
    if (rc == 0 && !packed)
        rc = error_set(err, ENOMEM, "out of memory for a description");
    if (rc == 0)
        *object = packed;
    return rc;
}
