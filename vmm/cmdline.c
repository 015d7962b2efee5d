/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cmdline.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

int cmdline_add(struct cmdline *cmdline, const char *text, struct error *err)
{
    size_t used = strlen(cmdline->text), added = strlen(text);
    size_t blank = used && added ? 1 : 0;
    if (added >= sizeof cmdline->text || used + blank + added >= sizeof cmdline->text)
        return error_set(err, E2BIG,
                         "the kernel command line is too long: at most %d bytes with what announces devices",
                         LAYOUT_CMDLINE_SIZE - 1);
    if (blank)
        cmdline->text[used] = ' ';
    memcpy(cmdline->text + used + blank, text, added + 1);
    return 0;
}

int cmdline_add_virtio(struct cmdline *cmdline, uint64_t address, unsigned line, struct error *err)
{
    char parameter[64];
    snprintf(parameter, sizeof parameter, "virtio_mmio.device=4K@0x%llx:%u", (unsigned long long)address, line);
    return cmdline_add(cmdline, parameter, err);
}
