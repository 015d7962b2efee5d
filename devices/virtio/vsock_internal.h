/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the three parts of virtio-vsock share:
 *
 *   vsock.c             the device: packets from the guest, packets to the guest, start and end
 *   vsock_connection.c  one connection: bytes, credit and shutdown between a host socket and the guest
 *   vsock_host.c        the listening socket and the lines CONNECT and LISTEN (vsock.h)
 *
 * How bytes flow. Towards the host: the payload is written from the guest's buffers to the socket; what the socket does
 * not take waits in the connection's backlog, which credit keeps below VSOCK_BUFFER, until the socket is writable.
 * Towards the guest: a socket that is readable puts its connection on the ready list; the pump takes connections from
 * it in turn, reads from the socket straight into the guest's receive buffers, and stops when there are none left,
 * going on when the guest adds some. A connection whose guest side has no room leaves the list until credit arrives.
 *
 * Sockets are watched edge-triggered, so that one that cannot be read now costs nothing; `readable` and the ready list
 * remember what is to be done. All runs on the loop's thread but activate and reset, all under the transport's lock.
 */
#ifndef DEVICES_VIRTIO_VSOCK_INTERNAL_H
#define DEVICES_VIRTIO_VSOCK_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include "base/buffer.h"
#include "base/event_loop.h"
#include "devices/virtio/queue.h"
#include "devices/virtio/vsock.h"
#include "devices/virtio/vsock_packet.h"

enum {
    VSOCK_CONNECTIONS_MAX = 256,
    VSOCK_CLIENTS_MAX = 64,          /**< host connections that listen or have not sent their line */
    VSOCK_BUFFER = 256 * 1024,       /**< receive buffer that each connection announces to the guest */
    VSOCK_CREDIT_STEP = 64 * 1024,   /**< so much must leave it before the guest is told */
    VSOCK_PAYLOAD_MAX = 64 * 1024,   /**< of one packet */
    VSOCK_REFUSALS_MAX = 64,         /**< answers to packets of no connection that wait for a receive buffer */
    VSOCK_BATCH_MAX = 16,            /**< receive buffers filled by one read of a socket */
    VSOCK_SPANS_MAX = 512,           /**< spans of such a batch; at least those of one chain */
    VSOCK_TABLE_SIZE = 256,          /**< buckets of the table of connections, a power of two */
    VSOCK_LINE_MAX = 32,             /**< "CONNECT 4294967294\n" has 19 */
    VSOCK_HOST_PORT_FIRST = 1 << 30, /**< ports given to host programs that connect */
    VSOCK_FINAL_FLUSH_MS = 1000,     /**< what the guest sent last may wait so long for its reader at the end */
};

struct vsock;

enum vsock_state {
    VSOCK_FREE,
    VSOCK_CONNECTING, /**< a host program waits for the guest's answer */
    VSOCK_ESTABLISHED,
    VSOCK_ENDED, /**< over for the guest, or to be once it gets our RST; the backlog may still drain */
};

/** One connection. Lies in the device's pool, so that a late event finds it, in use or not. */
struct vsock_connection {
    struct vsock *vsock;
    enum vsock_state state;
    uint32_t guest_port, host_port;
    LIST_ENTRY(vsock_connection) in_bucket; /**< while in_table; or in the list of free ones */
    bool in_table;
    TAILQ_ENTRY(vsock_connection) in_ready;
    bool scheduled;   /**< on the ready list */
    uint32_t pending; /**< packets to be sent, a bit (1 << op) each */

    int fd; /**< owned; -1 when the host's side is gone */
    struct event_source source;
    bool readable;        /**< may have bytes or the end */
    bool ending;          /**< its end or an error was announced */
    bool hung_up;         /**< the host closed its end: nobody reads what the guest sends */
    bool watching_output; /**< told when writable */
    unsigned batch;       /**< receive buffers that the next read is tried with */

    uint32_t shutdown_sent, shutdown_received; /**< VSOCK_SHUTDOWN_ flags */

    /* Towards the guest; all counters are modulo 2^32. */
    uint32_t peer_buffer, peer_forwarded; /**< as the guest said last */
    uint32_t sent;
    bool credit_requested;

    /* From the guest. */
    uint32_t received, forwarded, forwarded_told;
    struct buffer backlog;
};

/** A host program's connection that has not become a stream. In the device's pool for the same reason. */
struct vsock_client {
    struct vsock *vsock;
    int fd; /**< owned; -1 = not in use */
    struct event_source source;
    bool listening; /**< on port; otherwise its line is still coming */
    uint32_t port;
    char line[VSOCK_LINE_MAX];
    size_t line_length;
};

