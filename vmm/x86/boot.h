/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the Linux 64-bit boot protocol (Documentation/arch/x86/boot.rst, zero-page.rst) wants in memory before the first
 * instruction: the zero page with the memory map, the command line and where the initramfs is, and a seed that spares
 * the guest waiting for entropy.
 */
#ifndef VMM_X86_BOOT_H
#define VMM_X86_BOOT_H

#include <stdint.h>

struct error;
struct initramfs;
struct memory;

/** Bytes of randomness handed to the kernel (SETUP_RNG_SEED). */
enum { BOOT_SEED_SIZE = 32 };

/** What differs between machines. */
struct boot_settings {
    const char *cmdline;               /**< complete; shorter than LAYOUT_CMDLINE_SIZE */
    const struct initramfs *initramfs; /**< size 0 = none */
    uint8_t seed[BOOT_SEED_SIZE];      /**< all zeros = none is given */
};

/**
 * Writes zero page, command line and seed.
 * @return 0; -E2BIG when the command line is too long
 */
int boot_write(const struct memory *memory, const struct boot_settings *settings, struct error *err);

#endif
