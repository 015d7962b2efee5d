/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growable byte buffer with a named maximum, for what arrives in pieces and for frames being built. Like the reader
 * it remembers failure: append in a row, ask once.
 */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Owned bytes. Initialise with BUFFER_INIT(max), release with buffer_done(). */
struct buffer {
    uint8_t *bytes;
    size_t length;   /**< bytes in use */
    size_t capacity; /**< bytes allocated */
    size_t max;      /**< length never grows past this */
    bool failed;     /**< an append did not fit or memory ran out; the contents are a prefix */
};

#define BUFFER_INIT(maximum)                                                                                           \
    (struct buffer)                                                                                                    \
    {                                                                                                                  \
        .max = (maximum)                                                                                               \
    }

/** Releases the bytes; the buffer is empty and usable afterwards. NULL is fine. */
void buffer_done(struct buffer *buffer);

/** For `__attribute__((cleanup(buffer_done)))`. */
#define cleanup_buffer __attribute__((cleanup(buffer_done)))

/** Forgets the contents (keeps the allocation) and the failure. */
void buffer_clear(struct buffer *buffer);

/**
 * Makes room for @p length more bytes and returns where they go; they count as appended.
 * @return NULL (and failed set) when the maximum would be passed or memory runs out
 */
void *buffer_extend(struct buffer *buffer, size_t length);

/** Appends bytes or numbers in little-endian order. On failure only `failed` changes. */
void buffer_append(struct buffer *buffer, const void *bytes, size_t length);
void buffer_append_u8(struct buffer *buffer, uint8_t number);
void buffer_append_le16(struct buffer *buffer, uint16_t number);
void buffer_append_le32(struct buffer *buffer, uint32_t number);
void buffer_append_le64(struct buffer *buffer, uint64_t number);

/** Appends formatted text without its terminator. */
__attribute__((format(printf, 2, 3))) void buffer_append_format(struct buffer *buffer, const char *format, ...);

/** Drops the first @p length bytes (at most all). */
void buffer_consume(struct buffer *buffer, size_t length);

#endif
