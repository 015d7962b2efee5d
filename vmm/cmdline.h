/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel command line of a machine: what announces its devices, then what the user wants, who thus has the last
 * word (and may end with `--` and arguments for init).
 */
#ifndef VMM_CMDLINE_H
#define VMM_CMDLINE_H

#include <stdint.h>

#include "vmm/x86/layout.h"

struct error;

struct cmdline {
    char text[LAYOUT_CMDLINE_SIZE]; /**< terminated */
};

/** Adds `virtio_mmio.device=4K@ADDRESS:LINE`. @return 0, or -E2BIG when the line would get too long */
int cmdline_add_virtio(struct cmdline *cmdline, uint64_t address, unsigned line, struct error *err);

/** Adds text with a blank before it if needed. @return 0 or -E2BIG */
int cmdline_add(struct cmdline *cmdline, const char *text, struct error *err);

#endif
