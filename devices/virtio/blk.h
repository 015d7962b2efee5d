/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-blk (Virtual I/O Device Version 1.2, section 5.2) over a raw image file or a block device. Requests are served
 * in place, on the loop's thread, with vectored I/O straight between the file and guest memory. Give a disk that may be
 * slow a loop of its own.
 */
#ifndef DEVICES_VIRTIO_BLK_H
#define DEVICES_VIRTIO_BLK_H

#include <stdbool.h>

#include "devices/virtio/device.h"

struct error;

extern const struct virtio_device_ops virtio_blk_ops;

enum {
    VIRTIO_BLK_SECTOR = 512, /**< the unit of capacity and of request positions, whatever the disk */
    VIRTIO_BLK_ID_MAX = 20,  /**< bytes of serial number that a guest can ask for */
};

/**
 * Makes the device model for virtio_mmio_new(). The image's format is never guessed: it is its bytes. What does not
 * fill a last sector is not reachable.
 *
 * Of the optional requests a disk that is not read-only offers flush, discard (a hint: where the file system below
 * cannot punch holes it does nothing) and write zeroes (where it cannot do that by itself, zeros are written).
 *
 * @param device    set to the model
 * @param fd        a regular file or block device, open for reading, and for writing unless @p readonly; owned by the
 *                  device from here on, on failure too
 * @param readonly  the guest may not write, discard or zero
 * @param id        serial number, at most VIRTIO_BLK_ID_MAX bytes of it are used; copied
 * @return 0 or -errno
 */
int virtio_blk_new(void **device, int fd, bool readonly, const char *id, struct error *err);

#endif
