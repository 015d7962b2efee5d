/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/monitor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <time.h>

#include "base/container_of.h"
#include "base/error.h"
#include "base/event_loop.h"
#include "base/log.h"
#include "initd/channel.h"
#include "runtime/container.h"
#include "runtime/process_spec.h"
#include "runtime/run_timeline.h"
#include "runtime/signals.h"
#include "runtime/stream.h"
#include "runtime/vmm_process.h"
#include "runtime/vsock_listener.h"

enum { MAIN_PROCESS = 1, ENTROPY_SIZE = 32 };

/* How long a machine that was told to power off, or whose init is gone, may take before it is killed. */
enum { POWER_OFF_MS = 10000 };

/* SIGINT and SIGTERM that are forwarded before the process is killed, and before the machine is. */
enum { PATIENCE = 2 };

enum stage {
    STAGE_BOOTING,  /* hull-vmm runs, vminitd has not said HELLO */
    STAGE_STARTING, /* START was sent */
    STAGE_RUNNING,  /* STARTED came */
    STAGE_EXITED,   /* EXITED came; output may still be on its way */
    STAGE_ENDING,   /* the machine has been told to power off, or is being killed */
};

struct monitor {
    const struct monitor_request *request;
    struct monitor_outcome *outcome;
    struct error *err;
    struct event_loop *loop;
    enum stage stage;
    bool has_outcome;
    int failure; /* -errno of what ended the run without an outcome */
    struct vmm_process vmm;
    struct event_source vmm_ended;
    struct event_source vmm_speaks;
    struct vsock_listener control_listener;
    struct channel channel;
    struct event_source control;
    struct stream streams[3];
    struct signals signals;
    unsigned interrupts;
    uint64_t deadline_ns; /* when hull-vmm is killed; 0 = not yet set */
};

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now = {0};
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- the end ---- */

static void set_deadline(struct monitor *monitor, uint64_t milliseconds)
{
    if (!monitor->deadline_ns)
        monitor->deadline_ns = clock_ns(CLOCK_MONOTONIC) + milliseconds * 1000000;
}

static void drop_control(struct monitor *monitor)
{
    event_loop_remove(monitor->loop, &monitor->control);
    channel_done(&monitor->channel);
}

static void kill_machine(struct monitor *monitor)
{
    monitor->stage = STAGE_ENDING;
    drop_control(monitor);
    if (monitor->vmm.pid > 0)
        kill(monitor->vmm.pid, SIGKILL);
}

/* Nothing that the machine could still say would be believed: it goes at once. The first reason counts. */
static void fail(struct monitor *monitor, int rc)
{
    if (!monitor->failure && !monitor->has_outcome)
        monitor->failure = rc;
    kill_machine(monitor);
}

static void send_message(struct monitor *monitor, const struct protocol_message *message)
{
    struct error err = {0};
    if (monitor->channel.fd < 0)
        return;
    int rc = channel_send(&monitor->channel, message, &err);
    if (rc == -E2BIG) {
        *monitor->err = err;
        fail(monitor, rc);
    } else if (rc < 0) {
        /* The guest's init is gone; hull-vmm will say why. */
        drop_control(monitor);
        set_deadline(monitor, POWER_OFF_MS);
    } else {
        event_loop_modify(monitor->loop, &monitor->control,
                          channel_waits(&monitor->channel) ? EPOLLIN | EPOLLOUT : EPOLLIN);
    }
}

static void power_off(struct monitor *monitor)
{
    monitor->stage = STAGE_ENDING;
    set_deadline(monitor, POWER_OFF_MS);
    /* The disk goes with the container, so nothing has to be written back to it. */
    send_message(monitor, &(struct protocol_message){.type = PROTOCOL_SHUTDOWN,
                                                     .shutdown = {.flags = PROTOCOL_SHUTDOWN_DISCARD}});
}

/* After EXITED the streams end by themselves; then, and not before, everything has been delivered. */
static void check_end(struct monitor *monitor)
{
    if (monitor->stage != STAGE_EXITED || !monitor->streams[1].finished || !monitor->streams[2].finished)
        return;
    run_timeline_mark(monitor->request->timeline, RUN_TIMELINE_EXITED);
    power_off(monitor);
}

static void set_outcome(struct monitor *monitor, enum monitor_end end, int value, const char *text)
{
    if (monitor->has_outcome)
        return;
    struct error printable = {0};
    if (text)
        error_set(&printable, EIO, "%s", text);
    monitor->has_outcome = true;
    monitor->outcome->end = end;
    monitor->outcome->value = value;
    snprintf(monitor->outcome->text, sizeof monitor->outcome->text, "%s", printable.text);
}

