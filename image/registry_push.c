/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pushing. An upload is a session at a URL that the registry gives and changes with each answer:
 *
 *     POST .../blobs/uploads/  ->  202, Location: session
 *     PATCH session, a chunk   ->  202, Location: session, Range: 0-LAST      (long blobs only, until all is there)
 *     PUT session?digest=...   ->  201                                        (a short blob travels with it)
 *
 * After a cut connection GET session tells in its Range header how far the registry came.
 */
#include "image/registry_push.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "image/http_url.h"
#include "image/registry_internal.h"

static const char octets[] = "application/octet-stream";

void registry_will_push(struct registry *registry)
{
    registry->writes = true;
}

/* Sends what may be sent twice, until it is answered. */
static int send_patiently(struct registry *registry, const char *target, const struct http_request *request,
                          struct http_response *response, struct error *err)
{
    for (unsigned attempt = 1;; attempt++) {
        *response = (struct http_response){0};
        int rc = registry_send(registry, target, request, response, err);
        if (!http_is_transient(rc, response) || attempt == REGISTRY_ATTEMPTS_MAX)
            return rc;
        log_debug("%s: attempt %u failed (%d, HTTP %d)", target, attempt, rc, response->status);
        registry_wait_before(attempt, response->retry_after);
    }
}

__attribute__((format(printf, 2, 3))) static char *format_target(struct error *err, const char *format, ...)
{
    char *target;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&target, format, arguments);
    va_end(arguments);
    if (length >= 0)
        return target;
    (void)error_set(err, ENOMEM, "out of memory for a URL");
    return NULL;
}

int registry_has_blob(struct registry *registry, const struct digest *digest, uint64_t size, struct error *err)
{
    char text[DIGEST_TEXT_MAX];
    struct http_response response;
    const struct http_request request = {.method = HTTP_HEAD};
    digest_format(digest, text);
    cleanup_free char *target = format_target(err, "/v2/%s/blobs/%s", registry->reference.repository, text);
    if (!target)
        return -ENOMEM;
    int rc = send_patiently(registry, target, &request, &response, err);
    if (rc == 0 && response.status != 200 && response.status != 404)
        rc = registry_status_error(&response, err);
    if (rc < 0)
        return error_context(err, rc, "blob %s", text);
    return response.status == 200 && (response.length == size || response.length == UINT64_MAX);
}

int registry_mount_blob(struct registry *registry, const struct digest *digest, const char *from, struct error *err)
{
    char text[DIGEST_TEXT_MAX];
    struct http_response response;
    const struct http_request request = {.method = HTTP_POST};
    digest_format(digest, text);
    cleanup_free char *target =
        format_target(err, "/v2/%s/blobs/uploads/?mount=%s&from=%s", registry->reference.repository, text, from);
    if (!target)
        return -ENOMEM;
    registry->mount = from;
    int rc = registry_send(registry, target, &request, &response, err);
    registry->mount = NULL;
    if (rc < 0 && rc != -EACCES)
        return rc;
    /* A session that was begun instead is left to expire: whoever refuses us the other repository does not say so. */
    return rc == 0 && response.status == 201;
}

/* ---- one upload -------------------------------------------------------------------------------------------------- */

struct upload {
    struct registry *registry;
    const struct descriptor *blob;
    char digest[DIGEST_TEXT_MAX];
    int fd;
    char *session; /* where the next request goes; absolute */
    uint64_t done; /* bytes that the registry has */
    registry_sent *sent;
    void *context;
};

static void advance(struct upload *upload, uint64_t done)
{
    upload->done = done;
    if (upload->sent)
        upload->sent(upload->context, done);
}

