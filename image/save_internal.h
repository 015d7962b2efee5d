/* SPDX-License-Identifier: Apache-2.0 */
/* What save.c, save_oci.c and save_docker.c know of each other. */
#ifndef IMAGE_SAVE_INTERNAL_H
#define IMAGE_SAVE_INTERNAL_H

#include "image/archive_writer.h"
#include "image/config.h"
#include "image/digest_set.h"
#include "image/manifest.h"
#include "image/save.h"

/** An image to be written. */
struct save_image {
    struct reference reference;
    struct descriptor descriptor; /**< of the manifest */
    struct manifest manifest;
    struct image_config config;
};

/** One archive in the making. */
struct save {
    struct store *store;
    struct save_image *images;
    size_t count;
    struct archive_writer *writer;
    struct digest_set written; /**< what the archive has already */
};

/** Writes everything but the archive's end. @return as image_save() */
int save_oci(struct save *save, struct error *err);
int save_docker(struct save *save, struct error *err);

/** Writes a text as a file. */
int save_text(struct save *save, const char *name, const char *text, struct error *err);

/** Writes a blob of the store as it is, checked against its digest, unless the archive has it. */
int save_blob(struct save *save, const char *name, const struct descriptor *blob, struct error *err);

#endif
