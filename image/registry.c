/* SPDX-License-Identifier: Apache-2.0 */
/* The registry client: its making, and manifests and blobs taken from it in as many attempts as they take. */
#include "image/registry.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "image/credentials_internal.h"
#include "image/http_url.h"
#include "image/registry_internal.h"

#define DOCKER_HOST    "docker.io"
#define DOCKER_SERVER  "registry-1.docker.io"
#define INSECURE_HOSTS "HULL_INSECURE_REGISTRIES"

#define ACCEPT_MANIFESTS                                                                                               \
    MEDIA_TYPE_OCI_INDEX                                                                                               \
    ", " MEDIA_TYPE_DOCKER_INDEX ", " MEDIA_TYPE_OCI_MANIFEST ", " MEDIA_TYPE_DOCKER_MANIFEST

/* Whether a comma-separated list holds a host. */
bool registry_list_has(const char *list, const char *host)
{
    size_t length = strlen(host);
    while (list && *list) {
        list += strspn(list, ", ");
        size_t item = strcspn(list, ", ");
        if (item == length && strncasecmp(list, host, length) == 0)
            return true;
        list += item;
    }
    return false;
}

const char *registry_insecure_hosts(void)
{
    return getenv(INSECURE_HOSTS);
}

int registry_new(struct registry **registry, const struct reference *reference, struct error *err)
{
    struct registry *made = calloc(1, sizeof *made);
    if (!made)
        return error_set(err, ENOMEM, "out of memory for a registry client");
    made->reference = *reference;
    made->whole_bytes = REGISTRY_WHOLE_BYTES_MAX;
    made->chunk_bytes = REGISTRY_CHUNK_BYTES;

    const char *host = reference->host;
    made->scheme_open = http_host_is_loopback(host) || registry_list_has(registry_insecure_hosts(), host);
    int rc = 0;
    if (asprintf(&made->origin, "%s://%s", made->scheme_open ? "http" : "https",
                 strcmp(host, DOCKER_HOST) == 0 ? DOCKER_SERVER : host) < 0) {
        made->origin = NULL;
        rc = error_set(err, ENOMEM, "out of memory for a registry client");
    }
    if (rc == 0)
        rc = http_new(&made->http, err);
    if (rc < 0) {
        registry_free(made);
        return rc;
    }
    *registry = made;
    return 0;
}

void registry_free(struct registry *registry)
{
    if (!registry)
        return;
    http_free(registry->http);
    free(registry->origin);
    credentials_wipe(&registry->authorization);
    credentials_done(&registry->login);
    free(registry);
}

int registry_check_login(struct registry *registry, const struct credentials *login, struct error *err)
{
    struct http_response response;
    const struct http_request request = {.method = HTTP_GET, .max = HTTP_URL_MAX};
    registry->login_looked_up = true;
    registry->reference.repository[0] = '\0'; /* a token for none */
    registry->login.user = login->user ? strdup(login->user) : NULL;
    registry->login.password = login->password ? strdup(login->password) : NULL;
    if ((login->user && !registry->login.user) || (login->password && !registry->login.password))
        return error_set(err, ENOMEM, "out of memory for a login");
    int rc = registry_send(registry, "/v2/", &request, &response, err);
    if (rc < 0)
        return rc;
    if (response.status == 401)
        return error_set(err, EACCES, "the registry refuses the login: is the password right?");
    if (response.status == 404)
        return error_set(err, EPROTO, "that is no registry: it knows no /v2/");
    if (response.status != 200)
        return registry_status_error(&response, err);
    return registry->authorization ? 1 : 0;
}

/* ---- one document or blob, in as many attempts as it takes ------------------------------------------------------- */

/* What is being fetched. */
struct fetch {
    const char *target; /* "/v2/..." */
    const char *accept;
    uint64_t max;
    registry_sink *sink;
    void *context;
    uint64_t delivered;   /* bytes that the sink has; the next attempt begins behind them */
    struct buffer *whole; /* where a document goes that each attempt gets from its start; NULL = a blob */
};

static int count_and_pass(void *context, const void *bytes, size_t length, struct error *err)
{
    struct fetch *fetch = context;
    int rc = fetch->sink(fetch->context, bytes, length, err);
    if (rc == 0)
        fetch->delivered += length;
    return rc;
}

static int attempt_once(struct registry *registry, struct fetch *fetch, struct http_response *response,
                        struct error *err)
{
    struct http_request request = {.accept = fetch->accept,
                                   .offset = fetch->delivered,
                                   .max = fetch->max - fetch->delivered,
                                   .sink = count_and_pass,
                                   .context = fetch};
    return registry_send(registry, fetch->target, &request, response, err);
}

