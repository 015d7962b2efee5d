/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/virtio/vsock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "devices/virtio/vsock_internal.h"

enum {
    QUEUE_SIZE = 256,
    /* Then the loop's other handlers have a turn: */
    PACKETS_PER_TURN = 64, /* from the guest */
    BATCHES_PER_TURN = 8,  /* to the guest */
};

/* ---- to the guest
 * ---------------------------------------------------------------------------------------------------- */

bool vsock_take_rx(struct vsock *vsock, struct virtio_chain *chain)
{
    struct virtio_queue *queue = &vsock->queues[VSOCK_QUEUE_RX];
    /* Kicks for receive buffers matter only to one who waits for them. */
    while (!virtio_queue_pop(queue, chain))
        if (!virtio_queue_enable_notify(queue))
            return false;
    virtio_queue_disable_notify(queue);
    if (chain->writable_length > sizeof(struct vsock_header))
        return true;
    virtio_transport_fail(vsock->transport, "a receive buffer without room for a packet");
    return false;
}

/* Answers a packet of no connection. Should too many wait, the guest's own time-out has to do. */
static void refuse(struct vsock *vsock, const struct vsock_header *header)
{
    if (le16_get(header->op) == VSOCK_OP_RST || vsock->refusals_count == VSOCK_REFUSALS_MAX)
        return;
    vsock->refusals[(vsock->refusals_first + vsock->refusals_count++) % VSOCK_REFUSALS_MAX] = (struct vsock_refusal){
        .cid = le64_get(header->dst_cid),
        .guest_port = le32_get(header->src_port),
        .host_port = le32_get(header->dst_port),
        .type = le16_get(header->type),
    };
}

static bool send_refusal(struct vsock *vsock)
{
    struct virtio_chain *chain = &vsock->rx_chains[0];
    if (!vsock_take_rx(vsock, chain))
        return false;
    const struct vsock_refusal *refusal = &vsock->refusals[vsock->refusals_first];
    const struct vsock_header header = {
        .src_cid = le64_from(refusal->cid),
        .dst_cid = le64_from(vsock->guest_cid),
        .src_port = le32_from(refusal->host_port),
        .dst_port = le32_from(refusal->guest_port),
        .type = le16_from(refusal->type),
        .op = le16_from(VSOCK_OP_RST),
    };
    (void)virtio_chain_write(chain, 0, &header, sizeof header);
    virtio_queue_push(&vsock->queues[VSOCK_QUEUE_RX], chain, sizeof header);
    vsock->refusals_first = (vsock->refusals_first + 1) % VSOCK_REFUSALS_MAX;
    vsock->refusals_count--;
    return true;
}

/* Lets the first of the ready connections send; false when the guest has no buffer for it. */
static bool send_ready(struct vsock *vsock)
{
    struct vsock_connection *connection = TAILQ_FIRST(&vsock->ready);
    TAILQ_REMOVE(&vsock->ready, connection, in_ready);
    connection->scheduled = false;
    if (vsock_connection_transmit(connection) == VSOCK_NO_BUFFER) {
        TAILQ_INSERT_HEAD(&vsock->ready, connection, in_ready);
        connection->scheduled = true;
        return false;
    }
    if (!connection->scheduled && vsock_connection_wants_to_send(connection)) {
        TAILQ_INSERT_TAIL(&vsock->ready, connection, in_ready);
        connection->scheduled = true;
    }
    return true;
}

static void pump(struct vsock *vsock, unsigned batches)
{
    if (!vsock->queues)
        return;
    unsigned turns = 0;
    while (vsock->refusals_count || !TAILQ_EMPTY(&vsock->ready)) {
        if (turns++ == batches) {
            virtio_transport_again(vsock->transport, VSOCK_QUEUE_RX);
            break;
        }
        if (!(vsock->refusals_count ? send_refusal(vsock) : send_ready(vsock)))
            break;
    }
    virtio_transport_interrupt(vsock->transport, &vsock->queues[VSOCK_QUEUE_RX]);
}

void vsock_pump_some(struct vsock *vsock)
{
    pump(vsock, 1);
}

/* ---- from the guest
 * -------------------------------------------------------------------------------------------------- */

/** A packet from the guest, its header copied and its length checked against the chain. */
struct packet {
    struct vsock_header header;
    const struct virtio_chain *chain;
    uint32_t length;
};

/* Each takes a packet of an existing connection; false when it makes no sense there, which ends the connection. */

