/* SPDX-License-Identifier: Apache-2.0 */
/* Following indexes, each entry held to its size and media type. */
#include "image/resolve.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "image/store.h"

int resolve_from_store(void *context, const struct descriptor *entry, struct buffer *body, struct descriptor *document,
                       struct error *err)
{
    const struct store *store = context;
    buffer_clear(body);
    int rc = store_read_blob(store, &entry->digest, body, err);
    if (rc == 0)
        *document = (struct descriptor){.digest = entry->digest, .size = body->length};
    return rc;
}

/* Chooses from the index in @p body. */
static int choose(const struct buffer *body, const struct platform *platform, struct descriptor *entry,
                  struct error *err)
{
    struct manifest_index index;
    const struct descriptor *chosen;
    int rc = manifest_index_parse(&index, (const char *)body->bytes, body->length, err);
    if (rc < 0)
        return rc;
    rc = manifest_index_choose(&index, platform, &chosen, err);
    if (rc == 0)
        *entry = *chosen;
    manifest_index_done(&index);
    return rc;
}

static int follow(resolve_source *source, void *context, const struct descriptor *entry, struct buffer *body,
                  struct descriptor *document, struct error *err)
{
    if (entry->size > MANIFEST_BYTES_MAX)
        return error_set(err, EBADMSG, "index: a manifest of %" PRIu64 " bytes, more than %d", entry->size,
                         MANIFEST_BYTES_MAX);
    int rc = source(context, entry, body, document, err);
    if (rc < 0)
        return rc;
    if (document->size != entry->size)
        return error_set(err, EBADMSG, "index: a manifest of %" PRIu64 " bytes instead of %" PRIu64, document->size,
                         entry->size);
    if (!document->media_type[0])
        memcpy(document->media_type, entry->media_type, sizeof document->media_type);
    document->platform = entry->platform;
    return 0;
}

/* What to call the manifest where its source left the media type out or put nonsense there. */
static void settle_media_type(struct descriptor *document)
{
    if (media_type_lookup(document->media_type)->kind == MEDIA_MANIFEST)
        return;
    (void)snprintf(document->media_type, sizeof document->media_type, "%s", MEDIA_TYPE_OCI_MANIFEST);
}

int resolve_manifest(resolve_source *source, void *context, const struct platform *platform, struct buffer *body,
                     struct descriptor *document, struct manifest *manifest, struct error *err)
{
    for (int depth = 0;; depth++) {
        enum media_kind kind;
        int rc = manifest_kind(&kind, document->media_type, (const char *)body->bytes, body->length, err);
        if (rc < 0)
            return rc;
        if (kind == MEDIA_MANIFEST)
            break;
        if (depth == INDEX_DEPTH_MAX)
            return error_set(err, EBADMSG, "indexes inside indexes, more than %d deep", INDEX_DEPTH_MAX);

        struct descriptor entry;
        rc = choose(body, platform, &entry, err);
        if (rc == 0)
            rc = follow(source, context, &entry, body, document, err);
        if (rc < 0)
            return rc;
    }
    int rc = manifest_parse(manifest, (const char *)body->bytes, body->length, err);
    if (rc == 0)
        settle_media_type(document);
    return rc;
}
