/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupt lines of the I/O APIC, each raised by writing to an eventfd of its own (KVM_IRQFD), edge-triggered. */
#ifndef VMM_IRQ_H
#define VMM_IRQ_H

#include <stdint.h>

#include "vmm/x86/layout.h"

struct error;
struct kvm;

/** Which lines are taken, and the eventfds behind them. Zero-initialise. */
struct irq_lines {
    uint32_t used;             /**< bit N: line N */
    int fds[LAYOUT_IRQ_COUNT]; /**< owned; meaningful where the bit is set */
};

/** Closes the eventfds; zero-initialised is fine. */
void irq_lines_done(struct irq_lines *lines);

/** Takes line @p line and binds it. @return its eventfd, borrowed; -EBUSY when taken, or another -errno */
int irq_line_take(struct irq_lines *lines, const struct kvm *kvm, unsigned line, struct error *err);

#endif
