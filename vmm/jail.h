/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a process that faces a guest gives up what it could do, in four stages. Each needs what the next one takes away.
 *
 *   1. jail_close_inherited()   first of all: what the starter left open and the configuration does not name is closed
 *   2. (the machine is set up: files opened, memory mapped, KVM and devices ready)
 *   3. jail_enter()             no new privileges by any exec, no capabilities, not traceable and no core dump by
 *                               others of the same user, limits; needs no privilege, loses all there are
 *   4. seccomp.h                each thread, as its first act and before any vCPU runs, puts on the filter of its role
 *
 * From then on the process can do to the host what its open descriptors allow, and nothing else. It runs with the
 * rights of any user who may open /dev/kvm; whoever starts it as root loses nothing by these stages but the rights.
 */
#ifndef VMM_JAIL_H
#define VMM_JAIL_H

struct error;

/** Most descriptors of a running machine: its own plus those of vsock connections. */
enum { JAIL_DESCRIPTORS_MAX = 1024 };

/**
 * Stage 1. Closes every descriptor above 2 but those in @p kept. Standard streams that are closed become /dev/null, so
 * that nothing opened later takes their place. Then grows the process's descriptor table once: growing it with several
 * threads running costs tens of milliseconds.
 *
 * @param kept  descriptor numbers, in any order, sorted in place
 * @return 0 or -errno
 */
int jail_close_inherited(int *kept, unsigned count, struct error *err);

/** Part of stage 1 when nobody needs them: makes standard input and output /dev/null. @return 0 or -errno */
int jail_leave_standard_streams(struct error *err);

/** Stage 3. Call before threads are started: they inherit it. @return 0 or -errno */
int jail_enter(struct error *err);

#endif
