/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a device looks like from the machine's buses (memory-mapped and port I/O): a window of addresses and two
 * functions. The machine finds the device by address and calls it on the thread of the vCPU that touched it.
 */
#ifndef DEVICES_BUS_DEVICE_H
#define DEVICES_BUS_DEVICE_H

#include <stdint.h>

/** How one kind of device answers the bus. Both are called from several vCPU threads; the device does its own locking.
 */
struct bus_device_ops {
    const char *name; /**< for logs and traces */

    /**
     * A load by the guest.
     * @param offset  bytes from the start of the device's window; offset + length is inside it
     * @param data    filled completely, in guest byte order; what the device does not define reads as zero
     * @param length  1, 2, 4 or 8
     */
    void (*read)(void *device, uint64_t offset, void *data, uint32_t length);

    /** A store by the guest; parameters as for read. A store that makes no sense is ignored, never fatal. */
    void (*write)(void *device, uint64_t offset, const void *data, uint32_t length);
};

#endif
