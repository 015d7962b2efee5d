/* SPDX-License-Identifier: Apache-2.0 */
/* URLs as security decisions need them: by libcurl's own parser, so that both read one text the same way. */
#ifndef IMAGE_HTTP_URL_H
#define IMAGE_HTTP_URL_H

#include <stdbool.h>
#include <stddef.h>

/** Room for scheme, host and port, terminator included; a longer one is cut. */
enum { HTTP_ORIGIN_MAX = 320 };

/** Whether a URL is valid and of that scheme. */
bool http_url_is(const char *url, const char *scheme);

/** Whether two URLs are valid and agree in scheme, host and port (RFC 6454). */
bool http_url_same_origin(const char *a, const char *b);

/** Writes "scheme://host:port" for messages: neither user information nor a signed query. */
void http_url_origin(const char *url, char text[static HTTP_ORIGIN_MAX]);

/** Writes the host, an IPv6 address in brackets. @return false when the URL is invalid or the host too long */
bool http_url_host(const char *url, char text[static HTTP_ORIGIN_MAX]);

/** Writes host and port as the URL has them ("localhost:5000"; no port where it gives none). @return as http_url_host()
 */
bool http_url_authority(const char *url, char text[static HTTP_ORIGIN_MAX]);

/** What a Location header means beside the URL that was asked. @return allocated; NULL when it is no URL */
char *http_url_resolve(const char *url, const char *location);

/** Adds "name=value", escaped, to a URL's query. @return allocated; NULL when the URL is invalid or memory runs out */
char *http_url_with_query(const char *url, const char *const names_and_values[][2], size_t count);

/** The same pairs as a form's body (application/x-www-form-urlencoded). @return allocated; NULL when memory runs out */
char *http_url_form(const char *const names_and_values[][2], size_t count);

#endif
