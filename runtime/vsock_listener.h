/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waits for the one connection that the guest makes to one port of the host: a LISTEN line to hull-vmm's socket, then
 * the connection's descriptor (devices/virtio/vsock.h).
 */
#ifndef RUNTIME_VSOCK_LISTENER_H
#define RUNTIME_VSOCK_LISTENER_H

#include <stdint.h>

#include "base/event_loop.h"

struct error;

/** One port. Initialise with VSOCK_LISTENER_NONE; must stay where it is until it is done. */
struct vsock_listener {
    struct event_loop *loop;
    struct event_source source;
    int fd; /**< the connection to hull-vmm; owned */
    uint32_t port;
    unsigned received; /**< bytes of hull-vmm's answer so far */
    int connection;    /**< what came with it; owned until handed over */

    /** The guest has connected. @p connection: owned by the callee, a stream socket. The listener is done. */
    void (*connected)(struct vsock_listener *listener, int connection);

    /** hull-vmm went away or broke the convention. The listener is done. */
    void (*failed)(struct vsock_listener *listener, const char *reason);
};

#define VSOCK_LISTENER_NONE                                                                                            \
    (struct vsock_listener)                                                                                            \
    {                                                                                                                  \
        .source = {.fd = -1}, .fd = -1, .connection = -1                                                               \
    }

/**
 * Starts to listen; set `connected` and `failed` first.
 * @param fd  a fresh connection to hull-vmm's socket; owned by the listener, on failure too
 * @return 0 or -errno
 */
int vsock_listener_start(struct vsock_listener *listener, struct event_loop *loop, int fd, uint32_t port,
                         struct error *err);

/** Stops listening. Fine on one that is done. */
void vsock_listener_stop(struct vsock_listener *listener);

#endif