static bool take_response(struct vsock_connection *connection, const struct packet *packet)
{
    if (connection->state != VSOCK_CONNECTING || connection->pending)
        return false; /* also when our own request has not even left */
    if (!vsock_host_accepted(connection))
        return false;
    connection->state = VSOCK_ESTABLISHED;
    vsock_connection_credit(connection, &packet->header); /* the host may have sent something already */
    return true;
}

static bool take_reset(struct vsock_connection *connection, const struct packet *packet)
{
    (void)packet;
    vsock_connection_end(connection, false);
    return true;
}

static bool take_shutdown(struct vsock_connection *connection, const struct packet *packet)
{
    if (connection->state != VSOCK_ESTABLISHED)
        return false;
    vsock_connection_shutdown(connection, le32_get(packet->header.flags));
    return true;
}

static bool take_data(struct vsock_connection *connection, const struct packet *packet)
{
    if (connection->state != VSOCK_ESTABLISHED || (connection->shutdown_received & VSOCK_SHUTDOWN_SEND))
        return false;
    /* More than the buffer that was announced: a guest that keeps the rules knows an older, smaller count. */
    uint32_t held = connection->received - connection->forwarded;
    if (packet->length > VSOCK_BUFFER - held)
        return false;
    vsock_connection_receive(connection, packet->chain, packet->length);
    return true;
}

static bool take_credit_update(struct vsock_connection *connection, const struct packet *packet)
{
    (void)connection;
    (void)packet;
    return true; /* every packet carries credit */
}

static bool take_credit_request(struct vsock_connection *connection, const struct packet *packet)
{
    (void)packet;
    vsock_connection_send(connection, VSOCK_OP_CREDIT_UPDATE);
    return true;
}

/** Requests are not here: there must be no connection yet. */
static bool (*const takers[])(struct vsock_connection *connection, const struct packet *packet) = {
    [VSOCK_OP_RESPONSE] = take_response,           [VSOCK_OP_RST] = take_reset,
    [VSOCK_OP_SHUTDOWN] = take_shutdown,           [VSOCK_OP_RW] = take_data,
    [VSOCK_OP_CREDIT_UPDATE] = take_credit_update, [VSOCK_OP_CREDIT_REQUEST] = take_credit_request,
};
enum { TAKERS = sizeof takers / sizeof takers[0] };

static void take_request(struct vsock *vsock, const struct packet *packet)
{
    const struct vsock_header *header = &packet->header;
    struct vsock_connection *connection =
        vsock_host_connect(vsock, le32_get(header->src_port), le32_get(header->dst_port));
    if (!connection) {
        refuse(vsock, header);
        return;
    }
    vsock_connection_send(connection, VSOCK_OP_RESPONSE);
    vsock_connection_credit(connection, header);
}

static void take_packet(struct vsock *vsock, struct packet *packet)
{
    const struct vsock_header *header = &packet->header;
    unsigned op = le16_get(header->op);
    packet->length = le32_get(header->len);
    if (le64_get(header->src_cid) != vsock->guest_cid)
        return; /* section 5.10.4: not to be delivered, and there is nobody to answer */
    if (le64_get(header->dst_cid) != VSOCK_CID_HOST || le16_get(header->type) != VSOCK_TYPE_STREAM) {
        refuse(vsock, header);
        return;
    }
    struct vsock_connection *connection =
        vsock_connection_find(vsock, le32_get(header->src_port), le32_get(header->dst_port));
    uint32_t payload = packet->chain->readable_length - (uint32_t)sizeof *header;
    bool sound =
        packet->length <= payload && packet->length <= VSOCK_PAYLOAD_MAX && (packet->length == 0 || op == VSOCK_OP_RW);
    if (!connection) {
        if (sound && op == VSOCK_OP_REQUEST)
            take_request(vsock, packet);
        else
            refuse(vsock, header);
        return;
    }
    if (connection->state == VSOCK_ENDED)
        return; /* its RST is on its way */
    if (sound && op < TAKERS && takers[op]) {
        vsock_connection_credit(connection, header);
        sound = takers[op](connection, packet);
    } else {
        sound = false;
    }
    if (!sound && connection->state != VSOCK_ENDED)
        vsock_connection_end(connection, true);
}

