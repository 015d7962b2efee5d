/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP GET over libcurl, as a registry client needs it: one connection kept alive, bodies streamed under a limit,
 * redirects followed by hand so that Authorization never leaves the origin it was meant for, stalls ended, failures
 * told as errno values with words that say what to do.
 */
#ifndef IMAGE_HTTP_H
#define IMAGE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/digest.h"
#include "image/media_type.h"

struct error;
struct http;

enum {
    HTTP_URL_MAX = 8192,          /**< signed URLs of blob stores are long */
    HTTP_HEADERS_MAX = 64 << 10,  /**< bytes of all headers of one answer */
    HTTP_AUTHENTICATE_MAX = 4096, /**< bytes of all WWW-Authenticate headers together */
    HTTP_DETAIL_MAX = 4096,       /**< bytes kept of the body of an answer that is no success */
    HTTP_REDIRECTS_MAX = 8,
    HTTP_CONNECT_SECONDS_MAX = 20, /**< until the connection stands */
    HTTP_STALL_SECONDS_MAX = 30    /**< without a byte; there is no limit on the whole */
};

/** What to get and where its bytes go. */
struct http_request {
    const char *url;           /**< http: or https: */
    const char *accept;        /**< value of the Accept header; NULL = anything */
    const char *authorization; /**< value of the Authorization header, for the url's own origin only; NULL = none */
    uint64_t offset;           /**< begin there (a Range request); an answer with the whole is cut to the same */
    uint64_t max;              /**< bytes accepted from the offset on; one more is -EBADMSG */
    /** Takes bytes of a successful answer (200, 206), in order. A negative return ends the transfer with it. */
    int (*sink)(void *context, const void *bytes, size_t length, struct error *err);
    void *context;
};

/** What came back beside the body. Texts are terminated; "" = the header was not there. */
struct http_response {
    int status;
    char content_type[MEDIA_TYPE_MAX + 1];
    char content_digest[DIGEST_TEXT_MAX];         /**< Docker-Content-Digest */
    char authenticate[HTTP_AUTHENTICATE_MAX + 1]; /**< WWW-Authenticate; several joined by ", " (RFC 9110, 5.3) */
    unsigned retry_after;                         /**< seconds; 0 = not said */
    char detail[HTTP_DETAIL_MAX + 1];             /**< the beginning of the body when status is no success */
};

/** Makes a client. @return 0 with *http owned by the caller, or -errno */
int http_new(struct http **http, struct error *err);

/** Closes the connections. NULL is fine. */
void http_free(struct http *http);

/**
 * Gets a URL. A status such as 404 is no failure of this function: look at response->status.
 *
 * @param response  filled on success, and as far as known on failure
 * @return 0; -ECONNREFUSED, -EHOSTUNREACH, -ENETUNREACH, -ETIMEDOUT, -ECONNRESET for the network; -EPROTO for TLS,
 *         redirects and answers that are no HTTP; -EBADMSG for a body that is too long or not the range asked for; what
 *         the sink returned
 */
int http_get(struct http *http, const struct http_request *request, struct http_response *response, struct error *err);

/** Whether asking again may help: a connection lost or stalled, or a status that says "later". */
bool http_is_transient(int rc, const struct http_response *response);

/** Whether a host, with or without port, is this machine: localhost, 127.0.0.0/8, [::1]. */
bool http_host_is_loopback(const char *host);

#endif
