/* SPDX-License-Identifier: Apache-2.0 */
/* A set of digests: what has been seen, what is still needed. */
#ifndef IMAGE_DIGEST_SET_H
#define IMAGE_DIGEST_SET_H

#include <stdbool.h>
#include <stddef.h>

#include "image/digest.h"
#include "image/name_hash.h"

struct error;

enum { DIGEST_SET_MAX = 1 << 20 };

/** Zero-initialise; release with digest_set_done(). */
struct digest_set {
    struct digest *slots; /**< a power of two of them; algorithm 0 = free */
    size_t slot_count, count;
    struct name_hash_key key; /**< chosen with the first slots: digests may be somebody's invention */
};

/** Adds a digest. @return 1 when it is new, 0 when it was there, -E2BIG beyond DIGEST_SET_MAX, or -ENOMEM */
int digest_set_add(struct digest_set *set, const struct digest *digest, struct error *err);

bool digest_set_contains(const struct digest_set *set, const struct digest *digest);

/** Releases what the set holds; it is empty and usable afterwards. */
void digest_set_done(struct digest_set *set);

#endif
