/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "vmm/x86/layout.h"

static const char device_path[] = "/dev/kvm";

/* What hull cannot do without. All of it is in every x86 kernel since 4.13; a missing one is told by name. */
static const struct {
    int number;
    const char *name;
    const char *purpose;
} required_capabilities[] = {
    {KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY", "guest memory"},
    {KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP", "in-kernel interrupt controller"},
    {KVM_CAP_IRQFD, "KVM_CAP_IRQFD", "device interrupts"},
    {KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD", "queue notifications"},
    {KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT", "stopping vCPUs"},
    {KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID", "CPUID"},
    {KVM_CAP_SET_TSS_ADDR, "KVM_CAP_SET_TSS_ADDR", "real mode on Intel"},
};
enum { REQUIRED_CAPABILITIES = sizeof required_capabilities / sizeof required_capabilities[0] };

int kvm_open_device(struct error *err)
{
    int fd = open(device_path, O_RDWR | O_CLOEXEC);
    if (fd >= 0)
        return fd;
    switch (errno) {
    case ENOENT:
        return error_set(err, ENOENT, "%s is missing: load kvm_intel or kvm_amd, or enable virtualization",
                         device_path);
    case EACCES:
    case EPERM:
        return error_set(err, errno, "%s may not be opened: add yourself to the group kvm, or run as root",
                         device_path);
    case ENXIO:
    case ENODEV:
        return error_set(err, ENODEV, "%s has no KVM behind it: load kvm_intel or kvm_amd", device_path);
    default:
        return error_set_errno(err, errno, "cannot open %s", device_path);
    }
}

static int check_capabilities(int system_fd, struct error *err)
{
    char missing[ERROR_TEXT_MAX / 2] = "";
    size_t used = 0;
    for (unsigned i = 0; i < REQUIRED_CAPABILITIES; i++) {
        if (ioctl(system_fd, KVM_CHECK_EXTENSION, required_capabilities[i].number) > 0)
            continue;
        int n = snprintf(missing + used, sizeof missing - used, "%s%s (%s)", used ? ", " : "",
                         required_capabilities[i].name, required_capabilities[i].purpose);
        used += n > 0 ? (size_t)n : 0;
        if (used >= sizeof missing)
            break;
    }
    return used ? error_set(err, ENOTSUP, "this KVM lacks %s", missing) : 0;
}

static int check_device(struct kvm *kvm, struct error *err)
{
    int version = ioctl(kvm->system_fd, KVM_GET_API_VERSION, 0);
    if (version < 0)
        return error_set(err, ENODEV, "the KVM descriptor is not %s", device_path);
    if (version != KVM_API_VERSION)
        return error_set(err, ENODEV, "%s speaks API version %d, hull needs %d", device_path, version, KVM_API_VERSION);
    int rc = check_capabilities(kvm->system_fd, err);
    if (rc < 0)
        return rc;
    int run_size = ioctl(kvm->system_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (run_size < (int)sizeof(struct kvm_run))
        return error_set(err, ENOTSUP, "%s offers too small a vCPU mapping (%d bytes)", device_path, run_size);
    int vcpus_max = ioctl(kvm->system_fd, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
    kvm->run_size = (size_t)run_size;
    kvm->vcpus_max = vcpus_max > 0 ? (unsigned)vcpus_max : 1;
    kvm->tsc_deadline = ioctl(kvm->system_fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0;
    return 0;
}

static int create_vm(struct kvm *kvm, struct error *err)
{
    do
        kvm->vm_fd = ioctl(kvm->system_fd, KVM_CREATE_VM, 0);
    while (kvm->vm_fd < 0 && errno == EINTR);
    if (kvm->vm_fd < 0)
        return error_set_errno(err, errno, "cannot create a virtual machine");
    /* Intel processors run real mode (application processors start in it) through a task state segment and a page
     * table that KVM keeps in guest-physical space, out of the way of RAM and devices. */
    uint64_t identity_map = LAYOUT_KVM_IDENTITY_MAP;
    if (ioctl(kvm->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map) < 0)
        return error_set_errno(err, errno, "cannot place KVM's identity map");
    if (ioctl(kvm->vm_fd, KVM_SET_TSS_ADDR, LAYOUT_KVM_TSS) < 0)
        return error_set_errno(err, errno, "cannot place KVM's task state segment");
    if (ioctl(kvm->vm_fd, KVM_CREATE_IRQCHIP, 0) < 0)
        return error_set_errno(err, errno, "cannot create the interrupt controllers");
    return 0;
}

int kvm_init(struct kvm *kvm, int system_fd, struct error *err)
{
    *kvm = KVM_NONE;
    kvm->system_fd = system_fd;
    int rc = check_device(kvm, err);
    if (rc == 0)
        rc = create_vm(kvm, err);
    if (rc < 0)
        kvm_done(kvm);
    return rc;
}

void kvm_done(struct kvm *kvm)
{
    fd_close(&kvm->vm_fd);
    fd_close(&kvm->system_fd);
}

int kvm_bind_store(const struct kvm *kvm, uint64_t address, uint32_t value, int fd, struct error *err)
{
    struct kvm_ioeventfd request = {
        .datamatch = value,
        .addr = address,
        .len = sizeof value,
        .fd = fd,
        .flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
    };
    if (ioctl(kvm->vm_fd, KVM_IOEVENTFD, &request) < 0)
        return error_set_errno(err, errno, "cannot bind an eventfd to stores at 0x%llx", (unsigned long long)address);
    return 0;
}

int kvm_bind_interrupt(const struct kvm *kvm, uint32_t gsi, int fd, struct error *err)
{
    struct kvm_irqfd request = {.fd = (uint32_t)fd, .gsi = gsi};
    if (ioctl(kvm->vm_fd, KVM_IRQFD, &request) < 0)
        return error_set_errno(err, errno, "cannot bind an eventfd to interrupt line %u", gsi);
    return 0;
}