/* Takes the next packet from the guest; false when there is none. */
static bool take_next(struct vsock *vsock)
{
    struct virtio_queue *queue = &vsock->queues[VSOCK_QUEUE_TX];
    struct packet packet = {.chain = &vsock->tx_chain};
    if (!virtio_queue_pop(queue, &vsock->tx_chain))
        return false;
    if (!virtio_chain_read(&vsock->tx_chain, 0, &packet.header, sizeof packet.header)) {
        virtio_transport_fail(vsock->transport, "a packet without a header");
        return false;
    }
    take_packet(vsock, &packet);
    virtio_queue_push(queue, &vsock->tx_chain, 0);
    return true;
}

static void serve_tx(struct vsock *vsock)
{
    struct virtio_queue *queue = &vsock->queues[VSOCK_QUEUE_TX];
    unsigned taken = 0;
    do {
        virtio_queue_disable_notify(queue);
        while (taken < PACKETS_PER_TURN && take_next(vsock))
            taken++;
        if (taken == PACKETS_PER_TURN) {
            virtio_transport_again(vsock->transport, VSOCK_QUEUE_TX);
            break;
        }
    } while (virtio_queue_enable_notify(queue));
    virtio_transport_interrupt(vsock->transport, queue);
}

/* ---- the device
 * ------------------------------------------------------------------------------------------------------ */

static void vsock_notify(void *device, uint16_t index)
{
    struct vsock *vsock = device;
    /* Before the guest's first packet: whoever sent LISTEN while the guest booted is to get its connections. */
    if (!vsock->host_started)
        vsock_host_start(vsock);
    vsock->host_started = true;
    if (index == VSOCK_QUEUE_TX)
        serve_tx(vsock);
    /* Buffers in the event queue wait for a transport reset (a migration), which never comes. */
    pump(vsock, BATCHES_PER_TURN);
}

static void vsock_read_config(void *device, uint32_t offset, void *data, uint32_t length)
{
    const struct vsock *vsock = device;
    uint8_t config[sizeof(le64)];
    store_le64(config, vsock->guest_cid);
    for (uint32_t i = 0; i < length; i++)
        ((uint8_t *)data)[i] = offset + i < sizeof config ? config[offset + i] : 0;
}

static void vsock_activate(void *device, uint64_t features, struct virtio_queue *queues,
                           struct virtio_transport *transport)
{
    (void)features;
    struct vsock *vsock = device;
    vsock->queues = queues;
    vsock->transport = transport;
    vsock->host_started = false;
}

/* The last words of a program, sent just before the guest turned itself off. */
static void vsock_drain(void *device)
{
    struct vsock *vsock = device;
    for (unsigned i = 0; i < QUEUE_SIZE && take_next(vsock); i++)
        ;
}

static void vsock_reset(void *device)
{
    struct vsock *vsock = device;
    vsock->queues = NULL;
    vsock_host_stop(vsock);
    vsock_connections_reset(vsock);
    vsock->refusals_count = 0;
}

static void vsock_free(void *device)
{
    struct vsock *vsock = device;
    if (!vsock)
        return;
    vsock_connections_done(vsock);
    vsock_host_done(vsock);
    fd_close(&vsock->listen_fd);
    free(vsock);
}

const struct virtio_device_ops virtio_vsock_ops = {
    .name = "virtio-vsock",
    .type = VIRTIO_TYPE_VSOCK,
    .queue_count = VSOCK_QUEUES,
    .queue_size = QUEUE_SIZE,
    .read_config = vsock_read_config,
    .activate = vsock_activate,
    .notify = vsock_notify,
    .reset = vsock_reset,
    .drain = vsock_drain,
    .free = vsock_free,
};

int virtio_vsock_new(void **device, uint32_t guest_cid, int listen_fd, struct event_loop *loop, struct error *err)
{
    cleanup_fd int owned = listen_fd;
    if (guest_cid < VSOCK_CID_GUEST_MIN || guest_cid == UINT32_MAX)
        return error_set(err, EINVAL, "a guest's vsock address must be %d to %u, not %u", VSOCK_CID_GUEST_MIN,
                         UINT32_MAX - 1, guest_cid);
    int rc = fd_set_nonblocking(listen_fd, 1);
    if (rc < 0)
        return error_set_errno(err, -rc, "cannot use the vsock's listening socket");
    struct vsock *vsock = calloc(1, sizeof *vsock);
    if (!vsock)
        return error_set(err, ENOMEM, "out of memory for a vsock device");
    vsock->guest_cid = guest_cid;
    vsock->listen_fd = steal_fd(&owned);
    vsock->loop = loop;
    vsock->next_host_port = VSOCK_HOST_PORT_FIRST;
    vsock_connections_init(vsock);
    vsock_host_init(vsock);
    *device = vsock;
    return 0;
}
