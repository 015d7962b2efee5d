/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vminitd, PID 1 of every guest: one thread, one loop, no timers but the one that ends a shutdown.
 *
 *      control connection ──► init_run() ──► guest.c       CONFIGURE: clock, entropy, mounts, files
 *                                       ├──► process.c     START: streams, spawn.c (namespaces, user, exec)
 *      SIGCHLD (signalfd) ──────────────┤                  EXITED: reaped and drained
 *                                       └──► power.c       SHUTDOWN, or the connection is gone
 */
#ifndef INITD_INIT_H
#define INITD_INIT_H

struct error;

enum { INIT_PROCESSES_MAX = 256 };

/**
 * Serves a monitor over a connected, non-blocking control socket until it says SHUTDOWN or goes away, and everything
 * has ended; then the machine can be powered off.
 *
 * @param control_fd   owned
 * @param environment  called once, after HELLO was sent: what the guest needs before the first CONFIGURE
 * @return 0, or -errno of what went wrong on this side
 */
int init_run(int control_fd, int (*environment)(struct error *err), struct error *err);

#endif
