/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the bytes of one file lie in the output: runs of blocks, in ascending logical order. A file written in one go
 * has one run, which is kept without an allocation of its own.
 */
#ifndef IMAGE_EXTENTS_H
#define IMAGE_EXTENTS_H

#include <stdint.h>

/** One run: blocks [logical, logical + count) of the file lie at [physical, physical + count) of the file system. */
struct extent {
    uint32_t logical;
    uint32_t count;
    uint64_t physical;
};

/** Owned runs. All zeros = none. */
struct extents {
    uint32_t count;
    uint32_t capacity; /**< of many; 0 while the one run is kept inline */
    union {
        struct extent one;
        struct extent *many;
    };
};

/** The runs, extents->count of them. */
static inline const struct extent *extents_runs(const struct extents *extents)
{
    return extents->capacity ? extents->many : &extents->one;
}

/**
 * Adds a run behind the others; one that continues the last run makes it longer.
 *
 * @param run  its logical start is not below the end of the last one; count is not 0
 * @return 0 or -ENOMEM
 */
int extents_append(struct extents *extents, struct extent run);

/** The number of blocks in all runs. */
uint64_t extents_blocks(const struct extents *extents);

/** Frees the runs; none are left. NULL is fine. */
void extents_done(struct extents *extents);

#endif
