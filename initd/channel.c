/* SPDX-License-Identifier: Apache-2.0 */
#include "initd/channel.h"

#include <errno.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/fd.h"

enum { RECEIVE_CHUNK = 16384 };

/* Room for one frame and for what came with its tail; outgoing, for several frames of either side. */
enum {
    IN_MAX_HOST = PROTOCOL_HEADER_SIZE + PROTOCOL_TO_HOST_MAX + RECEIVE_CHUNK,
    IN_MAX_GUEST = PROTOCOL_HEADER_SIZE + PROTOCOL_TO_GUEST_MAX + RECEIVE_CHUNK,
    OUT_MAX = 2 * (PROTOCOL_HEADER_SIZE + PROTOCOL_TO_GUEST_MAX),
};

void channel_init(struct channel *channel, int fd, enum protocol_receiver receiver)
{
    *channel = (struct channel){
        .fd = fd,
        .receiver = receiver,
        .in = BUFFER_INIT(receiver == PROTOCOL_RECEIVER_HOST ? IN_MAX_HOST : IN_MAX_GUEST),
        .out = BUFFER_INIT(OUT_MAX),
    };
}

void channel_done(struct channel *channel)
{
    protocol_message_done(&channel->message);
    buffer_done(&channel->in);
    buffer_done(&channel->out);
    fd_close(&channel->fd);
}

/* Drops the message that was returned last, and its bytes. */
static void drop_message(struct channel *channel)
{
    protocol_message_done(&channel->message);
    buffer_consume(&channel->in, channel->used);
    channel->used = 0;
}

int channel_receive(struct channel *channel, struct error *err)
{
    drop_message(channel);
    uint8_t chunk[RECEIVE_CHUNK];
    ssize_t n;
    do {
        n = recv(channel->fd, chunk, sizeof chunk, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return -EAGAIN;
    if (n < 0)
        return error_set_errno(err, errno, "the control connection broke");
    if (n == 0)
        return 0;
    buffer_append(&channel->in, chunk, (size_t)n);
    return channel->in.failed ? error_set(err, ENOMEM, "out of memory for a message") : 1;
}

int channel_next(struct channel *channel, const struct protocol_message **message, struct error *err)
{
    drop_message(channel);
    if (channel->in.length < PROTOCOL_HEADER_SIZE)
        return 0;
    uint32_t length;
    int type = protocol_decode_header(channel->in.bytes, channel->receiver, &length, err);
    if (type < 0)
        return type;
    size_t frame = PROTOCOL_HEADER_SIZE + (size_t)length;
    if (channel->in.length < frame)
        return 0;
    int rc = protocol_decode(&channel->message, (enum protocol_type)type, channel->in.bytes + PROTOCOL_HEADER_SIZE,
                             length, err);
    if (rc < 0)
        return rc;
    channel->used = frame;
    *message = &channel->message;
    return 1;
}

int channel_flush(struct channel *channel, struct error *err)
{
    while (channel->out.length > 0) {
        ssize_t n = send(channel->fd, channel->out.bytes, channel->out.length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return 0;
        if (n < 0)
            return error_set_errno(err, errno, "the control connection broke");
        buffer_consume(&channel->out, (size_t)n);
    }
    return 0;
}

int channel_send(struct channel *channel, const struct protocol_message *message, struct error *err)
{
    int rc = protocol_encode(&channel->out, message, err);
    return rc < 0 ? rc : channel_flush(channel, err);
}
