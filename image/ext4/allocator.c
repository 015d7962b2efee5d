/* SPDX-License-Identifier: Apache-2.0 */
#include "image/ext4/allocator.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "image/ext4/format.h"

enum {
    PROBES = 64, /* gaps looked at per request, so that many small gaps cost no more than a few */
    META_GROUP = EXT4_DESCRIPTORS_PER_BLOCK,
};

/* ---- lists of runs ----------------------------------------------------------------------------------------------- */

static int runs_append(struct ext4_runs *list, struct ext4_run run)
{
    if (!list->runs || list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 64;
        struct ext4_run *runs = realloc(list->runs, capacity * sizeof *runs);
        if (!runs)
            return -ENOMEM;
        list->runs = runs;
        list->capacity = capacity;
    }
    list->runs[list->count++] = run;
    return 0;
}

static int compare_runs(const void *left, const void *right)
{
    const struct ext4_run *a = left, *b = right;
    return a->start < b->start ? -1 : a->start > b->start;
}

/* Sorts, drops empty runs and joins neighbours. */
static void runs_normalise(struct ext4_runs *list)
{
    if (!list->count)
        return;
    qsort(list->runs, list->count, sizeof list->runs[0], compare_runs);
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        struct ext4_run run = list->runs[i];
        if (!run.count)
            continue;
        struct ext4_run *last = kept ? &list->runs[kept - 1] : NULL;
        if (last && last->start + last->count == run.start)
            last->count += run.count;
        else
            list->runs[kept++] = run;
    }
    list->count = kept;
}

/* ---- places kept for descriptors --------------------------------------------------------------------------------- */

/* Of each 64 groups the first, the second and the last have a copy of the block with their descriptors. */
static bool group_has_descriptors(uint64_t group)
{
    uint64_t place = group % META_GROUP;
    return group >= META_GROUP && (place <= 1 || place == META_GROUP - 1);
}

bool ext4_block_holds_descriptors(uint64_t block)
{
    return block % EXT4_BLOCKS_PER_GROUP == 0 && group_has_descriptors(block / EXT4_BLOCKS_PER_GROUP);
}

/* The first such block from @p block on. */
static uint64_t next_descriptor_block(uint64_t block)
{
    uint64_t group = block / EXT4_BLOCKS_PER_GROUP + (block % EXT4_BLOCKS_PER_GROUP != 0);
    while (!group_has_descriptors(group))
        group++;
    return group * EXT4_BLOCKS_PER_GROUP;
}

/* ---- taking and giving ------------------------------------------------------------------------------------------- */

void ext4_allocator_init(struct ext4_allocator *allocator, uint64_t first, uint64_t limit)
{
    *allocator = (struct ext4_allocator){.next = first, .limit = limit};
}

void ext4_allocator_done(struct ext4_allocator *allocator)
{
    free(allocator->free.runs);
    free(allocator->given.runs);
    *allocator = (struct ext4_allocator){0};
}

/* A gap that holds @p count blocks, among the next few. */
static struct ext4_run *find_gap(struct ext4_allocator *allocator, uint64_t count)
{
    struct ext4_runs *gaps = &allocator->free;
    size_t probes = gaps->count < PROBES ? gaps->count : PROBES;
    for (; probes; probes--) {
        if (allocator->cursor >= gaps->count)
            allocator->cursor = 0;
        if (gaps->runs[allocator->cursor].count >= count)
            return &gaps->runs[allocator->cursor];
        allocator->cursor++;
    }
    return NULL;
}

static uint64_t take_from_gap(struct ext4_run *gap, uint64_t count)
{
    uint64_t start = gap->start;
    gap->start += count;
    gap->count -= count;
    return start;
}

static int no_space(const struct ext4_allocator *allocator, struct error *err)
{
    return error_set(err, ENOSPC, "the file system is full: it has %llu blocks of 4 KiB",
                     (unsigned long long)allocator->limit);
}

static void step_over_descriptors(struct ext4_allocator *allocator)
{
    while (ext4_block_holds_descriptors(allocator->next))
        allocator->next++;
}

int ext4_allocator_take(struct ext4_allocator *allocator, uint64_t want, struct ext4_run *run, struct error *err)
{
    struct ext4_run *gap = find_gap(allocator, want);
    if (gap) {
        *run = (struct ext4_run){.start = take_from_gap(gap, want), .count = want};
        return 0;
    }
    step_over_descriptors(allocator);
    uint64_t end = next_descriptor_block(allocator->next);
    if (end > allocator->limit)
        end = allocator->limit;
    if (allocator->next >= end)
        return no_space(allocator, err);
    uint64_t count = want < end - allocator->next ? want : end - allocator->next;
    *run = (struct ext4_run){.start = allocator->next, .count = count};
    allocator->next += count;
    return 0;
}

int ext4_allocator_take_whole(struct ext4_allocator *allocator, uint64_t count, uint64_t *start, struct error *err)
{
    for (;;) {
        struct ext4_run run = {0};
        int rc = ext4_allocator_take(allocator, count, &run, err);
        if (rc < 0)
            return rc;
        if (run.count == count) {
            *start = run.start;
            return 0;
        }
        if (ext4_allocator_give(allocator, run) < 0)
            return error_set(err, ENOMEM, "out of memory");
    }
}

int ext4_allocator_give(struct ext4_allocator *allocator, struct ext4_run run)
{
    struct ext4_runs *given = &allocator->given;
    struct ext4_run *last = given->count ? &given->runs[given->count - 1] : NULL;
    if (last && last->start + last->count == run.start) {
        last->count += run.count;
        return 0;
    }
    return runs_append(given, run);
}

int ext4_allocator_settle(struct ext4_allocator *allocator)
{
    struct ext4_runs *given = &allocator->given, *gaps = &allocator->free;
    for (size_t i = 0; i < given->count; i++)
        if (runs_append(gaps, given->runs[i]) < 0)
            return -ENOMEM;
    given->count = 0;
    allocator->cursor = 0;
    runs_normalise(gaps);
    struct ext4_run *last = gaps->count ? &gaps->runs[gaps->count - 1] : NULL;
    if (last && last->start + last->count == allocator->next) {
        allocator->next = last->start;
        gaps->count--;
    }
    return 0;
}
