/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio over memory-mapped registers, version 2 (Virtual I/O Device Version 1.2, section 4.2): the transport, for any
 * device model behind struct virtio_device_ops.
 */
#ifndef DEVICES_VIRTIO_MMIO_H
#define DEVICES_VIRTIO_MMIO_H

#include <stdint.h>

#include "devices/bus_device.h"
#include "devices/virtio/device.h"

struct error;
struct event_loop;
struct guest_memory;

/** Size of the register window, and the offset of QueueNotify in it, to which the machine binds ioeventfds. */
enum { VIRTIO_MMIO_WINDOW = 0x1000, VIRTIO_MMIO_QUEUE_NOTIFY = 0x50 };

/** The transport on the machine's bus; the `device` argument is the struct virtio_transport. */
extern const struct bus_device_ops virtio_mmio_bus_ops;

/**
 * Puts a device model behind a register window.
 *
 * @param transport  set to the new transport, owned by the caller
 * @param ops        the kind of device; static
 * @param device     the model; owned by the transport from here on, on failure too (ops->free releases it)
 * @param memory     the guest's RAM; borrowed, outlives the transport
 * @param loop       where queue kicks are handled; borrowed, outlives the transport
 * @param irq_fd     an eventfd that raises the device's interrupt line when written (KVM_IRQFD); borrowed
 * @return 0 or -errno
 */
int virtio_mmio_new(struct virtio_transport **transport, const struct virtio_device_ops *ops, void *device,
                    const struct guest_memory *memory, struct event_loop *loop, int irq_fd, struct error *err);

/** Drains, resets and frees the transport and its device. Neither the loop nor a vCPU may be running. NULL is fine. */
void virtio_mmio_free(struct virtio_transport *transport);

/** How many queues the device has. */
uint16_t virtio_mmio_queue_count(const struct virtio_transport *transport);

/** The eventfd that kicks queue @p index when written; borrowed. For KVM_IOEVENTFD on QueueNotify with that value. */
int virtio_mmio_kick_fd(const struct virtio_transport *transport, uint16_t index);

#endif
