/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine after CONFIGURE, and the container in it as its processes see it: the root file system that was mounted,
 * its own /proc, /dev and /sys, and the files that the runtime owns in it.
 *
 * The container has the machine to itself, so the machine is what confines it: inside, its root user is root, with all
 * capabilities and with the right to make device nodes. What it must not reach (the image, other containers, the host)
 * is not in the machine, or is read-only below it.
 */
#ifndef INITD_GUEST_H
#define INITD_GUEST_H

#include "initd/protocol.h"

struct error;

/** What processes are started in. */
struct guest {
    char *root;                      /**< owned; NULL = not configured yet */
    char *files[PROTOCOL_FILES_MAX]; /**< owned; the names that the runtime's files have in the container */
    uint32_t file_count;
    int cgroup_fd; /**< the container's control group; owned */
};

/** A machine that has not been told what to be. */
#define GUEST_NONE                                                                                                     \
    (struct guest)                                                                                                     \
    {                                                                                                                  \
        .cgroup_fd = -1                                                                                                \
    }

/**
 * Sets the machine up as the host says: clock, entropy, hostname, mounts, files, control group.
 * @return 0 or -errno; a guest that failed can only be released
 */
int guest_configure(struct guest *guest, const struct protocol_configure *configure, struct error *err);

/**
 * Makes the container's root the root of the calling process, which must be in a mount namespace and a PID namespace of
 * its own, and mounts the rest. The process has not to return to where it was.
 */
int guest_enter_container(const struct guest *guest, struct error *err);

/** Unmounts the container's file systems, so that the disks are whole. */
void guest_unmount(const struct guest *guest);

/** Releases what it holds. */
void guest_done(struct guest *guest);

#endif