/** A RST that answers a packet of no connection. */
struct vsock_refusal {
    uint64_t cid; /**< whom the guest addressed */
    uint32_t guest_port, host_port;
    uint16_t type;
};

struct vsock {
    uint32_t guest_cid;
    struct event_loop *loop;
    struct virtio_queue *queues; /**< NULL while not active */
    struct virtio_transport *transport;

    int listen_fd;
    struct event_source listen_source;
    bool host_started; /**< since the driver set DRIVER_OK */
    struct vsock_client clients[VSOCK_CLIENTS_MAX];
    uint32_t next_host_port;

    LIST_HEAD(vsock_bucket, vsock_connection) table[VSOCK_TABLE_SIZE], unused;
    TAILQ_HEAD(vsock_ready, vsock_connection) ready;
    struct vsock_connection connections[VSOCK_CONNECTIONS_MAX];

    struct vsock_refusal refusals[VSOCK_REFUSALS_MAX];
    unsigned refusals_first, refusals_count;

    struct virtio_chain tx_chain;
    struct virtio_chain rx_chains[VSOCK_BATCH_MAX];
    struct iovec spans[VSOCK_SPANS_MAX];
};

/* ---- vsock.c
 * --------------------------------------------------------------------------------------------------------- */

/**
 * Sends what the first of the ready connections has for the guest, if there is a receive buffer, and sees to it that
 * the others follow. For handlers of sockets: the other sockets that are ready get on the list before one has it all.
 */
void vsock_pump_some(struct vsock *vsock);

/** Takes a receive buffer with room for at least a header and a byte into @p chain; false when there is none. */
bool vsock_take_rx(struct vsock *vsock, struct virtio_chain *chain);

/* ---- vsock_connection.c
 * ---------------------------------------------------------------------------------------------- */

/** Puts all connections of a new device on the list of unused ones. */
void vsock_connections_init(struct vsock *vsock);

/** The connection of a pair of ports, or NULL. */
struct vsock_connection *vsock_connection_find(struct vsock *vsock, uint32_t guest_port, uint32_t host_port);

/**
 * Makes a connection for a socket.
 * @param fd  owned by the connection from here on, unless it fails
 * @return NULL when there are too many, or the socket cannot be watched
 */
struct vsock_connection *vsock_connection_new(struct vsock *vsock, uint32_t guest_port, uint32_t host_port, int fd,
                                              enum vsock_state state);

/** Notes that packet @p op is to be sent. */
void vsock_connection_send(struct vsock_connection *connection, enum vsock_op op);

/** Takes the guest's credit from a header, and goes on sending if that helps. */
void vsock_connection_credit(struct vsock_connection *connection, const struct vsock_header *header);

/** The guest's bytes: @p length of them behind the header in the chain. */
void vsock_connection_receive(struct vsock_connection *connection, const struct virtio_chain *chain, uint32_t length);

/** The guest shut directions down (VSOCK_SHUTDOWN_ flags). */
void vsock_connection_shutdown(struct vsock_connection *connection, uint32_t flags);

/** Ends a connection, telling the guest (RST) if wanted. What the guest sent before is still handed to the host. */
void vsock_connection_end(struct vsock_connection *connection, bool tell_guest);

enum vsock_sent { VSOCK_SENT, VSOCK_NOTHING_TO_SEND, VSOCK_NO_BUFFER };

/** Sends one control packet, or one batch of data, to the guest. May free the connection. */
enum vsock_sent vsock_connection_transmit(struct vsock_connection *connection);

/** Whether vsock_connection_transmit() would find something. */
bool vsock_connection_wants_to_send(const struct vsock_connection *connection);

/** The device was reset: ends all connections without a word to the guest. */
void vsock_connections_reset(struct vsock *vsock);

/** The device is freed: waits VSOCK_FINAL_FLUSH_MS at most for readers of what is left, then closes everything. */
void vsock_connections_done(struct vsock *vsock);

/* ---- vsock_host.c
 * ---------------------------------------------------------------------------------------------------- */

/** Makes all clients of a new device unused. */
void vsock_host_init(struct vsock *vsock);

/** Serves who has connected meanwhile, and starts and stops watching the listening socket and the clients. */
void vsock_host_start(struct vsock *vsock);
void vsock_host_stop(struct vsock *vsock);

/** Closes the clients. */
void vsock_host_done(struct vsock *vsock);

/**
 * The guest asks for a port of the host: hands one end of a fresh socket pair to whoever listens.
 * @return the connection, established, or NULL: nobody listens, or it cannot be made
 */
struct vsock_connection *vsock_host_connect(struct vsock *vsock, uint32_t guest_port, uint32_t host_port);

/** The guest accepted: answers the host program's CONNECT. @return whether that could be written */
bool vsock_host_accepted(const struct vsock_connection *connection);

#endif
