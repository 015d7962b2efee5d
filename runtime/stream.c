/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/stream.h"

#include "base/container_of.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "runtime/stdio.h"

static void end(struct stream *stream, int error)
{
    stream->finished = true;
    stream->error = error;
    stream->ended(stream, stream->context);
}

static void pump_done(struct pump *pump)
{
    end(container_of(pump, struct stream, pump), pump->sink_error);
}

static void connected(struct vsock_listener *listener, int connection)
{
    struct stream *stream = container_of(listener, struct stream, listener);
    int ours = stdio_open(stream->number, NULL);
    if (ours < 0) {
        fd_close(&connection);
        end(stream, -ours);
        return;
    }
    int rc = stream->number == 0 ? pump_start(&stream->pump, listener->loop, ours, connection, pump_done, NULL)
                                 : pump_start(&stream->pump, listener->loop, connection, ours, pump_done, NULL);
    if (rc < 0)
        end(stream, -rc);
}

static void failed(struct vsock_listener *listener, const char *reason)
{
    struct stream *stream = container_of(listener, struct stream, listener);
    log_debug("standard stream %d: %s", stream->number, reason);
    end(stream, 0); /* the machine is gone: that is for others to tell */
}

void stream_init(struct stream *stream, int number, void (*ended)(struct stream *stream, void *context), void *context)
{
    *stream = (struct stream){
        .listener = VSOCK_LISTENER_NONE,
        .number = number,
        .ended = ended,
        .context = context,
    };
    stream->listener.connected = connected;
    stream->listener.failed = failed;
}

int stream_listen(struct stream *stream, struct event_loop *loop, int socket, uint32_t port, struct error *err)
{
    return vsock_listener_start(&stream->listener, loop, socket, port, err);
}

void stream_stop(struct stream *stream)
{
    vsock_listener_stop(&stream->listener);
    pump_stop(&stream->pump);
}
