/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which blocks are taken. Blocks are given out in ascending order, so that what is written one after the other lies one
 * behind the other; those of files that a later layer removes come back and are used again.
 *
 * The total size is not known while contents stream in. So the descriptors of groups beyond the first 64 are placed by
 * the meta_bg scheme (Documentation/filesystems/ext4/blockgroup.rst, "Meta Block Groups"), whose positions depend on
 * nothing else; the allocator steps over them.
 */
#ifndef IMAGE_EXT4_ALLOCATOR_H
#define IMAGE_EXT4_ALLOCATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

/** Blocks [start, start + count). */
struct ext4_run {
    uint64_t start, count;
};

/** A growing list of runs. */
struct ext4_runs {
    struct ext4_run *runs;
    size_t count, capacity;
};

/** Initialise with ext4_allocator_init(), release with ext4_allocator_done(). */
struct ext4_allocator {
    uint64_t next;          /**< the first block that was never given out */
    uint64_t limit;         /**< blocks from here on do not exist */
    struct ext4_runs free;  /**< below next; ascending, apart from each other; some may be empty */
    struct ext4_runs given; /**< given back since ext4_allocator_settle() */
    size_t cursor;          /**< where the next search of free starts */
};

/** Blocks below @p first are taken from the start. */
void ext4_allocator_init(struct ext4_allocator *allocator, uint64_t first, uint64_t limit);

void ext4_allocator_done(struct ext4_allocator *allocator);

/**
 * Takes 1 to @p want blocks in one run: all of them in a gap if one is found that is large enough, else as many as
 * there are at the end.
 * @return 0, or -ENOSPC
 */
int ext4_allocator_take(struct ext4_allocator *allocator, uint64_t want, struct ext4_run *run, struct error *err);

/** Takes exactly @p count blocks in one run. @return 0, or -ENOSPC */
int ext4_allocator_take_whole(struct ext4_allocator *allocator, uint64_t count, uint64_t *start, struct error *err);

/** Gives blocks back; they can be taken again after ext4_allocator_settle(). @return 0 or -ENOMEM */
int ext4_allocator_give(struct ext4_allocator *allocator, struct ext4_run run);

/** Makes what was given back usable. @return 0 or -ENOMEM */
int ext4_allocator_settle(struct ext4_allocator *allocator);

/** Whether the descriptor of a group far from the first may lie in @p block. */
bool ext4_block_holds_descriptors(uint64_t block);

#endif
