/* SPDX-License-Identifier: Apache-2.0 */
/* The registry client: URLs, tokens, repeated attempts, and what each status means to the user. */
#include "image/registry.h"

#include <errno.h>
#include <inttypes.h>
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
#include "image/auth_header.h"
#include "image/http.h"
#include "image/http_url.h"
#include "image/json.h"

#define DOCKER_HOST    "docker.io"
#define DOCKER_SERVER  "registry-1.docker.io"
#define INSECURE_HOSTS "HULL_INSECURE_REGISTRIES"

#define ACCEPT_MANIFESTS                                                                                               \
    MEDIA_TYPE_OCI_INDEX                                                                                               \
    ", " MEDIA_TYPE_DOCKER_INDEX ", " MEDIA_TYPE_OCI_MANIFEST ", " MEDIA_TYPE_DOCKER_MANIFEST

struct registry {
    struct http *http;
    struct reference reference;
    char *base;          /**< "https://host/v2/repository" */
    char *authorization; /**< "Bearer ..."; NULL = none yet */
};

/* Whether a comma-separated list holds a host. */
static bool list_has(const char *list, const char *host)
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

int registry_new(struct registry **registry, const struct reference *reference, struct error *err)
{
    struct registry *made = calloc(1, sizeof *made);
    if (!made)
        return error_set(err, ENOMEM, "out of memory for a registry client");
    made->reference = *reference;

    const char *host = reference->host;
    bool plain = http_host_is_loopback(host) || list_has(getenv(INSECURE_HOSTS), host);
    int rc = 0;
    if (asprintf(&made->base, "%s://%s/v2/%s", plain ? "http" : "https",
                 strcmp(host, DOCKER_HOST) == 0 ? DOCKER_SERVER : host, reference->repository) < 0) {
        made->base = NULL;
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
    free(registry->base);
    free(registry->authorization);
    free(registry);
}

/* ---- tokens ------------------------------------------------------------------------------------------------------ */

static int sink_to_buffer(void *context, const void *bytes, size_t length, struct error *err)
{
    struct buffer *buffer = context;
    buffer_append(buffer, bytes, length);
    return buffer->failed ? error_set(err, ENOMEM, "out of memory for an answer of %zu bytes", length) : 0;
}

/* A token goes into a header line, so it must be one word. */
static bool token_valid(const char *token)
{
    size_t length = strnlen(token, REGISTRY_TOKEN_BYTES_MAX + 1);
    for (size_t i = 0; i < length; i++)
        if (token[i] <= ' ' || token[i] > '~')
            return false;
    return length > 0 && length <= REGISTRY_TOKEN_BYTES_MAX;
}

/* Takes the token out of a token server's answer: "token", or OAuth2's "access_token". */
static int take_token(struct registry *registry, const struct buffer *body, struct error *err)
{
    cleanup_json json_t *answer = NULL;
    const char *token = "";
    int rc = json_parse_object(&answer, (const char *)body->bytes, body->length, err);
    if (rc == 0)
        rc = json_member_text(answer, "token", REGISTRY_TOKEN_BYTES_MAX, &token, err);
    if (rc == 0 && !token[0])
        rc = json_member_text(answer, "access_token", REGISTRY_TOKEN_BYTES_MAX, &token, err);
    if (rc < 0)
        return rc;
    if (!token_valid(token))
        return error_set(err, EBADMSG, "an answer without a usable token");

    char *authorization;
    if (asprintf(&authorization, "Bearer %s", token) < 0)
        return error_set(err, ENOMEM, "out of memory for a token");
    free(registry->authorization);
    registry->authorization = authorization;
    return 0;
}

/* Gets a token for anybody from the place that a challenge names. */
static int fetch_token(struct registry *registry, const struct auth_challenge *challenge, struct error *err)
{
    if (!http_url_is(challenge->realm, "https") &&
        !(http_url_is(challenge->realm, "http") && http_url_is(registry->base, "http")))
        return error_set(err, EPROTO, "'%.100s' is no place to ask for a token over a safe line", challenge->realm);

    char scope[AUTH_PARAMETER_MAX + 1];
    if (challenge->scope[0])
        memcpy(scope, challenge->scope, sizeof scope);
    else
        (void)snprintf(scope, sizeof scope, "repository:%s:pull", registry->reference.repository);
    const char *const query[][2] = {{"scope", scope}, {"service", challenge->service}};
    cleanup_free char *url = http_url_with_query(challenge->realm, query, challenge->service[0] ? 2 : 1);
    if (!url)
        return error_set(err, ENOMEM, "out of memory for a URL");

    enum { ANSWER_BYTES_MAX = 64 << 10 };
    cleanup_buffer struct buffer body = BUFFER_INIT(ANSWER_BYTES_MAX);
    struct http_request request = {.url = url, .max = ANSWER_BYTES_MAX, .sink = sink_to_buffer, .context = &body};
    struct http_response response;
    int rc = http_get(registry->http, &request, &response, err);
    if (rc < 0)
        return rc;
    if (response.status != 200)
        return error_set(err, response.status == 401 || response.status == 403 ? EACCES : EPROTO,
                         "'%.100s' gives no token to anybody (HTTP %d)", challenge->realm, response.status);
    rc = take_token(registry, &body, err);
    return rc < 0 ? error_context(err, rc, "token server '%.100s'", challenge->realm) : 0;
}

/* Answers a 401. @return 1 when asking again may help now, 0 when not, or -errno */
static int authorise(struct registry *registry, const struct http_response *response, struct error *err)
{
    struct auth_challenge challenges[AUTH_CHALLENGES_MAX];
    size_t count = auth_header_parse(challenges, response->authenticate);
    const struct auth_challenge *bearer = auth_header_find(challenges, count, "bearer");
    if (!bearer)
        return 0;
    int rc = fetch_token(registry, bearer, err);
    return rc < 0 ? rc : 1;
}

/* ---- one document or blob, in as many attempts as it takes
 * ------------------------------------------------------------ */

/* What is being fetched. */
struct fetch {
    const char *url;
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

/* Before attempt @p attempt (1 = the first repetition): doubling from 100 ms, with half of it by chance, so that many
 * clients that failed together do not come back together. */
static void wait_before(unsigned attempt, unsigned retry_after)
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

/* One attempt, with a token if the registry wants one. */
static int attempt_once(struct registry *registry, struct fetch *fetch, struct http_response *response,
                        struct error *err)
{
    for (bool fresh = false;; fresh = true) {
        struct http_request request = {.url = fetch->url,
                                       .accept = fetch->accept,
                                       .authorization = registry->authorization,
                                       .offset = fetch->delivered,
                                       .max = fetch->max - fetch->delivered,
                                       .sink = count_and_pass,
                                       .context = fetch};
        int rc = http_get(registry->http, &request, response, err);
        if (rc < 0 || response->status != 401 || fresh)
            return rc;
        rc = authorise(registry, response, err);
        if (rc <= 0)
            return rc;
    }
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
        log_debug("%s: attempt %u failed (%d, HTTP %d) after %" PRIu64 " bytes", fetch->url, attempt, rc,
                  response->status, fetch->delivered);
        wait_before(attempt, response->retry_after);
    }
}

/* ---- what a status means
 * ----------------------------------------------------------------------------------------------- */

static const struct meaning {
    int status;
    int code;
    const char *words;
} meanings[] = {
    {401, EACCES, "the registry wants a login for it (or it does not exist)"},
    {403, EACCES, "the registry refuses"},
    {404, ENOENT, "the registry does not have it: check the name and the tag"},
    {416, EBADMSG, "it is shorter there than it should be"},
    {429, EBUSY, "the registry asks for fewer requests: wait some minutes"},
};

static bool is_web_page(const struct http_response *response)
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
    else if (!is_web_page(response))
        message = detail;
    words[0] = '\0';
    if (message && message[0])
        (void)snprintf(words, size, " (%.*s)", (int)strcspn(message, "\r\n"), message);
}

