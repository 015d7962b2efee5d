/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

enum { BUFFER_FIRST_CAPACITY = 256 };

void buffer_done(struct buffer *buffer)
{
    if (!buffer)
        return;
    free(buffer->bytes);
    *buffer = BUFFER_INIT(buffer->max);
}

void buffer_clear(struct buffer *buffer)
{
    buffer->length = 0;
    buffer->failed = false;
}

void *buffer_extend(struct buffer *buffer, size_t length)
{
    if (buffer->failed || length > buffer->max - buffer->length) {
        buffer->failed = true;
        return NULL;
    }
    size_t needed = buffer->length + length;
    if (needed > buffer->capacity || !buffer->bytes) {
        size_t capacity = buffer->capacity ? buffer->capacity : BUFFER_FIRST_CAPACITY;
        while (capacity < needed)
            capacity = capacity > buffer->max / 2 ? buffer->max : capacity * 2;
        void *bytes = realloc(buffer->bytes, capacity);
        if (!bytes) {
            buffer->failed = true;
            return NULL;
        }
        buffer->bytes = bytes;
        buffer->capacity = capacity;
    }
    void *added = buffer->bytes + buffer->length;
    buffer->length = needed;
    return added;
}

void buffer_append(struct buffer *buffer, const void *bytes, size_t length)
{
    void *added = buffer_extend(buffer, length);
    if (added && length)
        memcpy(added, bytes, length);
}

void buffer_append_u8(struct buffer *buffer, uint8_t number)
{
    buffer_append(buffer, &number, sizeof number);
}

void buffer_append_le16(struct buffer *buffer, uint16_t number)
{
    void *added = buffer_extend(buffer, sizeof number);
    if (added)
        store_le16(added, number);
}

void buffer_append_le32(struct buffer *buffer, uint32_t number)
{
    void *added = buffer_extend(buffer, sizeof number);
    if (added)
        store_le32(added, number);
}

void buffer_append_le64(struct buffer *buffer, uint64_t number)
{
    void *added = buffer_extend(buffer, sizeof number);
    if (added)
        store_le64(added, number);
}

void buffer_append_format(struct buffer *buffer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    /* vsnprintf wants room for its terminator; the byte is given back. */
    char *text = length < 0 ? NULL : buffer_extend(buffer, (size_t)length + 1);
    if (text) {
        (void)vsnprintf(text, (size_t)length + 1, format, again);
        buffer->length--;
    } else {
        buffer->failed = true;
    }
    va_end(again);
}

void buffer_consume(struct buffer *buffer, size_t length)
{
    if (length >= buffer->length) {
        buffer->length = 0;
        return;
    }
    memmove(buffer->bytes, buffer->bytes + length, buffer->length - length);
    buffer->length -= length;
}
