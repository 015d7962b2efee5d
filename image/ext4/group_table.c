/* SPDX-License-Identifier: Apache-2.0 */
#include "image/ext4/group_table.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/ext4/bitmap.h"
#include "image/ext4/checksum.h"
#include "image/ext4/filesystem.h"
#include "image/ext4/inode.h"
#include "image/ext4/superblock.h"
#include "image/tree.h"

/* Inodes in use are those with the lowest numbers. */
static uint32_t used_inodes_of_group(const struct ext4_filesystem *fs, uint32_t group)
{
    uint64_t first = (uint64_t)group * fs->layout.inodes_per_group;
    uint64_t used = EXT4_FIRST_INODE - 1 + (uint64_t)fs->inode_count;
    if (used <= first)
        return 0;
    return used - first < fs->layout.inodes_per_group ? (uint32_t)(used - first) : fs->layout.inodes_per_group;
}

/* ---- inode tables ------------------------------------------------------------------------------------------------ */

static struct tree_inode *inode_by_number(const struct ext4_filesystem *fs, struct tree *tree, uint32_t number)
{
    if (number == EXT4_ROOT_INODE)
        return tree_root(tree);
    return number < EXT4_FIRST_INODE ? NULL : fs->inodes[number - EXT4_FIRST_INODE];
}

static int write_inode_table_block(struct ext4_filesystem *fs, struct tree *tree, struct ext4_group *group,
                                   uint32_t first_number, uint32_t count, uint64_t place, struct error *err)
{
    uint8_t block[EXT4_BLOCK_SIZE] = {0};
    for (uint32_t i = 0; i < count; i++) {
        const struct tree_inode *inode = inode_by_number(fs, tree, first_number + i);
        if (!inode)
            continue;
        int rc = ext4_inode_encode(fs, inode, block + (size_t)i * EXT4_INODE_SIZE, err);
        if (rc < 0)
            return rc;
        group->used_directories += S_ISDIR(inode->mode);
    }
    return ext4_writer_put(&fs->writer, place, block, sizeof block, err);
}

/* In a spread layout nothing was ever written where the tables lie: blocks without inodes can stay holes. */
static int write_inode_table(struct ext4_filesystem *fs, struct tree *tree, uint32_t number, struct error *err)
{
    struct ext4_group *group = &fs->layout.groups[number];
    uint32_t used = used_inodes_of_group(fs, number);
    uint32_t first = number * fs->layout.inodes_per_group + 1;
    uint32_t end = fs->layout.spread ? used : fs->layout.inodes_per_group;
    for (uint32_t done = 0; done < end; done += EXT4_INODES_PER_BLOCK) {
        uint32_t count = used <= done ? 0 : used - done;
        if (count > EXT4_INODES_PER_BLOCK)
            count = EXT4_INODES_PER_BLOCK;
        uint64_t place = group->inode_table + done / EXT4_INODES_PER_BLOCK;
        if (count == 0 && place >= fs->layout.unwritten_from)
            continue;
        int rc = write_inode_table_block(fs, tree, group, first + done, count, place, err);
        if (rc < 0)
            return rc;
    }
    group->free_inodes = group->unused_inodes = fs->layout.inodes_per_group - used;
    group->flags |= EXT4_GROUP_INODE_ZEROED;
    if (used == 0)
        group->flags |= EXT4_GROUP_INODE_UNINIT;
    return 0;
}

/* ---- bitmaps ----------------------------------------------------------------------------------------------------- */

static int write_inode_bitmap(struct ext4_filesystem *fs, uint32_t number, struct error *err)
{
    struct ext4_group *group = &fs->layout.groups[number];
    if (group->flags & EXT4_GROUP_INODE_UNINIT)
        return 0;
    uint8_t bitmap[EXT4_BLOCK_SIZE] = {0};
    uint32_t per_group = fs->layout.inodes_per_group;
    ext4_bitmap_set(bitmap, 0, used_inodes_of_group(fs, number));
    ext4_bitmap_set(bitmap, per_group, EXT4_INODES_PER_GROUP_MAX - per_group);
    group->inode_bitmap_checksum = ext4_checksum(fs->identity.checksum_seed, bitmap, per_group / 8);
    return ext4_writer_put(&fs->writer, group->inode_bitmap, bitmap, sizeof bitmap, err);
}

/* A walk over the gaps in step with the groups, so that all bitmaps together cost one pass. */
struct gap_cursor {
    const struct ext4_runs *gaps;
    size_t next;
};

/* Clears the part of [start, end) that lies in the group. @return how many blocks that is */
static uint32_t clear_part(uint8_t *bitmap, uint64_t first, uint32_t blocks, uint64_t start, uint64_t end)
{
    if (start < first)
        start = first;
    if (end > first + blocks)
        end = first + blocks;
    if (start >= end)
        return 0;
    ext4_bitmap_clear(bitmap, (uint32_t)(start - first), (uint32_t)(end - start));
    return (uint32_t)(end - start);
}

