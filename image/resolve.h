/* SPDX-License-Identifier: Apache-2.0 */
/* From a document that may be an index, of indexes perhaps, to the one manifest for a platform. */
#ifndef IMAGE_RESOLVE_H
#define IMAGE_RESOLVE_H

#include "image/manifest.h"

struct buffer;
struct error;

/**
 * Where documents come from: a registry or the store.
 *
 * @param entry     the document that is wanted; its digest names it
 * @param body      set to the bytes, already checked against the digest
 * @param document  set as the source tells it: media type ("" = it does not), digest, size
 */
typedef int resolve_source(void *context, const struct descriptor *entry, struct buffer *body,
                           struct descriptor *document, struct error *err);

/** Documents out of the store that is the context. */
int resolve_from_store(void *context, const struct descriptor *entry, struct buffer *body, struct descriptor *document,
                       struct error *err);

/**
 * Follows indexes to a manifest.
 *
 * @param body      the first document; replaced by the manifest's bytes
 * @param document  describes @p body; replaced by the manifest's descriptor, with its platform if an index named it
 * @param manifest  filled on success; release with manifest_done()
 * @return 0; -ENOENT when there is none for the platform; -EBADMSG; -ENOTSUP; or what the source returned
 */
int resolve_manifest(resolve_source *source, void *context, const struct platform *platform, struct buffer *body,
                     struct descriptor *document, struct manifest *manifest, struct error *err);

#endif
