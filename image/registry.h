/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A repository of a registry (OCI distribution-spec, "Pull" and "Push"; Docker Registry HTTP API V2), asked with the
 * login that the auth files have for it (image/credentials.h), or as anybody.
 *
 * Plain HTTP is spoken to localhost, 127.0.0.0/8, [::1] and the hosts that HULL_INSECURE_REGISTRIES lists
 * ("host:port,host") unless they turn out to speak TLS, HTTPS to all others (image/http_trust.h says whose certificates
 * are believed). docker.io is served by registry-1.docker.io.
 */
#ifndef IMAGE_REGISTRY_H
#define IMAGE_REGISTRY_H

#include <stddef.h>
#include <stdint.h>

#include "image/manifest.h"
#include "image/reference.h"

struct buffer;
struct credentials;
struct error;
struct registry;

enum {
    REGISTRY_ATTEMPTS_MAX = 5,             /**< of one request; a later one resumes where the last was cut off */
    REGISTRY_TOKEN_BYTES_MAX = 16 << 10,   /**< of a bearer token */
    REGISTRY_RETRY_AFTER_SECONDS_MAX = 30, /**< what a registry may ask us to wait */
    REGISTRY_WHOLE_BYTES_MAX = 4 << 20,    /**< a blob of up to that size is uploaded by one request */
    REGISTRY_CHUNK_BYTES = 64 << 20        /**< a longer one by requests of that size, each resumed where it was cut */
};

/** Takes a blob's bytes in order; a negative return ends the transfer with it. */
typedef int registry_sink(void *context, const void *bytes, size_t length, struct error *err);

/** Makes a client for the repository of a reference. Nothing is asked yet. @return 0 with *registry owned, or -errno */
int registry_new(struct registry **registry, const struct reference *reference, struct error *err);

/** Closes the connection. NULL is fine. */
void registry_free(struct registry *registry);

/**
 * Tries a login: GET /v2/ with it instead of what the auth files have. The client is good for nothing else afterwards.
 * @return 1 when the registry took it; 0 when it lets anybody in and did not look; -EACCES when it refuses; or -errno
 */
int registry_check_login(struct registry *registry, const struct credentials *login, struct error *err);

/**
 * Gets a manifest or an index by the reference's digest or tag, or by digest.
 *
 * @param digest    NULL = what the reference names
 * @param body      set to the bytes; its maximum is MANIFEST_BYTES_MAX or more
 * @param document  its media type (as the registry says, parameters cut off), digest (checked if it was asked for, else
 *                  computed) and size
 * @return 0; -ENOENT; -EACCES; -EBADMSG when the bytes are not what the digest says, or too many; network errors as
 *         http_perform()
 */
int registry_get_manifest(struct registry *registry, const struct digest *digest, struct buffer *body,
                          struct descriptor *document, struct error *err);

/**
 * Streams a blob from @p offset (less than its size) on: exactly what is missing to blob->size on success, never more
 * in any case. The digest is the sink's to check.
 * @return 0, -EBADMSG when there are fewer or more bytes, what the sink returned, or as registry_get_manifest()
 */
int registry_get_blob(struct registry *registry, const struct descriptor *blob, uint64_t offset, registry_sink *sink,
                      void *context, struct error *err);

#endif
