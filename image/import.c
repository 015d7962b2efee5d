/* SPDX-License-Identifier: Apache-2.0 */
#include "image/import.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "image/config.h"
#include "image/json.h"
#include "image/layer_packing.h"
#include "image/manifest.h"
#include "image/rootfs_cache.h"
#include "image/store.h"

enum { CREATED_MAX = sizeof "-9223372036854775807-01-01T00:00:00Z" };

/* Takes everything that comes as one blob. */
static int copy_all(int fd, struct blob_writer *writer, struct error *err)
{
    for (;;) {
        enum { PIECE = 64 << 10 };
        uint8_t piece[PIECE];
        ssize_t got = fd_read_full(fd, piece, sizeof piece);
        if (got < 0)
            return error_set_errno(err, (int)-got, "cannot read the tar file");
        if (got == 0)
            return 0;
        int rc = blob_writer_write(writer, piece, (size_t)got, err);
        if (rc < 0)
            return rc;
    }
}

/* The layer's blob; its diffID too. */
static int put_layer(struct store *store, int fd, struct descriptor *layer, struct digest *diff_id, struct error *err)
{
    struct blob_writer *writer;
    enum layer_compression compression = LAYER_TAR;
    uint64_t unpacked;
    int rc = blob_writer_new_unnamed(&writer, store, BLOB_BYTES_MAX, err);
    if (rc < 0)
        return rc;
    rc = copy_all(fd, writer, err);
    if (rc == 0 && blob_writer_written(writer) == 0)
        rc = error_set(err, EBADMSG, "there is nothing in it");
    if (rc == 0)
        rc = blob_writer_commit(writer, err);
    *layer = (struct descriptor){.digest = *blob_writer_digest(writer), .size = blob_writer_written(writer)};
    blob_writer_free(writer);
    if (rc == 0)
        rc = layer_packing_of_blob(&compression, store, &layer->digest, err);
    if (rc < 0)
        return rc;
    (void)snprintf(layer->media_type, sizeof layer->media_type, "%s", media_type_of_layer(compression));
    return layer_packing_measure(store, &layer->digest, compression, diff_id, &unpacked, err);
}

/* Puts a JSON document; takes the reference to it. */
static int put_json(struct store *store, json_t *document, const char *media_type, struct descriptor *descriptor,
                    struct error *err)
{
    cleanup_free char *text = document ? json_print(document, JSON_COMPACT) : NULL;
    json_decref(document);
    if (!text)
        return error_set(err, ENOMEM, "out of memory for a document");
    struct descriptor made = {.size = strlen(text)};
    (void)snprintf(made.media_type, sizeof made.media_type, "%s", media_type);
    int rc = digest_of(&made.digest, DIGEST_SHA256, text, made.size, err);
    if (rc == 0)
        rc = store_put_blob(store, &made.digest, text, made.size, err);
    if (rc == 0)
        *descriptor = made;
    return rc;
}

/* RFC 3339. */
static void format_created(char text[static CREATED_MAX], int64_t seconds)
{
    time_t time = (time_t)seconds;
    struct tm date;
    if (!gmtime_r(&time, &date) || strftime(text, CREATED_MAX, "%Y-%m-%dT%H:%M:%SZ", &date) == 0)
        memcpy(text, "1970-01-01T00:00:00Z", sizeof "1970-01-01T00:00:00Z");
}

static int put_config(struct store *store, const struct import_options *options, const struct digest *diff_id,
                      struct descriptor *config, struct error *err)
{
    char layer[DIGEST_TEXT_MAX];
    char created[CREATED_MAX];
    const struct platform *platform = &options->platform;
    digest_format(diff_id, layer);
    format_created(created, options->created);
    json_t *document = json_pack("{s:s, s:s, s:s, s:{}, s:{s:s, s:[s]}, s:[{s:s, s:s, s:s}]}", "created", created,
                                 "architecture", platform->architecture, "os", platform->os, "config", "rootfs", "type",
                                 "layers", "diff_ids", layer, "history", "created", created, "created_by",
                                 "hull import", "comment", options->comment ? options->comment : "");
    if (document && platform->variant[0] &&
        json_object_set_new(document, "variant", json_string(platform->variant)) < 0) {
        json_decref(document);
        document = NULL;
    }
    return put_json(store, document, MEDIA_TYPE_OCI_CONFIG, config, err);
}

static json_t *pack_descriptor(const struct descriptor *descriptor)
{
    char digest[DIGEST_TEXT_MAX];
    digest_format(&descriptor->digest, digest);
    return json_pack("{s:s, s:s, s:I}", "mediaType", descriptor->media_type, "digest", digest, "size",
                     (json_int_t)descriptor->size);
}

/* Making the root file system is what proves the layer sound. */
static int verify(struct store *store, const struct manifest *manifest, struct digest *diff_id, struct error *err)
{
    const struct image_config config = {.diff_ids = diff_id, .diff_id_count = 1};
    int rootfs = rootfs_cache_open(store, manifest, &config, err);
    if (rootfs < 0)
        return rootfs;
    close(rootfs);
    return 0;
}

static int import(struct store *store, int fd, const struct reference *reference, const struct import_options *options,
                  struct descriptor *image, struct error *err)
{
    struct descriptor layer;
    struct digest diff_id;
    struct manifest manifest = {.layers = &layer, .layer_count = 1};
    int rc = put_layer(store, fd, &layer, &diff_id, err);
    if (rc == 0)
        rc = verify(store, &manifest, &diff_id, err);
    if (rc == 0)
        rc = put_config(store, options, &diff_id, &manifest.config, err);
    if (rc < 0)
        return rc;
    rc = put_json(store,
                  json_pack("{s:i, s:s, s:o, s:[o]}", "schemaVersion", 2, "mediaType", MEDIA_TYPE_OCI_MANIFEST,
                            "config", pack_descriptor(&manifest.config), "layers", pack_descriptor(&layer)),
                  MEDIA_TYPE_OCI_MANIFEST, image, err);
    if (rc < 0)
        return rc;
    image->platform = options->platform;
    return store_publish(store, reference, image, &manifest, err);
}

int image_import(struct store *store, int fd, const struct reference *reference, const struct import_options *options,
                 struct digest *manifest, struct error *err)
{
    struct import_options settled = *options;
    struct descriptor image;
    if (!settled.platform.os[0])
        platform_host(&settled.platform);
    cleanup_fd int lease = store_lease(store, err);
    int rc = lease < 0 ? lease : import(store, fd, reference, &settled, &image, err);
    if (rc < 0)
        return error_context(err, rc, "cannot import");
    *manifest = image.digest;
    return 0;
}
