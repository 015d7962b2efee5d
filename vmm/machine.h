/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine: memory, vCPUs, interrupts and devices, made from a configuration, run, and taken down. machine.c has the
 * list of devices and their addresses.
 *
 * Threads: the caller of machine_run() serves vsock, serial console and entropy; one thread serves all disks; each vCPU
 * has one. Device registers are handled on the vCPU that touches them.
 */
#ifndef VMM_MACHINE_H
#define VMM_MACHINE_H

#include <stdbool.h>

#include "vmm/exit.h"

struct error;
struct event_loop;
struct kvm;
struct machine;
struct machine_config;
struct timeline;

/** How a machine came to its end. */
enum machine_outcome {
    MACHINE_RUNNING,
    MACHINE_POWERED_OFF, /**< the guest turned itself off */
    MACHINE_RESET,       /**< the guest asked for a reset; a machine does not start twice */
    MACHINE_STOPPED,     /**< machine_stop() */
    MACHINE_CRASHED,     /**< triple fault, or KVM gave up; *err says what */
};

/**
 * Makes a machine that is ready to run.
 *
 * @param kvm       a fresh VM; owned by the machine from here on, on failure too
 * @param config    checked, its resources open; the machine takes their descriptors
 * @param timeline  where stages are marked; borrowed, outlives the machine; may be NULL
 * @return 0; -ENOEXEC when the kernel is none, -E2BIG when kernel, initramfs or command line do not fit, or another
 * -errno
 */
int machine_new(struct machine **machine, struct kvm *kvm, struct machine_config *config, struct timeline *timeline,
                struct error *err);

/**
 * Runs the machine until it ends, on this thread and others.
 *
 * @param confine   put system call filters on all threads (seccomp.h), this one included, before the guest runs;
 *                  jail_enter() must have been called
 * @param outcome   set when 0 is returned; for MACHINE_CRASHED *err says why
 * @return 0, or -errno when the machine could not be started or its event loop failed
 */
int machine_run(struct machine *machine, bool confine, enum machine_outcome *outcome, struct error *err);

/** Ends machine_run(). Safe from any thread; the first reason counts. */
void machine_stop(struct machine *machine);

/** The loop that machine_run() runs, for the caller's own event sources. Borrowed. */
struct event_loop *machine_loop(struct machine *machine);

/** How many vCPUs there are, and their counts of exits; read them when the machine does not run. */
unsigned machine_vcpu_count(const struct machine *machine);
const struct exit_counts *machine_exits(const struct machine *machine, unsigned vcpu);

/** Takes everything down. The machine must not be running. NULL is fine. */
void machine_free(struct machine *machine);

#endif
