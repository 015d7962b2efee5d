/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hull-vmm as a child process: started with a configuration and open descriptors, watched through a pidfd, gone when
 * its monitor is gone. It inherits the descriptors that are named, and nothing else that is open or set.
 */
#ifndef RUNTIME_VMM_PROCESS_H
#define RUNTIME_VMM_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

enum { VMM_DISKS_MAX = 8, VMM_SAID_MAX = 1024 };

/** A disk of the machine. */
struct vmm_disk {
    int fd; /**< borrowed */
    bool readonly;
    const char *id;
};

/** The machine to be. Descriptors are borrowed and must not be 0, 1 or 2; -1 = absent. */
struct vmm_settings {
    uint32_t cpus;
    uint64_t memory; /**< bytes */
    int kernel_fd;
    int initramfs_fd;
    const char *cmdline;
    struct vmm_disk disks[VMM_DISKS_MAX];
    unsigned disk_count;
    int vsock_fd;   /**< a listening Unix stream socket */
    int console_fd; /**< where the serial console writes */
};

/** A hull-vmm. Initialise with VMM_PROCESS_NONE, release with vmm_process_done(). */
struct vmm_process {
    pid_t pid;
    int pid_fd;              /**< readable once it has ended; owned */
    int stderr_fd;           /**< non-blocking; what it says; owned */
    int status;              /**< of waitpid(2), once reaped */
    char said[VMM_SAID_MAX]; /**< the end of what it said; terminated */
    size_t said_length;
};

#define VMM_PROCESS_NONE                                                                                               \
    (struct vmm_process)                                                                                               \
    {                                                                                                                  \
        .pid = -1, .pid_fd = -1, .stderr_fd = -1                                                                       \
    }

/** Starts @p executable. @return 0 or -errno */
int vmm_process_start(struct vmm_process *vmm, const char *executable, const struct vmm_settings *settings,
                      struct error *err);

/** Takes in what it has said since. @return false when it has closed its standard error */
bool vmm_process_listen(struct vmm_process *vmm);

/** Reaps it after pid_fd became readable (or waits until it has ended). */
void vmm_process_reap(struct vmm_process *vmm);

/** Says why a hull-vmm that was reaped ended, in one line, from its status and its last words. @return -EIO always */
int vmm_process_explain(struct vmm_process *vmm, struct error *err);

/** Kills and reaps it if it still runs, and releases what is held. */
void vmm_process_done(struct vmm_process *vmm);

#endif
