/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Following index.json to everything that it leads to. Any document of any tool counts: not only images that hull could
 * run, so nothing is asked of a descriptor but a digest.
 */
#include <errno.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "image/config.h"
#include "image/json.h"
#include "image/manifest.h"
#include "image/prune_internal.h"
#include "image/rootfs_cache.h"
#include "image/store_internal.h"

/* One walk. */
struct walk {
    const struct store *store;
    struct prune_marks *marks;
};

static int follow(const struct walk *walk, const json_t *descriptor, int depth, struct error *err);

/* Follows an array of descriptors; NULL and what is no array are empty. */
static int follow_all(const struct walk *walk, const json_t *array, int depth, struct error *err)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        int rc = follow(walk, json_array_get(array, i), depth, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* The root file system of an image is needed too. What is no configuration of an image has none. */
static int mark_rootfs(const struct walk *walk, const json_t *manifest, struct error *err)
{
    struct descriptor config;
    struct image_config parsed;
    struct digest key;
    cleanup_buffer struct buffer body = BUFFER_INIT(IMAGE_CONFIG_BYTES_MAX);
    const json_t *object = json_object_get(manifest, "config");
    if (!object || descriptor_from_json(&config, object, NULL) < 0)
        return 0;
    int rc = store_read_blob(walk->store, &config.digest, &body, err);
    if (rc == 0)
        rc = image_config_parse(&parsed, (const char *)body.bytes, body.length, err);
    if (rc == -ENOENT || rc == -EBADMSG)
        return 0;
    if (rc < 0)
        return rc;
    rc = rootfs_cache_key(&key, &parsed, err);
    if (rc == 0 && (rc = digest_set_add(&walk->marks->rootfs, &key, err)) > 0)
        rc = 0;
    image_config_done(&parsed);
    return rc;
}

/* The members of indexes and manifests that hold descriptors (image-spec, image-index.md and manifest.md). */
static int follow_members(const struct walk *walk, const json_t *document, int depth, struct error *err)
{
    static const char *const singles[] = {"config", "subject"};
    static const char *const lists[] = {"manifests", "layers", "blobs"};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof singles / sizeof singles[0]; i++)
        if (json_object_get(document, singles[i]))
            rc = follow(walk, json_object_get(document, singles[i]), depth, err);
    for (size_t i = 0; rc == 0 && i < sizeof lists / sizeof lists[0]; i++)
        rc = follow_all(walk, json_object_get(document, lists[i]), depth, err);
    return rc == 0 ? mark_rootfs(walk, document, err) : rc;
}

static int follow_document(const struct walk *walk, const struct digest *digest, int depth, struct error *err)
{
    cleanup_buffer struct buffer body = BUFFER_INIT(MANIFEST_BYTES_MAX);
    cleanup_json json_t *document = NULL;
    int rc = store_read_blob(walk->store, digest, &body, err);
    if (rc == -ENOENT) /* of an index only the entries that somebody wanted are there */
        return 0;
    if (rc == 0)
        rc = json_parse_object(&document, (const char *)body.bytes, body.length, err);
    if (rc < 0) {
        char text[DIGEST_TEXT_MAX];
        digest_format(digest, text);
        return error_context(err, rc, "cannot tell what manifest %s needs", text);
    }
    return follow_members(walk, document, depth, err);
}

static int follow(const struct walk *walk, const json_t *descriptor, int depth, struct error *err)
{
    struct digest digest;
    const char *text = json_string_value(json_object_get(descriptor, "digest"));
    if (!text || digest_parse(&digest, text, NULL) < 0)
        return 0; /* names nothing that the store could have */
    int rc = digest_set_add(&walk->marks->blobs, &digest, err);
    if (rc <= 0)
        return rc;
    const char *type = json_string_value(json_object_get(descriptor, "mediaType"));
    enum media_kind kind = media_type_lookup(type)->kind;
    if (type && kind != MEDIA_INDEX && kind != MEDIA_MANIFEST)
        return 0;
    if (depth > INDEX_DEPTH_MAX)
        return error_set(err, EBADMSG, "indexes inside indexes, more than %d deep", INDEX_DEPTH_MAX);
    return follow_document(walk, &digest, depth + 1, err);
}

int prune_mark(const struct store *store, struct prune_marks *marks, struct error *err)
{
    cleanup_json json_t *document = NULL;
    json_t *entries = NULL;
    const struct walk walk = {.store = store, .marks = marks};
    int rc = store_index_read(store, &document, &entries, err);
    return rc < 0 ? rc : follow_all(&walk, entries, 0, err);
}

void prune_marks_done(struct prune_marks *marks)
{
    digest_set_done(&marks->blobs);
    digest_set_done(&marks->rootfs);
}
