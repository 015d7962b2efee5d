/* SPDX-License-Identifier: Apache-2.0 */
/* What comes back: the headers that matter, the body under its limit. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "image/http_internal.h"

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

/* The digits that a value begins with; @p max when they are more than that. */
static uint64_t take_number(const char *value, size_t length, uint64_t max)
{
    uint64_t number = 0;
    for (size_t i = 0; i < length && value[i] >= '0' && value[i] <= '9' && number < max; i++)
        number = number * 10 + (uint64_t)(value[i] - '0');
    return number < max ? number : max;
}

/* Of an upload, "0-LAST" (distribution-spec, "Pushing a blob in chunks"), with "bytes=" in front here and there. */
static void take_range(struct http_response *response, const char *value, size_t length)
{
    static const char unit[] = "bytes=";
    if (length > strlen(unit) && strncasecmp(value, unit, strlen(unit)) == 0) {
        value += strlen(unit);
        length -= strlen(unit);
    }
    if (length < 3 || value[0] != '0' || value[1] != '-' || value[2] < '0' || value[2] > '9')
        return;
    response->range_told = true;
    response->range_last = take_number(value + 2, length - 2, HTTP_RANGE_MAX);
}

static void take_header(struct transfer *transfer, const char *name, size_t name_length, const char *value,
                        size_t length)
{
    enum { RETRY_SECONDS_MAX = 3600 };
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
        {"location", response->location, sizeof response->location, false},
    };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (strlen(texts[i].name) == name_length && strncasecmp(texts[i].name, name, name_length) == 0)
            copy_value(texts[i].to, texts[i].size, value, length, texts[i].append);
    if (name_length == strlen("content-range") && strncasecmp(name, "content-range", name_length) == 0)
        take_content_range(transfer, value, length);
    if (name_length == strlen("retry-after") && strncasecmp(name, "retry-after", name_length) == 0)
        response->retry_after = (unsigned)take_number(value, length, RETRY_SECONDS_MAX);
    if (name_length == strlen("range") && strncasecmp(name, "range", name_length) == 0)
        take_range(response, value, length);
}

size_t http_answer_header(char *line, size_t one, size_t length, void *context)
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
    if (!request->sink)
        return 0;
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

size_t http_answer_body(char *bytes, size_t one, size_t length, void *context)
{
    struct transfer *transfer = context;
    (void)one;
    transfer->rc = length ? take_body(transfer, bytes, length) : 0;
    return transfer->rc < 0 ? 0 : length;
}
