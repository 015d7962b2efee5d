/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/bus.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/checked.h"
#include "base/error.h"

/* The index of the first window that ends above the address: the only one that can hold it. */
static unsigned first_ending_above(const struct bus *bus, uint64_t address)
{
    unsigned low = 0, high = bus->count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (bus->windows[middle].start + bus->windows[middle].size > address)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

int bus_add(struct bus *bus, uint64_t start, uint64_t size, const struct bus_device_ops *ops, void *device,
            struct error *err)
{
    uint64_t end;
    if (size == 0 || !checked_add_u64(start, size, &end))
        return error_set(err, EINVAL, "%s cannot have a window of %llu bytes at 0x%llx", ops->name,
                         (unsigned long long)size, (unsigned long long)start);
    if (bus->count == BUS_WINDOWS_MAX)
        return error_set(err, ENOSPC, "no window left for %s: a bus has %d", ops->name, BUS_WINDOWS_MAX);
    unsigned place = first_ending_above(bus, start);
    if (place < bus->count && bus->windows[place].start < end)
        return error_set(err, EEXIST, "the windows of %s and %s overlap at 0x%llx", ops->name,
                         bus->windows[place].ops->name, (unsigned long long)start);
    memmove(&bus->windows[place + 1], &bus->windows[place], (bus->count - place) * sizeof bus->windows[0]);
    bus->windows[place] = (struct bus_window){.start = start, .size = size, .ops = ops, .device = device};
    bus->count++;
    return 0;
}

static const struct bus_window *find(const struct bus *bus, uint64_t address, uint32_t length)
{
    if (length != 1 && length != 2 && length != 4 && length != 8)
        return NULL;
    unsigned place = first_ending_above(bus, address);
    if (place == bus->count || bus->windows[place].start > address)
        return NULL;
    const struct bus_window *window = &bus->windows[place];
    return checked_range_within(address - window->start, length, window->size) ? window : NULL;
}

bool bus_read(const struct bus *bus, uint64_t address, void *data, uint32_t length)
{
    const struct bus_window *window = find(bus, address, length);
    if (!window) {
        memset(data, 0xff, length);
        return false;
    }
    window->ops->read(window->device, address - window->start, data, length);
    return true;
}

bool bus_write(const struct bus *bus, uint64_t address, const void *data, uint32_t length)
{
    const struct bus_window *window = find(bus, address, length);
    if (window)
        window->ops->write(window->device, address - window->start, data, length);
    return window != NULL;
}
