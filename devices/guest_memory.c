/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/guest_memory.h"

#include <stddef.h>

void *guest_memory_at(const struct guest_memory *memory, uint64_t address, uint64_t length)
{
    for (unsigned i = 0; i < memory->count; i++) {
        const struct guest_region *region = &memory->regions[i];
        /* Below the region the difference wraps around to more than any region's size. */
        uint64_t offset = address - region->guest_address;
        if (offset < region->size)
            return length <= region->size - offset ? region->host + offset : NULL;
    }
    return NULL;
}

uint64_t guest_memory_size(const struct guest_memory *memory)
{
    uint64_t size = 0;
    for (unsigned i = 0; i < memory->count; i++)
        size += memory->regions[i].size;
    return size;
}
