/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Half MD4: MD4's three rounds (RFC 1320) over eight words instead of sixteen, each word used once per round. The name
 * is cut into pieces of 32 bytes; the last is padded with its length.
 */
#include "image/ext4/directory_hash.h"

#include <string.h>

enum { PIECE = 32, WORDS = 8 };

#define END_OF_DIRECTORY 0xfffffffeu /* what a directory position uses for "nothing behind" */

static const uint32_t md4_start[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};

static uint32_t rotate(uint32_t value, unsigned bits)
{
    return value << bits | value >> (32 - bits);
}

static uint32_t choose(uint32_t x, uint32_t y, uint32_t z)
{
    return (x & y) | (~x & z);
}

static uint32_t majority(uint32_t x, uint32_t y, uint32_t z)
{
    return (x & y) | (x & z) | (y & z);
}

static uint32_t parity(uint32_t x, uint32_t y, uint32_t z)
{
    return x ^ y ^ z;
}

struct round {
    uint32_t (*mix)(uint32_t, uint32_t, uint32_t);
    uint32_t constant;
    uint8_t order[WORDS]; /* in which the words are used */
    uint8_t shifts[4];
};

static const struct round rounds[] = {
    {choose, 0, {0, 1, 2, 3, 4, 5, 6, 7}, {3, 7, 11, 19}},
    {majority, 0x5a827999, {1, 3, 5, 7, 0, 2, 4, 6}, {3, 5, 9, 13}},
    {parity, 0x6ed9eba1, {3, 7, 2, 6, 1, 5, 0, 4}, {3, 9, 11, 15}},
};

static void transform(uint32_t state[4], const uint32_t words[WORDS])
{
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    for (size_t r = 0; r < sizeof rounds / sizeof rounds[0]; r++) {
        const struct round *round = &rounds[r];
        for (int step = 0; step < WORDS; step++) {
            uint32_t mixed = a + round->mix(b, c, d) + words[round->order[step]] + round->constant;
            a = d;
            d = c;
            c = b;
            b = rotate(mixed, round->shifts[step & 3]);
        }
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
}

/* @p length: what is left of the name, of which at most a piece is used. */
static void load_words(uint32_t words[WORDS], const char *name, size_t length)
{
    uint32_t padding = (uint32_t)length | (uint32_t)length << 8;
    padding |= padding << 16;
    if (length > PIECE)
        length = PIECE;
    size_t at = 0;
    for (int word = 0; word < WORDS; word++) {
        uint32_t value = padding;
        for (int i = 0; i < 4 && at < length; i++)
            value = value << 8 | (uint8_t)name[at++];
        words[word] = value;
    }
}

struct ext4_directory_hash ext4_directory_hash(const uint32_t seed[static 4], const char *name, size_t length)
{
    uint32_t state[4];
    memcpy(state, seed, sizeof state);
    if (!(state[0] | state[1] | state[2] | state[3]))
        memcpy(state, md4_start, sizeof state);
    for (size_t at = 0; at < length; at += PIECE) {
        uint32_t words[WORDS];
        load_words(words, name + at, length - at);
        transform(state, words);
    }
    struct ext4_directory_hash hash = {.major = state[1] & ~1u, .minor = state[2]};
    if (hash.major == END_OF_DIRECTORY)
        hash.major -= 2;
    return hash;
}