/* ---- what the guest says ---- */

static void send_configure(struct monitor *monitor)
{
    uint8_t entropy[ENTROPY_SIZE];
    struct protocol_message message = {.type = PROTOCOL_CONFIGURE, .configure = *monitor->request->configure};
    if (getrandom(entropy, sizeof entropy, 0) == (ssize_t)sizeof entropy)
        message.configure.entropy = (struct protocol_bytes){entropy, sizeof entropy};
    message.configure.realtime_ns = clock_ns(CLOCK_REALTIME);
    send_message(monitor, &message);
}

static void send_start(struct monitor *monitor)
{
    const struct process_spec *spec = monitor->request->spec;
    /* The encoder reads the strings only. */
    struct protocol_texts argv = {(const char **)(uintptr_t)spec->argv.items, (uint32_t)spec->argv.count};
    struct protocol_texts env = {(const char **)(uintptr_t)spec->env.items, (uint32_t)spec->env.count};
    send_message(monitor, &(struct protocol_message){
                              .type = PROTOCOL_START,
                              .start = {.process = MAIN_PROCESS,
                                        .umask = 022,
                                        .stdin_port = monitor->request->interactive ? PROTOCOL_PORT_STDIO : 0,
                                        .stdout_port = PROTOCOL_PORT_STDIO + 1,
                                        .stderr_port = PROTOCOL_PORT_STDIO + 2,
                                        .cwd = spec->working_dir,
                                        .user = spec->user,
                                        .argv = argv,
                                        .env = env},
                          });
}

static int on_hello(struct monitor *monitor, const struct protocol_message *message)
{
    if (monitor->stage != STAGE_BOOTING)
        return -EPROTO;
    if (message->hello.version != PROTOCOL_VERSION)
        return error_set(monitor->err, EPROTO, "the guest's vminitd speaks version %u, this hull %d: build both anew",
                         message->hello.version, PROTOCOL_VERSION);
    run_timeline_mark(monitor->request->timeline, RUN_TIMELINE_GUEST_HELLO);
    if (monitor->request->timeline)
        monitor->request->timeline->guest_hello_ns = message->hello.uptime_ns;
    monitor->stage = STAGE_STARTING;
    send_configure(monitor);
    send_start(monitor);
    return 0;
}

static int on_started(struct monitor *monitor, const struct protocol_message *message)
{
    if (monitor->stage != STAGE_STARTING || message->started.process != MAIN_PROCESS)
        return -EPROTO;
    run_timeline_mark(monitor->request->timeline, RUN_TIMELINE_STARTED);
    if (monitor->request->timeline)
        monitor->request->timeline->guest_started_ns = message->started.uptime_ns;
    monitor->stage = STAGE_RUNNING;
    return 0;
}

static int on_start_failed(struct monitor *monitor, const struct protocol_message *message)
{
    const struct protocol_start_failed *failure = &message->start_failed;
    if (monitor->stage != STAGE_STARTING || failure->process != MAIN_PROCESS)
        return -EPROTO;
    if (failure->reason == PROTOCOL_START_NOT_FOUND)
        set_outcome(monitor, MONITOR_NOT_FOUND, 0, failure->text);
    else if (failure->reason == PROTOCOL_START_NOT_EXECUTABLE)
        set_outcome(monitor, MONITOR_NOT_EXECUTABLE, 0, failure->text);
    else
        monitor->failure = error_set(monitor->err, EIO, "the process could not be started: %s", failure->text);
    power_off(monitor);
    return 0;
}

static int on_exited(struct monitor *monitor, const struct protocol_message *message)
{
    const struct protocol_exited *exited = &message->exited;
    if (monitor->stage != STAGE_RUNNING || exited->process != MAIN_PROCESS || exited->code > 255 ||
        exited->signal >= (uint32_t)NSIG)
        return -EPROTO;
    if (exited->signal)
        set_outcome(monitor, MONITOR_SIGNALED, (int)exited->signal, NULL);
    else
        set_outcome(monitor, MONITOR_EXITED, (int)exited->code, NULL);
    monitor->stage = STAGE_EXITED;
    check_end(monitor);
    return 0;
}

static int on_error(struct monitor *monitor, const struct protocol_message *message)
{
    return error_set(monitor->err, EIO, "the guest: %s", message->error.text);
}

static int (*const handlers[PROTOCOL_TYPES_END])(struct monitor *, const struct protocol_message *) = {
    [PROTOCOL_HELLO] = on_hello,   [PROTOCOL_STARTED] = on_started, [PROTOCOL_START_FAILED] = on_start_failed,
    [PROTOCOL_EXITED] = on_exited, [PROTOCOL_ERROR] = on_error,
};

