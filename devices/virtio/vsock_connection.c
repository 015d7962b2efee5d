/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credit (section 5.10.6.3): each side announces the size of its receive buffer and how many bytes have left it since
 * the beginning; the other side may have at most a buffer's worth of bytes under way. A guest that lies about its own
 * numbers starves itself; one that sends more than it may is reset.
 */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "base/fd.h"
#include "devices/virtio/vsock_internal.h"

static const uint32_t input_events = EPOLLIN | EPOLLRDHUP | EPOLLET;

static void connection_ready(struct event_source *source, uint32_t events);

/* ---- the table
 * ------------------------------------------------------------------------------------------------------- */

static struct vsock_bucket *bucket_of(struct vsock *vsock, uint32_t guest_port, uint32_t host_port)
{
    /* Ports on either side are handed out in sequence; a multiplication spreads them (Knuth's multiplicative hash). */
    uint32_t hash = (guest_port ^ (host_port << 16 | host_port >> 16)) * UINT32_C(2654435761);
    return &vsock->table[(hash >> 16) % VSOCK_TABLE_SIZE];
}

void vsock_connections_init(struct vsock *vsock)
{
    TAILQ_INIT(&vsock->ready);
    for (unsigned i = 0; i < VSOCK_CONNECTIONS_MAX; i++) {
        struct vsock_connection *connection = &vsock->connections[i];
        connection->vsock = vsock;
        connection->fd = -1;
        connection->source = (struct event_source){.fd = -1, .ready = connection_ready};
        LIST_INSERT_HEAD(&vsock->unused, connection, in_bucket);
    }
}

struct vsock_connection *vsock_connection_find(struct vsock *vsock, uint32_t guest_port, uint32_t host_port)
{
    struct vsock_connection *connection;
    LIST_FOREACH(connection, bucket_of(vsock, guest_port, host_port), in_bucket)
    if (connection->guest_port == guest_port && connection->host_port == host_port)
        return connection;
    return NULL;
}

struct vsock_connection *vsock_connection_new(struct vsock *vsock, uint32_t guest_port, uint32_t host_port, int fd,
                                              enum vsock_state state)
{
    struct vsock_connection *connection = LIST_FIRST(&vsock->unused);
    if (!connection || event_loop_add(vsock->loop, &connection->source, fd, input_events, NULL) < 0)
        return NULL;
    LIST_REMOVE(connection, in_bucket);
    struct event_source source = connection->source;
    *connection = (struct vsock_connection){
        .vsock = vsock,
        .state = state,
        .guest_port = guest_port,
        .host_port = host_port,
        .in_table = true,
        .fd = fd,
        .source = source,
        .batch = 1,
        .backlog = BUFFER_INIT(VSOCK_BUFFER),
    };
    LIST_INSERT_HEAD(bucket_of(vsock, guest_port, host_port), connection, in_bucket);
    return connection;
}

static void close_socket(struct vsock_connection *connection)
{
    /* While the device is active all this runs on the loop's thread, and an event of this socket must not be taken for
     * one of the next in this place. Reset runs on a vCPU's thread; a late event finds no descriptor. */
    if (connection->vsock->queues)
        event_loop_remove(connection->vsock->loop, &connection->source);
    else
        event_loop_remove_elsewhere(connection->vsock->loop, &connection->source);
    fd_close(&connection->fd);
    buffer_done(&connection->backlog);
    connection->readable = false;
}

static void leave_table(struct vsock_connection *connection)
{
    if (connection->in_table)
        LIST_REMOVE(connection, in_bucket);
    connection->in_table = false;
}

/* Back to the pool, once the guest knows and the host has everything. */
static void release_if_done(struct vsock_connection *connection)
{
    if (connection->state != VSOCK_ENDED || connection->in_table || connection->fd >= 0)
        return;
    if (connection->scheduled)
        TAILQ_REMOVE(&connection->vsock->ready, connection, in_ready);
    connection->scheduled = false;
    connection->state = VSOCK_FREE;
    LIST_INSERT_HEAD(&connection->vsock->unused, connection, in_bucket);
}

static void schedule(struct vsock_connection *connection)
{
    if (connection->scheduled || !vsock_connection_wants_to_send(connection))
        return;
    TAILQ_INSERT_TAIL(&connection->vsock->ready, connection, in_ready);
    connection->scheduled = true;
}

void vsock_connection_send(struct vsock_connection *connection, enum vsock_op op)
{
    connection->pending |= UINT32_C(1) << op;
    schedule(connection);
}

