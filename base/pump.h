/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One direction of a byte stream carried from one descriptor to another by an event loop: what a standard stream of a
 * container goes through, once in the guest and once on the host.
 *
 * Memory is bounded and nothing is lost: while the sink does not take bytes, the source is not read, so that the
 * pressure reaches the writer. The ends carry over like those of a pipe: the source's end closes the sink once
 * everything was written; a sink that nobody reads any more closes the source.
 */
#ifndef BASE_PUMP_H
#define BASE_PUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/event_loop.h"

struct error;

enum { PUMP_BUFFER_SIZE = 65536 };

/** One stream under way. Zero-initialise; must stay where it is until it is done. */
struct pump {
    struct event_loop *loop;
    struct event_source source; /**< watched while the buffer is empty */
    struct event_source sink;   /**< watched while it is not */
    int source_fd;              /**< owned; -1 once ended */
    int sink_fd;                /**< owned; -1 once ended */
    bool source_always_ready;   /**< a regular file or the like, which epoll does not watch */
    bool sink_always_ready;
    bool source_is_socket; /**< carried with MSG_DONTWAIT: whoever holds the other end cannot make us wait */
    bool sink_is_socket;
    uint8_t *bytes; /**< PUMP_BUFFER_SIZE of them */
    size_t start;   /**< of what is read and not yet written */
    size_t end;
    int sink_error;   /**< errno with which the sink refused bytes, or 0; EPIPE when nobody reads it any more */
    uint64_t carried; /**< bytes written to the sink so far */
    bool active;      /**< between start and done */
    void (*done)(struct pump *pump); /**< called once both ends are closed; not from pump_start() or pump_stop() */
};

/**
 * Starts to carry. SIGPIPE must be ignored in the process.
 *
 * @param source_fd, sink_fd  owned by the pump from here on, on failure too. They must be non-blocking, or
 *                            sockets, or of a kind on which reads and writes do not wait (a regular file, /dev/null);
 *                            not both of the latter
 * @return 0 or -errno
 */
int pump_start(struct pump *pump, struct event_loop *loop, int source_fd, int sink_fd, void (*done)(struct pump *pump),
               struct error *err);

/** Stops, closes both ends and drops what was not written. Fine on a zeroed one and on one that is done. */
void pump_stop(struct pump *pump);

#endif
