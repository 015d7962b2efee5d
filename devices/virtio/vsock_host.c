/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "devices/virtio/vsock_internal.h"

enum { ACCEPTS_PER_TURN = 16 };

static void client_ready(struct event_source *source, uint32_t events);
static void listener_ready(struct event_source *source, uint32_t events);

static ssize_t receive(int fd, void *bytes, size_t length, int flags)
{
    struct iovec span = {.iov_base = bytes, .iov_len = length};
    struct msghdr message = {.msg_iov = &span, .msg_iovlen = 1};
    ssize_t n;
    do {
        n = recvmsg(fd, &message, flags | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

/* The socket is fresh, so the few bytes fit into its buffer or it is gone. */
static bool answer(int fd, uint32_t port)
{
    char text[VSOCK_LINE_MAX];
    int length = snprintf(text, sizeof text, "OK %u\n", port);
    struct iovec span = {.iov_base = text, .iov_len = (size_t)length};
    struct msghdr message = {.msg_iov = &span, .msg_iovlen = 1};
    return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == length;
}

/* ---- clients
 * --------------------------------------------------------------------------------------------------------- */

static void client_close(struct vsock_client *client)
{
    event_loop_remove_elsewhere(client->vsock->loop, &client->source);
    fd_close(&client->fd);
}

static struct vsock_client *find_listener(struct vsock *vsock, uint32_t port)
{
    for (unsigned i = 0; i < VSOCK_CLIENTS_MAX; i++) {
        struct vsock_client *client = &vsock->clients[i];
        if (client->fd >= 0 && client->listening && client->port == port)
            return client;
    }
    return NULL;
}

static uint32_t allocate_host_port(struct vsock *vsock, uint32_t guest_port)
{
    /* Ends: there are more ports than connections. */
    uint32_t port;
    do {
        port = vsock->next_host_port;
        vsock->next_host_port = port == INT32_MAX ? VSOCK_HOST_PORT_FIRST : port + 1;
    } while (vsock_connection_find(vsock, guest_port, port));
    return port;
}

/* CONNECT: the socket becomes the stream of a new connection. */
static bool command_connect(struct vsock_client *client, uint32_t port)
{
    struct vsock *vsock = client->vsock;
    event_loop_remove_elsewhere(vsock->loop, &client->source);
    struct vsock_connection *connection =
        vsock_connection_new(vsock, port, allocate_host_port(vsock, port), client->fd, VSOCK_CONNECTING);
    if (!connection)
        return false;
    client->fd = -1;
    vsock_connection_send(connection, VSOCK_OP_REQUEST);
    return true;
}

/* LISTEN: the socket stays a client and is sent what the guest connects. */
static bool command_listen(struct vsock_client *client, uint32_t port)
{
    if (find_listener(client->vsock, port))
        return false;
    client->listening = true;
    client->port = port;
    return answer(client->fd, port);
}

static const struct command {
    const char *word;
    bool (*run)(struct vsock_client *client, uint32_t port);
} commands[] = {{"CONNECT ", command_connect}, {"LISTEN ", command_listen}};

static bool parse_port(const char *text, uint32_t *port)
{
    uint64_t number = 0;
    if (!*text)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        number = number * 10 + (uint64_t)(*text - '0');
        if (number >= UINT32_MAX) /* which is "any port" */
            return false;
    }
    *port = (uint32_t)number;
    return true;
}

static bool run_line(struct vsock_client *client)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        size_t length = strlen(commands[i].word);
        uint32_t port;
        if (strncmp(client->line, commands[i].word, length) == 0 && parse_port(client->line + length, &port))
            return commands[i].run(client, port);
    }
    return false;
}

/* Takes bytes up to the end of the line and none behind it: those belong to the stream. False: to be closed. */
static bool read_line(struct vsock_client *client)
{
    char *next = client->line + client->line_length;
    ssize_t n = receive(client->fd, next, sizeof client->line - client->line_length, MSG_PEEK);
    if (n == -EAGAIN)
        return true;
    if (n <= 0)
        return false;
    const char *end = memchr(next, '\n', (size_t)n);
    if (end)
        n = end - next + 1;
    if (receive(client->fd, next, (size_t)n, 0) != n)
        return false;
    client->line_length += (size_t)n;
    if (!end)
        return client->line_length < sizeof client->line;
    client->line[client->line_length - 1] = '\0';
    return run_line(client);
}

/* One who listens has nothing more to say, but goes away some time. False: to be closed. */
static bool drain(struct vsock_client *client)
{
    char ignored[256];
    ssize_t n = receive(client->fd, ignored, sizeof ignored, 0);
    return n > 0 || n == -EAGAIN;
}

