/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor of one container: from a machine about to be started to a machine that is gone.
 *
 *        hull-vmm's socket ◄─ LISTEN ─┐                                    ┌─ CONFIGURE, START ──►
 *                                     │      ┌───────────────┐             │  ◄─ HELLO, STARTED ──
 *      control connection ────────────┴────► │   one event   │ ◄───────────┤  ◄─ EXITED ──────────
 *      stdin, stdout, stderr ◄── pumps ────► │     loop      │             └─ SHUTDOWN ──────────►
 *      signals (signalfd) ─────────────────► │               │
 *      hull-vmm ended (pidfd) ─────────────► └───────────────┘
 *
 * What the guest sends is hostile: frames are bounded and decoded strictly, streams are bytes, and a guest that breaks
 * the rules loses its machine. Nothing it does or leaves undone makes the monitor wait for anything that the user's
 * signals cannot end.
 */
#ifndef RUNTIME_MONITOR_H
#define RUNTIME_MONITOR_H

#include <stdbool.h>
#include <stdint.h>

#include "initd/protocol.h"

struct container;
struct error;
struct process_spec;
struct run_timeline;
struct vmm_settings;

/** What to run. All borrowed. */
struct monitor_request {
    const struct container *container;
    const char *vmm_executable;
    const struct vmm_settings *settings;
    const struct protocol_configure *configure; /**< realtime_ns and entropy are filled in when the guest is there */
    const struct process_spec *spec;
    bool interactive;              /**< connect standard input; without it the process reads /dev/null */
    struct run_timeline *timeline; /**< may be NULL */
};

/** How it ended. */
enum monitor_end {
    MONITOR_EXITED,         /**< value = its exit status */
    MONITOR_SIGNALED,       /**< value = the signal that ended it */
    MONITOR_NOT_FOUND,      /**< the program is not in the image */
    MONITOR_NOT_EXECUTABLE, /**< it is there and cannot be executed */
    MONITOR_INTERRUPTED,    /**< a signal (value) ended hull before the process ran */
};

struct monitor_outcome {
    enum monitor_end end;
    int value;
    char text[PROTOCOL_TEXT_MAX + 1]; /**< for people, when it did not run; terminated, printable */
    int output_error; /**< errno when standard output or error did not take everything; EPIPE when nobody reads it */
};

/**
 * Runs it in the foreground: relays the standard streams of this process, forwards its signals (SIGINT, SIGTERM and
 * others; the third SIGINT or SIGTERM kills), and returns when the machine is gone. Uses SIGPIPE, the signal mask and
 * descriptors 0, 1 and 2 of the process meanwhile; leaves them as they were.
 *
 * @return 0 with @p outcome filled; or -errno when it is not known how the process ended, or it could not be started
 */
int monitor_run(const struct monitor_request *request, struct monitor_outcome *outcome, struct error *err);

#endif
