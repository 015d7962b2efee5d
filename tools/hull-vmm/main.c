/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hull-vmm: one virtual machine on /dev/kvm, and nothing else. Reads what it is to be, opens what that names, sets the
 * machine up, gives up its rights (vmm/jail.h) and runs it.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include <stddef.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/error.h"
#include "base/event_loop.h"
#include "base/fd.h"
#include "base/log.h"
#include "tools/hull-vmm/janitor.h"
#include "tools/hull-vmm/options.h"
#include "tools/hull-vmm/stats.h"
#include "tools/hull-vmm/terminal.h"
#include "vmm/jail.h"
#include "vmm/kvm.h"
#include "vmm/machine.h"
#include "vmm/resources.h"
#include "vmm/timeline.h"

enum { EXIT_SIGNAL_BASE = 128 };

/* What the process holds, taken down in one place. */
struct program {
    struct options options;
    struct timeline timeline;
    struct machine *machine;
    struct terminal terminal;
    struct janitor janitor;
    struct event_source signals;
    int signal_fd;
    int signal; /* that ended the machine; 0 = none */
};

static struct program *program_of(struct event_source *source)
{
    return (struct program *)(void *)((char *)source - offsetof(struct program, signals));
}

static void signal_arrived(struct event_source *source, uint32_t events)
{
    (void)events;
    struct program *program = program_of(source);
    struct signalfd_siginfo info;
    if (read(source->fd, &info, sizeof info) != sizeof info)
        return;
    program->signal = (int)info.ssi_signo;
    machine_stop(program->machine);
}

/* Signals that end the process are read from a descriptor: the loop stops the machine in good order. */
static int catch_signals(struct program *program, struct error *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return error_set_errno(err, errno, "cannot block signals");
    program->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (program->signal_fd < 0)
        return error_set_errno(err, errno, "cannot watch for signals");
    return 0;
}

static int close_inherited(struct machine_config *config, struct error *err)
{
    struct resource *resources[CONFIG_RESOURCES_MAX];
    int kept[CONFIG_RESOURCES_MAX];
    unsigned count = machine_config_resources(config, resources), kept_count = 0;
    for (unsigned i = 0; i < count; i++)
        if (resources[i]->inherited >= 0)
            kept[kept_count++] = resources[i]->inherited;
    int rc = jail_close_inherited(kept, kept_count, err);
    return rc < 0 || config->serial_mode == SERIAL_STDIO ? rc : jail_leave_standard_streams(err);
}

static int open_kvm(struct kvm *kvm, struct machine_config *config, struct error *err)
{
    int fd = config->kvm.fd;
    config->kvm.fd = -1;
    if (fd < 0)
        fd = kvm_open_device(err);
    return fd < 0 ? fd : kvm_init(kvm, fd, err);
}

/* Everything up to the first instruction of the guest. @return 0 or an exit status */
static int set_up(struct program *program, struct error *err)
{
    struct machine_config *config = &program->options.config;
    if (machine_config_check(config, err) < 0)
        return program->options.from_file ? EX_DATAERR : EX_USAGE;
    if (close_inherited(config, err) < 0 || catch_signals(program, err) < 0)
        return EX_OSERR;
    timeline_mark(&program->timeline, TIMELINE_CONFIGURED);
    if (resources_open(config, err) < 0)
        return EX_NOINPUT;
    if (config->vsock.socket.path && janitor_start(&program->janitor, config->vsock.socket.path, err) < 0)
        return EX_OSERR;
    timeline_mark(&program->timeline, TIMELINE_OPENED);
    struct kvm kvm = KVM_NONE;
    if (open_kvm(&kvm, config, err) < 0)
        return EX_UNAVAILABLE;
    timeline_mark(&program->timeline, TIMELINE_VM);
    int rc = machine_new(&program->machine, &kvm, config, &program->timeline, err);
    if (rc < 0)
        return rc == -ENOEXEC || rc == -E2BIG ? EX_DATAERR : EX_OSERR;
    rc = event_loop_add(machine_loop(program->machine), &program->signals, program->signal_fd, EPOLLIN, err);
    return rc < 0 ? EX_OSERR : 0;
}

static int run(struct program *program, struct error *err)
{
    bool confine = !program->options.unconfined;
    if (program->options.config.serial_mode == SERIAL_STDIO)
        terminal_enter(&program->terminal);
    if (confine && jail_enter(err) < 0)
        return EX_OSERR;
    enum machine_outcome outcome = MACHINE_RUNNING;
    if (machine_run(program->machine, confine, &outcome, err) < 0)
        return EX_OSERR;
    switch (outcome) {
    case MACHINE_STOPPED:
        return EXIT_SIGNAL_BASE + program->signal;
    case MACHINE_CRASHED:
        return EX_SOFTWARE;
    default:
        return EX_OK;
    }
}

static int run_machine(struct program *program, struct error *err)
{
    int status = set_up(program, err);
    if (status == 0) {
        status = run(program, err);
        if (program->options.stats)
            stats_print(STDERR_FILENO, program->machine, &program->timeline);
    }
    terminal_leave(&program->terminal);
    machine_free(program->machine);
    fd_close(&program->signal_fd);
    janitor_finish(&program->janitor);
    return status;
}

int main(int argc, char **argv)
{
    struct program program = {.signals = {.fd = -1, .ready = signal_arrived}, .signal_fd = -1, .janitor = JANITOR_NONE};
    struct error err = {0};
    timeline_mark(&program.timeline, TIMELINE_STARTED);
    options_init(&program.options);
    int status = options_parse(&program.options, argc, argv, &err);
    log_setup("hull-vmm", program.options.log_level);
    if (status == 0) {
        switch (program.options.wish) {
        case OPTIONS_HELP:
            options_print_help(stdout);
            break;
        case OPTIONS_VERSION:
            puts("hull-vmm " HULL_VERSION);
            break;
        case OPTIONS_RUN:
            status = run_machine(&program, &err);
            break;
        }
    }
    if (err.code)
        log_error("%s", err.text);
    options_done(&program.options);
    return status;
}
