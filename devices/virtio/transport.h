/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of a virtio device as its driver sees it (Virtual I/O Device Version 1.2, sections 2.1, 2.2, 3.1), whatever
 * registers carry it: the status state machine, feature negotiation, the life of the queues, kicks and interrupts. The
 * register layout lies in mmio.c; device models see device.h only.
 */
#ifndef DEVICES_VIRTIO_TRANSPORT_H
#define DEVICES_VIRTIO_TRANSPORT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/event_loop.h"
#include "devices/virtio/device.h"
#include "devices/virtio/queue.h"

/** Device status bits, section 2.1. */
enum {
    VIRTIO_STATUS_ACKNOWLEDGE = 1,
    VIRTIO_STATUS_DRIVER = 2,
    VIRTIO_STATUS_DRIVER_OK = 4,
    VIRTIO_STATUS_FEATURES_OK = 8,
    VIRTIO_STATUS_NEEDS_RESET = 64,
    VIRTIO_STATUS_FAILED = 128,
};

/** Why the interrupt line was raised, section 4.2.2 (InterruptStatus). */
enum { VIRTIO_INTERRUPT_USED_BUFFER = 1, VIRTIO_INTERRUPT_CONFIG_CHANGE = 2 };

/** What the driver has written about one queue, and the eventfd that it kicks. */
struct transport_queue {
    struct virtio_queue_layout layout;
    bool ready;                 /**< the driver's QueueReady: the layout stays as it is */
    struct event_source source; /**< watches kick_fd */
    int kick_fd;                /**< owned */
    uint16_t index;
    struct virtio_transport *transport;
};

struct virtio_transport {
    const struct virtio_device_ops *ops;
    void *device; /**< owned */
    const struct guest_memory *memory;
    struct event_loop *loop;
    int irq_fd; /**< borrowed */

    /* These two are read and cleared by the guest's interrupt handler, which must not wait for a disk: no lock. */
    atomic_uint interrupt_status;
    atomic_uint config_generation;

    pthread_mutex_t lock; /**< covers all below and the device */
    uint32_t status;
    uint64_t driver_features;
    uint32_t device_features_select;
    uint32_t driver_features_select;
    uint32_t queue_select;
    bool active;       /**< between activate and reset */
    unsigned failures; /**< how often the device needed a reset */
    struct transport_queue control[VIRTIO_QUEUES_MAX];
    struct virtio_queue queues[VIRTIO_QUEUES_MAX];
};

/** Makes a transport; see virtio_mmio_new(). */
int virtio_transport_new(struct virtio_transport **transport, const struct virtio_device_ops *ops, void *device,
                         const struct guest_memory *memory, struct event_loop *loop, int irq_fd, struct error *err);

/** See virtio_mmio_free(). */
void virtio_transport_free(struct virtio_transport *transport);

/** All feature bits on offer. */
uint64_t virtio_transport_offered(const struct virtio_transport *transport);

/**
 * The driver writes the status: 0 resets; otherwise bits may only be added, in the order of section 3.1, and a bit that
 * may not be set is ignored, which the driver sees when it reads the status back. Lock held.
 */
void virtio_transport_set_status(struct virtio_transport *transport, uint32_t status);

/** Accepts or refuses a half (0 or 1) of the driver's features: refused from FEATURES_OK on. Lock held. */
void virtio_transport_set_features(struct virtio_transport *transport, uint32_t half, uint32_t bits);

/**
 * The queue that the driver selected, for changing its layout: NULL when there is no such queue, when it is ready, or
 * from DRIVER_OK on. Lock held.
 */
struct virtio_queue_layout *virtio_transport_layout(struct virtio_transport *transport);

/** The driver sets QueueReady of the selected queue; ignored from DRIVER_OK on. Lock held. */
void virtio_transport_set_queue_ready(struct virtio_transport *transport, bool ready);

/** The selected queue; NULL when the device has none of that number. Lock held. */
struct transport_queue *virtio_transport_selected(struct virtio_transport *transport);

/** Kicks queue @p index as a write to its eventfd does; a number out of range is ignored. No lock needed. */
void virtio_transport_kick(struct virtio_transport *transport, uint32_t index);

#endif
