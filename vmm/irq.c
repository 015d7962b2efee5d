/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/irq.h"

#include <errno.h>
#include <sys/eventfd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "vmm/kvm.h"

void irq_lines_done(struct irq_lines *lines)
{
    for (unsigned line = 0; line < LAYOUT_IRQ_COUNT; line++)
        if (lines->used & UINT32_C(1) << line)
            fd_close(&lines->fds[line]);
    lines->used = 0;
}

int irq_line_take(struct irq_lines *lines, const struct kvm *kvm, unsigned line, struct error *err)
{
    if (line >= LAYOUT_IRQ_COUNT || lines->used & UINT32_C(1) << line)
        return error_set(err, EBUSY, "interrupt line %u is not free", line);
    cleanup_fd int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot make an eventfd for interrupt line %u", line);
    int rc = kvm_bind_interrupt(kvm, line, fd, err);
    if (rc < 0)
        return rc;
    lines->used |= UINT32_C(1) << line;
    lines->fds[line] = steal_fd(&fd);
    return lines->fds[line];
}
