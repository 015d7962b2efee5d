/* SPDX-License-Identifier: Apache-2.0 */
#include "image/ext4/extent_tree.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "image/ext4/checksum.h"
#include "image/ext4/format.h"
#include "image/ext4/writer.h"

enum {
    MAGIC = 0xf30a,
    RUN_BLOCKS_MAX = 32768, /* of an initialised extent */
    ROOT_ENTRIES = 4,
};

struct header {
    le16 magic;
    le16 entries;
    le16 max;
    le16 depth;
    le32 generation;
};

/* struct ext4_extent */
struct leaf_entry {
    le32 logical;
    le16 count;
    le16 physical_hi;
    le32 physical_lo;
};

/* struct ext4_extent_idx */
struct index_entry {
    le32 logical;
    le32 child_lo;
    le16 child_hi;
    le16 unused;
};

union entry {
    struct leaf_entry leaf;
    struct index_entry index;
};

enum { BLOCK_ENTRIES = (EXT4_BLOCK_SIZE - sizeof(struct header)) / sizeof(union entry) };

struct block {
    struct header header;
    union entry entries[BLOCK_ENTRIES];
    le32 checksum;
};
_Static_assert(sizeof(union entry) == 12, "size of an extent");
_Static_assert(sizeof(struct block) == EXT4_BLOCK_SIZE, "size of an extent block");
_Static_assert(sizeof(struct header) + ROOT_ENTRIES * sizeof(union entry) == EXT4_EXTENT_ROOT_SIZE, "root");

static struct header make_header(uint64_t entries, unsigned max, unsigned depth)
{
    return (struct header){
        .magic = le16_from(MAGIC),
        .entries = le16_from((uint16_t)entries),
        .max = le16_from((uint16_t)max),
        .depth = le16_from((uint16_t)depth),
    };
}

static union entry make_leaf(uint32_t logical, uint32_t count, uint64_t physical)
{
    return (union entry){.leaf = {
                             .logical = le32_from(logical),
                             .count = le16_from((uint16_t)count),
                             .physical_lo = le32_from((uint32_t)physical),
                             .physical_hi = le16_from((uint16_t)(physical >> 32)),
                         }};
}

static union entry make_index(le32 logical, uint64_t child)
{
    return (union entry){.index = {
                             .logical = logical,
                             .child_lo = le32_from((uint32_t)child),
                             .child_hi = le16_from((uint16_t)(child >> 32)),
                         }};
}

static uint64_t count_leaf_entries(const struct extents *extents)
{
    const struct extent *runs = extents_runs(extents);
    uint64_t entries = 0;
    for (uint32_t i = 0; i < extents->count; i++)
        entries += divide_round_up_u64(runs[i].count, RUN_BLOCKS_MAX);
    return entries;
}

uint64_t ext4_extent_tree_blocks(const struct extents *extents)
{
    uint64_t blocks = 0;
    uint64_t entries = count_leaf_entries(extents);
    while (entries > ROOT_ENTRIES) {
        entries = divide_round_up_u64(entries, BLOCK_ENTRIES);
        blocks += entries;
    }
    return blocks;
}

/* Runs on the disk are shorter than those in memory may be. */
static void fill_leaf_entries(const struct extents *extents, union entry *entries)
{
    const struct extent *runs = extents_runs(extents);
    for (uint32_t i = 0; i < extents->count; i++) {
        for (uint32_t done = 0; done < runs[i].count;) {
            uint32_t left = runs[i].count - done;
            uint32_t count = left < RUN_BLOCKS_MAX ? left : RUN_BLOCKS_MAX;
            *entries++ = make_leaf(runs[i].logical + done, count, runs[i].physical + done);
            done += count;
        }
    }
}

static int write_block(const union entry *entries, uint64_t count, unsigned depth, uint64_t place,
                       uint32_t checksum_seed, struct ext4_writer *writer, struct error *err)
{
    struct block block = {.header = make_header(count, BLOCK_ENTRIES, depth)};
    memcpy(block.entries, entries, count * sizeof entries[0]);
    block.checksum = le32_from(ext4_checksum(checksum_seed, &block, offsetof(struct block, checksum)));
    return ext4_writer_put(writer, place, &block, sizeof block, err);
}

/* Writes one level and turns @p entries into those of the level above. */
static int write_level(union entry *entries, uint64_t *count, unsigned depth, uint64_t *place, uint32_t checksum_seed,
                       struct ext4_writer *writer, struct error *err)
{
    uint64_t blocks = divide_round_up_u64(*count, BLOCK_ENTRIES);
    for (uint64_t i = 0; i < blocks; i++) {
        const union entry *first = &entries[i * BLOCK_ENTRIES];
        uint64_t left = *count - i * BLOCK_ENTRIES;
        if (writer) {
            int rc = write_block(first, left < BLOCK_ENTRIES ? left : BLOCK_ENTRIES, depth, *place, checksum_seed,
                                 writer, err);
            if (rc < 0)
                return rc;
        }
        /* Both kinds of entry start with the logical block. */
        entries[i] = make_index(first->index.logical, *place);
        (*place)++;
    }
    *count = blocks;
    return 0;
}

int ext4_extent_tree_build(const struct extents *extents, uint8_t root[static EXT4_EXTENT_ROOT_SIZE], uint64_t start,
                           uint32_t checksum_seed, struct ext4_writer *writer, struct error *err)
{
    uint64_t count = count_leaf_entries(extents);
    union entry few[ROOT_ENTRIES];
    cleanup_free union entry *many = NULL;
    union entry *entries = few;
    if (count > ROOT_ENTRIES) {
        many = calloc(count, sizeof many[0]);
        if (!many)
            return error_set(err, ENOMEM, "out of memory");
        entries = many;
    }
    fill_leaf_entries(extents, entries);

    unsigned depth = 0;
    for (; count > ROOT_ENTRIES; depth++) {
        int rc = write_level(entries, &count, depth, &start, checksum_seed, writer, err);
        if (rc < 0)
            return rc;
    }
    struct header header = make_header(count, ROOT_ENTRIES, depth);
    memset(root, 0, EXT4_EXTENT_ROOT_SIZE);
    memcpy(root, &header, sizeof header);
    memcpy(root + sizeof header, entries, count * sizeof entries[0]);
    return 0;
}
