/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that the host asked for, from START to EXITED, with its standard streams.
 *
 * The process gets pipes, not the vsock connections themselves. It costs one copy in the guest, and buys what programs
 * expect of a standard stream: /dev/stdout can be opened again (a socket cannot), a shell does not take a socket on
 * descriptor 0 for a remote login, a writer without a reader gets SIGPIPE, and a child that outlives the process cannot
 * hold the connection to the host.
 */
#ifndef INITD_PROCESS_H
#define INITD_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/event_loop.h"
#include "base/pump.h"
#include "initd/guest.h"
#include "initd/protocol.h"

struct error;
struct process;

/** What becomes of a process. Called on the loop's thread. */
struct process_events {
    void (*started)(void *context, const struct process *process);
    /** @p failure: owned by the process. It ends here: nothing follows. */
    void (*start_failed)(void *context, struct process *process, const struct protocol_start_failed *failure);
    /** It has been reaped and its output is with the host. @p status: as of waitpid(2). It ends here. */
    void (*exited)(void *context, struct process *process, int status);
};

/** One process. */
struct process {
    struct process *next;
    uint32_t id; /**< the host's name for it */
    pid_t pid;
    int status; /**< of waitpid(2), once reaped */
    bool reaped;
    bool reported; /**< the outcome of its start has been told */
    bool ended;    /**< the last event has been sent; may be freed */
    int report_fd; /**< see spawn.h; owned, -1 once read */
    struct event_source report;
    struct pump streams[3];
    const struct process_events *events;
    void *context;
    struct event_loop *loop;
};

/**
 * Connects the streams and forks.
 * @param process  set to the new process, owned by the caller
 * @return 0 or -errno; on failure no event follows
 */
int process_start(struct process **process, struct event_loop *loop, const struct guest *guest,
                  const struct protocol_start *start, const struct process_events *events, void *context,
                  struct error *err);

/** Tells the process that waitpid(2) returned it. */
void process_reaped(struct process *process, int status);

/** Sends it a signal, if it still runs. */
void process_signal(const struct process *process, int signal);

/** Releases it. Not from its own events. NULL is fine. */
void process_free(struct process *process);

#endif
