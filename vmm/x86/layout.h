/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where everything is in a guest's physical memory. The one place that says so.
 *
 *   0x0000_0500  GDT                                 ┐
 *   0x0000_7000  zero page (struct boot_params)      │ written by us before the start,
 *   0x0000_9000  page tables: PML4, PDPT, 4 × PD     │ RAM that the kernel may reuse
 *   0x0002_0000  command line                        │
 *   0x0002_1000  seed for the kernel's entropy       ┘
 *   0x0009_fc00  MP table: the last KiB of base memory, kept out of the memory map
 *   0x000a_0000  hole up to 1 MiB, as on every PC
 *   0x0010_0000  kernel segments (Linux: from 16 MiB); the initramfs at the top of the low RAM
 *   0xc000_0000  end of the low RAM (3 GiB)          ┐
 *   0xd000_0000  virtio-mmio windows, 4 KiB each     │
 *   0xfec0_0000  I/O APIC                            │ device hole
 *   0xfee0_0000  local APIC                          │
 *   0xfffb_c000  KVM's identity map and TSS (Intel)  ┘
 * 0x1_0000_0000  the rest of RAM (from 4 GiB)
 */
#ifndef VMM_X86_LAYOUT_H
#define VMM_X86_LAYOUT_H

#include <stdint.h>

#define LAYOUT_PAGE_SIZE  UINT64_C(0x1000)
#define LAYOUT_LARGE_PAGE UINT64_C(0x200000)

#define LAYOUT_GDT              UINT64_C(0x500)
#define LAYOUT_ZERO_PAGE        UINT64_C(0x7000)
#define LAYOUT_PML4             UINT64_C(0x9000)
#define LAYOUT_PDPT             UINT64_C(0xa000)
#define LAYOUT_PD               UINT64_C(0xb000)
#define LAYOUT_CMDLINE          UINT64_C(0x20000)
#define LAYOUT_SETUP_DATA       UINT64_C(0x21000)
#define LAYOUT_MPTABLE          UINT64_C(0x9fc00)
#define LAYOUT_MPTABLE_END      UINT64_C(0xa0000)
#define LAYOUT_HIGH_MEMORY      UINT64_C(0x100000)
#define LAYOUT_LOW_RAM_END      UINT64_C(0xc0000000)
#define LAYOUT_VIRTIO_MMIO      UINT64_C(0xd0000000)
#define LAYOUT_IOAPIC           UINT64_C(0xfec00000)
#define LAYOUT_LAPIC            UINT64_C(0xfee00000)
#define LAYOUT_KVM_IDENTITY_MAP UINT64_C(0xfffbc000)
#define LAYOUT_KVM_TSS          UINT64_C(0xfffbd000)
#define LAYOUT_HIGH_RAM         UINT64_C(0x100000000)

/** The command line's bytes with its terminator: COMMAND_LINE_SIZE of the x86 kernel. */
enum { LAYOUT_CMDLINE_SIZE = 2048 };

/** Page directories: the identity map covers 4 GiB, so RAM below the hole and every device. */
enum { LAYOUT_PD_COUNT = 4 };

/** Interrupt lines: the serial console's, where those for virtio begin, and how many the I/O APIC has. */
enum { LAYOUT_IRQ_SERIAL = 4, LAYOUT_IRQ_VIRTIO = 5, LAYOUT_IRQ_COUNT = 24 };

/** I/O ports. */
enum { LAYOUT_PORT_I8042 = 0x64, LAYOUT_PORT_SERIAL = 0x3f8, LAYOUT_PORT_SLEEP = 0x600 };

enum { LAYOUT_VCPUS_MAX = 32 };

#endif
