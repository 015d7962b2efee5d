/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A terminal that is the guest's serial console: what is typed goes to the guest at once and is echoed by it. Signals
 * stay: Ctrl-C stops the machine.
 */
#ifndef TOOLS_HULL_VMM_TERMINAL_H
#define TOOLS_HULL_VMM_TERMINAL_H

#include <stdbool.h>
#include <termios.h>

struct terminal {
    bool changed;
    struct termios saved;
};

/** Changes the terminal on standard input, if there is one. */
void terminal_enter(struct terminal *terminal);

/** Sets it back. */
void terminal_leave(struct terminal *terminal);

#endif
