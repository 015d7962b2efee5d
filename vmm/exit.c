/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/exit.h"

#include <linux/kvm.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "vmm/bus.h"
#include "vmm/vcpu.h"

/* ---- the guest talks to a device --------------------------------------------------------------------------------- */

static bool handle_io(struct vcpu *vcpu)
{
    const struct bus *bus = vcpu->environment->pio;
    const struct kvm_run *run = vcpu->run;
    uint8_t *data = (uint8_t *)vcpu->run + run->io.data_offset;
    for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
        if (run->io.direction == KVM_EXIT_IO_IN)
            bus_read(bus, run->io.port, data, run->io.size);
        else
            bus_write(bus, run->io.port, data, run->io.size);
    }
    return true;
}

static bool handle_mmio(struct vcpu *vcpu)
{
    const struct bus *bus = vcpu->environment->mmio;
    struct kvm_run *run = vcpu->run;
    if (run->mmio.is_write)
        bus_write(bus, run->mmio.phys_addr, run->mmio.data, run->mmio.len);
    else
        bus_read(bus, run->mmio.phys_addr, run->mmio.data, run->mmio.len);
    return true;
}

static bool handle_nothing(struct vcpu *vcpu)
{
    (void)vcpu;
    return true;
}

/* Where an x86 processor starts after a reset. */
enum { RESET_VECTOR = 0xfff0 };

/* ---- the guest cannot go on -------------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static bool crash(const struct vcpu *vcpu, const char *format, ...)
{
    char what[160], reason[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    struct kvm_regs regs = {0};
    /* After a triple fault KVM on AMD resets the processor, and where it was is lost. */
    if (ioctl(vcpu->fd, KVM_GET_REGS, &regs) == 0 && regs.rip != RESET_VECTOR)
        snprintf(reason, sizeof reason, "vCPU %u %s at instruction 0x%llx", vcpu->index, what, regs.rip);
    else
        snprintf(reason, sizeof reason, "vCPU %u %s", vcpu->index, what);
    vcpu->environment->crashed(vcpu->environment->context, reason);
    return false;
}

static bool handle_shutdown(struct vcpu *vcpu)
{
    return crash(vcpu, "had a triple fault");
}

static bool handle_fail_entry(struct vcpu *vcpu)
{
    return crash(vcpu, "cannot enter the guest (hardware reason 0x%llx)",
                 vcpu->run->fail_entry.hardware_entry_failure_reason);
}

static bool handle_internal_error(struct vcpu *vcpu)
{
    static const char *const kinds[] = {
        [KVM_INTERNAL_ERROR_EMULATION] = "KVM cannot emulate an instruction",
        [KVM_INTERNAL_ERROR_SIMUL_EX] = "an exception arose while another was delivered",
        [KVM_INTERNAL_ERROR_DELIVERY_EV] = "an event could not be delivered",
        [KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON] = "the processor left the guest for an unknown reason",
    };
    uint32_t kind = vcpu->run->internal.suberror;
    bool known = kind < sizeof kinds / sizeof kinds[0] && kinds[kind];
    return crash(vcpu, "stopped with KVM internal error %u (%s)", kind, known ? kinds[kind] : "unknown");
}

/* ------------------------------------------------------------------------------------------------------------------ */

/* What has no handler is asked for by nobody here: the guest stops. */
static const struct {
    const char *name;
    bool (*handle)(struct vcpu *vcpu);
} exits[EXIT_REASONS] = {
    [KVM_EXIT_UNKNOWN] = {"unknown", NULL},
    [KVM_EXIT_EXCEPTION] = {"exception", NULL},
    [KVM_EXIT_IO] = {"io", handle_io},
    [KVM_EXIT_HYPERCALL] = {"hypercall", NULL},
    [KVM_EXIT_DEBUG] = {"debug", NULL},
    [KVM_EXIT_HLT] = {"hlt", NULL},
    [KVM_EXIT_MMIO] = {"mmio", handle_mmio},
    [KVM_EXIT_IRQ_WINDOW_OPEN] = {"irq_window_open", handle_nothing},
    [KVM_EXIT_SHUTDOWN] = {"shutdown", handle_shutdown},
    [KVM_EXIT_FAIL_ENTRY] = {"fail_entry", handle_fail_entry},
    [KVM_EXIT_INTR] = {"intr", handle_nothing},
    [KVM_EXIT_SET_TPR] = {"set_tpr", handle_nothing},
    [KVM_EXIT_INTERNAL_ERROR] = {"internal_error", handle_internal_error},
    [KVM_EXIT_SYSTEM_EVENT] = {"system_event", NULL},
    [KVM_EXIT_IOAPIC_EOI] = {"ioapic_eoi", handle_nothing},
    [KVM_EXIT_X86_RDMSR] = {"x86_rdmsr", NULL},
    [KVM_EXIT_X86_WRMSR] = {"x86_wrmsr", NULL},
};

const char *exit_name(unsigned reason)
{
    return reason < EXIT_REASONS ? exits[reason].name : NULL;
}

bool exit_handle(struct vcpu *vcpu)
{
    uint32_t reason = vcpu->run->exit_reason;
    uint32_t slot = reason < EXIT_REASONS ? reason : EXIT_REASONS - 1;
    vcpu->exits.by_reason[slot]++;
    if (!exits[slot].handle)
        return crash(vcpu, "left the guest for a reason that hull does not handle (%u)", reason);
    return exits[slot].handle(vcpu);
}
