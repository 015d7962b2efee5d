/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract of a virtio device model (Virtual I/O Device Version 1.2, section 2).
 *
 *       guest driver                 transport (mmio.c)                 device model (blk.c, vsock.c, ...)
 *      ---------------              --------------------               -----------------------------------
 *       status, features  ───────►  the one state machine  ─activate─►  starts
 *       config space      ───────►  window, generation     ─read_config, write_config─►
 *       queue addresses   ───────►  latched at DRIVER_OK
 *       QueueNotify       ─eventfd► kick, on the loop's thread ─notify─► queue: pop → work → push
 *       interrupt         ◄─irqfd─  ISR bit                ◄─ virtio_transport_interrupt()
 *
 * Rules:
 * 1. A device model is one struct, one const ops table, one file. It knows no transport, no KVM and no address.
 * 2. Every op runs with the transport's lock held: notify on the loop's thread; the others on the thread of the vCPU
 *    that touched a register. A device's own event handlers (a socket became readable) run on the loop's thread and
 * take the lock with virtio_transport_lock() first.
 * 3. Only queue.c touches rings. A device pops a chain of spans that are already checked, and pushes it back with the
 *    number of bytes it wrote. A ring that is broken yields no chains; the transport does the rest (queue.h).
 * 4. What the guest does wrong costs the guest: a request with an error status, or virtio_transport_fail(), which sets
 *    DEVICE_NEEDS_RESET and stops the device. Never an exit, an assertion or a message per request.
 */
#ifndef DEVICES_VIRTIO_DEVICE_H
#define DEVICES_VIRTIO_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

struct virtio_queue;
struct virtio_transport;

/** Device types, section 5. */
enum virtio_device_type {
    VIRTIO_TYPE_NET = 1,
    VIRTIO_TYPE_BLK = 2,
    VIRTIO_TYPE_RNG = 4,
    VIRTIO_TYPE_BALLOON = 5,
    VIRTIO_TYPE_VSOCK = 19,
    VIRTIO_TYPE_FS = 26,
};

/** Feature bits that belong to the transport and the ring, section 6. A device adds its own to these. */
#define VIRTIO_F_INDIRECT_DESC (UINT64_C(1) << 28)
#define VIRTIO_F_EVENT_IDX     (UINT64_C(1) << 29)
#define VIRTIO_F_VERSION_1     (UINT64_C(1) << 32)

enum { VIRTIO_QUEUES_MAX = 8, VIRTIO_QUEUE_SIZE_MAX = 256 };

/** What a kind of device is and does. @p device is the model's own struct. */
struct virtio_device_ops {
    const char *name;
    enum virtio_device_type type;
    uint16_t queue_count; /**< 1..VIRTIO_QUEUES_MAX */
    uint16_t queue_size;  /**< largest size offered, a power of two up to VIRTIO_QUEUE_SIZE_MAX */

    /** Feature bits offered beside those of the transport. */
    uint64_t (*features)(const void *device);

    /**
     * A load from the device's configuration space. May be NULL: then it reads as zeros.
     * @param offset,length  any; what lies outside the device's fields must read as zeros
     */
    void (*read_config)(void *device, uint32_t offset, void *data, uint32_t length);

    /** A store to the configuration space; NULL when nothing in it is writable. Nonsense is ignored. */
    void (*write_config)(void *device, uint32_t offset, const void *data, uint32_t length);

    /**
     * The driver set DRIVER_OK; queues are latched and usable from here on.
     * @param features   what was negotiated, transport bits included
     * @param queues     ops->queue_count of them; those the driver left off are not ready. Valid until reset.
     * @param transport  for lock, interrupt and fail; outlives the device
     */
    void (*activate)(void *device, uint64_t features, struct virtio_queue *queues, struct virtio_transport *transport);

    /** The driver made buffers available in queue @p index. Also called once, for each ready queue, after activate. */
    void (*notify)(void *device, uint16_t index);

    /**
     * Back to the state before activate; called only after it. When it returns nothing is in flight and no guest memory
     * is touched. Event sources go with event_loop_remove_elsewhere().
     */
    void (*reset)(void *device);

    /**
     * The machine has stopped for good, and neither loop nor vCPUs run: takes what the driver has queued and must not
     * be lost. Called before the last reset if the device is active. May be NULL.
     */
    void (*drain)(void *device);

    /** Releases the device. Called once, after the last other op. */
    void (*free)(void *device);
};

/** Enters or leaves the device's lock; see rule 2. Not recursive. */
void virtio_transport_lock(struct virtio_transport *transport);
void virtio_transport_unlock(struct virtio_transport *transport);

/**
 * Calls notify for queue @p index again, after the loop's other handlers had their turn: for a device that stops after
 * a fair share of a queue.
 */
void virtio_transport_again(struct virtio_transport *transport, uint16_t index);

/** Tells the driver that used buffers are there (section 2.3), unless the ring says that it does not want to know. */
void virtio_transport_interrupt(struct virtio_transport *transport, struct virtio_queue *queue);

/** Tells the driver that the configuration space changed (section 2.3). */
void virtio_transport_config_changed(struct virtio_transport *transport);

/**
 * The guest broke the contract: sets DEVICE_NEEDS_RESET, tells the driver, and until it resets calls no notify and lets
 * every queue look empty.
 * @param reason  a literal, logged the first few times
 */
void virtio_transport_fail(struct virtio_transport *transport, const char *reason);

#endif
