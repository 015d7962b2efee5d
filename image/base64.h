/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 (RFC 4648, section 4), the form in which Authorization headers and credential files carry secrets. */
#ifndef IMAGE_BASE64_H
#define IMAGE_BASE64_H

#include <stddef.h>

/** Encodes. @return allocated text, or NULL when memory runs out or @p length is beyond 1 MiB */
char *base64_encode(const void *bytes, size_t length);

/** Decodes text that holds no NUL. @return allocated text, terminated; NULL when it is no such base64 or memory runs
 * out */
char *base64_decode_text(const char *text);

#endif
