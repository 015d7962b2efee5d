/* SPDX-License-Identifier: Apache-2.0 */
/* Virtual CPUs: each a descriptor of KVM, a mapping shared with the kernel, and a thread that runs the guest on it. */
#ifndef VMM_VCPU_H
#define VMM_VCPU_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/exit.h"
#include "vmm/worker.h"

struct bus;
struct error;
struct kvm;
struct kvm_run;
struct seccomp_filter;

/** What the vCPUs of a machine share. */
struct vcpu_environment {
    const struct bus *mmio;
    const struct bus *pio;
    /**
     * The guest cannot go on (triple fault, KVM gave up). Called on the vCPU's thread, which ends then.
     * @param reason  one line
     */
    void (*crashed)(void *context, const char *reason);
    void *context;
};

struct vcpu {
    unsigned index; /**< also its APIC id; 0 is the boot processor */
    int fd;         /**< owned */
    struct kvm_run *run;
    size_t run_size;
    const struct vcpu_environment *environment;
    struct worker worker;
    atomic_bool stop;
    struct exit_counts exits; /**< written by its thread; read it when the thread has ended */
};

/** Makes vCPU @p index of a VM, without registers. @return 0 with *vcpu owned, or -errno */
int vcpu_new(struct vcpu **vcpu, const struct kvm *kvm, unsigned index, const struct vcpu_environment *environment,
             struct error *err);

/** Releases a vCPU whose thread has ended or was never started. NULL is fine. */
void vcpu_free(struct vcpu *vcpu);

/** Starts its thread, which waits at the gate (worker.h) and then runs the guest. @return 0 or -errno */
int vcpu_start(struct vcpu *vcpu, struct start_gate *gate, const struct seccomp_filter *filter, struct error *err);

/** Keeps a vCPU from entering the guest again, once it has left it. From any thread, without a system call. */
void vcpu_enter_no_more(struct vcpu *vcpu);

/** Tells the vCPU to leave the guest and end its thread. Does not wait. */
void vcpu_stop(struct vcpu *vcpu);

/** Waits for the end of its thread. */
void vcpu_join(struct vcpu *vcpu);

#endif
