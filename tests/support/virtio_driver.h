/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's virtio driver for tests: guest memory, rings built in it, and the registers driven as Linux drives them. It
 * also lets a test break every rule, because the raw pieces (descriptors, indices, registers) can be written directly.
 */
#ifndef TESTS_SUPPORT_VIRTIO_DRIVER_H
#define TESTS_SUPPORT_VIRTIO_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/event_loop.h"
#include "devices/guest_memory.h"
#include "devices/virtio/mmio.h"

/** RAM begins at 1 MiB, so that address 0 is not RAM; its size unless told otherwise. */
enum { DRIVER_RAM_BASE = 0x100000, DRIVER_RAM_SIZE = 0x400000 };

/** Registers, section 4.2.2. */
enum {
    MMIO_MAGIC = 0x000,
    MMIO_VERSION = 0x004,
    MMIO_DEVICE_ID = 0x008,
    MMIO_DEVICE_FEATURES = 0x010,
    MMIO_DEVICE_FEATURES_SEL = 0x014,
    MMIO_DRIVER_FEATURES = 0x020,
    MMIO_DRIVER_FEATURES_SEL = 0x024,
    MMIO_QUEUE_SEL = 0x030,
    MMIO_QUEUE_NUM_MAX = 0x034,
    MMIO_QUEUE_NUM = 0x038,
    MMIO_QUEUE_READY = 0x044,
    MMIO_QUEUE_NOTIFY = 0x050,
    MMIO_INTERRUPT_STATUS = 0x060,
    MMIO_INTERRUPT_ACK = 0x064,
    MMIO_STATUS = 0x070,
    MMIO_QUEUE_DESC = 0x080,
    MMIO_QUEUE_DRIVER = 0x090,
    MMIO_QUEUE_DEVICE = 0x0a0,
    MMIO_CONFIG_GENERATION = 0x0fc,
    MMIO_CONFIG = 0x100,
};

enum {
    STATUS_ACKNOWLEDGE = 1,
    STATUS_DRIVER = 2,
    STATUS_DRIVER_OK = 4,
    STATUS_FEATURES_OK = 8,
    STATUS_NEEDS_RESET = 64
};
enum { DESC_NEXT = 1, DESC_WRITE = 2, DESC_INDIRECT = 4 };

/** One queue as the driver keeps it. */
struct driver_queue {
    uint16_t size;
    uint64_t descriptors, available, used; /**< guest addresses */
    uint16_t available_index;
    uint16_t used_seen;
    uint16_t next_descriptor; /**< descriptors are taken round-robin */
};

struct virtio_driver {
    struct guest_memory memory;
    uint8_t *ram;
    uint64_t next_free;
    struct event_loop *loop;
    int irq_fd;
    struct virtio_transport *transport;
    struct driver_queue queues[VIRTIO_QUEUES_MAX];
};

/** One piece of a request. */
struct driver_span {
    uint64_t address;
    uint32_t length;
    bool writable;
};

/** Makes guest memory (zeroed), an event loop and an interrupt; then a device can be made for them. */
void driver_init(struct virtio_driver *driver);

/** The same with @p ram_size bytes, a multiple of 4096. */
void driver_init_sized(struct virtio_driver *driver, size_t ram_size);

/** Puts the device behind a transport; it must succeed. */
void driver_attach(struct virtio_driver *driver, const struct virtio_device_ops *ops, void *device);

/** Frees everything, the device included. */
void driver_done(struct virtio_driver *driver);

/** Aligned 32-bit register accesses. */
uint32_t driver_read(struct virtio_driver *driver, uint32_t offset);
void driver_write(struct virtio_driver *driver, uint32_t offset, uint32_t number);

/** Features on offer. */
uint64_t driver_offered(struct virtio_driver *driver);

/** From reset up to FEATURES_OK with those features of @p wanted that are on offer, and VERSION_1. @return them */
uint64_t driver_negotiate(struct virtio_driver *driver, uint64_t wanted);

/** Allocates and announces queue @p index with @p size entries, up to QueueReady. */
void driver_setup_queue(struct virtio_driver *driver, uint16_t index, uint16_t size);

/** Writes the registers of queue @p index again from driver->queues[index], without QueueReady. */
void driver_write_layout(struct virtio_driver *driver, uint16_t index);

/** Everything Linux does from reset to DRIVER_OK, all queues with @p size entries. */
void driver_start(struct virtio_driver *driver, uint64_t wanted, uint16_t size);

/** Guest memory of its own, never freed. */
uint64_t driver_alloc(struct virtio_driver *driver, size_t size, size_t alignment);

/** Host pointer to guest memory. */
void *driver_at(struct virtio_driver *driver, uint64_t address);

/** Writes a descriptor of queue @p index. */
void driver_descriptor(struct virtio_driver *driver, uint16_t index, uint16_t number, uint64_t address, uint32_t length,
                       uint16_t flags, uint16_t next);

/** Writes a descriptor of a table somewhere in guest memory. */
void driver_table_entry(struct virtio_driver *driver, uint64_t table, uint16_t number, uint64_t address,
                        uint32_t length, uint16_t flags, uint16_t next);

/** Makes a chain available by its head, and the index visible. */
void driver_offer(struct virtio_driver *driver, uint16_t index, uint16_t head);

/** Builds a chain of @p count spans and offers it. @return its head */
uint16_t driver_submit(struct virtio_driver *driver, uint16_t index, const struct driver_span *spans, unsigned count);

/** Writes QueueNotify and lets the loop work until nothing is left to do. */
void driver_kick(struct virtio_driver *driver, uint16_t index);

/** Lets the loop work until nothing is left to do. @return the number of events handled */
unsigned driver_run(struct virtio_driver *driver);

/** Takes the next used element. @return false when there is none */
bool driver_used(struct virtio_driver *driver, uint16_t index, uint32_t *head, uint32_t *length);

/** How often the interrupt was raised since last asked. */
uint64_t driver_interrupts(struct virtio_driver *driver);

/** Fields that a driver writes or reads behind the rings and in front. */
void driver_set_used_event(struct virtio_driver *driver, uint16_t index, uint16_t event);
uint16_t driver_avail_event(struct virtio_driver *driver, uint16_t index);
void driver_set_avail_flags(struct virtio_driver *driver, uint16_t index, uint16_t flags);
uint16_t driver_used_flags(struct virtio_driver *driver, uint16_t index);
void driver_set_avail_index(struct virtio_driver *driver, uint16_t index, uint16_t available_index);

#endif