static uint32_t clear_gaps(uint8_t *bitmap, uint64_t first, uint32_t blocks, struct gap_cursor *cursor)
{
    uint32_t cleared = 0;
    while (cursor->next < cursor->gaps->count) {
        struct ext4_run gap = cursor->gaps->runs[cursor->next];
        if (gap.start >= first + blocks)
            break;
        cleared += clear_part(bitmap, first, blocks, gap.start, gap.start + gap.count);
        if (gap.start + gap.count > first + blocks)
            break; /* it goes on in the next group */
        cursor->next++;
    }
    return cleared;
}

static int write_block_bitmap(struct ext4_filesystem *fs, uint32_t number, struct gap_cursor *cursor, struct error *err)
{
    struct ext4_group *group = &fs->layout.groups[number];
    uint64_t first = (uint64_t)number * EXT4_BLOCKS_PER_GROUP;
    uint32_t blocks = ext4_layout_group_blocks(&fs->layout, number);
    uint64_t tail = fs->allocator.next;
    if (fs->layout.spread && number > 0)
        tail = group->inode_table + ext4_layout_table_blocks(&fs->layout);
    if (fs->layout.spread && number > 0 && number < fs->layout.group_count - 1) {
        group->free_blocks = (uint32_t)(first + blocks - tail);
        group->flags |= EXT4_GROUP_BLOCK_UNINIT; /* e2fsck wants the last group's on the disk */
        return 0;
    }
    uint8_t bitmap[EXT4_BLOCK_SIZE];
    memset(bitmap, 0xff, sizeof bitmap);
    group->free_blocks = clear_gaps(bitmap, first, blocks, cursor);
    group->free_blocks += clear_part(bitmap, first, blocks, tail, first + blocks);
    if (ext4_block_holds_descriptors(first) && tail <= first && fs->layout.meta_bg) {
        ext4_bitmap_set(bitmap, 0, 1);
        group->free_blocks--;
    }
    group->block_bitmap_checksum = ext4_checksum(fs->identity.checksum_seed, bitmap, sizeof bitmap);
    return ext4_writer_put(&fs->writer, group->block_bitmap, bitmap, sizeof bitmap, err);
}

/* ---- descriptors and the superblock ------------------------------------------------------------------------------ */

static void encode_descriptors(const struct ext4_filesystem *fs, uint32_t first, uint8_t *bytes, uint32_t count)
{
    for (uint32_t i = 0; i < count && first + i < fs->layout.group_count; i++)
        ext4_group_encode(bytes + (size_t)i * EXT4_DESCRIPTOR_SIZE, &fs->layout.groups[first + i], first + i,
                          &fs->identity);
}

/* Beyond the first 64 groups: each 64 have their descriptors in their first, second and last group. */
static int write_distant_descriptors(struct ext4_filesystem *fs, struct error *err)
{
    static const uint32_t copies[] = {0, 1, EXT4_DESCRIPTORS_PER_BLOCK - 1};
    for (uint32_t first = EXT4_DESCRIPTORS_PER_BLOCK; first < fs->layout.group_count;
         first += EXT4_DESCRIPTORS_PER_BLOCK) {
        uint8_t block[EXT4_BLOCK_SIZE] = {0};
        encode_descriptors(fs, first, block, EXT4_DESCRIPTORS_PER_BLOCK);
        for (size_t i = 0; i < sizeof copies / sizeof copies[0]; i++) {
            if (first + copies[i] >= fs->layout.group_count)
                continue;
            uint64_t place = (uint64_t)(first + copies[i]) * EXT4_BLOCKS_PER_GROUP;
            int rc = ext4_writer_put(&fs->writer, place, block, sizeof block, err);
            if (rc < 0)
                return rc;
        }
    }
    return 0;
}

/* The superblock and the descriptors behind it in one write, the last of all. */
static int write_head(struct ext4_filesystem *fs, struct error *err)
{
    size_t length = (1 + (size_t)fs->layout.descriptor_blocks) * EXT4_BLOCK_SIZE;
    cleanup_free uint8_t *head = calloc(1, length);
    if (!head)
        return error_set(err, ENOMEM, "out of memory");
    ext4_superblock_encode(head + EXT4_SUPERBLOCK_OFFSET, &fs->layout, &fs->identity);
    encode_descriptors(fs, 0, head + EXT4_BLOCK_SIZE, fs->layout.descriptor_blocks * EXT4_DESCRIPTORS_PER_BLOCK);
    int rc = ext4_writer_flush(&fs->writer, err);
    return rc < 0 ? rc : ext4_writer_put_bytes(&fs->writer, 0, head, length, err);
}

int ext4_groups_write(struct ext4_filesystem *fs, struct tree *tree, struct error *err)
{
    uint32_t groups = fs->layout.group_count;
    struct gap_cursor cursor = {.gaps = &fs->allocator.free};
    int rc = 0;
    for (uint32_t i = 0; i < groups && rc == 0; i++)
        rc = write_block_bitmap(fs, i, &cursor, err);
    for (uint32_t i = 0; i < groups && rc == 0; i++)
        rc = write_inode_table(fs, tree, i, err);
    for (uint32_t i = 0; i < groups && rc == 0; i++)
        rc = write_inode_bitmap(fs, i, err);
    if (rc == 0 && fs->layout.meta_bg)
        rc = write_distant_descriptors(fs, err);
    return rc < 0 ? rc : write_head(fs, err);
}
