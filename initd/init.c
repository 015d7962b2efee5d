/* SPDX-License-Identifier: Apache-2.0 */
#include "initd/init.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/container_of.h"
#include "base/error.h"
#include "base/event_loop.h"
#include "base/fd.h"
#include "initd/channel.h"
#include "initd/guest.h"
#include "initd/process.h"

struct init {
    struct event_loop *loop;
    struct channel channel;
    struct event_source control;
    struct event_source children;
    int signal_fd;
    struct guest guest;
    struct process *processes;
    unsigned process_count;
    bool ending;        /* SHUTDOWN came, or the monitor is gone */
    bool discard;       /* nobody will read the disks again */
    int grace_ms;       /* until SIGKILL, from when `ending` was set */
    uint64_t ending_ns; /* when it was */
};

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now = {0};
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- the end ---- */

static void signal_all(const struct init *init, int signal)
{
    for (const struct process *process = init->processes; process; process = process->next)
        process_signal(process, signal);
}

static void begin_end(struct init *init, uint32_t grace_ms, bool discard)
{
    if (init->ending)
        return;
    init->ending = true;
    init->discard = discard;
    init->grace_ms = grace_ms > PROTOCOL_GRACE_DEFAULT_MS * 1000 ? PROTOCOL_GRACE_DEFAULT_MS * 1000 : (int)grace_ms;
    init->ending_ns = clock_ns(CLOCK_MONOTONIC);
    signal_all(init, SIGTERM);
}

static void lose_monitor(struct init *init)
{
    event_loop_remove(init->loop, &init->control);
    channel_done(&init->channel);
    begin_end(init, PROTOCOL_GRACE_DEFAULT_MS, false);
}

/* ---- telling the monitor ---- */

