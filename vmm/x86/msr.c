/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/x86/msr.h"

#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/log.h"

static const struct {
    const char *name;
    uint32_t index;
    uint64_t value;
} boot_msrs[] = {
    {"IA32_MISC_ENABLE", 0x1a0, 1},       /* fast string operations, which Linux otherwise thinks are broken */
    {"IA32_MTRR_DEF_TYPE", 0x2ff, 0x806}, /* MTRRs on, all memory write-back */
};

void msr_set_boot(int vcpu_fd)
{
    /* One call each: KVM_SET_MSRS stops at the first entry that it does not know. */
    for (size_t i = 0; i < sizeof boot_msrs / sizeof boot_msrs[0]; i++) {
        union {
            struct kvm_msrs header;
            uint8_t bytes[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
        } request = {.header = {.nmsrs = 1}};
        struct kvm_msr_entry entry = {.index = boot_msrs[i].index, .data = boot_msrs[i].value};
        memcpy(request.bytes + sizeof request.header, &entry, sizeof entry);
        if (ioctl(vcpu_fd, KVM_SET_MSRS, &request) != 1)
            log_debug("this KVM does not take %s", boot_msrs[i].name);
    }
}
