/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state in which the boot processor executes its first instruction: 64-bit mode, paging on with 4 GiB mapped one to
 * one, flat segments, interrupts off (Documentation/arch/x86/boot.rst, "64-bit Boot Protocol"). Application processors
 * stay as KVM makes them, waiting for INIT and SIPI.
 */
#ifndef VMM_X86_REGS_H
#define VMM_X86_REGS_H

#include <stdint.h>

struct error;
struct memory;

/** Writes the GDT and the page tables into guest memory (layout.h says where). */
void regs_write_tables(const struct memory *memory);

/**
 * Sets the registers of the boot processor.
 * @param vcpu_fd  a fresh vCPU
 * @param entry    guest-physical address of the first instruction
 * @return 0 or -errno
 */
int regs_set_boot(int vcpu_fd, uint64_t entry, struct error *err);

#endif
