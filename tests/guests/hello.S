/* SPDX-License-Identifier: Apache-2.0 */
/* Says hello on the serial console, prints its command line from the zero page, and powers off. */
#include "guest.inc"

.globl start
start:
    movq $stack_end, %rsp
    movq %rsi, %rbx /* the zero page */
    print hello
    movl 0x228(%rbx), %esi /* cmd_line_ptr */
    call print_text
    print newline
    power_off

print_functions

.data
hello:   .asciz "hello from the guest\n"
newline: .asciz "\n"

.bss
.skip 4096
stack_end:
