/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SipHash-1-3 (Aumasson and Bernstein, 2012) over a number and a name: a keyed hash, so that nobody can make a layer
 * whose names all fall into one bucket of the tree's table.
 */
#ifndef IMAGE_NAME_HASH_H
#define IMAGE_NAME_HASH_H

#include <stddef.h>
#include <stdint.h>

/** Random and secret. */
struct name_hash_key {
    uint64_t k0, k1;
};

/** The hash of @p number followed by @p length bytes of @p name. */
uint32_t name_hash(const struct name_hash_key *key, uint64_t number, const char *name, size_t length);

#endif
