/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP GET over libcurl's easy interface. */
#include "image/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/http_url.h"

struct http {
    CURL *curl;
    char curl_error[CURL_ERROR_SIZE];
};

/* One answer on its way in. */
struct transfer {
    CURL *curl;
    const struct http_request *request;
    struct http_response *response;
    struct error *err;
    int rc; /* why we ended it; 0 = we did not */
    size_t header_bytes;
    uint64_t body_bytes; /* of this answer */
    uint64_t range_start;
    bool range_told; /* Content-Range was there and understood */
};

int http_new(struct http **http, struct error *err)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return error_set(err, ENOMEM, "libcurl does not start");
    struct http *made = calloc(1, sizeof *made);
    if (made)
        made->curl = curl_easy_init();
    if (!made || !made->curl) {
        free(made);
        curl_global_cleanup();
        return error_set(err, ENOMEM, "out of memory for an HTTP client");
    }
    *http = made;
    return 0;
}

void http_free(struct http *http)
{
    if (!http)
        return;
    curl_easy_cleanup(http->curl);
    free(http);
    curl_global_cleanup();
}

bool http_host_is_loopback(const char *host)
{
    char name[INET6_ADDRSTRLEN + 1];
    struct in_addr v4;
    struct in6_addr v6;
    bool bracketed = host[0] == '[';
    host += bracketed;
    size_t length = strcspn(host, bracketed ? "]" : ":");
    if (length >= sizeof name)
        return false;
    memcpy(name, host, length);
    name[length] = '\0';

    if (bracketed)
        return inet_pton(AF_INET6, name, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
    if (inet_pton(AF_INET, name, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return strcasecmp(name, "localhost") == 0;
}

static bool is_success(int status)
{
    return status == 200 || status == 206;
}

/* ---- the answer's headers ---------------------------------------------------------------------------------------- */

/* Copies a header's value, without the white space around it; appends to what is there, or begins anew. */
static void copy_value(char *to, size_t size, const char *value, size_t length, bool append)
{
    size_t used = append ? strlen(to) : 0;
    const char *separator = used ? ", " : "";
    /* One that does not fit is dropped whole: half a challenge or a digest would be another one. */
    if (used + strlen(separator) + length >= size)
        return;
    (void)snprintf(to + used, size - used, "%s%.*s", separator, (int)length, value);
}

static void take_content_range(struct transfer *transfer, const char *value, size_t length)
{
    static const char unit[] = "bytes ";
    char text[64];
    char *end;
    if (length >= sizeof text)
        return;
    memcpy(text, value, length);
    text[length] = '\0';
    if (strncmp(text, unit, strlen(unit)) != 0 || text[strlen(unit)] < '0' || text[strlen(unit)] > '9')
        return;
    errno = 0;
    transfer->range_start = strtoull(text + strlen(unit), &end, 10);
    transfer->range_told = errno == 0 && *end == '-';
}

static void take_retry_after(struct http_response *response, const char *value, size_t length)
{
    enum { SECONDS_MAX = 3600 };
    unsigned seconds = 0;
    for (size_t i = 0; i < length && value[i] >= '0' && value[i] <= '9' && seconds < SECONDS_MAX; i++)
        seconds = seconds * 10 + (unsigned)(value[i] - '0');
    response->retry_after = seconds;
}

static void take_header(struct transfer *transfer, const char *name, size_t name_length, const char *value,
                        size_t length)
{
    struct http_response *response = transfer->response;
    const struct {
        const char *name;
        char *to;
        size_t size;
        bool append;
    } texts[] = {
        {"content-type", response->content_type, sizeof response->content_type, false},
        {"docker-content-digest", response->content_digest, sizeof response->content_digest, false},
        {"www-authenticate", response->authenticate, sizeof response->authenticate, true},
    };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (strlen(texts[i].name) == name_length && strncasecmp(texts[i].name, name, name_length) == 0)
            copy_value(texts[i].to, texts[i].size, value, length, texts[i].append);
    if (name_length == strlen("content-range") && strncasecmp(name, "content-range", name_length) == 0)
        take_content_range(transfer, value, length);
    if (name_length == strlen("retry-after") && strncasecmp(name, "retry-after", name_length) == 0)
        take_retry_after(response, value, length);
}

static size_t on_header(char *line, size_t one, size_t length, void *context)
{
    struct transfer *transfer = context;
    (void)one;
    transfer->header_bytes += length;
    if (transfer->header_bytes > HTTP_HEADERS_MAX) {
        transfer->rc =
            error_set(transfer->err, EPROTO, "an answer with more than %d bytes of headers", HTTP_HEADERS_MAX);
        return 0;
    }
    /* A status line begins an answer: what an interim one (100 Continue) said is void. */
    if (length >= 5 && memcmp(line, "HTTP/", 5) == 0) {
        *transfer->response = (struct http_response){0};
        return length;
    }

    const char *colon = memchr(line, ':', length);
    if (!colon)
        return length;
    const char *value = colon + 1;
    const char *end = line + length;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' ' || end[-1] == '\t'))
        end--;
    /* A NUL would end our copy early and make it another value. */
    if (!memchr(value, '\0', (size_t)(end - value)))
        take_header(transfer, line, (size_t)(colon - line), value, (size_t)(end - value));
    return length;
}

/* ---- the answer's body ------------------------------------------------------------------------------------------- */

/* Once per answer, before its first byte: is this the range that was asked for? */
static int check_range(struct transfer *transfer, int status)
{
    uint64_t offset = transfer->request->offset;
    if (status == 206 && (!transfer->range_told || transfer->range_start != offset))
        return error_set(transfer->err, EBADMSG, "asked for the bytes from %" PRIu64 " on, got others", offset);
    return 0;
}

static int take_body(struct transfer *transfer, const char *bytes, size_t length)
{
    const struct http_request *request = transfer->request;
    long status = 0;
    curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status);

    if (!is_success((int)status)) {
        size_t used = strlen(transfer->response->detail);
        size_t room = sizeof transfer->response->detail - 1 - used;
        (void)snprintf(transfer->response->detail + used, room + 1, "%.*s", (int)(length < room ? length : room),
                       bytes);
        return 0;
    }
    if (transfer->body_bytes == 0) {
        int rc = check_range(transfer, (int)status);
        if (rc < 0)
            return rc;
    }

    /* A server that ignores the Range header sends it all again; what we have is passed over. */
    uint64_t skip = status == 200 ? request->offset : 0;
    uint64_t before = transfer->body_bytes;
    transfer->body_bytes += length;
    if (transfer->body_bytes <= skip)
        return 0;
    size_t passed = before < skip ? (size_t)(skip - before) : 0;
    if (transfer->body_bytes - skip > request->max)
        return error_set(transfer->err, EBADMSG, "the registry sends more than the %" PRIu64 " bytes there should be",
                         request->offset + request->max);
    return request->sink(request->context, bytes + passed, length - passed, transfer->err);
}

