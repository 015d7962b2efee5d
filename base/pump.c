/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pump.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/container_of.h"
#include "base/error.h"
#include "base/fd.h"

/* Chunks carried per event, so that one busy stream does not starve the others of its loop. */
enum { CHUNKS_PER_EVENT = 8 };

static void close_ends(struct pump *pump)
{
    event_loop_remove(pump->loop, &pump->source);
    event_loop_remove(pump->loop, &pump->sink);
    fd_close(&pump->source_fd);
    fd_close(&pump->sink_fd);
    free(pump->bytes);
    pump->bytes = NULL;
    pump->active = false;
}

static void finish(struct pump *pump)
{
    close_ends(pump);
    if (pump->done)
        pump->done(pump);
}

/* Watches exactly one end: the source while there is nothing to write, the sink while there is. An end that is merely
 * silenced would still report its hang-up, again and again. */
static void watch(struct pump *pump)
{
    bool writing = pump->start < pump->end;
    if (writing ? pump->sink_always_ready : pump->source_always_ready)
        writing = !writing; /* that end is ready whenever the other one is */
    struct event_source *wanted = writing ? &pump->sink : &pump->source;
    event_loop_remove(pump->loop, writing ? &pump->source : &pump->sink);
    if (wanted->fd < 0 && event_loop_add(pump->loop, wanted, writing ? pump->sink_fd : pump->source_fd,
                                         writing ? EPOLLOUT : EPOLLIN, NULL) < 0)
        finish(pump);
}

/* @return 1 when bytes are there, 0 when none are there now, -1 at the end (or on an error, which ends it too) */
static int fill(struct pump *pump)
{
    ssize_t n;
    do {
        n = pump->source_is_socket ? recv(pump->source_fd, pump->bytes, PUMP_BUFFER_SIZE, MSG_DONTWAIT)
                                   : read(pump->source_fd, pump->bytes, PUMP_BUFFER_SIZE);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    if (n <= 0)
        return -1;
    pump->start = 0;
    pump->end = (size_t)n;
    return 1;
}

/* @return 1 when all is written, 0 when the sink takes no more now, -1 when nobody reads it any more */
static int drain(struct pump *pump)
{
    while (pump->start < pump->end) {
        const uint8_t *next = pump->bytes + pump->start;
        size_t length = pump->end - pump->start;
        ssize_t n = pump->sink_is_socket ? send(pump->sink_fd, next, length, MSG_DONTWAIT | MSG_NOSIGNAL)
                                         : write(pump->sink_fd, next, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return 0;
        if (n <= 0) {
            pump->sink_error = n < 0 ? errno : EIO;
            return -1;
        }
        pump->start += (size_t)n;
        pump->carried += (uint64_t)n;
    }
    return 1;
}

static void carry(struct pump *pump)
{
    for (int i = 0; i < CHUNKS_PER_EVENT; i++) {
        int rc = drain(pump);
        if (rc > 0)
            rc = fill(pump);
        if (rc < 0) {
            finish(pump);
            return;
        }
        if (rc == 0)
            break;
    }
    watch(pump);
}

static void source_ready(struct event_source *source, uint32_t events)
{
    (void)events;
    carry(container_of(source, struct pump, source));
}

static void sink_ready(struct event_source *sink, uint32_t events)
{
    (void)events;
    carry(container_of(sink, struct pump, sink));
}

static bool is_socket(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
}

/* Tries to watch an end, to learn whether it can be; leaves it unwatched. */
static int probe(struct event_loop *loop, int fd, bool *always_ready, struct error *err)
{
    struct event_source source = EVENT_SOURCE_NONE;
    int rc = event_loop_add(loop, &source, fd, 0, err);
    *always_ready = rc == -EPERM;
    event_loop_remove(loop, &source);
    return rc == -EPERM ? 0 : rc;
}

int pump_start(struct pump *pump, struct event_loop *loop, int source_fd, int sink_fd, void (*done)(struct pump *pump),
               struct error *err)
{
    *pump = (struct pump){
        .loop = loop,
        .source = {.fd = -1, .ready = source_ready},
        .sink = {.fd = -1, .ready = sink_ready},
        .source_fd = source_fd,
        .sink_fd = sink_fd,
        .source_is_socket = is_socket(source_fd),
        .sink_is_socket = is_socket(sink_fd),
        .bytes = malloc(PUMP_BUFFER_SIZE),
        .done = done,
    };
    int rc = pump->bytes ? 0 : error_set(err, ENOMEM, "out of memory for a stream");
    if (rc == 0)
        rc = probe(loop, source_fd, &pump->source_always_ready, err);
    if (rc == 0)
        rc = probe(loop, sink_fd, &pump->sink_always_ready, err);
    if (rc == 0 && pump->source_always_ready && pump->sink_always_ready)
        rc = error_set(err, EINVAL, "a stream between two files needs no event loop");
    if (rc == 0)
        rc = pump->source_always_ready ? event_loop_add(loop, &pump->sink, sink_fd, EPOLLOUT, err)
                                       : event_loop_add(loop, &pump->source, source_fd, EPOLLIN, err);
    if (rc < 0) {
        close_ends(pump);
        return rc;
    }
    pump->active = true;
    return 0;
}

void pump_stop(struct pump *pump)
{
    if (pump->active)
        close_ends(pump);
}