/* Takes the session's next URL from an answer. */
static int follow_session(struct upload *upload, const char *asked, const struct http_response *response,
                          struct error *err)
{
    cleanup_free char *base = NULL;
    if (!response->location[0])
        return upload->session ? 0 : error_set(err, EPROTO, "the registry does not say where to upload to");
    if (asprintf(&base, "%s%s", asked[0] == '/' ? upload->registry->origin : "", asked) < 0) {
        base = NULL;
        return error_set(err, ENOMEM, "out of memory for a URL");
    }
    char *session = http_url_resolve(base, response->location);
    if (!session)
        return error_set(err, EPROTO, "the registry gives an invalid URL to upload to");
    free(upload->session);
    upload->session = session;
    return 0;
}

static int begin_session(struct upload *upload, struct error *err)
{
    struct http_response response;
    const struct http_request request = {.method = HTTP_POST};
    cleanup_free char *target = format_target(err, "/v2/%s/blobs/uploads/", upload->registry->reference.repository);
    if (!target)
        return -ENOMEM;
    free(upload->session);
    upload->session = NULL;
    int rc = send_patiently(upload->registry, target, &request, &response, err);
    if (rc == 0 && response.status != 202)
        rc = registry_status_error(&response, err);
    if (rc == 0)
        rc = follow_session(upload, target, &response, err);
    if (rc == 0)
        advance(upload, 0);
    return rc;
}

/* Asks a session how far it came. @return 0, or -ESTALE when it is gone */
static int ask_session(struct upload *upload, struct error *err)
{
    struct http_response response;
    const struct http_request request = {.method = HTTP_GET};
    cleanup_free char *asked = strdup(upload->session);
    if (!asked)
        return error_set(err, ENOMEM, "out of memory for a URL");
    int rc = send_patiently(upload->registry, asked, &request, &response, err);
    if (rc < 0)
        return rc;
    if (response.status != 204 && response.status != 202)
        return error_set(err, ESTALE, "the registry has forgotten the upload");
    /* "0-0" stands for no byte as well as for one; no chunk is so short. */
    uint64_t done = response.range_told && response.range_last > 0 ? response.range_last + 1 : 0;
    if (done > upload->blob->size)
        return error_set(err, ESTALE, "the registry has more than it was sent");
    rc = follow_session(upload, asked, &response, err);
    if (rc == 0)
        advance(upload, done);
    return rc;
}

static int send_chunk(struct upload *upload, struct http_response *response, struct error *err)
{
    uint64_t left = upload->blob->size - upload->done;
    uint64_t length = left < upload->registry->chunk_bytes ? left : upload->registry->chunk_bytes;
    char range[64];
    (void)snprintf(range, sizeof range, "%" PRIu64 "-%" PRIu64, upload->done, upload->done + length - 1);
    const struct http_body body = {
        .fd = upload->fd, .offset = upload->done, .length = length, .type = octets, .range = range};
    const struct http_request request = {.method = HTTP_PATCH, .body = &body};
    cleanup_free char *asked = strdup(upload->session);
    if (!asked)
        return error_set(err, ENOMEM, "out of memory for a URL");
    int rc = registry_send(upload->registry, asked, &request, response, err);
    if (rc < 0 || response->status != 202)
        return rc;
    uint64_t done = response->range_told ? response->range_last + 1 : upload->done + length;
    if (done <= upload->done || done > upload->done + length)
        return error_set(err, EPROTO, "the registry took other bytes than it was sent");
    rc = follow_session(upload, asked, response, err);
    if (rc == 0)
        advance(upload, done);
    return rc;
}

/* Ends the session, with all bytes at once if none was sent before. */
static int end_session(struct upload *upload, struct http_response *response, struct error *err)
{
    const char *const query[][2] = {{"digest", upload->digest}};
    const struct http_body body = {
        .fd = upload->fd, .offset = upload->done, .length = upload->blob->size - upload->done, .type = octets};
    const struct http_request request = {.method = HTTP_PUT, .body = &body};
    cleanup_free char *target = http_url_with_query(upload->session, query, 1);
    if (!target)
        return error_set(err, ENOMEM, "out of memory for a URL");
    return registry_send(upload->registry, target, &request, response, err);
}

