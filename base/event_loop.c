/* SPDX-License-Identifier: Apache-2.0 */
#include "base/event_loop.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

enum { EVENTS_PER_WAIT = 32 };

struct event_loop {
    int epoll_fd;
    int stop_fd;
    atomic_bool stopped;
    /* Events fetched by the wait in progress: a source that is removed is struck out here, so that a handler may free
     * the owner of any source. */
    struct epoll_event fetched[EVENTS_PER_WAIT];
    int fetched_count;
};

int event_loop_new(struct event_loop **out, struct error *err)
{
    struct event_loop *loop = calloc(1, sizeof *loop);
    if (!loop)
        return error_set(err, ENOMEM, "out of memory for an event loop");
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event stop = {.events = EPOLLIN, .data.ptr = NULL};
    if (loop->epoll_fd < 0 || loop->stop_fd < 0 || epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->stop_fd, &stop) < 0) {
        int rc = error_set_errno(err, errno, "cannot make an event loop");
        event_loop_free(loop);
        return rc;
    }
    *out = loop;
    return 0;
}

void event_loop_free(struct event_loop *loop)
{
    if (!loop)
        return;
    fd_close(&loop->epoll_fd);
    fd_close(&loop->stop_fd);
    free(loop);
}

int event_loop_add(struct event_loop *loop, struct event_source *source, int fd, uint32_t events, struct error *err)
{
    struct epoll_event event = {.events = events, .data.ptr = source};
    int previous = source->fd;
    source->fd = fd; /* before the first event can arrive on another thread */
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
        source->fd = previous;
        return error_set_errno(err, errno, "cannot watch a descriptor");
    }
    return 0;
}

void event_loop_modify(struct event_loop *loop, struct event_source *source, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = source};
    if (source->fd >= 0)
        (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, source->fd, &event);
}

void event_loop_remove_elsewhere(struct event_loop *loop, struct event_source *source)
{
    if (source->fd < 0)
        return;
    (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
    source->fd = -1;
}

void event_loop_remove(struct event_loop *loop, struct event_source *source)
{
    event_loop_remove_elsewhere(loop, source);
    for (int i = 0; i < loop->fetched_count; i++)
        if (loop->fetched[i].data.ptr == source)
            loop->fetched[i].events = 0;
}

int event_loop_run_once(struct event_loop *loop, int timeout_ms, struct error *err)
{
    int count = epoll_wait(loop->epoll_fd, loop->fetched, EVENTS_PER_WAIT, timeout_ms);
    if (count < 0)
        return errno == EINTR ? 0 : error_set_errno(err, errno, "cannot wait for events");
    loop->fetched_count = count;
    int handled = 0;
    for (int i = 0; i < count; i++) {
        struct event_source *source = loop->fetched[i].data.ptr;
        uint32_t events = loop->fetched[i].events;
        if (!source || !events)
            continue;
        source->ready(source, events);
        handled++;
    }
    loop->fetched_count = 0;
    return handled;
}

int event_loop_run(struct event_loop *loop, struct error *err)
{
    while (!atomic_load_explicit(&loop->stopped, memory_order_acquire)) {
        int rc = event_loop_run_once(loop, -1, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

void event_loop_stop(struct event_loop *loop)
{
    int saved_errno = errno;
    atomic_store_explicit(&loop->stopped, true, memory_order_release);
    uint64_t one = 1;
    /* A full counter wakes the loop just as well. */
    if (write(loop->stop_fd, &one, sizeof one) < 0)
        errno = saved_errno;
    errno = saved_errno;
}
