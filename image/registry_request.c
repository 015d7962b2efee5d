/* SPDX-License-Identifier: Apache-2.0 */
/* One request to a registry: by which scheme, with which authorization, and what its answer means to the user. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "image/http_url.h"
#include "image/json.h"
#include "image/registry_internal.h"

int registry_sink_to_buffer(void *context, const void *bytes, size_t length, struct error *err)
{
    struct buffer *buffer = context;
    buffer_append(buffer, bytes, length);
    return buffer->failed ? error_set(err, ENOMEM, "out of memory for an answer of %zu bytes", length) : 0;
}

/* Doubling from 100 ms, with half of it by chance, so that many
 * clients that failed together do not come back together. */
void registry_wait_before(unsigned attempt, unsigned retry_after)
{
    enum { FIRST_MS = 100 };
    unsigned chance = 0;
    (void)!getrandom(&chance, sizeof chance, GRND_NONBLOCK);
    unsigned ms = (unsigned)FIRST_MS << (attempt - 1);
    ms = ms / 2 + chance % (ms / 2 + 1);
    if (retry_after > REGISTRY_RETRY_AFTER_SECONDS_MAX)
        retry_after = REGISTRY_RETRY_AFTER_SECONDS_MAX;
    if (ms < retry_after * 1000)
        ms = retry_after * 1000;
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        ;
}

/* ---- plain or not ------------------------------------------------------------------------------------------------ */

/* What TLS servers make of plain HTTP: Go's, nginx' and Apache's say so, others send an alert or hang up. */
static bool wants_tls(int rc, const struct http_response *response)
{
    if (rc < 0)
        return rc == -EPROTO || (rc == -ECONNRESET && response->status == 0);
    return response->status == 400 && (strstr(response->detail, "HTTPS") || strstr(response->detail, "SSL"));
}

static int set_origin(struct registry *registry, const char *scheme, struct error *err)
{
    char *origin;
    const char *authority = strstr(registry->origin, "://") + 3;
    if (asprintf(&origin, "%s://%s", scheme, authority) < 0)
        return error_set(err, ENOMEM, "out of memory for a URL");
    free(registry->origin);
    registry->origin = origin;
    return 0;
}

/* ---- sending ----------------------------------------------------------------------------------------------------- */

static int perform(struct registry *registry, const char *target, const struct http_request *request,
                   struct http_response *response, struct error *err)
{
    cleanup_free char *url = NULL;
    if (asprintf(&url, "%s%s", target[0] == '/' ? registry->origin : "", target) < 0) {
        url = NULL;
        return error_set(err, ENOMEM, "out of memory for a URL");
    }
    /* A place that the registry sends us to must be as safe as itself. */
    if (http_url_is(registry->origin, "https") && !http_url_is(url, "https"))
        return error_set(err, EPROTO, "the registry leads from https to plain http, which is not followed");
    struct http_request sent = *request;
    sent.url = url;
    sent.authorization = http_url_same_origin(url, registry->origin) ? registry->authorization : NULL;
    int rc = http_perform(registry->http, &sent, response, err);
    if (!http_url_same_origin(url, registry->origin))
        response->redirected = true;
    return rc;
}

/* An answer to HEAD has no words: the same server is asked once more for some. */
static bool head_wants_tls(struct registry *registry)
{
    struct http_response response;
    const struct http_request request = {.method = HTTP_GET};
    int rc = perform(registry, "/v2/", &request, &response, NULL);
    return wants_tls(rc, &response);
}

/* Sends; settles the scheme if that is still open. */
static int perform_by_scheme(struct registry *registry, const char *target, const struct http_request *request,
                             struct http_response *response, struct error *err)
{
    int rc = perform(registry, target, request, response, err);
    if (!registry->scheme_open || target[0] != '/')
        return rc;
    bool tls_wanted = rc == 0 && request->method == HTTP_HEAD && response->status == 400 ? head_wants_tls(registry)
                                                                                         : wants_tls(rc, response);
    if (!tls_wanted) {
        registry->scheme_open = rc < 0;
        return rc;
    }

    struct http_response first = *response;
    struct error why = err ? *err : (struct error){0};
    if (set_origin(registry, "https", err) < 0)
        return rc;
    int tls = perform(registry, target, request, response, err);
    if (tls != -EPROTOTYPE && tls != -ECONNRESET && tls != -ETIMEDOUT) {
        registry->scheme_open = false;
        log_debug("%s speaks TLS", registry->origin);
        return tls;
    }
    *response = first;
    if (err)
        *err = why;
    int back = set_origin(registry, "http", err);
    return back < 0 ? back : rc;
}

int registry_send(struct registry *registry, const char *target, const struct http_request *request,
                  struct http_response *response, struct error *err)
{
    for (bool fresh = false;; fresh = true) {
        int rc = perform_by_scheme(registry, target, request, response, err);
        if (rc < 0 || response->status != 401 || fresh)
            return rc;
        rc = registry_authorise(registry, response, err);
        if (rc <= 0)
            return rc;
    }
}

/* ---- what a status means ----------------------------------------------------------------------------------------- */

static const struct meaning {
    int status;
    int code;
    const char *words;
} meanings[] = {
    {401, EACCES, "the registry wants a login for it, see 'hull login' (or it does not exist)"},
    {403, EACCES, "the registry refuses"},
    {404, ENOENT, "the registry does not have it: check the name and the tag"},
    {416, EBADMSG, "it is shorter there than it should be"},
    {429, EBUSY, "the registry asks for fewer requests: wait some minutes"},
};

bool registry_is_web_page(const struct http_response *response)
{
    return strncasecmp(response->content_type, "text/html", strlen("text/html")) == 0;
}

/* The registry's own words: {"errors":[{"message":"..."}]} (distribution-spec, "Error Codes"), or the first line of
 * plain text; "" for anything else. */
static void registry_words(const struct http_response *response, char *words, size_t size)
{
    cleanup_json json_t *answer = NULL;
    const char *detail = response->detail;
    const char *message = NULL;
    if (json_parse_object(&answer, detail, strlen(detail), NULL) == 0)
        message = json_string_value(json_object_get(json_array_get(json_object_get(answer, "errors"), 0), "message"));
    else if (!registry_is_web_page(response))
        message = detail;
    words[0] = '\0';
    if (message && message[0])
        (void)snprintf(words, size, " (%.*s)", (int)strcspn(message, "\r\n"), message);
}

int registry_status_error(const struct http_response *response, struct error *err)
{
    char words[160];
    registry_words(response, words, sizeof words);
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++)
        if (meanings[i].status == response->status)
            return error_set(err, meanings[i].code, "%s%s", meanings[i].words, words);
    return error_set(err, EPROTO, "the registry answers with HTTP status %d%s", response->status, words);
}
