/* SPDX-License-Identifier: Apache-2.0 */
/* Pushing an image: blobs, then the manifests that name them, then the name. */
#include "image/push.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "image/manifest.h"
#include "image/registry_push.h"
#include "image/store.h"

struct push {
    struct store *store;
    struct registry *registry;
    const struct reference *reference;
    const struct push_options *options;
    struct store_entry *entries; /* what else the store knows of that registry: where blobs may be mounted from */
    size_t entry_count;
};

static void report(const struct push *push, enum push_phase phase, const struct descriptor *what, uint64_t done)
{
    if (!push->options || !push->options->progress)
        return;
    const struct push_event event = {.phase = phase, .digest = what->digest, .done = done, .total = what->size};
    push->options->progress(push->options->context, &event);
}

/* ---- blobs ------------------------------------------------------------------------------------------------------- */

/* A blob on its way. */
struct transfer {
    const struct push *push;
    const struct descriptor *blob;
};

static void on_sent(void *context, uint64_t done)
{
    const struct transfer *transfer = context;
    report(transfer->push, PUSH_BLOB_SEND, transfer->blob, done);
}

static bool manifest_lists(const struct manifest *manifest, const struct digest *digest)
{
    for (size_t i = 0; i < manifest->layer_count; i++)
        if (digest_equal(&manifest->layers[i].digest, digest))
            return true;
    return digest_equal(&manifest->config.digest, digest);
}

/* Whether an image that the store has under another repository of the same registry holds the blob. */
static bool entry_holds(const struct push *push, const struct store_entry *entry, const struct digest *digest)
{
    cleanup_buffer struct buffer body = BUFFER_INIT(MANIFEST_BYTES_MAX);
    struct manifest manifest = {0};
    if (strcmp(entry->reference.host, push->reference->host) != 0 ||
        strcmp(entry->reference.repository, push->reference->repository) == 0 ||
        media_type_lookup(entry->manifest.media_type)->kind != MEDIA_MANIFEST ||
        store_read_blob(push->store, &entry->manifest.digest, &body, NULL) < 0 ||
        manifest_parse(&manifest, (const char *)body.bytes, body.length, NULL) < 0)
        return false;
    bool holds = manifest_lists(&manifest, digest);
    manifest_done(&manifest);
    return holds;
}

/* Tries the repositories that should have the blob. @return 1 when one had, 0, or -errno */
static int mount_blob(const struct push *push, const struct digest *digest, struct error *err)
{
    enum { TRIES_MAX = 2 };
    int tries = 0;
    for (size_t i = 0; i < push->entry_count && tries < TRIES_MAX; i++) {
        if (!entry_holds(push, &push->entries[i], digest))
            continue;
        int rc = registry_mount_blob(push->registry, digest, push->entries[i].reference.repository, err);
        if (rc != 0)
            return rc;
        tries++;
    }
    return 0;
}

static int push_blob(const struct push *push, const struct descriptor *blob, struct error *err)
{
    int rc = registry_has_blob(push->registry, &blob->digest, blob->size, err);
    if (rc > 0)
        report(push, PUSH_BLOB_EXISTS, blob, blob->size);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    rc = mount_blob(push, &blob->digest, err);
    if (rc > 0)
        report(push, PUSH_BLOB_MOUNTED, blob, blob->size);
    if (rc != 0)
        return rc < 0 ? rc : 0;

    cleanup_fd int fd = store_open_blob(push->store, &blob->digest, err);
    if (fd < 0)
        return fd;
    struct transfer transfer = {.push = push, .blob = blob};
    rc = registry_put_blob(push->registry, blob, fd, on_sent, &transfer, err);
    if (rc == 0)
        report(push, PUSH_BLOB_SENT, blob, blob->size);
    return rc;
}

/* ---- manifests --------------------------------------------------------------------------------------------------- */

static int push_blobs(const struct push *push, const struct buffer *body, struct error *err)
{
    struct manifest manifest = {0};
    int rc = manifest_parse(&manifest, (const char *)body->bytes, body->length, err);
    for (size_t i = 0; rc == 0 && i < manifest.layer_count; i++)
        rc = push_blob(push, &manifest.layers[i], err);
    if (rc == 0)
        rc = push_blob(push, &manifest.config, err);
    manifest_done(&manifest);
    return rc;
}

static int push_document(const struct push *push, const struct descriptor *document, const char *name, int depth,
                         struct error *err);

/* All that an index names must be there before it is. */
static int push_entries(const struct push *push, const struct buffer *body, int depth, struct error *err)
{
    struct manifest_index index = {0};
    int rc = manifest_index_parse(&index, (const char *)body->bytes, body->length, err);
    for (size_t i = 0; rc == 0 && i < index.count; i++)
        rc = push_document(push, &index.entries[i], NULL, depth + 1, err);
    manifest_index_done(&index);
    return rc;
}

/* A manifest or index, after what it names. @param name  NULL = by digest alone */
static int push_document(const struct push *push, const struct descriptor *document, const char *name, int depth,
                         struct error *err)
{
    cleanup_buffer struct buffer body = BUFFER_INIT(MANIFEST_BYTES_MAX);
    enum media_kind kind = MEDIA_MANIFEST;
    if (depth > INDEX_DEPTH_MAX)
        return error_set(err, EBADMSG, "indexes inside indexes, more than %d deep", INDEX_DEPTH_MAX);
    int rc = store_read_blob(push->store, &document->digest, &body, err);
    if (rc == 0)
        rc = manifest_kind(&kind, document->media_type, (const char *)body.bytes, body.length, err);
    if (rc == 0)
        rc = kind == MEDIA_INDEX ? push_entries(push, &body, depth, err) : push_blobs(push, &body, err);
    if (rc == 0)
        rc = registry_put_manifest(push->registry, document, name, body.bytes, body.length, err);
    if (rc == 0)
        report(push, PUSH_MANIFEST_SENT, document, body.length);
    return rc;
}

static int run_push(struct push *push, const struct descriptor *document, struct error *err)
{
    const char *tag = push->reference->tag;
    int rc = registry_new(&push->registry, push->reference, err);
    if (rc < 0)
        return rc;
    registry_will_push(push->registry);
    rc = store_list(push->store, &push->entries, &push->entry_count, err);
    if (rc == 0)
        rc = push_document(push, document, tag[0] ? tag : NULL, 0, err);
    free(push->entries);
    registry_free(push->registry);
    return rc;
}

int image_push(struct store *store, const struct reference *reference, const struct push_options *options,
               struct digest *manifest, struct error *err)
{
    struct push push = {.store = store, .reference = reference, .options = options};
    struct descriptor document;
    int rc = store_resolve(store, reference, &document, err);
    if (rc == 0)
        rc = run_push(&push, &document, err);
    if (rc < 0) {
        char name[REFERENCE_TEXT_MAX];
        reference_format_familiar(reference, name);
        return error_context(err, rc, "cannot push '%s'", name);
    }
    if (manifest)
        *manifest = document.digest;
    return 0;
}
