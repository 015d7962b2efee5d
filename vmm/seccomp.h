/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls that each thread of a running machine may still make: a whitelist for each role, built from one
 * table. Whatever else a thread tries kills the process.
 *
 * Filters are built while the process may still do anything (building needs memory and a temporary file), then each
 * thread puts on its own as its first act. No role may open a file, make a socket of an address family that reaches
 * anything, connect, execute, fork, or map executable memory.
 */
#ifndef VMM_SECCOMP_H
#define VMM_SECCOMP_H

#include <stddef.h>

struct error;
struct sock_filter;

/** What a thread is for. */
enum thread_role {
    THREAD_MAIN, /**< event loop of vsock, serial, rng; stops the machine */
    THREAD_DISK, /**< event loop of the disks */
    THREAD_VCPU, /**< KVM_RUN and the devices' registers */
    THREAD_ROLES,
};

/** A compiled filter. Zero-initialise. */
struct seccomp_filter {
    struct sock_filter *instructions; /**< owned; NULL = none, the thread stays as it is */
    unsigned short count;
};

/** Compiles the filter of a role. @return 0 or -errno */
int seccomp_filter_build(struct seccomp_filter *filter, enum thread_role role, struct error *err);

/** Releases a filter; the threads that wear it keep it. Zero-initialised is fine. */
void seccomp_filter_done(struct seccomp_filter *filter);

/**
 * Puts the filter on the calling thread, for ever. PR_SET_NO_NEW_PRIVS must be set. Does nothing for a filter of
 * nothing.
 * @return 0 or -errno
 */
int seccomp_filter_install(const struct seccomp_filter *filter);

#endif
