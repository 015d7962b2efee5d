/* SPDX-License-Identifier: Apache-2.0 */
/* The OCI layout (image-spec, image-layout.md): what leads somewhere comes before what it leads to. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/json.h"
#include "image/save_internal.h"

/* The names under which different tools look for an image: podman and skopeo, containerd and docker. */
static json_t *pack_entry(const struct save_image *image)
{
    char digest[DIGEST_TEXT_MAX];
    char name[REFERENCE_TEXT_MAX];
    digest_format(&image->descriptor.digest, digest);
    reference_format(&image->reference, name);
    return json_pack("{s:s, s:s, s:I, s:{s:s, s:s}}", "mediaType", image->descriptor.media_type, "digest", digest,
                     "size", (json_int_t)image->descriptor.size, "annotations", "io.containerd.image.name", name,
                     "org.opencontainers.image.ref.name", name);
}

static int save_index(struct save *save, struct error *err)
{
    cleanup_json json_t *entries = json_array();
    for (size_t i = 0; i < save->count; i++)
        if (json_array_append_new(entries, pack_entry(&save->images[i])) < 0)
            return error_set(err, ENOMEM, "out of memory for index.json");
    cleanup_json json_t *index =
        json_pack("{s:i, s:s, s:O}", "schemaVersion", 2, "mediaType", MEDIA_TYPE_OCI_INDEX, "manifests", entries);
    cleanup_free char *text = index ? json_print(index, JSON_INDENT(2)) : NULL;
    if (!text)
        return error_set(err, ENOMEM, "out of memory for index.json");
    return save_text(save, "index.json", text, err);
}

static int save_named(struct save *save, const struct descriptor *blob, struct error *err)
{
    char name[DIGEST_PATH_MAX];
    digest_format_path(&blob->digest, name);
    return save_blob(save, name, blob, err);
}

static int save_image_blobs(struct save *save, const struct save_image *image, struct error *err)
{
    int rc = save_named(save, &image->descriptor, err);
    if (rc == 0)
        rc = save_named(save, &image->manifest.config, err);
    for (size_t i = 0; rc == 0 && i < image->manifest.layer_count; i++)
        rc = save_named(save, &image->manifest.layers[i], err);
    return rc;
}

int save_oci(struct save *save, struct error *err)
{
    int rc = save_text(save, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}\n", err);
    if (rc == 0)
        rc = save_index(save, err);
    if (rc == 0)
        rc = archive_writer_directory(save->writer, "blobs", err);
    if (rc == 0)
        rc = archive_writer_directory(save->writer, "blobs/sha256", err);
    for (size_t i = 0; rc == 0 && i < save->count; i++)
        rc = save_image_blobs(save, &save->images[i], err);
    return rc;
}