void vsock_connection_end(struct vsock_connection *connection, bool tell_guest)
{
    connection->state = VSOCK_ENDED;
    connection->pending = 0;
    connection->readable = false;
    if (tell_guest)
        vsock_connection_send(connection, VSOCK_OP_RST);
    else
        leave_table(connection);
    if (connection->backlog.length == 0 && connection->fd >= 0)
        close_socket(connection);
    release_if_done(connection);
}

/* ---- from the guest to the host
 * -------------------------------------------------------------------------------------- */

static void announce_shutdown(struct vsock_connection *connection, uint32_t flags)
{
    if ((connection->shutdown_sent & flags) == flags || connection->state != VSOCK_ESTABLISHED)
        return;
    connection->shutdown_sent |= flags;
    vsock_connection_send(connection, VSOCK_OP_SHUTDOWN);
}

static void advance(struct vsock_connection *connection, uint32_t bytes)
{
    connection->forwarded += bytes;
    if (connection->state == VSOCK_ESTABLISHED &&
        connection->forwarded - connection->forwarded_told >= VSOCK_CREDIT_STEP)
        vsock_connection_send(connection, VSOCK_OP_CREDIT_UPDATE);
}

/* Nobody reads what the guest sends: from now on it goes nowhere. What the host sent before can still be read. */
static void output_gone(struct vsock_connection *connection)
{
    advance(connection, connection->received - connection->forwarded);
    buffer_clear(&connection->backlog);
    connection->hung_up = true;
    announce_shutdown(connection, VSOCK_SHUTDOWN_RECEIVE);
    if (connection->state == VSOCK_ENDED || (connection->shutdown_sent & VSOCK_SHUTDOWN_SEND))
        close_socket(connection);
    release_if_done(connection);
}

