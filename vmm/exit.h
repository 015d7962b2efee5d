/* SPDX-License-Identifier: Apache-2.0 */
/* Why a vCPU left the guest, and what is done about it: one small function for each reason, behind one table. */
#ifndef VMM_EXIT_H
#define VMM_EXIT_H

#include <stdbool.h>
#include <stdint.h>

struct vcpu;

/** Exit reasons are KVM_EXIT_* of linux/kvm.h; larger ones than these are counted with the last. */
enum { EXIT_REASONS = 40 };

/** How often a vCPU left the guest. */
struct exit_counts {
    uint64_t by_reason[EXIT_REASONS];
    uint64_t interrupted; /**< by a signal */
};

/** Handles what the vCPU's last KVM_RUN came back with. @return whether to enter the guest again */
bool exit_handle(struct vcpu *vcpu);

/** A reason's name as in the kernel's documentation, in lower case and without KVM_EXIT_; NULL for an unknown one. */
const char *exit_name(unsigned reason);

#endif
