/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of images as users write them: `busybox`, `localhost:5000/team/app:1.2`, `ghcr.io/a/b@sha256:…`. The grammar is
 * that of the distribution project (github.com/distribution/reference): a first component with a dot, a colon or the
 * word "localhost" is the registry's host; without one the host is docker.io, where a single component lives under
 * "library/". Without tag and digest the tag is "latest".
 */
#ifndef IMAGE_REFERENCE_H
#define IMAGE_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>

#include "image/digest.h"

struct error;

enum {
    REFERENCE_NAME_MAX = 255, /**< host, slash and repository together */
    REFERENCE_TAG_MAX = 128,
    /** Room for any text form, terminator included. */
    REFERENCE_TEXT_MAX = REFERENCE_NAME_MAX + 1 + REFERENCE_TAG_MAX + 1 + DIGEST_TEXT_MAX
};

/** A parsed, normalised reference by value. At least one of tag and digest is there; a digest decides. */
struct reference {
    char host[REFERENCE_NAME_MAX + 1];       /**< with port if given: "docker.io", "localhost:5000", "[::1]:5000" */
    char repository[REFERENCE_NAME_MAX + 1]; /**< "library/busybox" */
    char tag[REFERENCE_TAG_MAX + 1];         /**< "" = none was given and there is a digest */
    struct digest digest;                    /**< algorithm 0 = none */
};

/** Parses and normalises. @return 0, or -EINVAL with what is wrong with @p text */
int reference_parse(struct reference *reference, const char *text, struct error *err);

/** Whether the reference names its content by digest. */
static inline bool reference_has_digest(const struct reference *reference)
{
    return reference->digest.algorithm != 0;
}

/** The full form, the same for all spellings of one reference: "docker.io/library/busybox:latest". */
void reference_format(const struct reference *reference, char text[static REFERENCE_TEXT_MAX]);

/** The short form for people: "busybox:latest". Parses back to the same reference. */
void reference_format_familiar(const struct reference *reference, char text[static REFERENCE_TEXT_MAX]);

/** The short form of host and repository alone, as the REPOSITORY column shows it: "busybox". */
void reference_format_familiar_name(const struct reference *reference, char text[static REFERENCE_TEXT_MAX]);

#endif