static void tell(struct init *init, const struct protocol_message *message)
{
    if (init->channel.fd < 0)
        return;
    if (channel_send(&init->channel, message, NULL) < 0)
        lose_monitor(init);
    else
        event_loop_modify(init->loop, &init->control, channel_waits(&init->channel) ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void tell_error(struct init *init, const struct error *err)
{
    tell(init, &(struct protocol_message){.type = PROTOCOL_ERROR, .error = {(uint32_t)err->code, err->text}});
}

static void started(void *context, const struct process *process)
{
    tell(context,
         &(struct protocol_message){.type = PROTOCOL_STARTED, .started = {process->id, clock_ns(CLOCK_BOOTTIME)}});
}

static void start_failed(void *context, struct process *process, const struct protocol_start_failed *failure)
{
    (void)process;
    tell(context, &(struct protocol_message){.type = PROTOCOL_START_FAILED, .start_failed = *failure});
}

static void exited(void *context, struct process *process, int status)
{
    struct protocol_exited outcome = {.process = process->id};
    if (WIFSIGNALED(status))
        outcome.signal = (uint32_t)WTERMSIG(status);
    else
        outcome.code = (uint32_t)WEXITSTATUS(status);
    tell(context, &(struct protocol_message){.type = PROTOCOL_EXITED, .exited = outcome});
}

static const struct process_events process_events = {
    .started = started,
    .start_failed = start_failed,
    .exited = exited,
};

/* ---- what the monitor asks for ---- */

static struct process *find_process(const struct init *init, uint32_t id)
{
    struct process *process = init->processes;
    while (process && process->id != id)
        process = process->next;
    return process;
}

static int do_configure(struct init *init, const struct protocol_message *message, struct error *err)
{
    return guest_configure(&init->guest, &message->configure, err);
}

static int do_start(struct init *init, const struct protocol_message *message, struct error *err)
{
    const struct protocol_start *start = &message->start;
    struct process *process;
    if (!init->guest.root)
        return error_set(err, EINVAL, "START before CONFIGURE");
    if (start->argv.count == 0 || start->cwd[0] != '/' || start->process == 0 || find_process(init, start->process))
        return error_set(err, EINVAL, "START without a program, with a relative directory or with a number in use");
    if (start->flags != 0)
        return error_set(err, ENOTSUP, "this guest does not know the flags %#x of START", start->flags);
    if (init->process_count >= INIT_PROCESSES_MAX)
        return error_set(err, EAGAIN, "%d processes run already", INIT_PROCESSES_MAX);
    int rc = process_start(&process, init->loop, &init->guest, start, &process_events, init, err);
    if (rc < 0) {
        struct protocol_start_failed failure = {start->process, PROTOCOL_START_SYSTEM, (uint32_t)-rc, err->text};
        tell(init, &(struct protocol_message){.type = PROTOCOL_START_FAILED, .start_failed = failure});
        return 0;
    }
    process->next = init->processes;
    init->processes = process;
    init->process_count++;
    return 0;
}

static int do_signal(struct init *init, const struct protocol_message *message, struct error *err)
{
    (void)err;
    const struct process *process = find_process(init, message->signal.process);
    if (process && message->signal.signal > 0 && message->signal.signal < (uint32_t)NSIG)
        process_signal(process, (int)message->signal.signal);
    return 0;
}

static int do_shutdown(struct init *init, const struct protocol_message *message, struct error *err)
{
    (void)err;
    begin_end(init, message->shutdown.grace_ms, message->shutdown.flags & PROTOCOL_SHUTDOWN_DISCARD);
    return 0;
}

static int (*const handlers[PROTOCOL_TYPES_END])(struct init *, const struct protocol_message *, struct error *) = {
    [PROTOCOL_CONFIGURE] = do_configure,
    [PROTOCOL_START] = do_start,
    [PROTOCOL_SIGNAL] = do_signal,
    [PROTOCOL_SHUTDOWN] = do_shutdown,
};

/* The decoder lets only messages for the guest through, and each of them has a handler. */
static void control_ready(struct event_source *source, uint32_t events)
{
    struct init *init = container_of(source, struct init, control);
    struct error err = {0};
    const struct protocol_message *message;
    int rc = events & EPOLLOUT ? channel_flush(&init->channel, &err) : 0;
    if (rc == 0)
        rc = channel_receive(&init->channel, &err);
    if (rc == -EAGAIN)
        rc = 1;
    else if (rc == 1)
        while ((rc = channel_next(&init->channel, &message, &err)) == 1) {
            rc = handlers[message->type](init, message, &err);
            if (rc < 0 || init->channel.fd < 0)
                break;
        }
    else
        rc = -ECONNRESET; /* the end of the connection, or worse */
    if (init->channel.fd < 0)
        return;
    if (rc < 0) {
        if (err.code)
            tell_error(init, &err);
        if (rc == -ECONNRESET || rc == -EPROTO)
            lose_monitor(init);
    }
}

/* ---- children ---- */

/* Every process that the kernel hands to PID 1 is reaped, ours and the orphans of others. */
static void children_ready(struct event_source *source, uint32_t events)
{
    (void)events;
    struct init *init = container_of(source, struct init, children);
    struct signalfd_siginfo info;
    while (read(init->signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
        ; /* several signals may have been merged into one: only waitpid knows */
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        struct process *process = init->processes;
        while (process && process->pid != pid)
            process = process->next;
        if (process)
            process_reaped(process, status);
    }
}

static void free_ended(struct init *init)
{
    for (struct process **link = &init->processes; *link;) {
        struct process *process = *link;
        if (!process->ended || !process->reaped) {
            link = &process->next;
            continue;
        }
        *link = process->next;
        init->process_count--;
        process_free(process);
    }
}

static int watch_children(struct init *init, struct error *err)
{
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
        return error_set_errno(err, errno, "cannot block SIGCHLD");
    init->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (init->signal_fd < 0)
        return error_set_errno(err, errno, "cannot watch for children");
    return event_loop_add(init->loop, &init->children, init->signal_fd, EPOLLIN, err);
}

/* ---- the whole ---- */

/* Milliseconds until the processes that are left get SIGKILL; -1 while nothing ends. */
static int time_left(const struct init *init)
{
    if (!init->ending)
        return -1;
    uint64_t passed_ms = (clock_ns(CLOCK_MONOTONIC) - init->ending_ns) / 1000000;
    return passed_ms >= (uint64_t)init->grace_ms ? 0 : init->grace_ms - (int)passed_ms;
}

static int serve(struct init *init, struct error *err)
{
    while (!init->ending || init->processes) {
        int timeout = time_left(init);
        if (timeout == 0) {
            signal_all(init, SIGKILL);
            timeout = -1;
        }
        int rc = event_loop_run_once(init->loop, timeout, err);
        if (rc < 0)
            return rc;
        free_ended(init);
    }
    return 0;
}

int init_run(int control_fd, int (*environment)(struct error *err), struct error *err)
{
    struct error own = {0};
    err = err ? err : &own; /* the monitor is told in any case */
    struct init init = {
        .control = {.fd = -1, .ready = control_ready},
        .children = {.fd = -1, .ready = children_ready},
        .signal_fd = -1,
        .guest = GUEST_NONE,
    };
    channel_init(&init.channel, control_fd, PROTOCOL_RECEIVER_GUEST);
    int rc = event_loop_new(&init.loop, err);
    if (rc == 0)
        rc = watch_children(&init, err);
    if (rc == 0)
        rc = event_loop_add(init.loop, &init.control, control_fd, EPOLLIN, err);
    if (rc == 0) {
        tell(&init, &(struct protocol_message){.type = PROTOCOL_HELLO,
                                               .hello = {PROTOCOL_VERSION, 0, clock_ns(CLOCK_BOOTTIME)}});
        /* While the host reads that and answers. */
        rc = environment(err);
        if (rc < 0)
            tell_error(&init, err);
    }
    if (rc == 0)
        rc = serve(&init, err);
    if (!init.discard)
        guest_unmount(&init.guest);
    for (struct process *process = init.processes; process; process = init.processes) {
        init.processes = process->next;
        process_free(process);
    }
    guest_done(&init.guest);
    channel_done(&init.channel);
    fd_close(&init.signal_fd);
    event_loop_free(init.loop);
    return rc;
}
