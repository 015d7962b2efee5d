/* SPDX-License-Identifier: Apache-2.0 */
/* Digests: text to bytes and back, and libcrypto's EVP (which picks the CPU's SHA instructions) behind a small face. */
#include "image/digest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/error.h"

struct algorithm {
    const char *prefix; /* the registered identifier and the separator */
    size_t bytes;
    const EVP_MD *(*md)(void);
};

static const struct algorithm algorithms[] = {
    [DIGEST_SHA256] = {"sha256:", 32, EVP_sha256},
    [DIGEST_SHA512] = {"sha512:", 64, EVP_sha512},
};

enum { ALGORITHM_COUNT = sizeof algorithms / sizeof algorithms[0] };

struct hasher {
    EVP_MD_CTX *context;
    const EVP_MD *md;
    enum digest_algorithm algorithm;
    bool failed; /* a library call failed since the computation started */
};

static const struct algorithm *algorithm_find(enum digest_algorithm algorithm)
{
    unsigned index = (unsigned)algorithm;
    return index < ALGORITHM_COUNT && algorithms[index].prefix ? &algorithms[index] : NULL;
}

/* Lowercase only: the specification forbids capitals, and one digest must have one name. */
static int hex_value(char character)
{
    if (character >= '0' && character <= '9')
        return character - '0';
    if (character >= 'a' && character <= 'f')
        return character - 'a' + 10;
    return -1;
}

static bool hex_decode(uint8_t *bytes, size_t count, const char *hex)
{
    for (size_t i = 0; i < count; i++) {
        int high = hex_value(hex[2 * i]);
        int low = high < 0 ? -1 : hex_value(hex[2 * i + 1]);
        if (low < 0)
            return false;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    return hex[2 * count] == '\0';
}

int digest_parse(struct digest *digest, const char *text, struct error *err)
{
    for (unsigned i = 0; i < ALGORITHM_COUNT; i++) {
        const struct algorithm *algorithm = algorithm_find((enum digest_algorithm)i);
        if (!algorithm || strncmp(text, algorithm->prefix, strlen(algorithm->prefix)) != 0)
            continue;
        struct digest parsed = {.algorithm = (enum digest_algorithm)i};
        if (!hex_decode(parsed.bytes, algorithm->bytes, text + strlen(algorithm->prefix)))
            break;
        *digest = parsed;
        return 0;
    }
    return error_set(err, EINVAL,
                     "'%.160s' is no digest: expected sha256: or sha512: and that many lowercase hex digits", text);
}

static void hex_encode(char *text, const uint8_t *bytes, size_t count)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        *text++ = digits[bytes[i] >> 4];
        *text++ = digits[bytes[i] & 15];
    }
    *text = '\0';
}

void digest_format_hex(const struct digest *digest, char text[static DIGEST_TEXT_MAX])
{
    const struct algorithm *algorithm = algorithm_find(digest->algorithm);
    hex_encode(text, digest->bytes, algorithm ? algorithm->bytes : 0);
}

void digest_format(const struct digest *digest, char text[static DIGEST_TEXT_MAX])
{
    const struct algorithm *algorithm = algorithm_find(digest->algorithm);
    int length = snprintf(text, DIGEST_TEXT_MAX, "%s", algorithm ? algorithm->prefix : "none");
    hex_encode(text + length, digest->bytes, algorithm ? algorithm->bytes : 0);
}

void digest_format_path(const struct digest *digest, char path[static DIGEST_PATH_MAX])
{
    char hex[DIGEST_TEXT_MAX];
    digest_format_hex(digest, hex);
    (void)snprintf(path, DIGEST_PATH_MAX, "blobs/%s/%s", digest->algorithm == DIGEST_SHA512 ? "sha512" : "sha256", hex);
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
    return a->algorithm == b->algorithm && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

static void hasher_start(struct hasher *hasher)
{
    hasher->failed = EVP_DigestInit_ex(hasher->context, hasher->md, NULL) != 1;
}

int hasher_new(struct hasher **hasher, enum digest_algorithm algorithm, struct error *err)
{
    const struct algorithm *known = algorithm_find(algorithm);
    if (!known)
        return error_set(err, EINVAL, "digest algorithm %d is unknown", (int)algorithm);
    struct hasher *fresh = calloc(1, sizeof *fresh);
    if (!fresh)
        return error_set(err, ENOMEM, "out of memory");
    fresh->algorithm = algorithm;
    fresh->md = known->md();
    fresh->context = EVP_MD_CTX_new();
    if (!fresh->context) {
        hasher_free(fresh);
        return error_set(err, ENOMEM, "out of memory");
    }
    hasher_start(fresh);
    *hasher = fresh;
    return 0;
}

void hasher_update(struct hasher *hasher, const void *bytes, size_t length)
{
    if (!hasher->failed && EVP_DigestUpdate(hasher->context, bytes, length) != 1)
        hasher->failed = true;
}

int hasher_finish(struct hasher *hasher, struct digest *digest, struct error *err)
{
    struct digest result = {.algorithm = hasher->algorithm};
    bool failed = hasher->failed || EVP_DigestFinal_ex(hasher->context, result.bytes, NULL) != 1;
    hasher_start(hasher);
    if (failed)
        return error_set(err, EIO, "libcrypto could not compute a digest");
    *digest = result;
    return 0;
}

void hasher_free(struct hasher *hasher)
{
    if (!hasher)
        return;
    EVP_MD_CTX_free(hasher->context);
    free(hasher);
}

int digest_of(struct digest *digest, enum digest_algorithm algorithm, const void *bytes, size_t length,
              struct error *err)
{
    struct hasher *hasher = NULL;
    int rc = hasher_new(&hasher, algorithm, err);
    if (!hasher)
        return rc;
    hasher_update(hasher, bytes, length);
    rc = hasher_finish(hasher, digest, err);
    hasher_free(hasher);
    return rc;
}
