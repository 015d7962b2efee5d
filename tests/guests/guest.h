/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What bare-metal guests share: ports, and a few macros that print and end. They use plain integer instructions only,
 * so that they run on a KVM that merely interprets as well.
 */
#ifndef TESTS_GUESTS_GUEST_H
#define TESTS_GUESTS_GUEST_H

#define PORT_SERIAL 0x3f8
#define PORT_RESET  0x64
#define PORT_SLEEP  0x600

#define VIRTIO_MMIO 0xd0000000
#define LAPIC       0xfee00000

/* Stores to al and dx. */
.macro out_byte port, value
    movb $\value, %al
    movw $\port, %dx
    outb %al, %dx
.endm

.macro power_off
    out_byte PORT_SLEEP, 0x34
9:  jmp 9b
.endm

/* Prints the text at `label`, which ends with a NUL. Uses rax, rdx, rsi. */
.macro print label
    movq $\label, %rsi
    call print_text
.endm

/* Place once in each guest. Also prints rdi as 16 hexadecimal digits. */
.macro print_functions
print_text:
    movw $PORT_SERIAL, %dx
1:  movb (%rsi), %al
    testb %al, %al
    jz 2f
    outb %al, %dx
    incq %rsi
    jmp 1b
2:  ret

print_hex:
    movw $PORT_SERIAL, %dx
    movl $16, %ecx
1:  rolq $4, %rdi
    movl %edi, %eax
    andl $15, %eax
    addb $'0', %al
    cmpb $'9', %al
    jbe 2f
    addb $('a' - '0' - 10), %al
2:  outb %al, %dx
    decl %ecx
    jnz 1b
    ret
.endm

#endif
