/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Treats the first two virtio-mmio devices as no driver would: registers in the wrong order and width, rings outside RAM
 * and at its edge, descriptors that loop, overflow or lie, notifications of queues that are not there. Each device must
 * answer as a device after a reset; one that was given rings outside RAM must ask for one.
 */
#include "guest.inc"

#define MAGIC         0x00
#define VERSION       0x04
#define DEVICE_ID     0x08
#define FEATURES_SEL  0x14
#define DRIVER_FEATURES 0x20
#define DRIVER_FEATURES_SEL 0x24
#define QUEUE_SEL     0x30
#define QUEUE_NUM_MAX 0x34
#define QUEUE_NUM     0x38
#define QUEUE_READY   0x44
#define QUEUE_NOTIFY  0x50
#define INTERRUPT_STATUS 0x60
#define INTERRUPT_ACK 0x64
#define STATUS        0x70
#define DESC          0x80
#define AVAIL         0x90
#define USED          0xa0
#define CONFIG        0x100

#define DRIVER_OK   0x0f
#define FEATURES_OK 0x0b
#define NEEDS_RESET 0x40

#define QUEUE_SIZE 8

/* rbx = the device's window throughout. */
.macro reg offset, value
    movl $\value, \offset(%rbx)
.endm

.macro reg64 offset, low, high
    reg \offset, \low
    reg \offset + 4, \high
.endm

/* From reset to FEATURES_OK with VIRTIO_F_VERSION_1. */
.macro negotiate
    reg STATUS, 0
    reg STATUS, 1
    reg STATUS, 3
    reg DRIVER_FEATURES_SEL, 0
    reg DRIVER_FEATURES, 0
    reg DRIVER_FEATURES_SEL, 1
    reg DRIVER_FEATURES, 1
    reg STATUS, FEATURES_OK
    reg QUEUE_SEL, 0
.endm

/* Queue 0 in RAM that is ours, empty. */
.macro good_rings
    reg QUEUE_NUM, QUEUE_SIZE
    movl $descriptors, DESC(%rbx)
    reg DESC + 4, 0
    movl $available, AVAIL(%rbx)
    reg AVAIL + 4, 0
    movl $used, USED(%rbx)
    reg USED + 4, 0
    reg QUEUE_READY, 1
.endm

/* Descriptor `index`. */
.macro descriptor index, address, length, flags, next
    movabsq $\address, %rax
    movq %rax, descriptors + \index * 16
    movl $\length, descriptors + \index * 16 + 8
    movw $\flags, descriptors + \index * 16 + 12
    movw $\next, descriptors + \index * 16 + 14
.endm

/* Offers `count` chains, all of them `head`, and gives the device time. */
.macro offer head, count
    movl $0, available
    movl $(QUEUE_SIZE - 1), %ecx
7:  movw $\head, available + 4(,%rcx,2)
    decl %ecx
    jns 7b
    movw $\count, available + 2
    reg QUEUE_NOTIFY, 0
    call wait
.endm

.globl start
start:
    movq $stack_end, %rsp
    movl $VIRTIO_MMIO, %ebx
    call abuse
    movl $(VIRTIO_MMIO + 0x1000), %ebx
    call abuse
    print alive
    power_off

abuse:
    call check

    /* Registers in no order, in no width, with no sense. */
    movl $0, %ecx
