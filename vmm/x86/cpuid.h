/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the guest's CPUID instruction answers: what the host's KVM can do, less what a container's machine has no use
 * for (nested virtualization, performance counters, MONITOR), with a topology of `cpus` single-threaded cores in one
 * package.
 */
#ifndef VMM_X86_CPUID_H
#define VMM_X86_CPUID_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

struct error;

enum { CPUID_ENTRIES_MAX = 256 };

/** A struct kvm_cpuid2 with room. */
struct cpuid_table {
    uint32_t count;
    uint32_t padding;
    struct kvm_cpuid_entry2 entries[CPUID_ENTRIES_MAX];
};

/** Reads what KVM supports. @param system_fd  /dev/kvm @return 0 or -errno */
int cpuid_read_supported(struct cpuid_table *table, int system_fd, struct error *err);

/**
 * Turns the table into that of a machine.
 * @param cpus          1..LAYOUT_VCPUS_MAX
 * @param tsc_deadline  whether KVM's LAPIC timer takes TSC deadlines (its table does not say so)
 * @return 0; -E2BIG when there is no room for the topology leaves
 */
int cpuid_adapt(struct cpuid_table *table, unsigned cpus, bool tsc_deadline, struct error *err);

/** Puts processor @p index, whose APIC id that is, into an adapted table. Can be called again for the next one. */
void cpuid_set_processor(struct cpuid_table *table, unsigned index);

/** Gives the table to a vCPU. @return 0 or -errno */
int cpuid_set(int vcpu_fd, const struct cpuid_table *table, struct error *err);

#endif
