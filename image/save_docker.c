/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `docker load` reads: manifest.json, configurations and unpacked layers. A tar file tells a file's length before
 * its bytes, so packed layers are unpacked twice: to be measured (and compared with their diffIDs), and to be written.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/json.h"
#include "image/layer_packing.h"
#include "image/layer_stream.h"
#include "image/save_internal.h"
#include "image/store.h"

enum { FILE_NAME_MAX = DIGEST_TEXT_MAX + sizeof ".json" };

static void file_name(char name[static FILE_NAME_MAX], const struct digest *digest, const char *suffix)
{
    char hex[DIGEST_TEXT_MAX];
    digest_format_hex(digest, hex);
    (void)snprintf(name, FILE_NAME_MAX, "%s%s", hex, suffix);
}

static json_t *pack_text(const struct digest *digest, const char *suffix)
{
    char name[FILE_NAME_MAX];
    file_name(name, digest, suffix);
    return json_string(name);
}

/* Whether an earlier image is the same under another name. */
static bool is_repeated(const struct save *save, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (digest_equal(&save->images[i].manifest.config.digest, &save->images[index].manifest.config.digest))
            return true;
    return false;
}

/* All names of an image that have a tag: docker knows no others. */
static int pack_tags(const struct save *save, size_t index, json_t *tags)
{
    for (size_t i = index; i < save->count; i++) {
        char name[REFERENCE_TEXT_MAX];
        const struct save_image *image = &save->images[i];
        if (!image->reference.tag[0] ||
            !digest_equal(&image->manifest.config.digest, &save->images[index].manifest.config.digest))
            continue;
        struct reference tagged = image->reference;
        tagged.digest = (struct digest){0};
        reference_format(&tagged, name);
        if (json_array_append_new(tags, json_string(name)) < 0)
            return -ENOMEM;
    }
    return 0;
}

static json_t *pack_image(const struct save *save, size_t index)
{
    const struct save_image *image = &save->images[index];
    cleanup_json json_t *tags = json_array();
    cleanup_json json_t *layers = json_array();
    if (pack_tags(save, index, tags) < 0)
        return NULL;
    for (size_t i = 0; i < image->config.diff_id_count; i++)
        if (json_array_append_new(layers, pack_text(&image->config.diff_ids[i], ".tar")) < 0)
            return NULL;
    return json_pack("{s:o, s:O, s:O}", "Config", pack_text(&image->manifest.config.digest, ".json"), "RepoTags", tags,
                     "Layers", layers);
}

static int save_manifest(struct save *save, struct error *err)
{
    cleanup_json json_t *images = json_array();
    for (size_t i = 0; i < save->count; i++)
        if (!is_repeated(save, i) && json_array_append_new(images, pack_image(save, i)) < 0)
            return error_set(err, ENOMEM, "out of memory for manifest.json");
    cleanup_free char *text = images ? json_print(images, JSON_COMPACT) : NULL;
    if (!text)
        return error_set(err, ENOMEM, "out of memory for manifest.json");
    return save_text(save, "manifest.json", text, err);
}

/* Writes a layer's tar stream, which was measured before. */
static int write_stream(struct save *save, struct layer_stream *stream, const struct digest *diff_id, struct error *err)
{
    for (;;) {
        const void *bytes;
        ssize_t got = layer_stream_next(stream, &bytes, err);
        if (got < 0)
            return (int)got;
        if (got == 0)
            return layer_stream_verify(stream, diff_id, err);
        int rc = archive_writer_write(save->writer, bytes, (size_t)got, err);
        if (rc < 0)
            return rc;
    }
}

static int save_layer(struct save *save, const struct descriptor *layer, const struct digest *diff_id,
                      struct error *err)
{
    char name[FILE_NAME_MAX];
    struct digest measured;
    uint64_t size;
    enum layer_compression compression = media_type_lookup(layer->media_type)->compression;
    int rc = digest_set_add(&save->written, diff_id, err);
    if (rc <= 0)
        return rc;
    rc = layer_packing_measure(save->store, &layer->digest, compression, &measured, &size, err);
    if (rc == 0 && !digest_equal(&measured, diff_id))
        rc = error_set(err, diff_id->algorithm == DIGEST_SHA256 ? EBADMSG : ENOTSUP,
                       "its tar stream is not what the configuration says");
    cleanup_fd int fd = rc < 0 ? -1 : store_open_blob(save->store, &layer->digest, err);
    struct layer_stream *stream = NULL;
    if (rc == 0)
        rc = fd < 0 ? fd : layer_stream_new(&stream, fd, compression, diff_id->algorithm, err);
    file_name(name, diff_id, ".tar");
    if (rc == 0)
        rc = archive_writer_file(save->writer, name, size, err);
    if (rc == 0)
        rc = write_stream(save, stream, diff_id, err);
    layer_stream_free(stream);
    return rc;
}

static int save_image_files(struct save *save, const struct save_image *image, struct error *err)
{
    char name[FILE_NAME_MAX];
    file_name(name, &image->manifest.config.digest, ".json");
    int rc = save_blob(save, name, &image->manifest.config, err);
    for (size_t i = 0; rc == 0 && i < image->manifest.layer_count; i++) {
        rc = save_layer(save, &image->manifest.layers[i], &image->config.diff_ids[i], err);
        if (rc < 0)
            return error_context(err, rc, "layer %zu", i + 1);
    }
    return rc;
}

int save_docker(struct save *save, struct error *err)
{
    int rc = save_manifest(save, err);
    for (size_t i = 0; rc == 0 && i < save->count; i++)
        rc = save_image_files(save, &save->images[i], err);
    return rc;
}
