/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads and writes addresses and ports where nothing is, in every width and across the edges of windows. Nothing must
 * come of it: reads are all ones, the guest goes on.
 */
#include "guest.inc"

/* Just past the last possible virtio window, in the hole; nothing is there. */
#define EMPTY 0xe0000000
#define EMPTY_PORT 0x900
#define ROUNDS 300

.globl start
start:
    movq $stack_end, %rsp

    movl $ROUNDS, %ebp
    movl $EMPTY, %ebx
memory:
    movq (%rbx), %rax
    cmpq $-1, %rax
    jne wrong
    movl 2(%rbx), %eax
    cmpl $-1, %eax
    jne wrong
    movw 4(%rbx), %ax
    cmpw $-1, %ax
    jne wrong
    movb 7(%rbx), %al
    cmpb $-1, %al
    jne wrong
    movq %rbp, (%rbx)
    movl %ebp, 1(%rbx)
    movw %bp, 3(%rbx)
    movb %bpl, 5(%rbx)
    addl $0x1003, %ebx
    decl %ebp
    jnz memory

    /* Across the end of a device's window, and across a page, which arrives in two odd pieces. */
    movl $(VIRTIO_MMIO + 0xffe), %ebx
    movl (%rbx), %eax
    movl %eax, (%rbx)
    movq -5(%rbx), %rax
    movq %rax, -5(%rbx)
    movl $(EMPTY + 0xffd), %ebx
    movq (%rbx), %rax
    cmpq $-1, %rax
    jne wrong
    movq %rax, (%rbx)

    movl $ROUNDS, %ebp
    movl $EMPTY_PORT, %edx
ports:
    inl %dx, %eax
    cmpl $-1, %eax
    jne wrong
    inw %dx, %ax
    cmpw $-1, %ax
    jne wrong
    inb %dx, %al
    cmpb $-1, %al
    jne wrong
    outl %eax, %dx
    outw %ax, %dx
    outb %al, %dx
    addl $3, %edx
    decl %ebp
    jnz ports

    /* Wider than the window of the port, and the last port there is. */
    movl $PORT_RESET, %edx
    inl %dx, %eax
    cmpl $-1, %eax
    jne wrong
    movl $PORT_SLEEP, %edx
    movl $0x34343434, %eax
    outl %eax, %dx
    movl $0xffff, %edx
    inb %dx, %al
    outl %eax, %dx

    /* Strings. */
    cld
    movl $EMPTY_PORT, %edx
    movq $buffer, %rdi
    movl $200, %ecx
    rep insw
    cmpw $-1, buffer + 398
    jne wrong
    movq $buffer, %rsi
    movl $200, %ecx
    rep outsw

    print unharmed
    power_off

wrong:
    print harmed
    power_off

print_functions

.data
unharmed: .asciz "unharmed\n"
harmed:   .asciz "something answered\n"

.bss
buffer: .skip 512
.skip 4096
stack_end:
