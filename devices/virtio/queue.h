/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Split virtqueues (Virtual I/O Device Version 1.2, section 2.7), the device's side. This is the only code that touches
 * rings; what it hands out is checked.
 *
 *      driver                         shared memory                        device (this file)
 *      fills descriptors          ┌─► descriptor table ──────────────┐
 *      available.ring[idx] = head ┴─► available ring ──────────────► virtio_queue_pop() → chain of spans
 *                                                                       │ the device works on the spans
 *      sees used.idx move ◄────────── used ring ◄─────────────────── virtio_queue_push()
 *
 * The guest may write all of this memory at any time. So each descriptor is copied once, the copy is checked, and only
 * the copy is used; a span is a host range that lies wholly in guest RAM. A ring that breaks a rule is marked broken:
 * from then on pop finds nothing and push does nothing until the next reset, and the transport, which looks when the
 * device's lock is released, sets DEVICE_NEEDS_RESET. Devices need not handle broken rings.
 *
 * How a device serves a queue:
 *
 *      do {
 *          virtio_queue_disable_notify(queue);
 *          while (virtio_queue_pop(queue, chain)) { ... virtio_queue_push(queue, chain, written); }
 *      } while (virtio_queue_enable_notify(queue));
 *      virtio_transport_interrupt(transport, queue);
 *
 * Not thread-safe: the transport's lock covers a queue.
 */
#ifndef DEVICES_VIRTIO_QUEUE_H
#define DEVICES_VIRTIO_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "devices/virtio/device.h"

struct guest_memory;
struct virtq_desc;
struct virtq_avail;
struct virtq_used;

/** Where the driver says that the parts of a queue are; guest-physical addresses, not checked yet. */
struct virtio_queue_layout {
    uint16_t size; /**< entries */
    uint64_t descriptor_table;
    uint64_t available_ring;
    uint64_t used_ring;
};

/** One queue. Embedded in the transport; devices use the functions only. */
struct virtio_queue {
    const struct guest_memory *memory;
    const struct virtq_desc *descriptors;
    struct virtq_avail *available;
    struct virtq_used *used;
    uint16_t size;
    bool ready; /**< the driver set it up */
    bool event_index;
    bool indirect;
    uint16_t next_available;  /**< index of the entry that the next pop takes */
    uint16_t available_known; /**< the driver's index when last looked at */
    uint16_t used_index;      /**< ours, as published */
    uint16_t used_signalled;  /**< used_index when the driver was last considered for an interrupt */
    const char *fault;        /**< why it is broken, a literal; NULL while it is well */
};

/**
 * A request: first what the device reads, then what it writes. The spans point into guest memory, which changes while
 * it is looked at: copy, then check the copy. Large (4 KiB): keep it in the device, not on the stack.
 */
struct virtio_chain {
    uint16_t head; /**< the chain's name in the rings */
    uint16_t readable_count;
    uint16_t writable_count;
    uint32_t readable_length; /**< bytes in spans[0 .. readable_count) */
    uint32_t writable_length; /**< bytes in the writable_count spans after those; both together fit in 32 bits */
    struct iovec spans[VIRTIO_QUEUE_SIZE_MAX]; /**< none of them empty */
};

/**
 * Takes a queue into use as the driver laid it out: checks size, alignment (section 2.7) and that every part is RAM,
 * and resolves host addresses for good.
 *
 * @param memory    borrowed until virtio_queue_reset()
 * @param features  what was negotiated
 * @return whether the layout is sound; if not, queue->fault says why
 */
bool virtio_queue_start(struct virtio_queue *queue, const struct virtio_queue_layout *layout,
                        const struct guest_memory *memory, uint64_t features);

/** Back to "not set up". Also what initialises a queue. */
void virtio_queue_reset(struct virtio_queue *queue);

/**
 * Takes the next available chain.
 * @return false when there is none: the queue is empty, not set up, or broken
 */
bool virtio_queue_pop(struct virtio_queue *queue, struct virtio_chain *chain);

/** Undoes the latest pop that was neither pushed nor undone: the chain is the next one again. */
void virtio_queue_unpop(struct virtio_queue *queue);

/**
 * Gives a chain back.
 * @param written  bytes written to its writable part, from its start (section 2.7.8)
 */
void virtio_queue_push(struct virtio_queue *queue, const struct virtio_chain *chain, uint32_t written);

/** Asks the driver not to kick: a hint, kicks may still come. */
void virtio_queue_disable_notify(struct virtio_queue *queue);

/**
 * Asks the driver to kick when it adds the next chain.
 * @return true when one was added meanwhile, for which no kick may come: pop again
 */
bool virtio_queue_enable_notify(struct virtio_queue *queue);

/** Whether the driver wants an interrupt for what was pushed since this was last asked (section 2.7.7). */
bool virtio_queue_should_interrupt(struct virtio_queue *queue);

/**
 * Copies @p length bytes at @p offset of the chain's readable part to @p bytes.
 * @return false, with nothing copied, when the part is too short
 */
bool virtio_chain_read(const struct virtio_chain *chain, uint32_t offset, void *bytes, size_t length);

/** Copies @p length bytes to @p offset of the chain's writable part; otherwise like virtio_chain_read(). */
bool virtio_chain_write(const struct virtio_chain *chain, uint32_t offset, const void *bytes, size_t length);

/**
 * The spans of [offset, offset + length) of the readable or the writable part, for preadv(2), sendmsg(2) and the like.
 * @param spans  room for VIRTIO_QUEUE_SIZE_MAX
 * @return how many; 0 when the range is empty or not inside the part
 */
unsigned virtio_chain_readable(const struct virtio_chain *chain, uint32_t offset, uint32_t length, struct iovec *spans);
unsigned virtio_chain_writable(const struct virtio_chain *chain, uint32_t offset, uint32_t length, struct iovec *spans);

#endif
