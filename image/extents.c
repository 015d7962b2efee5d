/* SPDX-License-Identifier: Apache-2.0 */
#include "image/extents.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static struct extent *last_run(struct extents *extents)
{
    if (!extents->count)
        return NULL;
    return extents->capacity ? &extents->many[extents->count - 1] : &extents->one;
}

static bool continues(const struct extent *last, const struct extent *run)
{
    return (uint64_t)last->logical + last->count == run->logical && last->physical + last->count == run->physical &&
           last->count <= UINT32_MAX - run->count;
}

static int grow(struct extents *extents)
{
    if (extents->capacity > UINT32_MAX / 2)
        return -ENOMEM;
    uint32_t capacity = extents->capacity ? 2 * extents->capacity : 4;
    struct extent *many = realloc(extents->capacity ? extents->many : NULL, capacity * sizeof *many);
    if (!many)
        return -ENOMEM;
    if (!extents->capacity)
        many[0] = extents->one;
    extents->many = many;
    extents->capacity = capacity;
    return 0;
}

int extents_append(struct extents *extents, struct extent run)
{
    struct extent *last = last_run(extents);
    if (!last) {
        extents->one = run;
        extents->count = 1;
        return 0;
    }
    if (continues(last, &run)) {
        last->count += run.count;
        return 0;
    }
    if (extents->count >= extents->capacity && grow(extents) < 0)
        return -ENOMEM;
    extents->many[extents->count++] = run;
    return 0;
}

uint64_t extents_blocks(const struct extents *extents)
{
    const struct extent *runs = extents_runs(extents);
    uint64_t blocks = 0;
    for (uint32_t i = 0; i < extents->count; i++)
        blocks += runs[i].count;
    return blocks;
}

void extents_done(struct extents *extents)
{
    if (!extents)
        return;
    if (extents->capacity)
        free(extents->many);
    *extents = (struct extents){0};
}