/* @return how many bytes the socket took now; -EPIPE or the like when it never will */
static ssize_t write_socket(struct vsock_connection *connection, struct iovec *spans, size_t count)
{
    struct msghdr message = {.msg_iov = spans, .msg_iovlen = count};
    ssize_t n;
    do {
        n = sendmsg(connection->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? 0 : -errno;
    return n;
}

static void watch_output(struct vsock_connection *connection, bool watch)
{
    if (connection->watching_output == watch)
        return;
    connection->watching_output = watch;
    event_loop_modify(connection->vsock->loop, &connection->source, input_events | (watch ? EPOLLOUT : 0));
}

void vsock_connection_receive(struct vsock_connection *connection, const struct virtio_chain *chain, uint32_t length)
{
    enum { HEADER = sizeof(struct vsock_header) };
    connection->received += length;
    if (connection->fd < 0 || connection->hung_up || length == 0) {
        advance(connection, length);
        return;
    }
    ssize_t written = 0;
    if (connection->backlog.length == 0) {
        struct iovec *spans = connection->vsock->spans;
        unsigned count = virtio_chain_readable(chain, HEADER, length, spans);
        written = write_socket(connection, spans, count);
        if (written < 0) {
            output_gone(connection);
            return;
        }
    }
    uint32_t done = (uint32_t)written;
    if (done < length) {
        void *rest = buffer_extend(&connection->backlog, length - done);
        if (!rest) {
            vsock_connection_end(connection, true);
            return;
        }
        (void)virtio_chain_read(chain, HEADER + done, rest, length - done);
        watch_output(connection, true);
    }
    advance(connection, done);
}

static void shutdown_output(struct vsock_connection *connection)
{
    if ((connection->shutdown_received & VSOCK_SHUTDOWN_SEND) && connection->backlog.length == 0 && connection->fd >= 0)
        (void)shutdown(connection->fd, SHUT_WR);
}

/* Writes of the backlog what the socket takes now. */
static void flush(struct vsock_connection *connection)
{
    while (connection->backlog.length) {
        struct iovec span = {.iov_base = connection->backlog.bytes, .iov_len = connection->backlog.length};
        ssize_t written = write_socket(connection, &span, 1);
        if (written < 0) {
            output_gone(connection);
            return;
        }
        if (written == 0)
            return;
        buffer_consume(&connection->backlog, (size_t)written);
        advance(connection, (uint32_t)written);
    }
    watch_output(connection, false);
    shutdown_output(connection);
    if (connection->state == VSOCK_ENDED) {
        close_socket(connection);
        release_if_done(connection);
    }
}

void vsock_connection_shutdown(struct vsock_connection *connection, uint32_t flags)
{
    connection->shutdown_received |= flags & VSOCK_SHUTDOWN_BOTH;
    if ((flags & VSOCK_SHUTDOWN_RECEIVE) && connection->fd >= 0)
        (void)shutdown(connection->fd, SHUT_RD);
    shutdown_output(connection);
    if (connection->shutdown_received == VSOCK_SHUTDOWN_BOTH)
        vsock_connection_end(connection, true); /* section 5.10.6.5: a RST confirms a clean end */
}

/* ---- from the host to the guest
 * -------------------------------------------------------------------------------------- */

static uint32_t credit(const struct vsock_connection *connection)
{
    uint32_t under_way = connection->sent - connection->peer_forwarded;
    return under_way < connection->peer_buffer ? connection->peer_buffer - under_way : 0;
}

void vsock_connection_credit(struct vsock_connection *connection, const struct vsock_header *header)
{
    connection->peer_buffer = le32_get(header->buf_alloc);
    connection->peer_forwarded = le32_get(header->fwd_cnt);
    if (credit(connection))
        connection->credit_requested = false;
    schedule(connection);
}

static bool may_read(const struct vsock_connection *connection)
{
    return connection->state == VSOCK_ESTABLISHED && connection->readable &&
           !(connection->shutdown_sent & VSOCK_SHUTDOWN_SEND) &&
           !(connection->shutdown_received & VSOCK_SHUTDOWN_RECEIVE);
}

bool vsock_connection_wants_to_send(const struct vsock_connection *connection)
{
    return connection->pending || (may_read(connection) && (credit(connection) || !connection->credit_requested));
}

static void fill_header(struct vsock_connection *connection, enum vsock_op op, uint32_t length,
                        struct vsock_header *header)
{
    *header = (struct vsock_header){
        .src_cid = le64_from(VSOCK_CID_HOST),
        .dst_cid = le64_from(connection->vsock->guest_cid),
        .src_port = le32_from(connection->host_port),
        .dst_port = le32_from(connection->guest_port),
        .len = le32_from(length),
        .type = le16_from(VSOCK_TYPE_STREAM),
        .op = le16_from((uint16_t)op),
        .flags = le32_from(op == VSOCK_OP_SHUTDOWN ? connection->shutdown_sent : 0),
        .buf_alloc = le32_from(VSOCK_BUFFER),
        .fwd_cnt = le32_from(connection->forwarded),
    };
    connection->forwarded_told = connection->forwarded;
    connection->pending &= ~(UINT32_C(1) << VSOCK_OP_CREDIT_UPDATE | UINT32_C(1) << op);
}

static void push_packet(struct vsock_connection *connection, struct virtio_chain *chain, enum vsock_op op,
                        uint32_t length)
{
    struct vsock_header header;
    fill_header(connection, op, length, &header);
    (void)virtio_chain_write(chain, 0, &header, sizeof header);
    virtio_queue_push(&connection->vsock->queues[VSOCK_QUEUE_RX], chain, (uint32_t)sizeof header + length);
}

static enum vsock_sent transmit_control(struct vsock_connection *connection)
{
    struct virtio_chain *chain = &connection->vsock->rx_chains[0];
    if (!vsock_take_rx(connection->vsock, chain))
        return VSOCK_NO_BUFFER;
    enum vsock_op op = (enum vsock_op)__builtin_ctz(connection->pending);
    push_packet(connection, chain, op, 0);
    if (op == VSOCK_OP_RST) {
        leave_table(connection);
        release_if_done(connection);
    }
    return VSOCK_SENT;
}

/** Receive buffers of the guest to be filled by one read. */
struct batch {
    unsigned chains;
    uint32_t room[VSOCK_BATCH_MAX];
    unsigned spans;
    uint32_t total;
};

static void take_batch(struct vsock_connection *connection, struct batch *batch)
{
    struct vsock *vsock = connection->vsock;
    struct virtio_queue *queue = &vsock->queues[VSOCK_QUEUE_RX];
    uint32_t wanted = credit(connection);
    while (batch->chains < connection->batch && batch->total < wanted) {
        struct virtio_chain *chain = &vsock->rx_chains[batch->chains];
        if (!vsock_take_rx(vsock, chain))
            return;
        if (batch->spans + chain->writable_count > VSOCK_SPANS_MAX) {
            virtio_queue_unpop(queue);
            return;
        }
        uint32_t room = chain->writable_length - (uint32_t)sizeof(struct vsock_header);
        room = room < VSOCK_PAYLOAD_MAX ? room : VSOCK_PAYLOAD_MAX;
        room = room < wanted - batch->total ? room : wanted - batch->total;
        batch->spans += virtio_chain_writable(chain, sizeof(struct vsock_header), room, vsock->spans + batch->spans);
        batch->room[batch->chains++] = room;
        batch->total += room;
    }
}

/* The host sends no more; if it closed its end altogether, nobody reads either. */
static void input_ended(struct vsock_connection *connection)
{
    connection->readable = false;
    announce_shutdown(connection, VSOCK_SHUTDOWN_SEND | (connection->hung_up ? VSOCK_SHUTDOWN_RECEIVE : 0));
    if (connection->hung_up) {
        advance(connection, connection->received - connection->forwarded);
        close_socket(connection);
    }
}

static ssize_t read_socket(struct vsock_connection *connection, struct iovec *spans, unsigned count)
{
    struct msghdr message = {.msg_iov = spans, .msg_iovlen = count};
    ssize_t n;
    do {
        n = recvmsg(connection->fd, &message, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static enum vsock_sent transmit_data(struct vsock_connection *connection)
{
    struct vsock *vsock = connection->vsock;
    if (!credit(connection)) {
        connection->credit_requested = true;
        vsock_connection_send(connection, VSOCK_OP_CREDIT_REQUEST);
        return VSOCK_SENT;
    }
    struct batch batch = {0};
    take_batch(connection, &batch);
    if (batch.chains == 0)
        return VSOCK_NO_BUFFER;
    ssize_t n = read_socket(connection, vsock->spans, batch.spans);
    uint32_t left = n > 0 ? (uint32_t)n : 0;
    unsigned used = 0;
    for (; used < batch.chains && left; used++) {
        uint32_t length = left < batch.room[used] ? left : batch.room[used];
        connection->sent += length;
        push_packet(connection, &vsock->rx_chains[used], VSOCK_OP_RW, length);
        left -= length;
    }
    for (unsigned i = used; i < batch.chains; i++)
        virtio_queue_unpop(&vsock->queues[VSOCK_QUEUE_RX]);
    if (n == -EAGAIN) {
        connection->readable = false;
    } else if (n <= 0) {
        connection->hung_up |= n < 0;
        input_ended(connection);
    } else if ((uint32_t)n < batch.total) {
        connection->batch = 1;
        /* A short read means empty (epoll(7)), unless the end lies behind it, of which no new edge would tell. */
        connection->readable = connection->ending;
    } else if (connection->batch < VSOCK_BATCH_MAX) {
        connection->batch *= 2;
    }
    return VSOCK_SENT;
}

enum vsock_sent vsock_connection_transmit(struct vsock_connection *connection)
{
    if (connection->pending)
        return transmit_control(connection);
    return may_read(connection) ? transmit_data(connection) : VSOCK_NOTHING_TO_SEND;
}

/* ---- events and the end
 * ---------------------------------------------------------------------------------------------- */

static void take_events(struct vsock_connection *connection, uint32_t events)
{
    if (events & EPOLLOUT)
        flush(connection);
    if (connection->fd < 0)
        return;
    connection->readable = true;
    connection->ending |= (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    connection->hung_up |= (events & (EPOLLHUP | EPOLLERR)) != 0;
    if (connection->hung_up && connection->state == VSOCK_CONNECTING) {
        vsock_connection_end(connection, true);
    } else if (connection->hung_up && connection->state == VSOCK_ENDED) {
        output_gone(connection);
    } else if (connection->hung_up && (connection->shutdown_sent & VSOCK_SHUTDOWN_SEND)) {
        input_ended(connection);
    } else {
        schedule(connection);
    }
}

static void connection_ready(struct event_source *source, uint32_t events)
{
    struct vsock_connection *connection =
        (struct vsock_connection *)(void *)((char *)source - offsetof(struct vsock_connection, source));
    struct vsock *vsock = connection->vsock;
    struct virtio_transport *transport = vsock->transport;
    virtio_transport_lock(transport);
    /* Without a descriptor it was closed after the event was fetched. */
    if (connection->fd >= 0) {
        take_events(connection, events);
        vsock_pump_some(vsock);
    }
    virtio_transport_unlock(transport);
}

void vsock_connections_reset(struct vsock *vsock)
{
    for (unsigned i = 0; i < VSOCK_CONNECTIONS_MAX; i++)
        if (vsock->connections[i].state != VSOCK_FREE)
            vsock_connection_end(&vsock->connections[i], false);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void vsock_connections_done(struct vsock *vsock)
{
    int64_t deadline = now_ms() + VSOCK_FINAL_FLUSH_MS;
    for (unsigned i = 0; i < VSOCK_CONNECTIONS_MAX; i++) {
        struct vsock_connection *connection = &vsock->connections[i];
        if (connection->state == VSOCK_FREE)
            continue;
        flush(connection);
        for (int64_t left; connection->fd >= 0 && (left = deadline - now_ms()) > 0;) {
            struct pollfd writable = {.fd = connection->fd, .events = POLLOUT};
            if (poll(&writable, 1, (int)left) > 0)
                flush(connection);
        }
        if (connection->fd >= 0)
            close_socket(connection);
    }
}
