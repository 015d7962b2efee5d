/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /dev/kvm and one virtual machine made with it (Documentation/virt/kvm/api.rst): what the kernel must be able to do,
 * said by name when it is not, and the VM descriptor that everything else hangs on.
 */
#ifndef VMM_KVM_H
#define VMM_KVM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

/** A virtual machine with an in-kernel interrupt controller and nothing else in it. */
struct kvm {
    int system_fd;      /**< /dev/kvm; owned, -1 once closed */
    int vm_fd;          /**< owned */
    size_t run_size;    /**< bytes of a vCPU's shared struct kvm_run mapping */
    unsigned vcpus_max; /**< how many vCPUs the kernel allows in one VM */
    bool tsc_deadline;  /**< the LAPIC timer takes deadlines in TSC ticks */
};

/** What kvm_done() takes for nothing at all. */
#define KVM_NONE                                                                                                       \
    (struct kvm)                                                                                                       \
    {                                                                                                                  \
        .system_fd = -1, .vm_fd = -1                                                                                   \
    }

/**
 * Checks that @p system_fd is a KVM that can do what hull needs and makes a VM with it.
 * @param system_fd  an open /dev/kvm; owned by @p kvm from here on, on failure too
 * @return 0; -ENODEV when it is no KVM, -ENOTSUP (all missing capabilities named) or another -errno
 */
int kvm_init(struct kvm *kvm, int system_fd, struct error *err);

/** Closes what is open; KVM_NONE and half-built ones are fine. vCPUs must have been freed. */
void kvm_done(struct kvm *kvm);

/** Opens /dev/kvm, close-on-exec. @return a descriptor, or -errno with words on what to do about it */
int kvm_open_device(struct error *err);

/**
 * Makes the kernel signal @p fd (an eventfd) when the guest stores the 32-bit @p value at guest-physical @p address,
 * without an exit to us (KVM_IOEVENTFD). @return 0 or -errno
 */
int kvm_bind_store(const struct kvm *kvm, uint64_t address, uint32_t value, int fd, struct error *err);

/** Makes a write to @p fd (an eventfd) raise interrupt line @p gsi, edge-triggered (KVM_IRQFD). @return 0 or -errno */
int kvm_bind_interrupt(const struct kvm *kvm, uint32_t gsi, int fd, struct error *err);

#endif
