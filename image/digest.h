/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content digests (OCI image-spec, descriptor.md, "Digests"): `sha256:<64 hex>` or `sha512:<128 hex>`, parsed strictly
 * and computed while bytes stream by.
 */
#ifndef IMAGE_DIGEST_H
#define IMAGE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct hasher;

enum digest_algorithm { DIGEST_SHA256 = 1, DIGEST_SHA512 = 2 };
enum { DIGEST_BYTES_MAX = 64, DIGEST_TEXT_MAX = 7 + 128 + 1 };

/** A digest by value. All zeros = none. */
struct digest {
    enum digest_algorithm algorithm;
    uint8_t bytes[DIGEST_BYTES_MAX]; /**< 32 or 64 in use, the rest zero */
};

/** Parses `algorithm:lowercase-hex`. @return 0, or -EINVAL with the text quoted in @p err */
int digest_parse(struct digest *digest, const char *text, struct error *err);

/** Writes the text form, terminated, into @p text. */
void digest_format(const struct digest *digest, char text[static DIGEST_TEXT_MAX]);

/** The hex part alone, terminated: the name of the blob's file in an image layout. */
void digest_format_hex(const struct digest *digest, char text[static DIGEST_TEXT_MAX]);

/** Where an image layout keeps the blob: "blobs/ALGORITHM/HEX", terminated (OCI image-spec, image-layout.md). */
enum { DIGEST_PATH_MAX = sizeof "blobs/sha512/" - 1 + DIGEST_TEXT_MAX };
void digest_format_path(const struct digest *digest, char path[static DIGEST_PATH_MAX]);

bool digest_equal(const struct digest *a, const struct digest *b);

/** Starts a computation. @return 0 with *hasher owned by the caller, or -errno */
int hasher_new(struct hasher **hasher, enum digest_algorithm algorithm, struct error *err);

/** Adds bytes. */
void hasher_update(struct hasher *hasher, const void *bytes, size_t length);

/** Ends the computation; the hasher starts anew afterwards. @return 0, or -EIO if the library failed at any point */
int hasher_finish(struct hasher *hasher, struct digest *digest, struct error *err);

/** The digest of bytes that are all there. @return 0 or -errno */
int digest_of(struct digest *digest, enum digest_algorithm algorithm, const void *bytes, size_t length,
              struct error *err);

/** NULL is fine. */
void hasher_free(struct hasher *hasher);

#endif
