/* SPDX-License-Identifier: Apache-2.0 */
/* Giving a registry blobs and manifests (OCI distribution-spec, "Push"). */
#ifndef IMAGE_REGISTRY_PUSH_H
#define IMAGE_REGISTRY_PUSH_H

#include <stdbool.h>

#include "image/registry.h"

/** Called while bytes leave: how many of the blob the registry has confirmed. */
typedef void registry_sent(void *context, uint64_t done);

/** Makes a client ask for the right to push from now on. */
void registry_will_push(struct registry *registry);

/** Whether the repository has a blob of that size. @return 1, 0, or -errno */
int registry_has_blob(struct registry *registry, const struct digest *digest, uint64_t size, struct error *err);

/**
 * Has the registry take a blob from another of its repositories, without the bytes passing by here.
 * @param from  "team/other"
 * @return 1 when it did; 0 when it would rather have the bytes; or -errno
 */
int registry_mount_blob(struct registry *registry, const struct digest *digest, const char *from, struct error *err);

/**
 * Uploads a blob: whole if it is short, else in chunks, each of which is resumed where the connection was cut. The
 * registry checks the digest.
 *
 * @param fd    a regular file with the blob's bytes from its start; borrowed
 * @param sent  NULL = silent
 * @return 0; -EACCES; -EBADMSG when the registry says that the bytes do not fit the digest; or -errno
 */
int registry_put_blob(struct registry *registry, const struct descriptor *blob, int fd, registry_sent *sent,
                      void *context, struct error *err);

/**
 * Puts a manifest or index. The digest by which the registry then knows it is compared.
 * @param document  its media type and digest
 * @param name      a tag, or NULL = by its digest alone
 */
int registry_put_manifest(struct registry *registry, const struct descriptor *document, const char *name,
                          const void *bytes, size_t length, struct error *err);

#endif
