/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP over libcurl, as a registry client needs it: one connection kept alive, bodies streamed under a limit, redirects
 * followed by hand so that neither Authorization nor a request's body ever leaves the origin it was meant for, stalls
 * ended, failures told as errno values with words that say what to do.
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
    HTTP_STALL_SECONDS_MAX = 30,   /**< without a byte; there is no limit on the whole */
    HTTP_STORE_SECONDS_MAX = 300   /**< the same where the server may be storing what it was sent */
};

/** The highest number taken from a Range header. */
#define HTTP_RANGE_MAX (UINT64_C(1) << 62)

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE };

/** A request's body, of known length: in memory or part of a file. Read again when the request is sent again. */
struct http_body {
    const void *bytes; /**< NULL = from the file; borrowed */
    int fd;            /**< a regular file; borrowed */
    uint64_t offset;   /**< of the first byte in the file */
    uint64_t length;
    const char *type;  /**< Content-Type */
    const char *range; /**< Content-Range; NULL = none */
};

/** What to ask for and where the answer's bytes go. */
struct http_request {
    enum http_method method;
    const char *url;           /**< http: or https: */
    const char *accept;        /**< value of the Accept header; NULL = anything */
    const char *authorization; /**< value of the Authorization header, for the url's own origin only; NULL = none */
    uint64_t offset;           /**< begin there (a Range request); an answer with the whole is cut to the same */
    uint64_t max;              /**< bytes accepted from the offset on; one more is -EBADMSG */
    /** Takes bytes of a successful answer (200, 206), in order. A negative return ends the transfer with it. NULL =
     * they do not matter. */
    int (*sink)(void *context, const void *bytes, size_t length, struct error *err);
    void *context;
    const struct http_body *body; /**< for HTTP_POST, HTTP_PUT and HTTP_PATCH; NULL = an empty one */
};

/** What came back beside the body. Texts are terminated; "" = the header was not there. */
struct http_response {
    int status;
    char content_type[MEDIA_TYPE_MAX + 1];
    char content_digest[DIGEST_TEXT_MAX];         /**< Docker-Content-Digest */
    char authenticate[HTTP_AUTHENTICATE_MAX + 1]; /**< WWW-Authenticate; several joined by ", " (RFC 9110, 5.3) */
    char location[HTTP_URL_MAX];                  /**< as it came: it may be relative */
    bool redirected;                              /**< another origin than the asked one has answered */
    bool range_told;                              /**< there was a Range header of an upload */
    uint64_t range_last;                          /**< the last byte that the server has, then */
    uint64_t length;                              /**< Content-Length; UINT64_MAX = not said */
    unsigned retry_after;                         /**< seconds; 0 = not said */
    char detail[HTTP_DETAIL_MAX + 1];             /**< the beginning of the body when status is no success */
};

/** Makes a client. @return 0 with *http owned by the caller, or -errno */
int http_new(struct http **http, struct error *err);

/** Closes the connections. NULL is fine. */
void http_free(struct http *http);

/**
 * Sends a request and takes the answer. A status such as 404 is no failure of this function: look at response->status.
 * Redirects of GET and HEAD are followed; those of other methods only within the origin.
 *
 * @param response  filled on success, and as far as known on failure
 * @return 0; -ECONNREFUSED, -EHOSTUNREACH, -ENETUNREACH, -ETIMEDOUT, -ECONNRESET for the network; -EPROTOTYPE where no
 *         TLS is spoken; -EPROTO for certificates, redirects and answers that are no HTTP; -EBADMSG for a body that is
 * too long or not the range asked for; what the sink returned
 */
int http_perform(struct http *http, const struct http_request *request, struct http_response *response,
                 struct error *err);

/** Whether asking again may help: a connection lost or stalled, or a status that says "later". */
bool http_is_transient(int rc, const struct http_response *response);

/** Whether a host, with or without port, is this machine: localhost, 127.0.0.0/8, [::1]. */
bool http_host_is_loopback(const char *host);

#endif
