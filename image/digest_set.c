/* SPDX-License-Identifier: Apache-2.0 */
/* Open addressing, at most half full. */
#include "image/digest_set.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/error.h"

enum { SLOTS_FIRST = 64 };

/* Where a digest is, or would be. */
static struct digest *slot_of(const struct digest_set *set, const struct digest *digest)
{
    size_t mask = set->slot_count - 1;
    size_t at = name_hash(&set->key, digest->algorithm, (const char *)digest->bytes, sizeof digest->bytes) & mask;
    while (set->slots[at].algorithm && !digest_equal(&set->slots[at], digest))
        at = (at + 1) & mask;
    return &set->slots[at];
}

/* Moves all digests to other slots. */
static void move(struct digest_set *set, struct digest *slots, size_t slot_count)
{
    struct digest *old = set->slots;
    size_t old_count = set->slot_count;
    set->slots = slots;
    set->slot_count = slot_count;
    for (size_t i = 0; i < old_count; i++)
        if (old[i].algorithm)
            *slot_of(set, &old[i]) = old[i];
    free(old);
}

static int grow(struct digest_set *set, struct error *err)
{
    size_t slot_count = set->slots ? set->slot_count * 2 : SLOTS_FIRST;
    if (set->count >= DIGEST_SET_MAX)
        return error_set(err, E2BIG, "more than %d digests", DIGEST_SET_MAX);
    if (!set->slots && getrandom(&set->key, sizeof set->key, 0) != (ssize_t)sizeof set->key)
        return error_set_errno(err, errno, "no random bytes for a table");
    struct digest *slots = calloc(slot_count, sizeof *slots);
    if (!slots)
        return error_set(err, ENOMEM, "out of memory for %zu digests", slot_count);
    move(set, slots, slot_count);
    return 0;
}

int digest_set_add(struct digest_set *set, const struct digest *digest, struct error *err)
{
    if (digest_set_contains(set, digest))
        return 0;
    if (set->count * 2 >= set->slot_count) {
        int rc = grow(set, err);
        if (rc < 0)
            return rc;
    }
    *slot_of(set, digest) = *digest;
    set->count++;
    return 1;
}

bool digest_set_contains(const struct digest_set *set, const struct digest *digest)
{
    return set->slots && slot_of(set, digest)->algorithm;
}

void digest_set_done(struct digest_set *set)
{
    free(set->slots);
    *set = (struct digest_set){0};
}