static int status_error(const struct http_response *response, struct error *err)
{
    char words[160];
    registry_words(response, words, sizeof words);
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++)
        if (meanings[i].status == response->status)
            return error_set(err, meanings[i].code, "%s%s", meanings[i].words, words);
    return error_set(err, EPROTO, "the registry answers with HTTP status %d%s", response->status, words);
}

/* ---- manifests and blobs
 * ------------------------------------------------------------------------------------------------- */

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

static int get_manifest(struct registry *registry, const struct digest *digest, const char *url, struct buffer *body,
                        struct descriptor *document, struct error *err)
{
    struct fetch fetch = {.url = url,
                          .accept = ACCEPT_MANIFESTS,
                          .max = MANIFEST_BYTES_MAX,
                          .sink = sink_to_buffer,
                          .context = body,
                          .whole = body};
    struct http_response response;
    int rc = fetch_with_retries(registry, &fetch, &response, err);
    if (rc < 0)
        return rc;
    if (response.status != 200)
        return status_error(&response, err);
    if (is_web_page(&response))
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
    cleanup_free char *url = NULL;
    if (asprintf(&url, "%s/manifests/%s", registry->base, version) < 0) {
        url = NULL;
        return error_set(err, ENOMEM, "out of memory for a URL");
    }
    int rc = get_manifest(registry, digest, url, body, document, err);
    return rc < 0 ? error_context(err, rc, "manifest '%s'", version) : 0;
}

int registry_get_blob(struct registry *registry, const struct descriptor *blob, uint64_t offset, registry_sink *sink,
                      void *context, struct error *err)
{
    char digest[DIGEST_TEXT_MAX];
    digest_format(&blob->digest, digest);
    cleanup_free char *url = NULL;
    if (asprintf(&url, "%s/blobs/%s", registry->base, digest) < 0) {
        url = NULL;
        return error_set(err, ENOMEM, "out of memory for a URL");
    }

    struct fetch fetch = {.url = url, .max = blob->size, .sink = sink, .context = context, .delivered = offset};
    struct http_response response;
    int rc = fetch_with_retries(registry, &fetch, &response, err);
    if (rc == 0 && response.status != 200 && response.status != 206)
        rc = status_error(&response, err);
    else if (rc == 0 && fetch.delivered != blob->size)
        rc = error_set(err, EBADMSG, "the registry sends only %" PRIu64 " of %" PRIu64 " bytes", fetch.delivered,
                       blob->size);
    return rc < 0 ? error_context(err, rc, "blob %s", digest) : 0;
}
