/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Little-endian numbers as types of their own. Fields of wire and on-disk structs are declared le16, le32, le64; using
 * one as a number does not compile, so a forgotten conversion shows on every machine, not only on big-endian ones.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    uint16_t raw;
} le16;
typedef struct {
    uint32_t raw;
} le32;
typedef struct {
    uint64_t raw;
} le64;

_Static_assert(sizeof(le16) == 2 && sizeof(le32) == 4 && sizeof(le64) == 8, "wire sizes");

/** The number that a little-endian field holds. */
static inline uint16_t le16_get(le16 field)
{
    return le16toh(field.raw);
}
static inline uint32_t le32_get(le32 field)
{
    return le32toh(field.raw);
}
static inline uint64_t le64_get(le64 field)
{
    return le64toh(field.raw);
}

/** A little-endian field that holds @p number. */
static inline le16 le16_from(uint16_t number)
{
    return (le16){htole16(number)};
}
static inline le32 le32_from(uint32_t number)
{
    return (le32){htole32(number)};
}
static inline le64 le64_from(uint64_t number)
{
    return (le64){htole64(number)};
}

/** Loads a little-endian number from 2, 4 or 8 readable bytes at any alignment. */
static inline uint16_t load_le16(const void *bytes)
{
    uint16_t raw;
    memcpy(&raw, bytes, sizeof raw);
    return le16toh(raw);
}
static inline uint32_t load_le32(const void *bytes)
{
    uint32_t raw;
    memcpy(&raw, bytes, sizeof raw);
    return le32toh(raw);
}
static inline uint64_t load_le64(const void *bytes)
{
    uint64_t raw;
    memcpy(&raw, bytes, sizeof raw);
    return le64toh(raw);
}

/** Stores a number as 2, 4 or 8 little-endian bytes at any alignment. */
static inline void store_le16(void *bytes, uint16_t number)
{
    uint16_t raw = htole16(number);
    memcpy(bytes, &raw, sizeof raw);
}
static inline void store_le32(void *bytes, uint32_t number)
{
    uint32_t raw = htole32(number);
    memcpy(bytes, &raw, sizeof raw);
}
static inline void store_le64(void *bytes, uint64_t number)
{
    uint64_t raw = htole64(number);
    memcpy(bytes, &raw, sizeof raw);
}

#endif