static int fetch_with_retries(struct registry *registry, struct fetch *fetch, struct http_response *response,
                              struct error *err)
{
    for (unsigned attempt = 1;; attempt++) {
        *response = (struct http_response){0};
        if (fetch->whole) {
            /* A tag may have moved between two attempts: half of one manifest and half of another is neither. */
            buffer_clear(fetch->whole);
            fetch->delivered = 0;
        }
        int rc = attempt_once(registry, fetch, response, err);
        if (rc < 0 && !fetch->whole && fetch->delivered == fetch->max && http_is_transient(rc, response)) {
            response->status = 200; /* lost after its last byte: nothing is left to ask for */
            return 0;
        }
        if (!http_is_transient(rc, response) || attempt == REGISTRY_ATTEMPTS_MAX)
            return rc;
        log_debug("%s: attempt %u failed (%d, HTTP %d) after %" PRIu64 " bytes", fetch->target, attempt, rc,
                  response->status, fetch->delivered);
        registry_wait_before(attempt, response->retry_after);
    }
}

/* ---- manifests and blobs ----------------------------------------------------------------------------------------- */

/* What the reference names, as the API wants it. */
static void format_version(const struct reference *reference, const struct digest *digest,
                           char text[static REFERENCE_TAG_MAX + DIGEST_TEXT_MAX])
{
    if (!digest && reference_has_digest(reference))
        digest = &reference->digest;
    if (digest)
        digest_format(digest, text);
    else
        (void)snprintf(text, REFERENCE_TAG_MAX + DIGEST_TEXT_MAX, "%s", reference->tag);
}

/* Checks a manifest's bytes against the digest that was asked for, or that the registry claims; else computes it. */
static int verify_manifest(const struct registry *registry, const struct digest *asked,
                           const struct http_response *response, const struct buffer *body, struct digest *digest,
                           struct error *err)
{
    struct digest expected = {0};
    if (asked)
        expected = *asked;
    else if (reference_has_digest(&registry->reference))
        expected = registry->reference.digest;
    else
        (void)digest_parse(&expected, response->content_digest, NULL); /* optional, and of any algorithm */

    struct digest found;
    int rc = digest_of(&found, expected.algorithm ? expected.algorithm : DIGEST_SHA256, body->bytes, body->length, err);
    if (rc < 0)
        return rc;
    if (expected.algorithm && !digest_equal(&found, &expected)) {
        char text[DIGEST_TEXT_MAX];
        digest_format(&found, text);
        return error_set(err, EBADMSG, "the content has another digest, %s: it was damaged or forged on its way", text);
    }
    *digest = found;
    return 0;
}

static int get_manifest(struct registry *registry, const struct digest *digest, const char *target, struct buffer *body,
                        struct descriptor *document, struct error *err)
{
    struct fetch fetch = {.target = target,
                          .accept = ACCEPT_MANIFESTS,
                          .max = MANIFEST_BYTES_MAX,
                          .sink = registry_sink_to_buffer,
                          .context = body,
                          .whole = body};
    struct http_response response;
    int rc = fetch_with_retries(registry, &fetch, &response, err);
    if (rc < 0)
        return rc;
    if (response.status != 200)
        return registry_status_error(&response, err);
    if (registry_is_web_page(&response))
        return error_set(err, EBADMSG, "a web page came instead of a manifest: is that a registry?");

    struct descriptor got = {.size = body->length};
    rc = verify_manifest(registry, digest, &response, body, &got.digest, err);
    if (rc < 0)
        return rc;
    (void)snprintf(got.media_type, sizeof got.media_type, "%.*s", (int)strcspn(response.content_type, "; \t"),
                   response.content_type);
    *document = got;
    return 0;
}

int registry_get_manifest(struct registry *registry, const struct digest *digest, struct buffer *body,
                          struct descriptor *document, struct error *err)
{
    char version[REFERENCE_TAG_MAX + DIGEST_TEXT_MAX];
    format_version(&registry->reference, digest, version);
    cleanup_free char *target = NULL;
    if (asprintf(&target, "/v2/%s/manifests/%s", registry->reference.repository, version) < 0) {
        target = NULL;
        return error_set(err, ENOMEM, "out of memory for a URL");
    }
    int rc = get_manifest(registry, digest, target, body, document, err);
    return rc < 0 ? error_context(err, rc, "manifest '%s'", version) : 0;
}

int registry_get_blob(struct registry *registry, const struct descriptor *blob, uint64_t offset, registry_sink *sink,
                      void *context, struct error *err)
{
    char digest[DIGEST_TEXT_MAX];
    digest_format(&blob->digest, digest);
    cleanup_free char *target = NULL;
    if (asprintf(&target, "/v2/%s/blobs/%s", registry->reference.repository, digest) < 0) {
        target = NULL;
        return error_set(err, ENOMEM, "out of memory for a URL");
    }

    struct fetch fetch = {.target = target, .max = blob->size, .sink = sink, .context = context, .delivered = offset};
    struct http_response response;
    int rc = fetch_with_retries(registry, &fetch, &response, err);
    if (rc == 0 && response.status != 200 && response.status != 206)
        rc = registry_status_error(&response, err);
    else if (rc == 0 && fetch.delivered != blob->size)
        rc = error_set(err, EBADMSG, "the registry sends only %" PRIu64 " of %" PRIu64 " bytes", fetch.delivered,
                       blob->size);
    return rc < 0 ? error_context(err, rc, "blob %s", digest) : 0;
}
