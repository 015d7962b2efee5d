/* SPDX-License-Identifier: Apache-2.0 */
#include "image/ext4/layout.h"

#include <errno.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/error.h"
#include "image/ext4/allocator.h"
#include "image/ext4/format.h"

_Static_assert(EXT4_INODES_PER_BLOCK == 16, "ext4_layout_table_blocks");

enum {
    BITMAPS = 2,                /* blocks per group: one of blocks, one of inodes */
    BLOCKS_PER_INODE = 4,       /* one inode for each 16 KiB, as mke2fs does */
    SPREAD_GROUP_FREE_MIN = 16, /* a last group with less to give is left out */
};

uint32_t ext4_layout_group_blocks(const struct ext4_layout *layout, uint32_t group)
{
    uint64_t first = (uint64_t)group * EXT4_BLOCKS_PER_GROUP;
    uint64_t left = layout->blocks - first;
    return left < EXT4_BLOCKS_PER_GROUP ? (uint32_t)left : EXT4_BLOCKS_PER_GROUP;
}

static int allocate_groups(struct ext4_layout *layout, struct error *err)
{
    layout->groups = calloc(layout->group_count, sizeof layout->groups[0]);
    return layout->groups ? 0 : error_set(err, ENOMEM, "out of memory");
}

void ext4_layout_done(struct ext4_layout *layout)
{
    free(layout->groups);
    *layout = (struct ext4_layout){0};
}

/* ---- packed ------------------------------------------------------------------------------------------------------ */

static uint32_t inodes_per_group(uint32_t inodes, uint64_t groups)
{
    uint64_t each = divide_round_up_u64(inodes, groups);
    return (uint32_t)(divide_round_up_u64(each, EXT4_INODES_PER_BLOCK) * EXT4_INODES_PER_BLOCK);
}

/* Metadata needs blocks, more blocks may need another group, a group needs metadata: the smallest number that fits. */
static uint64_t count_groups(uint64_t used, uint32_t inodes, uint64_t blocks)
{
    uint64_t groups = divide_round_up_u64(inodes, EXT4_INODES_PER_GROUP_MAX);
    uint64_t asked = divide_round_up_u64(blocks, EXT4_BLOCKS_PER_GROUP);
    if (groups < asked)
        groups = asked;
    for (;; groups++) {
        uint64_t tables = groups * (BITMAPS + inodes_per_group(inodes, groups) / EXT4_INODES_PER_BLOCK);
        uint64_t descriptors = 3 * divide_round_up_u64(groups, EXT4_DESCRIPTORS_PER_BLOCK);
        uint64_t needed = divide_round_up_u64(used + tables + descriptors, EXT4_BLOCKS_PER_GROUP);
        if (needed <= groups)
            return groups;
        if (needed > groups + 1)
            groups = needed - 1;
    }
}

static int pack(struct ext4_layout *layout, struct ext4_allocator *allocator, struct error *err)
{
    int rc = 0;
    for (uint32_t i = 0; i < layout->group_count && rc == 0; i++)
        rc = ext4_allocator_take_whole(allocator, 1, &layout->groups[i].block_bitmap, err);
    for (uint32_t i = 0; i < layout->group_count && rc == 0; i++)
        rc = ext4_allocator_take_whole(allocator, 1, &layout->groups[i].inode_bitmap, err);
    for (uint32_t i = 0; i < layout->group_count && rc == 0; i++)
        rc =
            ext4_allocator_take_whole(allocator, ext4_layout_table_blocks(layout), &layout->groups[i].inode_table, err);
    return rc;
}

int ext4_layout_packed(struct ext4_layout *layout, struct ext4_allocator *allocator, uint32_t inodes, uint64_t blocks,
                       struct error *err)
{
    if (inodes < blocks / BLOCKS_PER_INODE)
        inodes = blocks / BLOCKS_PER_INODE < UINT32_MAX ? (uint32_t)(blocks / BLOCKS_PER_INODE) : UINT32_MAX;
    uint64_t groups = count_groups(allocator->next, inodes, blocks);
    if (groups > EXT4_BLOCKS_MAX / EXT4_BLOCKS_PER_GROUP)
        return error_set(err, ENOSPC, "the file system would be larger than 16 TiB");
    *layout = (struct ext4_layout){
        .group_count = (uint32_t)groups,
        .inodes_per_group = inodes_per_group(inodes, groups),
        .descriptor_blocks = 1,
        .meta_bg = groups > EXT4_DESCRIPTORS_PER_BLOCK,
        .unwritten_from = blocks ? allocator->next : UINT64_MAX,
    };
    int rc = allocate_groups(layout, err);
    if (rc == 0)
        rc = pack(layout, allocator, err);
    if (rc < 0)
        return rc;
    /* Many inodes may need more groups than the blocks in use do; the last one is then as short as can be. */
    uint64_t least = (groups - 1) * EXT4_BLOCKS_PER_GROUP + 1;
    uint64_t needed = allocator->next > least ? allocator->next : least;
    layout->blocks = blocks ? blocks : needed;
    if (needed <= layout->blocks)
        return 0;
    return error_set(err, ENOSPC, "%llu blocks of 4 KiB are needed, the file system is to have %llu",
                     (unsigned long long)needed, (unsigned long long)blocks);
}

/* ---- spread ------------------------------------------------------------------------------------------------------ */

static void spread(struct ext4_layout *layout)
{
    for (uint32_t i = 0; i < layout->group_count; i++) {
        uint64_t first = (uint64_t)i * EXT4_BLOCKS_PER_GROUP + (i == 0 ? 1 + layout->descriptor_blocks : 0);
        layout->groups[i].block_bitmap = first;
        layout->groups[i].inode_bitmap = first + 1;
        layout->groups[i].inode_table = first + BITMAPS;
    }
}

int ext4_layout_spread(struct ext4_layout *layout, struct ext4_allocator *allocator, uint64_t blocks, struct error *err)
{
    if (blocks < 256 || blocks > EXT4_BLOCKS_MAX)
        return error_set(err, EINVAL, "a file system may have 1 MiB to 16 TiB");
    uint64_t in_group = blocks < EXT4_BLOCKS_PER_GROUP ? blocks : EXT4_BLOCKS_PER_GROUP;
    uint64_t inodes = in_group / BLOCKS_PER_INODE / EXT4_INODES_PER_BLOCK * EXT4_INODES_PER_BLOCK;
    uint64_t table = inodes / EXT4_INODES_PER_BLOCK;
    uint64_t last = blocks % EXT4_BLOCKS_PER_GROUP;
    if (blocks > EXT4_BLOCKS_PER_GROUP && last < BITMAPS + table + SPREAD_GROUP_FREE_MIN)
        blocks -= last;
    uint64_t groups = divide_round_up_u64(blocks, EXT4_BLOCKS_PER_GROUP);
    *layout = (struct ext4_layout){
        .blocks = blocks,
        .group_count = (uint32_t)groups,
        .inodes_per_group = (uint32_t)inodes,
        .descriptor_blocks = (uint32_t)divide_round_up_u64(groups, EXT4_DESCRIPTORS_PER_BLOCK),
        .spread = true,
    };
    int rc = allocate_groups(layout, err);
    if (rc < 0)
        return rc;
    spread(layout);
    uint64_t end_of_group = blocks < EXT4_BLOCKS_PER_GROUP ? blocks : EXT4_BLOCKS_PER_GROUP;
    ext4_allocator_init(allocator, layout->groups[0].inode_table + table, end_of_group);
    return 0;
}
