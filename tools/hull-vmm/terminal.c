/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/hull-vmm/terminal.h"

#include <unistd.h>

void terminal_enter(struct terminal *terminal)
{
    terminal->changed = false;
    if (tcgetattr(STDIN_FILENO, &terminal->saved) < 0)
        return;
    struct termios changed = terminal->saved;
    changed.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    changed.c_iflag &= ~(tcflag_t)(ICRNL | INLCR | IXON);
    terminal->changed = tcsetattr(STDIN_FILENO, TCSANOW, &changed) == 0;
}

void terminal_leave(struct terminal *terminal)
{
    if (terminal->changed)
        tcsetattr(STDIN_FILENO, TCSANOW, &terminal->saved);
    terminal->changed = false;
}
