/* SPDX-License-Identifier: Apache-2.0 */
/* URLs through libcurl's parser. */
#include "image/http_url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#include "base/cleanup.h"

/* What makes an origin; allocated by libcurl. */
struct origin {
    char *scheme;
    char *host;
    char *port;
};

static void origin_done(struct origin *origin)
{
    curl_free(origin->scheme);
    curl_free(origin->host);
    curl_free(origin->port);
}

static bool origin_parse(struct origin *origin, const char *url)
{
    *origin = (struct origin){0};
    CURLU *parsed = curl_url();
    bool valid = parsed && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
                 curl_url_get(parsed, CURLUPART_SCHEME, &origin->scheme, 0) == CURLUE_OK &&
                 curl_url_get(parsed, CURLUPART_HOST, &origin->host, 0) == CURLUE_OK &&
                 curl_url_get(parsed, CURLUPART_PORT, &origin->port, CURLU_DEFAULT_PORT) == CURLUE_OK;
    curl_url_cleanup(parsed);
    return valid;
}

bool http_url_is(const char *url, const char *scheme)
{
    struct origin origin;
    bool is = origin_parse(&origin, url) && strcasecmp(origin.scheme, scheme) == 0;
    origin_done(&origin);
    return is;
}

bool http_url_same_origin(const char *a, const char *b)
{
    struct origin one;
    struct origin other;
    bool one_valid = origin_parse(&one, a);
    bool other_valid = origin_parse(&other, b);
    bool same = one_valid && other_valid && strcasecmp(one.scheme, other.scheme) == 0 &&
                strcasecmp(one.host, other.host) == 0 && strcmp(one.port, other.port) == 0;
    origin_done(&one);
    origin_done(&other);
    return same;
}

void http_url_origin(const char *url, char text[static HTTP_ORIGIN_MAX])
{
    struct origin origin;
    if (origin_parse(&origin, url))
        (void)snprintf(text, HTTP_ORIGIN_MAX, "%s://%s:%s", origin.scheme, origin.host, origin.port);
    else
        (void)snprintf(text, HTTP_ORIGIN_MAX, "an invalid URL");
    origin_done(&origin);
}

bool http_url_host(const char *url, char text[static HTTP_ORIGIN_MAX])
{
    struct origin origin;
    bool valid = origin_parse(&origin, url) && strlen(origin.host) < HTTP_ORIGIN_MAX;
    if (valid)
        memcpy(text, origin.host, strlen(origin.host) + 1);
    origin_done(&origin);
    return valid;
}

bool http_url_authority(const char *url, char text[static HTTP_ORIGIN_MAX])
{
    char *host = NULL;
    char *port = NULL;
    CURLU *parsed = curl_url();
    bool valid = parsed && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
                 curl_url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK;
    if (valid)
        (void)curl_url_get(parsed, CURLUPART_PORT, &port, 0);
    int length = valid ? snprintf(text, HTTP_ORIGIN_MAX, "%s%s%s", host, port ? ":" : "", port ? port : "") : -1;
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(parsed);
    return length > 0 && length < HTTP_ORIGIN_MAX;
}

char *http_url_resolve(const char *url, const char *location)
{
    char *text = NULL;
    char *copy = NULL;
    CURLU *parsed = curl_url();
    if (parsed && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_set(parsed, CURLUPART_URL, location, 0) == CURLUE_OK &&
        curl_url_get(parsed, CURLUPART_URL, &text, 0) == CURLUE_OK)
        copy = strdup(text);
    curl_free(text);
    curl_url_cleanup(parsed);
    return copy;
}

/* libcurl appends one "name=value" at a time and escapes what is right of the first '='. */
static bool append_query(CURLU *url, const char *name, const char *value)
{
    cleanup_free char *pair = NULL;
    if (asprintf(&pair, "%s=%s", name, value) < 0) {
        pair = NULL;
        return false;
    }
    return curl_url_set(url, CURLUPART_QUERY, pair, CURLU_APPENDQUERY | CURLU_URLENCODE) == CURLUE_OK;
}

char *http_url_with_query(const char *url, const char *const names_and_values[][2], size_t count)
{
    CURLU *parsed = curl_url();
    bool valid = parsed && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK;
    for (size_t i = 0; valid && i < count; i++)
        valid = append_query(parsed, names_and_values[i][0], names_and_values[i][1]);

    char *text = NULL;
    char *copy = NULL;
    if (valid && curl_url_get(parsed, CURLUPART_URL, &text, 0) == CURLUE_OK)
        copy = strdup(text);
    curl_free(text);
    curl_url_cleanup(parsed);
    return copy;
}

char *http_url_form(const char *const names_and_values[][2], size_t count)
{
    char *url = http_url_with_query("http://form/", names_and_values, count);
    const char *query = url ? strchr(url, '?') : NULL;
    char *form = url ? strdup(query ? query + 1 : "") : NULL;
    if (url)
        explicit_bzero(url, strlen(url)); /* forms carry passwords */
    free(url);
    return form;
}
