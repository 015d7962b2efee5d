/* SPDX-License-Identifier: Apache-2.0 */
/* Model-specific registers that firmware would have set before a kernel starts. */
#ifndef VMM_X86_MSR_H
#define VMM_X86_MSR_H

/**
 * Sets the few registers in the table of msr.c. One that the host refuses is skipped and logged at debug level: not
 * every KVM knows every register, and no guest needs one of them to run.
 */
void msr_set_boot(int vcpu_fd);

#endif