static int handle_messages(struct monitor *monitor)
{
    const struct protocol_message *message;
    int rc;
    while (monitor->channel.fd >= 0 && (rc = channel_next(&monitor->channel, &message, monitor->err)) != 0) {
        if (rc > 0) {
            const char *name = protocol_type_name(message->type);
            log_debug("guest: %s", name);
            rc = handlers[message->type](monitor, message);
            if (rc == -EPROTO && !monitor->err->code)
                error_set(monitor->err, EPROTO, "the guest sent %s when it should not", name);
        }
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void control_ready(struct event_source *source, uint32_t events)
{
    struct monitor *monitor = container_of(source, struct monitor, control);
    if (events & EPOLLOUT)
        (void)channel_flush(&monitor->channel, NULL); /* what fails here fails in receiving, too */
    event_loop_modify(monitor->loop, source, channel_waits(&monitor->channel) ? EPOLLIN | EPOLLOUT : EPOLLIN);
    int rc = channel_receive(&monitor->channel, NULL);
    if (rc == -EAGAIN)
        return;
    if (rc <= 0) {
        /* The guest's init is gone: its machine will follow, and hull-vmm knows more. */
        drop_control(monitor);
        set_deadline(monitor, POWER_OFF_MS);
        return;
    }
    rc = handle_messages(monitor);
    if (rc < 0)
        fail(monitor, rc);
}

/* ---- connections ---- */

static void control_connected(struct vsock_listener *listener, int connection)
{
    struct monitor *monitor = container_of(listener, struct monitor, control_listener);
    channel_init(&monitor->channel, connection, PROTOCOL_RECEIVER_HOST);
    int rc = event_loop_add(monitor->loop, &monitor->control, connection, EPOLLIN, monitor->err);
    if (rc < 0)
        fail(monitor, rc);
}

static void control_failed(struct vsock_listener *listener, const char *reason)
{
    struct monitor *monitor = container_of(listener, struct monitor, control_listener);
    log_debug("control connection: %s", reason);
    set_deadline(monitor, POWER_OFF_MS); /* hull-vmm has ended, or should have */
}

static void stream_ended(struct stream *stream, void *context)
{
    struct monitor *monitor = context;
    if (stream->number != 0 && stream->error && !monitor->outcome->output_error)
        monitor->outcome->output_error = stream->error;
    check_end(monitor);
}

static int listen_on_all(struct monitor *monitor)
{
    int fd = container_connect(monitor->request->container, monitor->err);
    int rc = fd < 0 ? fd
                    : vsock_listener_start(&monitor->control_listener, monitor->loop, fd, PROTOCOL_PORT_CONTROL,
                                           monitor->err);
    for (int i = monitor->request->interactive ? 0 : 1; i < 3 && rc == 0; i++) {
        fd = container_connect(monitor->request->container, monitor->err);
        rc = fd < 0 ? fd
                    : stream_listen(&monitor->streams[i], monitor->loop, fd, PROTOCOL_PORT_STDIO + (uint32_t)i,
                                    monitor->err);
    }
    return rc;
}

/* ---- signals ---- */

static void signal_received(struct signals *signals, int signal)
{
    struct monitor *monitor = container_of(signals, struct monitor, signals);
    bool deadly = signal == SIGINT || signal == SIGTERM || signal == SIGHUP || signal == SIGQUIT;
    if (signal == SIGINT || signal == SIGTERM)
        monitor->interrupts++;
    if (monitor->stage < STAGE_RUNNING) {
        if (!deadly)
            return;
        set_outcome(monitor, MONITOR_INTERRUPTED, signal, NULL);
        kill_machine(monitor);
    } else if (monitor->interrupts > PATIENCE + 1) {
        set_outcome(monitor, MONITOR_SIGNALED, SIGKILL, NULL);
        kill_machine(monitor);
    } else if (monitor->stage == STAGE_RUNNING) {
        uint32_t sent = (uint32_t)(monitor->interrupts > PATIENCE ? SIGKILL : signal);
        send_message(monitor, &(struct protocol_message){.type = PROTOCOL_SIGNAL, .signal = {MAIN_PROCESS, sent}});
    }
}

/* ---- hull-vmm ---- */

static void vmm_speaks(struct event_source *source, uint32_t events)
{
    (void)events;
    struct monitor *monitor = container_of(source, struct monitor, vmm_speaks);
    if (!vmm_process_listen(&monitor->vmm))
        event_loop_remove(monitor->loop, source);
}

static void vmm_ended(struct event_source *source, uint32_t events)
{
    (void)events;
    struct monitor *monitor = container_of(source, struct monitor, vmm_ended);
    event_loop_remove(monitor->loop, source);
    vmm_process_reap(&monitor->vmm);
    run_timeline_mark(monitor->request->timeline, RUN_TIMELINE_VMM_GONE);
}

static int start_vmm(struct monitor *monitor)
{
    int rc =
        vmm_process_start(&monitor->vmm, monitor->request->vmm_executable, monitor->request->settings, monitor->err);
    if (rc < 0)
        return rc;
    run_timeline_mark(monitor->request->timeline, RUN_TIMELINE_VMM_SPAWNED);
    rc = event_loop_add(monitor->loop, &monitor->vmm_ended, monitor->vmm.pid_fd, EPOLLIN, monitor->err);
    return rc < 0 ? rc
                  : event_loop_add(monitor->loop, &monitor->vmm_speaks, monitor->vmm.stderr_fd, EPOLLIN, monitor->err);
}

/* ---- the whole ---- */

static int time_left_ms(const struct monitor *monitor)
{
    if (!monitor->deadline_ns)
        return -1;
    uint64_t now = clock_ns(CLOCK_MONOTONIC);
    return now >= monitor->deadline_ns ? 0 : (int)((monitor->deadline_ns - now) / 1000000) + 1;
}

/* What came before the machine ended is still in the sockets, of which each has an end now. */
static bool output_is_left(const struct monitor *monitor)
{
    return monitor->has_outcome && monitor->outcome->end != MONITOR_INTERRUPTED &&
           (monitor->streams[1].pump.active || monitor->streams[2].pump.active) && monitor->interrupts <= PATIENCE;
}

static int serve(struct monitor *monitor)
{
    while (monitor->vmm.pid > 0 || monitor->channel.fd >= 0 || output_is_left(monitor)) {
        int timeout = monitor->vmm.pid > 0 ? time_left_ms(monitor) : -1;
        if (timeout == 0) {
            kill_machine(monitor);
            timeout = -1;
        }
        int rc = event_loop_run_once(monitor->loop, timeout, monitor->err);
        if (rc < 0)
            return rc;
    }
    if (monitor->failure)
        return monitor->failure;
    return monitor->has_outcome ? 0 : vmm_process_explain(&monitor->vmm, monitor->err);
}

static void init_monitor(struct monitor *monitor, const struct monitor_request *request,
                         struct monitor_outcome *outcome, struct error *err)
{
    *outcome = (struct monitor_outcome){0};
    *monitor = (struct monitor){
        .request = request,
        .outcome = outcome,
        .err = err,
        .vmm = VMM_PROCESS_NONE,
        .vmm_ended = {.fd = -1, .ready = vmm_ended},
        .vmm_speaks = {.fd = -1, .ready = vmm_speaks},
        .control_listener = VSOCK_LISTENER_NONE,
        .channel = {.fd = -1},
        .control = {.fd = -1, .ready = control_ready},
        .signals = SIGNALS_NONE,
    };
    monitor->control_listener.connected = control_connected;
    monitor->control_listener.failed = control_failed;
    monitor->signals.received = signal_received;
    for (int i = 0; i < 3; i++)
        stream_init(&monitor->streams[i], i, stream_ended, monitor);
}

static void end_monitor(struct monitor *monitor)
{
    event_loop_remove(monitor->loop, &monitor->vmm_ended);
    event_loop_remove(monitor->loop, &monitor->vmm_speaks);
    vmm_process_done(&monitor->vmm);
    for (int i = 0; i < 3; i++)
        stream_stop(&monitor->streams[i]);
    vsock_listener_stop(&monitor->control_listener);
    drop_control(monitor);
    signals_give_back(&monitor->signals);
    event_loop_free(monitor->loop);
}

int monitor_run(const struct monitor_request *request, struct monitor_outcome *outcome, struct error *err)
{
    struct error own = {0};
    struct monitor monitor;
    init_monitor(&monitor, request, outcome, err ? err : &own);
    int rc = event_loop_new(&monitor.loop, monitor.err);
    if (rc < 0)
        return rc;
    rc = signals_take(&monitor.signals, monitor.loop, monitor.err);
    if (rc == 0)
        rc = start_vmm(&monitor);
    if (rc == 0)
        rc = listen_on_all(&monitor);
    if (rc == 0)
        rc = serve(&monitor);
    end_monitor(&monitor);
    return rc;
}
