/* SPDX-License-Identifier: Apache-2.0 */
/* Says that it runs and then waits for an interrupt that never comes. */
#include "guest.inc"

.globl start
start:
    movq $stack_end, %rsp
    print idle
1:  cli
    hlt
    jmp 1b

print_functions

.data
idle: .asciz "idle\n"

.bss
.skip 4096
stack_end:
