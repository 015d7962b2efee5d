/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP over libcurl's easy interface. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/http_internal.h"
#include "image/http_trust.h"
#include "image/http_url.h"

struct http {
    CURL *curl;
    char curl_error[CURL_ERROR_SIZE];
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
    {CURLE_SSL_CONNECT_ERROR, EPROTOTYPE,
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

static const struct method {
    const char *name;
    bool has_body;
} methods[] = {
    [HTTP_GET] = {"GET", false}, [HTTP_HEAD] = {"HEAD", false},  [HTTP_POST] = {"POST", true},
    [HTTP_PUT] = {"PUT", true},  [HTTP_PATCH] = {"PATCH", true}, [HTTP_DELETE] = {"DELETE", false},
};

/* libcurl's callback that takes the next bytes of the request's body. */
static size_t on_send(char *bytes, size_t one, size_t room, void *context)
{
    struct transfer *transfer = context;
    const struct http_body *body = transfer->request->body;
    uint64_t left = body ? body->length - transfer->sent_bytes : 0;
    size_t length = left < one * room ? (size_t)left : one * room;
    if (length == 0)
        return 0;
    if (body->bytes) {
        memcpy(bytes, (const char *)body->bytes + transfer->sent_bytes, length);
    } else {
        ssize_t got = pread(body->fd, bytes, length, (off_t)(body->offset + transfer->sent_bytes));
        if (got <= 0) {
            transfer->rc = got < 0 ? error_set_errno(transfer->err, errno, "cannot read what is to be sent")
                                   : error_set(transfer->err, EIO, "what is to be sent has become shorter");
            return CURL_READFUNC_ABORT;
        }
        length = (size_t)got;
    }
    transfer->sent_bytes += length;
    return length;
}

/* libcurl begins anew when a kept connection turns out to be dead. */
static int on_rewind(void *context, curl_off_t offset, int origin)
{
    struct transfer *transfer = context;
    if (origin != SEEK_SET || offset < 0)
        return CURL_SEEKFUNC_CANTSEEK;
    transfer->sent_bytes = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

static void set_method(CURL *curl, struct transfer *transfer)
{
    const struct http_request *request = transfer->request;
    const struct method *method = &methods[request->method];
    long patience = method->has_body ? HTTP_STORE_SECONDS_MAX : HTTP_STALL_SECONDS_MAX;
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, patience);
    if (request->method == HTTP_HEAD)
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    else if (request->method != HTTP_GET)
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method->name);
    if (!method->has_body)
        return;
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)(request->body ? request->body->length : 0));
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_send);
    curl_easy_setopt(curl, CURLOPT_READDATA, transfer);
    curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, on_rewind);
    curl_easy_setopt(curl, CURLOPT_SEEKDATA, transfer);
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
    curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, (long)RECEIVE_BYTES);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, http_answer_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, http_answer_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer);
    set_method(curl, transfer);
    http_trust_set(curl, url);
    if (http_url_host(url, host) && http_host_is_loopback(host))
        curl_easy_setopt(curl, CURLOPT_NOPROXY, "*"); /* a proxy's loopback is another machine's */
}

static bool append_headers(struct curl_slist **list, const struct http_request *request, bool authorised)
{
    const struct http_body *body = request->body;
    char range[64] = "";
    if (request->offset > 0)
        (void)snprintf(range, sizeof range, "bytes=%" PRIu64 "-", request->offset);
    const struct {
        const char *name, *value;
    } headers[] = {
        {"Accept", request->accept},
        {"Authorization", authorised ? request->authorization : NULL},
        {"Range", range[0] ? range : NULL},
        {"Content-Type", body ? body->type : NULL},
        {"Content-Range", body ? body->range : NULL},
    };
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        if (headers[i].value && !append_header(list, headers[i].name, headers[i].value))
            return false;
    return true;
}

/* One request and its answer, a redirect being an answer like any other. */
static int perform_once(struct http *http, const struct http_request *request, const char *url, bool authorised,
                        struct http_response *response, struct error *err)
{
    struct transfer transfer = {.curl = http->curl, .request = request, .response = response, .err = err};
    struct curl_slist *headers = NULL;
    if (!append_headers(&headers, request, authorised)) {
        curl_slist_free_all(headers);
        return error_set(err, ENOMEM, "out of memory for an HTTP request");
    }

    *response = (struct http_response){0};
    set_options(http, &transfer, url, headers);
    CURLcode curl_code = curl_easy_perform(http->curl);
    long status = 0;
    curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &status);
    response->status = (int)status;
    curl_off_t length = -1;
    curl_easy_getinfo(http->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    response->length = length < 0 ? UINT64_MAX : (uint64_t)length;

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

int http_perform(struct http *http, const struct http_request *request, struct http_response *response,
                 struct error *err)
{
    char url[HTTP_URL_MAX];
    if (strlen(request->url) >= sizeof url)
        return error_set(err, EINVAL, "a URL of more than %d bytes", HTTP_URL_MAX - 1);
    memcpy(url, request->url, strlen(request->url) + 1);

    for (int hop = 0; hop <= HTTP_REDIRECTS_MAX; hop++) {
        bool same_origin = http_url_same_origin(url, request->url);
        if (hop > 0 && !same_origin && request->method != HTTP_GET && request->method != HTTP_HEAD)
            return error_set(err, EPROTO, "a redirect to another server, to which nothing is sent");
        int rc = perform_once(http, request, url, same_origin && request->authorization, response, err);
        response->redirected = !same_origin;
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