static size_t on_body(char *bytes, size_t one, size_t length, void *context)
{
    struct transfer *transfer = context;
    (void)one;
    transfer->rc = length ? take_body(transfer, bytes, length) : 0;
    return transfer->rc < 0 ? 0 : length;
}

/* ---- failures ---------------------------------------------------------------------------------------------------- */

/* What libcurl's codes mean for the user. Code 0 stands for the system's own, from the socket. */
static const struct failure {
    CURLcode curl_code;
    int code;
    const char *words;
} failures[] = {
    {CURLE_COULDNT_RESOLVE_HOST, EHOSTUNREACH, "its address can't be found: is the name right, is there a network?"},
    {CURLE_COULDNT_RESOLVE_PROXY, EHOSTUNREACH, "the proxy's address can't be found: look at HTTPS_PROXY"},
    {CURLE_COULDNT_CONNECT, 0, "cannot connect"},
    {CURLE_OPERATION_TIMEDOUT, ETIMEDOUT, "it does not answer, or stopped in the middle"},
    {CURLE_PARTIAL_FILE, ECONNRESET, "it closed the connection in the middle"},
    {CURLE_RECV_ERROR, ECONNRESET, "the connection was lost"},
    {CURLE_SEND_ERROR, ECONNRESET, "the connection was lost"},
    {CURLE_GOT_NOTHING, ECONNRESET, "it closed the connection without an answer"},
    {CURLE_HTTP2, ECONNRESET, "HTTP/2 failed"},
    {CURLE_HTTP2_STREAM, ECONNRESET, "HTTP/2 failed"},
    {CURLE_SSL_CONNECT_ERROR, EPROTO,
     "no TLS there; if that registry is meant to speak plain HTTP, name it in HULL_INSECURE_REGISTRIES"},
    {CURLE_PEER_FAILED_VERIFICATION, EPROTO,
     "its certificate is not trusted; if it is yours, add its CA with update-ca-certificates"},
    {CURLE_UNSUPPORTED_PROTOCOL, EPROTO, "that is no HTTP server"},
    {CURLE_WEIRD_SERVER_REPLY, EPROTO, "that is no HTTP server"},
    {CURLE_OUT_OF_MEMORY, ENOMEM, "out of memory"},
};

static int set_failure(const struct http *http, CURLcode curl_code, const char *url, struct error *err)
{
    char origin[HTTP_ORIGIN_MAX];
    http_url_origin(url, origin);

    const struct failure *failure = NULL;
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++)
        if (failures[i].curl_code == curl_code)
            failure = &failures[i];
    if (!failure)
        return error_set(err, EPROTO, "%s: %s", origin,
                         http->curl_error[0] ? http->curl_error : curl_easy_strerror(curl_code));
    if (failure->code)
        return error_set(err, failure->code, "%s: %s%s%s%s", origin, failure->words, http->curl_error[0] ? " (" : "",
                         http->curl_error, http->curl_error[0] ? ")" : "");

    long code = 0;
    curl_easy_getinfo(http->curl, CURLINFO_OS_ERRNO, &code);
    if (code == ECONNREFUSED)
        return error_set(err, ECONNREFUSED, "%s: connection refused: is the registry running there?", origin);
    return error_set_errno(err, code > 0 ? (int)code : EHOSTUNREACH, "%s: %s", origin, failure->words);
}

