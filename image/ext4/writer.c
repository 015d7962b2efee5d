/* SPDX-License-Identifier: Apache-2.0 */
#include "image/ext4/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "image/ext4/format.h"

enum {
    GATHER_SIZE = 1 << 20,
    DIRECT_SIZE = 128 << 10, /* from here on copying costs more than a system call */
};

static int output_failed(struct error *err, int rc)
{
    return error_set_errno(err, -rc, "cannot write the file system");
}

int ext4_writer_init(struct ext4_writer *writer, struct ext4_io io, struct error *err)
{
    uint8_t *gathered = malloc(GATHER_SIZE);
    if (!gathered)
        return error_set(err, ENOMEM, "out of memory");
    *writer = (struct ext4_writer){.io = io, .gathered = gathered};
    return 0;
}

void ext4_writer_done(struct ext4_writer *writer)
{
    if (!writer)
        return;
    free(writer->gathered);
    *writer = (struct ext4_writer){0};
}

int ext4_writer_put_bytes(struct ext4_writer *writer, uint64_t offset, const void *bytes, size_t length,
                          struct error *err)
{
    int rc = writer->io.write(writer->io.context, bytes, length, offset);
    return rc < 0 ? output_failed(err, rc) : 0;
}

int ext4_writer_flush(struct ext4_writer *writer, struct error *err)
{
    if (!writer->length)
        return 0;
    size_t length = writer->length;
    writer->length = 0;
    return ext4_writer_put_bytes(writer, writer->offset, writer->gathered, length, err);
}

int ext4_writer_put(struct ext4_writer *writer, uint64_t block, const void *bytes, size_t length, struct error *err)
{
    uint64_t offset = block << EXT4_BLOCK_BITS;
    if (writer->length && offset != writer->offset + writer->length) {
        int rc = ext4_writer_flush(writer, err);
        if (rc < 0)
            return rc;
    }
    if (length >= DIRECT_SIZE) {
        int rc = ext4_writer_flush(writer, err);
        return rc < 0 ? rc : ext4_writer_put_bytes(writer, offset, bytes, length, err);
    }
    if (!writer->length)
        writer->offset = offset;
    memcpy(writer->gathered + writer->length, bytes, length);
    writer->length += length;
    return writer->length > GATHER_SIZE - DIRECT_SIZE ? ext4_writer_flush(writer, err) : 0;
}

int ext4_writer_discard(struct ext4_writer *writer, uint64_t block, uint64_t count, struct error *err)
{
    int rc = ext4_writer_flush(writer, err);
    if (rc < 0)
        return rc;
    rc = writer->io.discard(writer->io.context, block << EXT4_BLOCK_BITS, count << EXT4_BLOCK_BITS);
    return rc < 0 ? output_failed(err, rc) : 0;
}

int ext4_writer_resize(struct ext4_writer *writer, uint64_t blocks, struct error *err)
{
    int rc = writer->io.resize(writer->io.context, blocks << EXT4_BLOCK_BITS);
    return rc < 0 ? output_failed(err, rc) : 0;
}