static void client_serve(struct vsock_client *client)
{
    if (client->fd >= 0 && !(client->listening ? drain(client) : read_line(client)))
        client_close(client);
}

static void client_ready(struct event_source *source, uint32_t events)
{
    (void)events;
    struct vsock_client *client =
        (struct vsock_client *)(void *)((char *)source - offsetof(struct vsock_client, source));
    struct vsock *vsock = client->vsock;
    virtio_transport_lock(vsock->transport);
    client_serve(client);
    vsock_pump_some(vsock);
    virtio_transport_unlock(vsock->transport);
}

/* ---- the listening socket
 * -------------------------------------------------------------------------------------------- */

static struct vsock_client *find_unused(struct vsock *vsock)
{
    for (unsigned i = 0; i < VSOCK_CLIENTS_MAX; i++)
        if (vsock->clients[i].fd < 0)
            return &vsock->clients[i];
    return NULL;
}

static void add_client(struct vsock *vsock, int fd)
{
    cleanup_fd int owned = fd;
    struct vsock_client *client = find_unused(vsock);
    if (!client || event_loop_add(vsock->loop, &client->source, fd, EPOLLIN, NULL) < 0)
        return;
    client->fd = steal_fd(&owned);
    client->listening = false;
    client->line_length = 0;
    /* The line is mostly there already: who sent LISTEN before the guest ran is served before the guest connects. */
    client_serve(client);
}

static bool accept_next(struct vsock *vsock)
{
    int fd = accept4(vsock->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0)
        add_client(vsock, fd);
    return fd >= 0;
}

static void listener_ready(struct event_source *source, uint32_t events)
{
    (void)events;
    struct vsock *vsock = (struct vsock *)(void *)((char *)source - offsetof(struct vsock, listen_source));
    virtio_transport_lock(vsock->transport);
    for (unsigned i = 0; i < ACCEPTS_PER_TURN && vsock->queues && accept_next(vsock); i++)
        ;
    vsock_pump_some(vsock);
    virtio_transport_unlock(vsock->transport);
}

/* ---- for the device
 * -------------------------------------------------------------------------------------------------- */

void vsock_host_init(struct vsock *vsock)
{
    vsock->listen_source = (struct event_source){.fd = -1, .ready = listener_ready};
    for (unsigned i = 0; i < VSOCK_CLIENTS_MAX; i++)
        vsock->clients[i] =
            (struct vsock_client){.vsock = vsock, .fd = -1, .source = {.fd = -1, .ready = client_ready}};
}

void vsock_host_start(struct vsock *vsock)
{
    for (unsigned i = 0; i < VSOCK_CLIENTS_MAX; i++) {
        struct vsock_client *client = &vsock->clients[i];
        if (client->fd >= 0 && event_loop_add(vsock->loop, &client->source, client->fd, EPOLLIN, NULL) < 0)
            client_close(client);
    }
    if (event_loop_add(vsock->loop, &vsock->listen_source, vsock->listen_fd, EPOLLIN, NULL) < 0)
        virtio_transport_fail(vsock->transport, "the listening socket cannot be watched");
    for (unsigned i = 0; i < VSOCK_CLIENTS_MAX && accept_next(vsock); i++)
        ;
}

void vsock_host_stop(struct vsock *vsock)
{
    event_loop_remove_elsewhere(vsock->loop, &vsock->listen_source);
    for (unsigned i = 0; i < VSOCK_CLIENTS_MAX; i++)
        event_loop_remove_elsewhere(vsock->loop, &vsock->clients[i].source);
}

void vsock_host_done(struct vsock *vsock)
{
    for (unsigned i = 0; i < VSOCK_CLIENTS_MAX; i++)
        client_close(&vsock->clients[i]);
}

struct vsock_connection *vsock_host_connect(struct vsock *vsock, uint32_t guest_port, uint32_t host_port)
{
    const struct vsock_client *listener = find_listener(vsock, host_port);
    int ends[2];
    if (!listener || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return NULL;
    cleanup_fd int ours = ends[0];
    cleanup_fd int theirs = ends[1];
    struct vsock_connection *connection = vsock_connection_new(vsock, guest_port, host_port, ours, VSOCK_ESTABLISHED);
    if (!connection)
        return NULL;
    (void)steal_fd(&ours);
    uint8_t port[4];
    store_le32(port, guest_port);
    if (fd_send(listener->fd, port, sizeof port, theirs) < 0) {
        vsock_connection_end(connection, false);
        return NULL;
    }
    return connection;
}

bool vsock_host_accepted(const struct vsock_connection *connection)
{
    return answer(connection->fd, connection->host_port);
}
