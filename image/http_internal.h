/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of the HTTP client. */
#ifndef IMAGE_HTTP_INTERNAL_H
#define IMAGE_HTTP_INTERNAL_H

#include <curl/curl.h>

#include "image/http.h"

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
    bool range_told;     /* Content-Range was there and understood */
    uint64_t sent_bytes; /* of the request's body */
};

/** libcurl's callbacks for an answer's header lines and body (CURLOPT_HEADERFUNCTION, CURLOPT_WRITEFUNCTION). */
size_t http_answer_header(char *line, size_t one, size_t length, void *transfer);
size_t http_answer_body(char *bytes, size_t one, size_t length, void *transfer);

#endif
