/* SPDX-License-Identifier: Apache-2.0 */
/* One standard stream of a container: waits for the guest to connect it, then carries it to or from this process's. */
#ifndef RUNTIME_STREAM_H
#define RUNTIME_STREAM_H

#include <stdbool.h>

#include "base/pump.h"
#include "runtime/vsock_listener.h"

struct error;

/** One stream. Initialise with stream_init(); must stay where it is. */
struct stream {
    struct vsock_listener listener;
    struct pump pump;
    int number;    /**< 0, 1 or 2 */
    bool finished; /**< nothing more will be carried */
    int error;     /**< errno of why not everything was, or 0 */
    void (*ended)(struct stream *stream, void *context);
    void *context;
};

/** @p ended is called once, when `finished` has become true. */
void stream_init(struct stream *stream, int number, void (*ended)(struct stream *stream, void *context), void *context);

/** Starts to wait. @p socket: see vsock_listener_start(). @return 0 or -errno */
int stream_listen(struct stream *stream, struct event_loop *loop, int socket, uint32_t port, struct error *err);

/** Stops and drops what is under way. */
void stream_stop(struct stream *stream);

#endif
