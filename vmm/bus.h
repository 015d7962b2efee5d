/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From an address to the device whose window it lies in. A machine has two buses, one for memory-mapped and one for
 * port I/O. Filled before the vCPUs run, then only read, so it needs no lock.
 */
#ifndef VMM_BUS_H
#define VMM_BUS_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/bus_device.h"

struct error;

enum { BUS_WINDOWS_MAX = 32 };

struct bus_window {
    uint64_t start;
    uint64_t size; /**< bytes, not 0; start + size does not overflow */
    const struct bus_device_ops *ops;
    void *device; /**< borrowed */
};

/** Windows in ascending order, none overlapping. Zero-initialise. */
struct bus {
    struct bus_window windows[BUS_WINDOWS_MAX];
    unsigned count;
};

/** Adds a window. @return 0; -EEXIST when it overlaps another one, -EINVAL for an impossible one, -ENOSPC when full */
int bus_add(struct bus *bus, uint64_t start, uint64_t size, const struct bus_device_ops *ops, void *device,
            struct error *err);

/**
 * A load by the guest. What no device claims (no window there, a length that is not 1, 2, 4 or 8, an access across a
 * window's end) reads as all ones, as on a bus that nobody drives.
 * @return whether a device answered
 */
bool bus_read(const struct bus *bus, uint64_t address, void *data, uint32_t length);

/** A store by the guest; what no device claims is dropped. @return whether a device took it */
bool bus_write(const struct bus *bus, uint64_t address, const void *data, uint32_t length);

#endif
