/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's vsock driver for tests, on top of the virtio driver: packets out, packets in, receive buffers as Linux
 * offers them (4 KiB, header and payload in one). It holds no connections: a test says packet by packet what it sends.
 */
#ifndef TESTS_SUPPORT_VSOCK_GUEST_H
#define TESTS_SUPPORT_VSOCK_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/virtio/vsock_packet.h"
#include "tests/support/virtio_driver.h"

enum {
    GUEST_CID = 7,
    GUEST_RX_BUFFERS = 64,
    GUEST_RX_SIZE = 4096,
    GUEST_TX_MAX = 64 * 1024,
    GUEST_BUFFER = 256 * 1024, /**< the credit that packets announce unless told otherwise */
};

struct vsock_guest {
    struct virtio_driver driver;
    char path[64];     /**< of the host's listening socket */
    uint64_t rx_first; /**< the receive buffers, one behind the other */
    uint64_t tx;       /**< the packet being sent */
    uint32_t buf_alloc, fwd_cnt;
};

/** A packet as the guest received it; the payload is in guest memory until the next vsock_guest_receive(). */
struct vsock_guest_packet {
    uint64_t src_cid, dst_cid;
    uint32_t src_port, dst_port, length;
    uint16_t type, op;
    uint32_t flags, buf_alloc, fwd_cnt;
    const uint8_t *payload;
};

/** Makes the device, its socket and the driver, up to DRIVER_OK, with @p rx_buffers receive buffers. */
void vsock_guest_init(struct vsock_guest *guest, unsigned rx_buffers);

/** The same in two steps: host programs may connect between them. */
void vsock_guest_attach(struct vsock_guest *guest);
void vsock_guest_start(struct vsock_guest *guest, unsigned rx_buffers);

void vsock_guest_done(struct vsock_guest *guest);

/** Offers receive buffer @p number (again). */
void vsock_guest_offer(struct vsock_guest *guest, uint16_t number);

/** Sends a packet with every field as given, and lets the device work. */
void vsock_guest_send_raw(struct vsock_guest *guest, const struct vsock_header *header, const void *payload,
                          uint32_t payload_length);

/** Sends a proper packet of a stream to CID 2. */
void vsock_guest_send(struct vsock_guest *guest, enum vsock_op op, uint32_t guest_port, uint32_t host_port,
                      uint32_t flags, const void *payload, uint32_t length);

/** A header as vsock_guest_send() would write it, to be spoilt. */
struct vsock_header vsock_guest_header(const struct vsock_guest *guest, enum vsock_op op, uint32_t guest_port,
                                       uint32_t host_port, uint32_t length);

/**
 * Takes the next packet from the device.
 * @param keep  do not offer the receive buffer again
 * @return false when there is none
 */
bool vsock_guest_receive(struct vsock_guest *guest, struct vsock_guest_packet *packet, bool keep);

/** Connects a host program to the device's socket. @return the descriptor */
int vsock_guest_host_connect(struct vsock_guest *guest);

#endif
