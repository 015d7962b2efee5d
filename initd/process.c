/* SPDX-License-Identifier: Apache-2.0 */
#include "initd/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/container_of.h"
#include "base/error.h"
#include "base/fd.h"
#include "initd/spawn.h"
#include "initd/vsock.h"

/* One standard stream while the process is being made. */
struct stream {
    int socket; /* to the host */
    int ours;   /* our end of the pipe */
    int theirs; /* the process's end; -1 = /dev/null */
};

static void streams_done(struct stream streams[static 3])
{
    for (int i = 0; i < 3; i++) {
        fd_close(&streams[i].socket);
        fd_close(&streams[i].ours);
        fd_close(&streams[i].theirs);
    }
}

static int stream_open(struct stream *stream, int number, uint32_t port, struct error *err)
{
    int ends[2];
    if (port == 0)
        return 0;
    stream->socket = vsock_connect_begin(port, err);
    if (stream->socket < 0)
        return stream->socket;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_set_errno(err, errno, "cannot make a pipe");
    stream->theirs = ends[number == 0 ? 0 : 1];
    stream->ours = ends[number == 0 ? 1 : 0];
    /* Only our end: whether its own end blocks is for the process to say. */
    int rc = fd_set_nonblocking(stream->ours, 1);
    return rc < 0 ? error_set_errno(err, -rc, "cannot set up a pipe") : 0;
}

static int streams_open(struct stream streams[static 3], const struct protocol_start *start, struct error *err)
{
    const uint32_t ports[3] = {start->stdin_port, start->stdout_port, start->stderr_port};
    int rc = 0;
    for (int i = 0; i < 3 && rc == 0; i++)
        rc = stream_open(&streams[i], i, ports[i], err);
    return rc;
}

static struct process *owner_of_pump(struct pump *pump, int number)
{
    return container_of(pump - number, struct process, streams);
}

/* The process is over when it has been reaped, its start has been told, and its output has been handed over. */
static void check_end(struct process *process)
{
    if (!process->reaped || !process->reported || process->ended || process->streams[1].active ||
        process->streams[2].active)
        return;
    process->ended = true;
    process->events->exited(process->context, process, process->status);
}

static void stdout_done(struct pump *pump)
{
    check_end(owner_of_pump(pump, 1));
}

static void stderr_done(struct pump *pump)
{
    check_end(owner_of_pump(pump, 2));
}

static int streams_carry(struct process *process, struct stream streams[static 3], struct error *err)
{
    static void (*const done[3])(struct pump *) = {NULL, stdout_done, stderr_done};
    for (int i = 0; i < 3; i++) {
        fd_close(&streams[i].theirs);
        if (streams[i].socket < 0)
            continue;
        int rc = vsock_connect_finish(streams[i].socket, err);
        if (rc < 0)
            return rc;
        int ours = steal_fd(&streams[i].ours);
        int socket = steal_fd(&streams[i].socket);
        rc = pump_start(&process->streams[i], process->loop, i == 0 ? socket : ours, i == 0 ? ours : socket, done[i],
                        err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void report_failure(struct process *process, const struct spawn_failure *failure)
{
    for (int i = 0; i < 3; i++)
        pump_stop(&process->streams[i]);
    process->ended = true;
    struct protocol_start_failed message = {
        .process = process->id,
        .reason = failure->reason,
        .code = (uint32_t)failure->code,
        .text = failure->text,
    };
    process->events->start_failed(process->context, process, &message);
}

static void report_ready(struct event_source *source, uint32_t events)
{
    (void)events;
    struct process *process = container_of(source, struct process, report);
    struct spawn_failure failure;
    ssize_t length = fd_read_full(process->report_fd, &failure, sizeof failure);
    if (length == -EAGAIN)
        return;
    event_loop_remove(process->loop, source);
    fd_close(&process->report_fd);
    process->reported = true;
    if (length == (ssize_t)sizeof failure) {
        failure.text[sizeof failure.text - 1] = 0;
        report_failure(process, &failure);
        return;
    }
    process->events->started(process->context, process);
    check_end(process);
}

int process_start(struct process **out, struct event_loop *loop, const struct guest *guest,
                  const struct protocol_start *start, const struct process_events *events, void *context,
                  struct error *err)
{
    struct stream streams[3] = {{-1, -1, -1}, {-1, -1, -1}, {-1, -1, -1}};
    struct process *process = calloc(1, sizeof *process);
    if (!process)
        return error_set(err, ENOMEM, "out of memory for a process");
    *process = (struct process){
        .id = start->process,
        .report_fd = -1,
        .report = {.fd = -1, .ready = report_ready},
        .events = events,
        .context = context,
        .loop = loop,
    };
    int rc = streams_open(streams, start, err);
    if (rc == 0) {
        const int stdio[3] = {streams[0].theirs, streams[1].theirs, streams[2].theirs};
        process->pid = spawn_process(guest, start, stdio, &process->report_fd, err);
        rc = process->pid < 0 ? process->pid : 0;
    }
    /* The connections have been on their way meanwhile. */
    if (rc == 0)
        rc = streams_carry(process, streams, err);
    if (rc == 0)
        rc = event_loop_add(loop, &process->report, process->report_fd, EPOLLIN, err);
    streams_done(streams);
    if (rc < 0) {
        process_signal(process, SIGKILL);
        process_free(process);
        return rc;
    }
    *out = process;
    return 0;
}

void process_reaped(struct process *process, int status)
{
    process->reaped = true;
    process->status = status;
    /* Nobody reads its input any more. */
    pump_stop(&process->streams[0]);
    check_end(process);
}

void process_signal(const struct process *process, int signal)
{
    if (process->pid > 0 && !process->reaped)
        kill(process->pid, signal);
}

void process_free(struct process *process)
{
    if (!process)
        return;
    for (int i = 0; i < 3; i++)
        pump_stop(&process->streams[i]);
    event_loop_remove(process->loop, &process->report);
    fd_close(&process->report_fd);
    free(process);
}
