/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts every other processor with INIT and SIPI and counts who comes: proves that application processors wait as they
 * should, and that their APIC ids are 1, 2, 3 ... How many there are is read from CPUID, so that a busy host may take its
 * time to run them all.
 */
#include "guest.inc"

#define TRAMPOLINE 0x8000
/* Registers of the local APIC. */
#define SPURIOUS 0xf0
#define ICR      0x300
#define ALL_OTHERS_INIT 0x000c4500
#define ALL_OTHERS_SIPI (0x000c4600 | TRAMPOLINE >> 12)

/* Where processors leave their marks: a byte for each APIC id, in low memory that nothing else uses. */
#define MARKS 0x1000
#define MARKS_COUNT 32

/* CPUID's topology leaf; its second level counts the processors of the package. */
#define TOPOLOGY 0xb
#define PACKAGE  1

/* How often the marks are counted before those that are missing are given up. */
#define PATIENCE 400

.globl start
start:
    movq $stack_end, %rsp
    movq $trampoline, %rsi
    movq $TRAMPOLINE, %rdi
    movl $(trampoline_end - trampoline), %ecx
    cld
    rep movsb
    movl $LAPIC, %ebx
    movl $0x1ff, SPURIOUS(%rbx)
    movl $ALL_OTHERS_INIT, ICR(%rbx)
    call wait
    movl $ALL_OTHERS_SIPI, ICR(%rbx)

    movl $TOPOLOGY, %eax
    movl $PACKAGE, %ecx
    cpuid
    leal -1(%rbx), %esi
    movl $PATIENCE, %r8d

    /* Count the marks until the others are all there. */
2:  call wait
    xorl %edi, %edi
    movl $(MARKS_COUNT - 1), %ecx
1:  movzbl MARKS(%rcx), %eax
    addl %eax, %edi
    decl %ecx
    jns 1b
    cmpl %esi, %edi
    je 3f
    decl %r8d
    jnz 2b
3:  print text
    call print_hex
    print newline
    power_off

wait:
    movl $3000, %ecx
    movw $0x80, %dx
1:  inb %dx, %al
    decl %ecx
    jnz 1b
    ret

/* Real mode: CPUID gives the APIC id; a mark in low memory. */
.code16
trampoline:
    cli
    movl $1, %eax
    cpuid
    shrl $24, %ebx
    movw $(MARKS >> 4), %ax
    movw %ax, %ds
    movb $1, (%bx)
1:  hlt
    jmp 1b
trampoline_end:
.code64

print_functions

.data
text:    .asciz "others="
newline: .asciz "\n"

.bss
.skip 4096
stack_end:
