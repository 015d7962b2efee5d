/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table that tells the guest's kernel which processors, I/O APIC and interrupt lines there are (Intel
 * MultiProcessor Specification 1.4). Older than ACPI, a tenth of its code in the guest, and enough.
 */
#ifndef VMM_X86_MPTABLE_H
#define VMM_X86_MPTABLE_H

#include <stddef.h>
#include <stdint.h>

struct error;

/**
 * Writes floating pointer and configuration table.
 *
 * @param bytes      where; the table is found at guest-physical @p address, the first byte of the last KiB of base
 * memory
 * @param room       bytes there
 * @param cpus       1..LAYOUT_VCPUS_MAX; APIC ids are 0..cpus-1
 * @param interrupts bit N set: line N of the I/O APIC is used, edge-triggered and active high
 * @return 0; -E2BIG when it does not fit
 */
int mptable_write(void *bytes, size_t room, uint64_t address, unsigned cpus, uint32_t interrupts, struct error *err);

#endif