bool http_is_transient(int rc, const struct http_response *response)
{
    if (rc < 0)
        return rc == -ECONNRESET || rc == -ETIMEDOUT;
    static const int later[] = {408, 429, 500, 502, 503, 504};
    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++)
        if (response->status == later[i])
            return true;
    return false;
}

/* ---- one request, and the chain of its redirects ----------------------------------------------------------------- */

static bool append_header(struct curl_slist **list, const char *name, const char *value)
{
    cleanup_free char *line = NULL;
    if (asprintf(&line, "%s: %s", name, value) < 0) {
        line = NULL;
        return false;
    }
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (longer)
        *list = longer;
    return longer != NULL;
}

static void set_options(struct http *http, struct transfer *transfer, const char *url, struct curl_slist *headers)
{
    enum { RECEIVE_BYTES = 256 << 10 };
    CURL *curl = http->curl;
    char host[HTTP_ORIGIN_MAX];
    curl_easy_reset(curl); /* keeps the connections */
    http->curl_error[0] = '\0';
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, http->curl_error);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "hull/" HULL_VERSION);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)HTTP_CONNECT_SECONDS_MAX);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)HTTP_STALL_SECONDS_MAX);
    curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, (long)RECEIVE_BYTES);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer);
    if (http_url_host(url, host) && http_host_is_loopback(host))
        curl_easy_setopt(curl, CURLOPT_NOPROXY, "*"); /* a proxy's loopback is another machine's */
}

/* One request and its answer, a redirect being an answer like any other. */
static int get_once(struct http *http, const struct http_request *request, const char *url, bool authorised,
                    struct http_response *response, struct error *err)
{
    struct transfer transfer = {.curl = http->curl, .request = request, .response = response, .err = err};
    struct curl_slist *headers = NULL;
    bool complete = true;
    if (request->accept)
        complete = append_header(&headers, "Accept", request->accept);
    if (complete && authorised)
        complete = append_header(&headers, "Authorization", request->authorization);
    if (complete && request->offset > 0) {
        char range[64];
        (void)snprintf(range, sizeof range, "bytes=%" PRIu64 "-", request->offset);
        complete = append_header(&headers, "Range", range);
    }
    if (!complete) {
        curl_slist_free_all(headers);
        return error_set(err, ENOMEM, "out of memory for an HTTP request");
    }

    *response = (struct http_response){0};
    set_options(http, &transfer, url, headers);
    CURLcode curl_code = curl_easy_perform(http->curl);
    long status = 0;
    curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &status);
    response->status = (int)status;

    int rc = 0;
    if (transfer.rc < 0)
        rc = transfer.rc;
    else if (curl_code != CURLE_OK)
        rc = set_failure(http, curl_code, url, err);
    curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    return rc;
}

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* Where an answer sends us: absolute, http or https, never from TLS to plain text. */
static int redirect_target(const struct http *http, const char *from, char to[static HTTP_URL_MAX], struct error *err)
{
    const char *location = NULL;
    char origin[HTTP_ORIGIN_MAX];
    http_url_origin(from, origin);
    curl_easy_getinfo(http->curl, CURLINFO_REDIRECT_URL, &location);
    if (!location || !location[0])
        return error_set(err, EPROTO, "%s: a redirect that does not say where to", origin);
    if (strlen(location) >= HTTP_URL_MAX)
        return error_set(err, EPROTO, "%s: a redirect to a URL of more than %d bytes", origin, HTTP_URL_MAX - 1);
    if (!http_url_is(location, "http") && !http_url_is(location, "https"))
        return error_set(err, EPROTO, "%s: a redirect to '%.100s': only http and https are followed", origin, location);
    if (http_url_is(from, "https") && !http_url_is(location, "https"))
        return error_set(err, EPROTO, "%s: a redirect from https to plain http is not followed", origin);
    memcpy(to, location, strlen(location) + 1);
    return 0;
}

int http_get(struct http *http, const struct http_request *request, struct http_response *response, struct error *err)
{
    char url[HTTP_URL_MAX];
    if (strlen(request->url) >= sizeof url)
        return error_set(err, EINVAL, "a URL of more than %d bytes", HTTP_URL_MAX - 1);
    memcpy(url, request->url, strlen(request->url) + 1);

    for (int hop = 0; hop <= HTTP_REDIRECTS_MAX; hop++) {
        bool authorised = request->authorization && http_url_same_origin(url, request->url);
        int rc = get_once(http, request, url, authorised, response, err);
        if (rc < 0 || !is_redirect(response->status))
            return rc;
        char next[HTTP_URL_MAX];
        rc = redirect_target(http, url, next, err);
        if (rc < 0)
            return rc;
        memcpy(url, next, strlen(next) + 1);
    }
    return error_set(err, EPROTO, "more than %d redirects: it leads round in circles", HTTP_REDIRECTS_MAX);
}
