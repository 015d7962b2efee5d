/* SPDX-License-Identifier: Apache-2.0 */
/* What load.c, load_oci.c and load_docker.c know of each other. */
#ifndef IMAGE_LOAD_INTERNAL_H
#define IMAGE_LOAD_INTERNAL_H

#include <stdbool.h>

#include "image/archive_reader.h"
#include "image/load.h"
#include "image/manifest.h"

struct buffer;

/** One load in progress. */
struct load {
    struct store *store;
    const struct load_options *options;
    struct platform platform; /**< wanted */
    int layout;               /**< directory of an OCI layout; -1 = an archive, which contents describe; borrowed */
    struct archive_contents contents;
};

/** Loads from the index of an OCI layout. @return as image_load() */
int load_oci(struct load *load, struct error *err);

/** Loads from manifest.json. @return as image_load() */
int load_docker(struct load *load, struct error *err);

/** Sees to it that a blob is in the store. @return 0, -EBADMSG when it is not there at all, or -errno */
int load_blob(struct load *load, const struct descriptor *blob, struct error *err);

/**
 * Gives an image its name, after everything has been verified.
 * @param descriptor  of the manifest, whose blob is in the store; its platform is completed
 */
int load_image(struct load *load, const struct reference *reference, struct descriptor *descriptor,
               const struct manifest *manifest, struct error *err);

/** Whether the name that an image has in the archive is the wanted one. @param name  may be "" */
bool load_wants(const struct load *load, const char *name);

#endif