/* Goes on until the blob is there or something fails. @return 1 when it is there, 0 for a status that is no success */
static int go_on(struct upload *upload, struct http_response *response, struct error *err)
{
    *response = (struct http_response){0};
    bool whole = upload->blob->size <= upload->registry->whole_bytes;
    while (!whole && upload->done < upload->blob->size) {
        int rc = send_chunk(upload, response, err);
        if (rc < 0 || response->status != 202)
            return rc;
    }
    int rc = end_session(upload, response, err);
    return rc < 0 ? rc : response->status == 201 || response->status == 204;
}

/* Whether going on from where the registry says it is may help. */
static bool can_resume(int rc, const struct http_response *response)
{
    return http_is_transient(rc, response) || (rc == 0 && response->status == 416);
}

/* Finds out where the registry stands; begins anew if it has lost the upload. @return 1 when the blob is there */
static int recover(struct upload *upload, struct error *err)
{
    /* The answer to the last request may be all that was lost. */
    int rc = registry_has_blob(upload->registry, &upload->blob->digest, upload->blob->size, err);
    if (rc != 0)
        return rc;
    bool whole = upload->blob->size <= upload->registry->whole_bytes;
    rc = whole ? -ESTALE : ask_session(upload, err);
    return rc == -ESTALE ? begin_session(upload, err) : rc;
}

static int run_upload(struct upload *upload, struct error *err)
{
    struct http_response response = {0};
    int rc = begin_session(upload, err);
    unsigned failures = 0;
    while (rc == 0) {
        uint64_t before = upload->done;
        rc = go_on(upload, &response, err);
        if (rc > 0)
            return 0;
        failures = upload->done > before ? 1 : failures + 1;
        bool stale = rc == 0 && response.status == 404;
        if (failures == REGISTRY_ATTEMPTS_MAX || !(stale || can_resume(rc, &response)))
            return rc < 0 ? rc : registry_status_error(&response, err);
        log_debug("upload of %s: failed (%d, HTTP %d) after %" PRIu64 " bytes", upload->digest, rc, response.status,
                  upload->done);
        registry_wait_before(failures, response.retry_after);
        rc = recover(upload, err);
        if (rc > 0)
            return 0;
    }
    return rc;
}

int registry_put_blob(struct registry *registry, const struct descriptor *blob, int fd, registry_sent *sent,
                      void *context, struct error *err)
{
    struct upload upload = {.registry = registry, .blob = blob, .fd = fd, .sent = sent, .context = context};
    digest_format(&blob->digest, upload.digest);
    int rc = run_upload(&upload, err);
    free(upload.session);
    if (rc < 0)
        return error_context(err, rc, "blob %s", upload.digest);
    advance(&upload, blob->size);
    return 0;
}

/* ---- manifests --------------------------------------------------------------------------------------------------- */

int registry_put_manifest(struct registry *registry, const struct descriptor *document, const char *name,
                          const void *bytes, size_t length, struct error *err)
{
    char digest[DIGEST_TEXT_MAX];
    struct digest known;
    struct http_response response;
    digest_format(&document->digest, digest);
    const struct http_body body = {.bytes = bytes, .length = length, .type = document->media_type};
    const struct http_request request = {.method = HTTP_PUT, .body = &body};
    cleanup_free char *target =
        format_target(err, "/v2/%s/manifests/%s", registry->reference.repository, name ? name : digest);
    if (!target)
        return -ENOMEM;
    int rc = send_patiently(registry, target, &request, &response, err);
    if (rc == 0 && response.status != 201)
        rc = registry_status_error(&response, err);
    if (rc == 0 && digest_parse(&known, response.content_digest, NULL) == 0 &&
        known.algorithm == document->digest.algorithm && !digest_equal(&known, &document->digest))
        rc = error_set(err, EBADMSG, "the registry knows it by another digest, %s", response.content_digest);
    return rc < 0 ? error_context(err, rc, "manifest '%s'", name ? name : digest) : 0;
}
