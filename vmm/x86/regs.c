/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/x86/regs.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <sys/ioctl.h>

#include "base/bytes.h"
#include "base/error.h"
#include "vmm/memory.h"
#include "vmm/x86/layout.h"

enum {
    CR0_PROTECTED = 1u << 0,
    CR0_EXTENSION_TYPE = 1u << 4,
    CR4_PAE = 1u << 5,
    EFER_LONG_MODE = 1u << 8,
    EFER_LONG_MODE_ACTIVE = 1u << 10,
    RFLAGS_RESERVED = 1u << 1,
    PTE_PRESENT = 1u << 0,
    PTE_WRITABLE = 1u << 1,
    PTE_LARGE = 1u << 7,
    PTES_PER_PAGE = 512,
};
#define CR0_PAGING (UINT64_C(1) << 31)

/* Selectors of the boot protocol: __BOOT_CS, __BOOT_DS; the task state segment is there because Intel insists. */
enum { SELECTOR_CODE = 0x10, SELECTOR_DATA = 0x18, SELECTOR_TASK = 0x20, GDT_ENTRIES = 6 };

static const struct kvm_segment code_segment = {
    .limit = 0xffffffff, .selector = SELECTOR_CODE, .type = 0xb, .present = 1, .s = 1, .l = 1, .g = 1};
static const struct kvm_segment data_segment = {
    .limit = 0xffffffff, .selector = SELECTOR_DATA, .type = 0x3, .present = 1, .s = 1, .db = 1, .g = 1};
static const struct kvm_segment task_segment = {.limit = 0x67, .selector = SELECTOR_TASK, .type = 0xb, .present = 1};

/* A segment as the processor wants it in a descriptor table (Intel SDM volume 3, 3.4.5). */
static uint64_t descriptor(const struct kvm_segment *segment)
{
    uint64_t limit = segment->g ? segment->limit >> 12 : segment->limit;
    uint64_t access = (uint64_t)segment->type | (uint64_t)segment->s << 4 | (uint64_t)segment->dpl << 5 |
                      (uint64_t)segment->present << 7;
    uint64_t flags = (uint64_t)segment->l << 1 | (uint64_t)segment->db << 2 | (uint64_t)segment->g << 3;
    return (limit & 0xffff) | (segment->base & 0xffffff) << 16 | access << 40 | (limit >> 16 & 0xf) << 48 |
           flags << 52 | (segment->base >> 24 & 0xff) << 56;
}

static void store_entry(const struct memory *memory, uint64_t table, unsigned index, uint64_t entry)
{
    store_le64((uint8_t *)guest_memory_at(&memory->guest, table, LAYOUT_PAGE_SIZE) + index * sizeof entry, entry);
}

static void write_page_tables(const struct memory *memory)
{
    store_entry(memory, LAYOUT_PML4, 0, LAYOUT_PDPT | PTE_PRESENT | PTE_WRITABLE);
    for (unsigned i = 0; i < LAYOUT_PD_COUNT; i++)
        store_entry(memory, LAYOUT_PDPT, i, (LAYOUT_PD + i * LAYOUT_PAGE_SIZE) | PTE_PRESENT | PTE_WRITABLE);
    for (unsigned i = 0; i < LAYOUT_PD_COUNT * PTES_PER_PAGE; i++)
        store_entry(memory, LAYOUT_PD + i / PTES_PER_PAGE * LAYOUT_PAGE_SIZE, i % PTES_PER_PAGE,
                    i * LAYOUT_LARGE_PAGE | PTE_PRESENT | PTE_WRITABLE | PTE_LARGE);
}

void regs_write_tables(const struct memory *memory)
{
    store_entry(memory, LAYOUT_GDT, SELECTOR_CODE / 8, descriptor(&code_segment));
    store_entry(memory, LAYOUT_GDT, SELECTOR_DATA / 8, descriptor(&data_segment));
    store_entry(memory, LAYOUT_GDT, SELECTOR_TASK / 8, descriptor(&task_segment));
    write_page_tables(memory);
}

static int set_system_registers(int vcpu_fd, struct error *err)
{
    struct kvm_sregs sregs;
    if (ioctl(vcpu_fd, KVM_GET_SREGS, &sregs) < 0)
        return error_set_errno(err, errno, "cannot read the boot processor's system registers");
    sregs.cs = code_segment;
    sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data_segment;
    sregs.tr = task_segment;
    sregs.gdt.base = LAYOUT_GDT;
    sregs.gdt.limit = GDT_ENTRIES * 8 - 1;
    sregs.idt.base = 0;
    sregs.idt.limit = 0;
    sregs.cr0 = CR0_PAGING | CR0_EXTENSION_TYPE | CR0_PROTECTED;
    sregs.cr3 = LAYOUT_PML4;
    sregs.cr4 = CR4_PAE;
    sregs.efer = EFER_LONG_MODE | EFER_LONG_MODE_ACTIVE;
    if (ioctl(vcpu_fd, KVM_SET_SREGS, &sregs) < 0)
        return error_set_errno(err, errno, "cannot set the boot processor's system registers");
    return 0;
}

int regs_set_boot(int vcpu_fd, uint64_t entry, struct error *err)
{
    int rc = set_system_registers(vcpu_fd, err);
    if (rc < 0)
        return rc;
    struct kvm_regs regs = {.rip = entry, .rsi = LAYOUT_ZERO_PAGE, .rflags = RFLAGS_RESERVED};
    if (ioctl(vcpu_fd, KVM_SET_REGS, &regs) < 0)
        return error_set_errno(err, errno, "cannot set the boot processor's registers");
    /* The state after FNINIT and of MXCSR after reset (Intel SDM volume 3, table 9-1). */
    struct kvm_fpu fpu = {.fcw = 0x37f, .mxcsr = 0x1f80};
    if (ioctl(vcpu_fd, KVM_SET_FPU, &fpu) < 0)
        return error_set_errno(err, errno, "cannot set the boot processor's floating-point registers");
    return 0;
}
