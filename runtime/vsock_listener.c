/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/vsock_listener.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/container_of.h"
#include "base/error.h"
#include "base/fd.h"

/* "OK <port>\n", then the guest's port as 4 bytes with the descriptor. */
enum { ANSWER_MAX = 32, GUEST_PORT_SIZE = 4 };

static void fail(struct vsock_listener *listener, const char *reason)
{
    vsock_listener_stop(listener);
    listener->failed(listener, reason);
}

/* Takes in a piece of the answer, of which a hostile hull-vmm may send anything. @return NULL, or what is wrong */
static const char *take(struct vsock_listener *listener, const char *answer, unsigned answer_length)
{
    uint8_t bytes[ANSWER_MAX];
    /* Never past the end of one part, so that no byte belongs to another connection. */
    unsigned end = listener->received < answer_length ? answer_length : answer_length + GUEST_PORT_SIZE;
    int passed = -1;
    ssize_t n = fd_receive(listener->fd, bytes, end - listener->received, &passed);
    if (n == -EAGAIN)
        return NULL;
    if (passed >= 0) {
        fd_close(&listener->connection);
        listener->connection = passed;
    }
    if (n <= 0)
        return "hull-vmm closed its socket";
    if (listener->received < answer_length && memcmp(bytes, answer + listener->received, (size_t)n) != 0)
        return "hull-vmm did not answer as agreed";
    listener->received += (unsigned)n;
    if (listener->received == answer_length + GUEST_PORT_SIZE && listener->connection < 0)
        return "hull-vmm handed over no connection";
    return NULL;
}

static void readable(struct event_source *source, uint32_t events)
{
    (void)events;
    struct vsock_listener *listener = container_of(source, struct vsock_listener, source);
    char answer[ANSWER_MAX];
    unsigned answer_length = (unsigned)snprintf(answer, sizeof answer, "OK %u\n", listener->port);
    const char *reason = take(listener, answer, answer_length);
    if (reason) {
        fail(listener, reason);
        return;
    }
    if (listener->received < answer_length + GUEST_PORT_SIZE)
        return;
    int connection = listener->connection;
    listener->connection = -1;
    vsock_listener_stop(listener);
    listener->connected(listener, connection);
}

int vsock_listener_start(struct vsock_listener *listener, struct event_loop *loop, int fd, uint32_t port,
                         struct error *err)
{
    char line[ANSWER_MAX];
    int length = snprintf(line, sizeof line, "LISTEN %u\n", port);
    listener->loop = loop;
    listener->source = (struct event_source){.fd = -1, .ready = readable};
    listener->fd = fd;
    listener->port = port;
    listener->received = 0;
    int rc = fd_send(fd, line, (size_t)length, -1);
    if (rc == 0)
        rc = fd_set_nonblocking(fd, 1);
    if (rc < 0)
        rc = error_set_errno(err, -rc, "cannot ask hull-vmm for connections");
    else
        rc = event_loop_add(loop, &listener->source, fd, EPOLLIN, err);
    if (rc < 0)
        vsock_listener_stop(listener);
    return rc;
}

void vsock_listener_stop(struct vsock_listener *listener)
{
    if (listener->fd >= 0)
        event_loop_remove(listener->loop, &listener->source);
    fd_close(&listener->fd);
    fd_close(&listener->connection);
}
