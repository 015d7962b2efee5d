/* SPDX-License-Identifier: Apache-2.0 */
#include "base/reader.h"

#include "base/bytes.h"

const void *reader_take(struct reader *reader, size_t length)
{
    if (reader->failed || length > reader->left) {
        reader->failed = true;
        reader->left = 0;
        return NULL;
    }
    const uint8_t *taken = reader->next;
    reader->next += length;
    reader->left -= length;
    return taken;
}

uint8_t reader_u8(struct reader *reader)
{
    const uint8_t *bytes = reader_take(reader, 1);
    return bytes ? *bytes : 0;
}

uint16_t reader_le16(struct reader *reader)
{
    const void *bytes = reader_take(reader, 2);
    return bytes ? load_le16(bytes) : 0;
}

uint32_t reader_le32(struct reader *reader)
{
    const void *bytes = reader_take(reader, 4);
    return bytes ? load_le32(bytes) : 0;
}

uint64_t reader_le64(struct reader *reader)
{
    const void *bytes = reader_take(reader, 8);
    return bytes ? load_le64(bytes) : 0;
}
