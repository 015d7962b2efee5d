/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded reader over bytes from outside. It cannot run past the end: a read that does not fit yields zeros, empties
 * the reader and marks it failed, so that a decoder reads all fields in a row and asks once, at the end, whether they
 * were all there.
 */
#ifndef BASE_READER_H
#define BASE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Bytes still to be read; borrowed, never owned. */
struct reader {
    const uint8_t *next;
    size_t left;
    bool failed;
};

/** A reader over @p length bytes, which must stay valid while it is used. */
static inline struct reader reader_over(const void *bytes, size_t length)
{
    return (struct reader){.next = bytes, .left = length, .failed = false};
}

/**
 * Takes the next @p length bytes.
 * @return a pointer into the underlying bytes, or NULL (and failed set) when fewer are left. A length of 0 never fails.
 */
const void *reader_take(struct reader *reader, size_t length);

/** Takes a little-endian number; 0 (and failed set) when too few bytes are left. */
uint8_t reader_u8(struct reader *reader);
uint16_t reader_le16(struct reader *reader);
uint32_t reader_le32(struct reader *reader);
uint64_t reader_le64(struct reader *reader);

/** Whether every read so far succeeded and nothing is left over. */
static inline bool reader_complete(const struct reader *reader)
{
    return !reader->failed && reader->left == 0;
}

#endif