1:  movl $-1, (%rbx,%rcx)
    movw $-1, 2(%rbx,%rcx)
    movb $-1, 1(%rbx,%rcx)
    movq %rsp, (%rbx,%rcx)
    movl (%rbx,%rcx), %eax
    movb 3(%rbx,%rcx), %al
    addl $4, %ecx
    cmpl $0x140, %ecx
    jne 1b
    reg STATUS, 0
    call check
    reg STATUS, DRIVER_OK
    reg QUEUE_NOTIFY, 0
    reg QUEUE_NOTIFY, 0xffffffff
    reg QUEUE_NOTIFY, 7
    reg QUEUE_SEL, 0xffff
    reg QUEUE_NUM, 8
    reg QUEUE_READY, 1
    reg STATUS, 0
    call check

    /* Rings where no RAM is: the device must say that it needs a reset. */
    negotiate
    reg QUEUE_NUM, QUEUE_SIZE
    reg64 DESC, 0xfffff000, 0xffffffff
    reg64 AVAIL, 0xfffffffe, 0xffffffff
    reg64 USED, 0xd0000000, 0
    reg QUEUE_READY, 1
    reg STATUS, DRIVER_OK
    reg QUEUE_NOTIFY, 0
    call wait
    movl STATUS(%rbx), %eax
    testl $NEEDS_RESET, %eax
    jz no_reset_asked
    reg QUEUE_NOTIFY, 0
    reg STATUS, 0
    call check

    /* Sizes that are none. */
    negotiate
    good_rings
    reg QUEUE_READY, 0
    reg QUEUE_NUM, 0
    reg QUEUE_READY, 1
    reg STATUS, DRIVER_OK
    reg QUEUE_NOTIFY, 0
    reg STATUS, 0
    negotiate
    good_rings
    reg QUEUE_READY, 0
    reg QUEUE_NUM, 0xffff
    reg QUEUE_READY, 1
    reg STATUS, DRIVER_OK
    reg QUEUE_NOTIFY, 0
    reg STATUS, 0
    call check

    /* Rings that begin below the hole at 3 GiB, or end in the window of no device. */
    negotiate
    good_rings
    reg QUEUE_READY, 0
    reg64 DESC, 0xbffffff0, 0
    reg64 AVAIL, 0xcfffffff, 0
    reg QUEUE_READY, 1
    reg STATUS, DRIVER_OK
    reg QUEUE_NOTIFY, 0
    call wait
    reg STATUS, 0
    call check

    /* A descriptor that is its own successor. */
    negotiate
    good_rings
    descriptor 0, 0x200000, 16, 1, 0
    reg STATUS, DRIVER_OK
    offer 0, 1
    reg STATUS, 0
    call check

    /* Buffers outside RAM, across its end, that wrap around, over the ring itself, and of no length. */
    negotiate
    good_rings
    descriptor 0, 0xd0000000, 16, 1, 1
    descriptor 1, 0x1000000000000, 0x10000, 3, 2
    descriptor 2, 0xfffffffffffffff0, 0x20, 2, 0
    reg STATUS, DRIVER_OK
    offer 0, 3
    reg STATUS, 0
    negotiate
    good_rings
    descriptor 0, 0x100000, 0xffffffff, 2, 0
    reg STATUS, DRIVER_OK
    offer 0, QUEUE_SIZE
    reg STATUS, 0
    negotiate
    good_rings
    movq $used, descriptors
    movl $0x1000, descriptors + 8
    movl $2, descriptors + 12
    reg STATUS, DRIVER_OK
    offer 0, 2
    reg STATUS, 0
    negotiate
    good_rings
    descriptor 0, 0x100000, 0, 2, 0
    reg STATUS, DRIVER_OK
    offer 0, 2
    reg STATUS, 0
    call check

    /* Heads and successors beyond the table, more buffers than the ring has, indirect tables that were not agreed on. */
    negotiate
    good_rings
    descriptor 0, 0x100000, 16, 1, 0xffff
    reg STATUS, DRIVER_OK
    offer 0, 1
    reg STATUS, 0
    negotiate
    good_rings
    reg STATUS, DRIVER_OK
    offer 0xfffe, 1
    reg STATUS, 0
    negotiate
    good_rings
    reg STATUS, DRIVER_OK
    offer 0, 0x7fff
    reg STATUS, 0
    negotiate
    good_rings
    descriptor 0, 0x100000, 0xfffffff0, 4, 0
    reg STATUS, DRIVER_OK
    offer 0, 1
    reg STATUS, 0
    call check

    /* Rings moved while the device runs, a reset while it is told to work, over and over. */
    movl $50, %ebp
2:  negotiate
    good_rings
    descriptor 0, 0x100000, 4096, 2, 0
    reg STATUS, DRIVER_OK
    movl $0, available
    movw $8, available + 2
    reg QUEUE_NOTIFY, 0
    reg64 DESC, 0xfffff000, 0xffffffff
    reg QUEUE_READY, 0
    reg INTERRUPT_ACK, 0xffffffff
    reg STATUS, 0
    decl %ebp
    jnz 2b
    call check
    ret

/* After a reset the device is what it was. */
check:
    cmpl $0x74726976, MAGIC(%rbx)
    jne not_there
    cmpl $2, VERSION(%rbx)
    jne not_there
    cmpl $0, STATUS(%rbx)
    jne not_reset
    reg QUEUE_SEL, 0
    cmpl $0, QUEUE_READY(%rbx)
    jne not_reset
    ret

/* Long enough for another thread to handle a notification, mostly: exits to the host. */
wait:
    movl $300, %ecx
    movw $0x80, %dx
1:  inb %dx, %al
    decl %ecx
    jnz 1b
    ret

not_there:
    print text_not_there
    power_off
not_reset:
    print text_not_reset
    power_off
no_reset_asked:
    print text_no_reset_asked
    power_off

print_functions

.data
alive:               .asciz "alive\n"
text_not_there:      .asciz "the device does not answer any more\n"
text_not_reset:      .asciz "the device is not as after a reset\n"
text_no_reset_asked: .asciz "rings outside RAM were accepted\n"

.bss
.balign 4096
descriptors: .skip 16 * QUEUE_SIZE
available:   .skip 8 + 2 * QUEUE_SIZE
.balign 16
used:        .skip 8 + 8 * QUEUE_SIZE
.skip 4096
stack_end:
