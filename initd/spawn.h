/* SPDX-License-Identifier: Apache-2.0 */
/* Making the container's first process: namespaces, control group, root, identity, descriptors, program. */
#ifndef INITD_SPAWN_H
#define INITD_SPAWN_H

#include <sys/types.h>

#include "initd/guest.h"
#include "initd/protocol.h"

struct error;

/** What the new process reports through the pipe when it could not become the program. Same executable on both ends. */
struct spawn_failure {
    enum protocol_start_failure reason;
    int code; /**< errno */
    char text[PROTOCOL_TEXT_MAX];
};

/**
 * Forks the process into namespaces of its own (mount, PID, UTS, IPC, cgroup; it is PID 1 of its PID namespace).
 *
 * @param start      what to run; used by the new process only
 * @param stdio      its descriptors 0, 1 and 2; -1 = /dev/null. Borrowed
 * @param report_fd  set to the end of a pipe, owned by the caller, non-blocking: it ends without a byte once the
 * program runs, or yields one struct spawn_failure
 * @return its PID, or -errno
 */
pid_t spawn_process(const struct guest *guest, const struct protocol_start *start, const int stdio[static 3],
                    int *report_fd, struct error *err);

#endif
