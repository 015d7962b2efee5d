/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `docker save` writes: manifest.json lists images, each a configuration and layers by the names of their files
 * (moby, image/tarexport; containers/image, docker/internal/tarfile). It has no manifest in OCI's sense: one is made,
 * the same for the same archive.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/json.h"
#include "image/layer_packing.h"
#include "image/load_internal.h"
#include "image/store.h"

/* A file as a descriptor. */
static int describe(const struct load *load, const char *name, const char *media_type, json_t **descriptor,
                    struct error *err)
{
    char digest[DIGEST_TEXT_MAX];
    const struct archive_file *file = name ? archive_contents_find(&load->contents, name) : NULL;
    if (!file)
        return error_set(err, EBADMSG, "'%.150s' is not in the archive", name ? name : "");
    digest_format(&file->digest, digest);
    if (!media_type) {
        enum layer_compression compression;
        int rc = layer_packing_of_blob(&compression, load->store, &file->digest, err);
        if (rc < 0)
            return rc;
        media_type = media_type_of_layer(compression);
    }
    *descriptor =
        json_pack("{s:s, s:s, s:I}", "mediaType", media_type, "digest", digest, "size", (json_int_t)file->size);
    return *descriptor ? 0 : error_set(err, ENOMEM, "out of memory for a manifest");
}

static int describe_layers(const struct load *load, const json_t *names, json_t *layers, struct error *err)
{
    if (json_array_size(names) > IMAGE_LAYERS_MAX)
        return error_set(err, EBADMSG, "more than %d layers", IMAGE_LAYERS_MAX);
    for (size_t i = 0; i < json_array_size(names); i++) {
        json_t *layer;
        int rc = describe(load, json_string_value(json_array_get(names, i)), NULL, &layer, err);
        if (rc < 0)
            return rc;
        if (json_array_append_new(layers, layer) < 0)
            return error_set(err, ENOMEM, "out of memory for a manifest");
    }
    return 0;
}

/* The text of the manifest, allocated. */
static int make_manifest(const struct load *load, const json_t *image, char **text, struct error *err)
{
    json_t *names;
    json_t *config = NULL;
    cleanup_json json_t *layers = json_array();
    int rc = json_member(image, "Layers", JSON_ARRAY, &names, err);
    if (rc == 0)
        rc = describe_layers(load, names, layers, err);
    if (rc == 0)
        rc = describe(load, json_string_value(json_object_get(image, "Config")), MEDIA_TYPE_OCI_CONFIG, &config, err);
    if (rc < 0)
        return rc;
    cleanup_json json_t *manifest = json_pack("{s:i, s:s, s:o, s:O}", "schemaVersion", 2, "mediaType",
                                              MEDIA_TYPE_OCI_MANIFEST, "config", config, "layers", layers);
    *text = manifest ? json_print(manifest, JSON_COMPACT) : NULL;
    return *text ? 0 : error_set(err, ENOMEM, "out of memory for a manifest");
}

static int put_manifest(struct load *load, const json_t *image, struct descriptor *descriptor,
                        struct manifest *manifest, struct error *err)
{
    cleanup_free char *text = NULL;
    struct descriptor made = {.media_type = MEDIA_TYPE_OCI_MANIFEST};
    int rc = make_manifest(load, image, &text, err);
    if (rc < 0)
        return rc;
    made.size = strlen(text);
    rc = manifest_parse(manifest, text, made.size, err);
    if (rc < 0)
        return rc;
    rc = digest_of(&made.digest, DIGEST_SHA256, text, made.size, err);
    if (rc == 0)
        rc = store_put_blob(load->store, &made.digest, text, made.size, err);
    if (rc < 0)
        manifest_done(manifest);
    else
        *descriptor = made;
    return rc;
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

/* Calls load_image() under each name that is wanted. */
static int load_tags(struct load *load, const json_t *tags, struct descriptor *descriptor,
                     const struct manifest *manifest, struct error *err)
{
    if (load->options->name)
        return load_image(load, load->options->name, descriptor, manifest, err);
    if (json_array_size(tags) == 0)
        return error_set(err, EINVAL, "an image in the archive has no name: give it one (--name)");
    for (size_t i = 0; i < json_array_size(tags); i++) {
        struct reference reference;
        const char *tag = json_string_value(json_array_get(tags, i));
        if (!load_wants(load, tag ? tag : ""))
            continue;
        int rc = reference_parse(&reference, tag ? tag : "", err);
        if (rc < 0)
            return error_context(err, -EBADMSG, "the image's name there is none (give it one with --name)");
        rc = load_image(load, &reference, descriptor, manifest, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static bool wants_image(const struct load *load, const json_t *tags)
{
    if (!load->options->select)
        return true;
    for (size_t i = 0; i < json_array_size(tags); i++) {
        const char *tag = json_string_value(json_array_get(tags, i));
        if (tag && load_wants(load, tag))
            return true;
    }
    return false;
}

static int load_listed(struct load *load, const json_t *image, const json_t *tags, struct error *err)
{
    struct descriptor descriptor;
    struct manifest manifest;
    int rc = put_manifest(load, image, &descriptor, &manifest, err);
    if (rc < 0)
        return rc;
    rc = load_tags(load, tags, &descriptor, &manifest, err);
    manifest_done(&manifest);
    return rc;
}

/* Checks the list before anything of it is loaded, and counts what is wanted. */
static int count_wanted(const struct load *load, const json_t *images, size_t *wanted, struct error *err)
{
    *wanted = 0;
    if (json_array_size(images) > LOAD_IMAGES_MAX)
        return error_set(err, EBADMSG, "more than %d images", LOAD_IMAGES_MAX);
    for (size_t i = 0; i < json_array_size(images); i++) {
        json_t *tags;
        const json_t *image = json_array_get(images, i);
        if (!json_is_object(image))
            return error_set(err, EBADMSG, "image %zu is no object", i);
        int rc = json_member(image, "RepoTags", JSON_ARRAY, &tags, err);
        if (rc < 0)
            return rc;
        if (json_array_size(tags) > LOAD_IMAGES_MAX)
            return error_set(err, EBADMSG, "an image with more than %d names", LOAD_IMAGES_MAX);
        *wanted += wants_image(load, tags);
    }
    return 0;
}

int load_docker(struct load *load, struct error *err)
{
    const struct buffer *text = &load->contents.documents[ARCHIVE_DOCKER_MANIFEST];
    cleanup_json json_t *images = NULL;
    size_t wanted = 0;
    int rc = json_parse_array(&images, (const char *)text->bytes, text->length, err);
    if (rc == 0)
        rc = count_wanted(load, images, &wanted, err);
    if (rc < 0)
        return error_context(err, rc, "manifest.json");
    if (wanted == 0)
        return error_set(err, ENOENT, "no image '%.200s' in there", load->options->select ? load->options->select : "");
    if (wanted > 1 && load->options->name)
        return error_set(err, EINVAL, "%zu images are in there: one name (--name) does not do", wanted);
    for (size_t i = 0; rc == 0 && i < json_array_size(images); i++) {
        const json_t *image = json_array_get(images, i);
        const json_t *tags = json_object_get(image, "RepoTags");
        if (wants_image(load, tags))
            rc = load_listed(load, image, tags, err);
    }
    return rc;
}
