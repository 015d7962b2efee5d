/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-vsock (Virtual I/O Device Version 1.2, section 5.10) carried over Unix sockets, by a process that can neither
 * open a file nor make a socket of an address family that reaches anything.
 *
 * The device is given one listening Unix stream socket. A host program connects to it and sends one line:
 *
 *   CONNECT <port>\n   "connect me to that port in the guest". The guest accepts: the device answers `OK <port>\n` with
 *                      the host-side port number, and from then on the connection is the stream. The guest refuses: the
 *                      connection is closed. (The convention of Firecracker and Cloud Hypervisor.)
 *
 *   LISTEN <port>\n    "hand me whatever the guest connects to that port of the host" (CID 2). The device answers
 *                      `OK <port>\n`; then, for each connection that the guest makes, it sends 4 bytes (the guest's
 *                      port, little-endian) with one end of a fresh socketpair(2) attached (SCM_RIGHTS), which blocks
 *                      as sockets do by default. (So read the line alone: a plain read(2) of what follows drops the
 *                      descriptor.) Closing the connection stops listening. A port that somebody listens on already:
 *                      the connection is closed.
 *
 * Lines may be sent before the guest runs: they wait in the socket and are read before the guest's first packet, so
 * that no connection of the guest comes too early for them. (The answer comes then, too.) A guest's connection to a
 * port on which nobody listens is reset.
 *
 * Streams close in each direction by itself: shutdown(2) with SHUT_WR on one side is the end of the stream on the
 * other, and the way back stays open. What the guest sent before it closed, or before it was turned off, still reaches
 * the host program, which at the end of the machine has a second to take it.
 */
#ifndef DEVICES_VIRTIO_VSOCK_H
#define DEVICES_VIRTIO_VSOCK_H

#include <stdint.h>

#include "devices/virtio/device.h"

struct error;
struct event_loop;

extern const struct virtio_device_ops virtio_vsock_ops;

/** The host's address as the guest sees it (section 5.10.4), and the smallest one a guest may have. */
enum { VSOCK_CID_HOST = 2, VSOCK_CID_GUEST_MIN = 3 };

/**
 * Makes the device model for virtio_mmio_new().
 *
 * @param device       set to the model
 * @param guest_cid    VSOCK_CID_GUEST_MIN .. UINT32_MAX - 1
 * @param listen_fd    a listening Unix stream socket; owned by the device from here on, on failure too
 * @param loop         where sockets are watched; borrowed, the same loop as the transport's
 * @return 0 or -errno
 */
int virtio_vsock_new(void **device, uint32_t guest_cid, int listen_fd, struct event_loop *loop, struct error *err);

#endif
