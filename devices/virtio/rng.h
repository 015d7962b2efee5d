/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-rng (Virtual I/O Device Version 1.2, section 5.4): the host kernel's random numbers, straight into the guest.
 */
#ifndef DEVICES_VIRTIO_RNG_H
#define DEVICES_VIRTIO_RNG_H

#include "devices/virtio/device.h"

struct error;

extern const struct virtio_device_ops virtio_rng_ops;

/** At most this much of one request is filled; the driver asks again. */
enum { VIRTIO_RNG_REQUEST_MAX = 4096 };

/** Makes the device model for virtio_mmio_new(). @return 0 with *device set, or -errno */
int virtio_rng_new(void **device, struct error *err);

#endif
