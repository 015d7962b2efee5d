/* SPDX-License-Identifier: Apache-2.0 */
#include "image/base64.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

enum { LENGTH_MAX = 1 << 20 };

char *base64_encode(const void *bytes, size_t length)
{
    if (length > LENGTH_MAX)
        return NULL;
    char *text = malloc((length + 2) / 3 * 4 + 1);
    if (text)
        EVP_EncodeBlock((unsigned char *)text, bytes, (int)length);
    return text;
}

/* libcrypto passes over white space and counts padding as zero bytes, so what it gets is checked before. */
char *base64_decode_text(const char *text)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t length = strnlen(text, LENGTH_MAX + 1);
    size_t digits = strspn(text, alphabet);
    size_t padding = strspn(text + digits, "=");
    if (length > LENGTH_MAX || length % 4 != 0 || padding > 2 || digits + padding != length)
        return NULL;

    size_t decoded = length / 4 * 3 - padding;
    char *bytes = malloc(length / 4 * 3 + 1);
    if (!bytes)
        return NULL;
    if (EVP_DecodeBlock((unsigned char *)bytes, (const unsigned char *)text, (int)length) < 0 ||
        memchr(bytes, '\0', decoded)) {
        explicit_bzero(bytes, decoded);
        free(bytes);
        return NULL;
    }
    bytes[decoded] = '\0';
    return bytes;
}
