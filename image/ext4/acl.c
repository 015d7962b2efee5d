/* SPDX-License-Identifier: Apache-2.0 */
#include "image/ext4/acl.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/reader.h"

enum {
    XATTR_VERSION = 2,
    STORED_VERSION = 1,
    TAG_USER = 0x02,
    TAG_GROUP = 0x08,
    TAGS = 0x01 | TAG_USER | 0x04 | TAG_GROUP | 0x10 | 0x20,
    PERMISSIONS = 7,
};

static bool is_one_tag(uint16_t tag)
{
    return tag != 0 && (tag & ~TAGS) == 0 && (tag & (tag - 1)) == 0;
}

int ext4_acl_from_xattr(const uint8_t *value, size_t length, uint8_t **stored, size_t *stored_length, struct error *err)
{
    struct reader reader = reader_over(value, length);
    struct buffer buffer = BUFFER_INIT(length);
    bool sound = reader_le32(&reader) == XATTR_VERSION;
    buffer_append_le32(&buffer, STORED_VERSION);
    while (sound && reader.left > 0) {
        uint16_t tag = reader_le16(&reader);
        uint16_t permissions = reader_le16(&reader);
        uint32_t id = reader_le32(&reader);
        sound = is_one_tag(tag) && permissions <= PERMISSIONS;
        buffer_append_le16(&buffer, tag);
        buffer_append_le16(&buffer, permissions);
        if (tag == TAG_USER || tag == TAG_GROUP)
            buffer_append_le32(&buffer, id);
    }
    if (!sound || !reader_complete(&reader)) {
        buffer_done(&buffer);
        return error_set(err, EINVAL, "a POSIX ACL is malformed");
    }
    if (buffer.failed) {
        buffer_done(&buffer);
        return error_set(err, ENOMEM, "out of memory");
    }
    *stored = buffer.bytes;
    *stored_length = buffer.length;
    return 0;
}
