/* SPDX-License-Identifier: Apache-2.0 */
#include "image/ext4/content.h"

#include <errno.h>
#include <string.h>

#include "base/checked.h"
#include "base/error.h"
#include "image/ext4/filesystem.h"
#include "image/tree.h"

void ext4_content_begin(struct ext4_content *content, struct ext4_filesystem *fs, struct tree_inode *inode,
                        uint64_t expected)
{
    content->fs = fs;
    content->inode = inode;
    content->expected = expected;
    content->position = 0;
    content->taken = (struct ext4_run){0};
    content->partial = false;
}

/* Takes as much as the rest of the file needs, so that it stays in one piece. */
static int take(struct ext4_content *content, uint64_t blocks, struct error *err)
{
    uint64_t want = divide_round_up_u64(content->expected, EXT4_BLOCK_SIZE);
    return ext4_allocator_take(&content->fs->allocator, want > blocks ? want : blocks, &content->taken, err);
}

static int put(struct ext4_content *content, uint32_t logical, const uint8_t *bytes, uint64_t blocks, struct error *err)
{
    while (blocks > 0) {
        if (!content->taken.count) {
            int rc = take(content, blocks, err);
            if (rc < 0)
                return rc;
        }
        uint64_t count = blocks < content->taken.count ? blocks : content->taken.count;
        size_t length = count * EXT4_BLOCK_SIZE;
        struct extent run = {.logical = logical, .count = (uint32_t)count, .physical = content->taken.start};
        if (extents_append(&content->inode->extents, run) < 0)
            return error_set(err, ENOMEM, "out of memory");
        content->taken.start += count;
        content->taken.count -= count;
        content->expected -= length < content->expected ? length : content->expected;
        int rc = ext4_writer_put(&content->fs->writer, run.physical, bytes, length, err);
        if (rc < 0)
            return rc;
        logical += (uint32_t)count;
        bytes += length;
        blocks -= count;
    }
    return 0;
}

static int put_partial(struct ext4_content *content, struct error *err)
{
    if (!content->partial)
        return 0;
    content->partial = false;
    return put(content, content->partial_block, content->bytes, 1, err);
}

/* Puts bytes into the block being put together, at most up to its end. */
static int add_partial(struct ext4_content *content, uint64_t offset, const uint8_t *bytes, size_t length,
                       struct error *err)
{
    size_t within = offset % EXT4_BLOCK_SIZE;
    if (!content->partial) {
        memset(content->bytes, 0, sizeof content->bytes);
        content->partial_block = (uint32_t)(offset >> EXT4_BLOCK_BITS);
        content->partial = true;
    }
    memcpy(content->bytes + within, bytes, length);
    return within + length == EXT4_BLOCK_SIZE ? put_partial(content, err) : 0;
}

int ext4_content_write(struct ext4_content *content, uint64_t offset, const void *bytes, size_t length,
                       struct error *err)
{
    if (offset < content->position || !checked_range_within(offset, length, content->inode->size))
        return error_set(err, EINVAL, "its contents are not in order or more than its size");
    const uint8_t *next = bytes;
    while (length > 0) {
        size_t within = offset % EXT4_BLOCK_SIZE;
        size_t piece = EXT4_BLOCK_SIZE - within;
        int rc = 0;
        if (content->partial && content->partial_block != offset >> EXT4_BLOCK_BITS)
            rc = put_partial(content, err);
        if (rc < 0)
            return rc;
        if (within || length < EXT4_BLOCK_SIZE) {
            piece = length < piece ? length : piece;
            rc = add_partial(content, offset, next, piece, err);
        } else {
            piece = length - length % EXT4_BLOCK_SIZE;
            rc = put(content, (uint32_t)(offset >> EXT4_BLOCK_BITS), next, piece / EXT4_BLOCK_SIZE, err);
        }
        if (rc < 0)
            return rc;
        offset += piece;
        next += piece;
        length -= piece;
    }
    content->position = offset;
    return 0;
}

/* What was taken and not needed: usually the end of all, and then as if it had not been taken. */
static int give_rest(struct ext4_content *content, struct error *err)
{
    struct ext4_allocator *allocator = &content->fs->allocator;
    struct ext4_run rest = content->taken;
    content->taken.count = 0;
    if (!rest.count)
        return 0;
    if (rest.start + rest.count == allocator->next) {
        allocator->next = rest.start;
        return 0;
    }
    return ext4_allocator_give(allocator, rest) < 0 ? error_set(err, ENOMEM, "out of memory") : 0;
}

int ext4_content_end(struct ext4_content *content, struct error *err)
{
    int rc = put_partial(content, err);
    int rest_rc = give_rest(content, rc < 0 ? NULL : err);
    return rc < 0 ? rc : rest_rc;
}
