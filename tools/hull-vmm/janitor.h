/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removes the socket that hull-vmm made, when hull-vmm has ended, however it ended: the confined process itself may not
 * remove files any more. A child that holds nothing but one end of a pipe and waits until the other end is gone. Only
 * needed when a socket is named by path; hull hands in descriptors.
 */
#ifndef TOOLS_HULL_VMM_JANITOR_H
#define TOOLS_HULL_VMM_JANITOR_H

#include <sys/types.h>

struct error;

struct janitor {
    pid_t pid;   /**< 0 = none */
    int pipe_fd; /**< owned; its closing is the sign to clean up */
};

#define JANITOR_NONE                                                                                                   \
    (struct janitor)                                                                                                   \
    {                                                                                                                  \
        .pid = 0, .pipe_fd = -1                                                                                        \
    }

/** Starts the child. Call before threads are started. @param path  the socket to remove @return 0 or -errno */
int janitor_start(struct janitor *janitor, const char *path, struct error *err);

/** Lets it clean up and waits until it has. JANITOR_NONE is fine. */
void janitor_finish(struct janitor *janitor);

#endif
