/* SPDX-License-Identifier: Apache-2.0 */
/* Images of the store: opened to be run, and listed. */
#include "image/image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "image/resolve.h"
#include "image/rootfs_cache.h"
#include "image/store.h"

/* Reads the manifest that an entry of index.json leads to. */
static int read_manifest(struct store *store, struct descriptor *descriptor, struct manifest *manifest,
                         struct error *err)
{
    cleanup_buffer struct buffer body = BUFFER_INIT(MANIFEST_BYTES_MAX);
    struct platform platform;
    platform_host(&platform);
    struct descriptor entry = *descriptor;
    int rc = resolve_from_store(store, &entry, &body, descriptor, err);
    if (rc < 0)
        return rc;
    memcpy(descriptor->media_type, entry.media_type, sizeof descriptor->media_type);
    return resolve_manifest(resolve_from_store, store, &platform, &body, descriptor, manifest, err);
}

int image_read_manifest(struct store *store, const struct reference *reference, struct descriptor *descriptor,
                        struct manifest *manifest, struct error *err)
{
    struct descriptor found;
    int rc = store_resolve(store, reference, &found, err);
    if (rc == 0)
        rc = read_manifest(store, &found, manifest, err);
    if (rc == 0)
        *descriptor = found;
    return rc;
}

static int read_config(const struct store *store, const struct manifest *manifest, struct image_config *config,
                       struct error *err)
{
    cleanup_buffer struct buffer body = BUFFER_INIT(IMAGE_CONFIG_BYTES_MAX);
    int rc = store_read_blob(store, &manifest->config.digest, &body, err);
    return rc < 0 ? rc : image_config_parse(config, (const char *)body.bytes, body.length, err);
}

/* Manifest and configuration of an entry. */
static int read_image(struct store *store, struct descriptor *descriptor, struct manifest *manifest,
                      struct image_config *config, struct error *err)
{
    int rc = read_manifest(store, descriptor, manifest, err);
    if (rc < 0)
        return rc;
    rc = read_config(store, manifest, config, err);
    if (rc < 0)
        manifest_done(manifest);
    return rc;
}

static int open_image(struct store *store, const struct reference *reference, struct image *image, struct error *err)
{
    struct descriptor descriptor;
    struct manifest manifest;
    struct image opened = IMAGE_NONE;
    int rc = store_resolve(store, reference, &descriptor, err);
    if (rc < 0)
        return rc;
    rc = read_image(store, &descriptor, &manifest, &opened.config, err);
    if (rc == -ENOENT)
        /* The name is there, its content is not: to the caller another case than an unknown image. */
        rc = error_context(err, -EBADMSG, "the image is incomplete, pull it again");
    if (rc < 0)
        return rc;

    rc = rootfs_cache_open(store, &manifest, &opened.config, err);
    if (rc >= 0) {
        opened.rootfs_fd = rc;
        opened.digest = descriptor.digest;
        opened.id = manifest.config.digest;
        *image = opened;
        opened = IMAGE_NONE;
        rc = 0;
    } else if (rc == -ENOENT) {
        rc = error_context(err, -EBADMSG, "the image is incomplete, pull it again");
    }
    manifest_done(&manifest);
    image_done(&opened);
    return rc;
}

int image_open(struct store *store, const struct reference *reference, struct image *image, struct error *err)
{
    int rc = open_image(store, reference, image, err);
    if (rc < 0 && rc != -ENOENT) {
        char name[REFERENCE_TEXT_MAX];
        reference_format_familiar(reference, name);
        return error_context(err, rc, "image '%s'", name);
    }
    return rc;
}

void image_done(struct image *image)
{
    image_config_done(&image->config);
    fd_close(&image->rootfs_fd);
    *image = IMAGE_NONE;
}

/* ---- listing ----------------------------------------------------------------------------------------------------- */

/* RFC 3339 to seconds since 1970, fractions cut off; 0 for anything else. */
static int64_t parse_created(const char *text)
{
    struct tm date = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &date);
    if (!rest)
        return 0;
    if (*rest == '.')
        rest += 1 + strspn(rest + 1, "0123456789");
    int64_t seconds = timegm(&date);
    if ((*rest == 'Z' || *rest == 'z') && !rest[1])
        return seconds;

    struct tm zone = {0};
    if ((*rest != '+' && *rest != '-') || !(text = strptime(rest + 1, "%H:%M", &zone)) || *text)
        return 0;
    int64_t offset = (int64_t)zone.tm_hour * 3600 + (int64_t)zone.tm_min * 60;
    return *rest == '+' ? seconds - offset : seconds + offset;
}

static void summarise(struct store *store, const struct store_entry *entry, struct image_summary *summary)
{
    struct descriptor descriptor = entry->manifest;
    struct manifest manifest;
    struct image_config config;
    *summary = (struct image_summary){
        .reference = entry->reference, .digest = descriptor.digest, .platform = descriptor.platform};
    if (read_image(store, &descriptor, &manifest, &config, NULL) < 0)
        return;

    summary->digest = descriptor.digest;
    summary->id = manifest.config.digest;
    summary->platform = config.platform;
    summary->in_use = rootfs_cache_in_use(store, &config);
    summary->created = parse_created(config.created);
    summary->size = manifest.config.size; /* at most 512 blobs of at most 2^40 bytes: no overflow */
    for (size_t i = 0; i < manifest.layer_count; i++)
        summary->size += manifest.layers[i].size;
    image_config_done(&config);
    manifest_done(&manifest);
}

int image_list(struct store *store, struct image_summary **list, size_t *count, struct error *err)
{
    cleanup_free struct store_entry *entries = NULL;
    size_t length;
    int rc = store_list(store, &entries, &length, err);
    if (rc < 0)
        return rc;
    struct image_summary *summaries = calloc(length ? length : 1, sizeof *summaries);
    if (!summaries)
        return error_set(err, ENOMEM, "out of memory for a list of %zu images", length);
    for (size_t i = 0; i < length; i++)
        summarise(store, &entries[i], &summaries[i]);
    *list = summaries;
    *count = length;
    return 0;
}
