/* SPDX-License-Identifier: Apache-2.0 */
#include "image/save.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "image/image.h"
#include "image/save_internal.h"
#include "image/store.h"

int save_text(struct save *save, const char *name, const char *text, struct error *err)
{
    size_t length = strlen(text);
    int rc = archive_writer_file(save->writer, name, length, err);
    return rc < 0 ? rc : archive_writer_write(save->writer, text, length, err);
}

/* Copies a file of the store into the archive and hashes it on its way. */
static int copy(struct save *save, int fd, uint64_t size, struct hasher *hasher, struct error *err)
{
    while (size > 0) {
        enum { PIECE = 64 << 10 };
        uint8_t piece[PIECE];
        size_t want = size < sizeof piece ? (size_t)size : sizeof piece;
        ssize_t got = fd_read_full(fd, piece, want);
        if (got < 0)
            return error_set_errno(err, (int)-got, "cannot read");
        if ((size_t)got < want)
            return error_set(err, EBADMSG, "it is too short: pull the image again");
        int rc = archive_writer_write(save->writer, piece, want, err);
        if (rc < 0)
            return rc;
        hasher_update(hasher, piece, want);
        size -= want;
    }
    return 0;
}

int save_blob(struct save *save, const char *name, const struct descriptor *blob, struct error *err)
{
    struct hasher *hasher = NULL;
    struct digest found = {0};
    int rc = digest_set_add(&save->written, &blob->digest, err);
    if (rc <= 0)
        return rc;
    cleanup_fd int fd = store_open_blob(save->store, &blob->digest, err);
    rc = fd < 0 ? fd : hasher_new(&hasher, blob->digest.algorithm, err);
    if (rc == 0)
        rc = archive_writer_file(save->writer, name, blob->size, err);
    if (rc == 0)
        rc = copy(save, fd, blob->size, hasher, err);
    if (rc == 0)
        rc = hasher_finish(hasher, &found, err);
    hasher_free(hasher);
    if (rc == 0 && !digest_equal(&found, &blob->digest))
        rc = error_set(err, EBADMSG, "it is damaged: pull the image again");
    if (rc == 0)
        return 0;
    char digest[DIGEST_TEXT_MAX];
    digest_format(&blob->digest, digest);
    return error_context(err, rc, "blob %s", digest);
}

/* ---- images ------------------------------------------------------------------------------------------------------ */

static int read_image(struct store *store, struct save_image *image, struct error *err)
{
    cleanup_buffer struct buffer config = BUFFER_INIT(IMAGE_CONFIG_BYTES_MAX);
    int rc = image_read_manifest(store, &image->reference, &image->descriptor, &image->manifest, err);
    if (rc == 0)
        rc = store_read_blob(store, &image->manifest.config.digest, &config, err);
    if (rc == 0)
        rc = image_config_parse(&image->config, (const char *)config.bytes, config.length, err);
    if (rc == 0 && image->config.diff_id_count != image->manifest.layer_count)
        rc = error_set(err, EBADMSG, "the manifest lists %zu layers, the configuration %zu",
                       image->manifest.layer_count, image->config.diff_id_count);
    return rc;
}

static int read_images(struct save *save, const struct reference *references, size_t count, struct error *err)
{
    if (count == 0 || count > SAVE_IMAGES_MAX)
        return error_set(err, EINVAL, "1 to %d images go into an archive", SAVE_IMAGES_MAX);
    save->images = calloc(count, sizeof *save->images);
    if (!save->images)
        return error_set(err, ENOMEM, "out of memory for %zu images", count);
    for (size_t i = 0; i < count; i++) {
        save->images[save->count++].reference = references[i];
        int rc = read_image(save->store, &save->images[i], err);
        if (rc < 0) {
            char name[REFERENCE_TEXT_MAX];
            reference_format_familiar(&references[i], name);
            return error_context(err, rc, "cannot save '%s'", name);
        }
    }
    return 0;
}

int image_save(struct store *store, const struct reference *references, size_t count, enum save_format format, int fd,
               struct error *err)
{
    struct save save = {.store = store};
    int rc = read_images(&save, references, count, err);
    if (rc == 0)
        rc = archive_writer_new(&save.writer, fd, err);
    if (rc == 0)
        rc = format == SAVE_DOCKER ? save_docker(&save, err) : save_oci(&save, err);
    if (rc == 0)
        rc = archive_writer_finish(save.writer, err);
    archive_writer_free(save.writer);
    for (size_t i = 0; i < save.count; i++) {
        manifest_done(&save.images[i].manifest);
        image_config_done(&save.images[i].config);
    }
    free(save.images);
    digest_set_done(&save.written);
    return rc;
}
