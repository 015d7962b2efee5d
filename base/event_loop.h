/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread waiting for many descriptors: a thin layer over epoll(7), level-triggered. A machine has one loop per I/O
 * thread, the monitor and the tests have one each. A source is embedded in its owner and costs no allocation.
 */
#ifndef BASE_EVENT_LOOP_H
#define BASE_EVENT_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct event_loop;

/** A descriptor that is watched, embedded in whoever owns it. Must stay where it is between add and remove. */
struct event_source {
    int fd; /**< borrowed; -1 while not watched */
    /** Called on the loop's thread. @p events: EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR as in epoll_ctl(2). */
    void (*ready)(struct event_source *source, uint32_t events);
};

#define EVENT_SOURCE_NONE                                                                                              \
    (struct event_source)                                                                                              \
    {                                                                                                                  \
        .fd = -1                                                                                                       \
    }

/** Makes a loop. @return 0 with *loop owned by the caller, or -errno */
int event_loop_new(struct event_loop **loop, struct error *err);

/** Frees a loop whose thread has left event_loop_run(); sources still added are forgotten. NULL is fine. */
void event_loop_free(struct event_loop *loop);

/**
 * Watches @p fd for @p events (EPOLLIN | EPOLLOUT; errors and hang-ups are always told). Safe from any thread. With
 * EPOLLET a source is told once of each change instead, and must then read or write until EAGAIN.
 * @return 0 or -errno
 */
int event_loop_add(struct event_loop *loop, struct event_source *source, int fd, uint32_t events, struct error *err);

/** Changes what a source is watched for; 0 silences all but errors. Safe from any thread. */
void event_loop_modify(struct event_loop *loop, struct event_source *source, uint32_t events);

/**
 * Stops watching; sets source->fd to -1 and does not close it. Does nothing for a source that is not watched. Call on
 * the loop's thread, or before it runs or after it has stopped: then `ready` is never called again, not even for events
 * that were already fetched.
 */
void event_loop_remove(struct event_loop *loop, struct event_source *source);

/**
 * Like event_loop_remove(), from any thread while the loop runs. An event that was fetched before may still call
 * `ready` once afterwards: the source must stay allocated until the loop has stopped, and its handler must bear it.
 */
void event_loop_remove_elsewhere(struct event_loop *loop, struct event_source *source);

/** Runs handlers until event_loop_stop(). @return 0, or -errno when waiting failed */
int event_loop_run(struct event_loop *loop, struct error *err);

/**
 * Waits at most @p timeout_ms (-1: for ever, 0: not at all) and runs the handlers that are ready once. For tests and
 * for callers with a loop of their own.
 * @return the number of events handled, or -errno
 */
int event_loop_run_once(struct event_loop *loop, int timeout_ms, struct error *err);

/** Makes event_loop_run() return after the handler that runs now. Safe from any thread and from a signal handler. */
void event_loop_stop(struct event_loop *loop);

#endif
