/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control connection as a stream of messages: frames are cut out of what arrives in pieces, and what the socket
 * does not take at once waits in a bounded buffer. Used by both sides.
 */
#ifndef INITD_CHANNEL_H
#define INITD_CHANNEL_H

#include <stdbool.h>

#include "base/buffer.h"
#include "initd/protocol.h"

struct error;

/** One end of a control connection. */
struct channel {
    int fd; /**< owned; a stream socket; -1 = none */
    enum protocol_receiver receiver;
    struct buffer in;
    struct buffer out;
    size_t used; /**< bytes of `in` that the last message occupied */
    struct protocol_message message;
};

/** A channel over a connected stream socket, which it owns. Never waits for it. @p receiver: this side. */
void channel_init(struct channel *channel, int fd, enum protocol_receiver receiver);

/** Closes the connection and frees what waits. A zeroed struct with fd -1 is fine. */
void channel_done(struct channel *channel);

/**
 * Reads what has arrived, once. Messages returned before are gone.
 * @return 1 when bytes came, 0 at the end of the connection, -EAGAIN when there are none now, or another -errno
 */
int channel_receive(struct channel *channel, struct error *err);

/**
 * The next whole message that has arrived.
 * @param message  set to it; owned by the channel and valid until the next call to this or channel_receive()
 * @return 1 with a message, 0 when more bytes are needed, -EPROTO when the other side broke the protocol
 */
int channel_next(struct channel *channel, const struct protocol_message **message, struct error *err);

/** Queues a message and sends as much as the socket takes. @return 0, -E2BIG, or -errno when the connection is gone */
int channel_send(struct channel *channel, const struct protocol_message *message, struct error *err);

/** Sends what waits, as far as the socket takes it. @return 0 or -errno */
int channel_flush(struct channel *channel, struct error *err);

/** Whether bytes wait for the socket to become writable. */
static inline bool channel_waits(const struct channel *channel)
{
    return channel->out.length > 0;
}

#endif
