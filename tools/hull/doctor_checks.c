/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/hull/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/io_uring.h>
#include <linux/kvm.h>
#include <linux/landlock.h>
#include <linux/magic.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/store.h"
#include "runtime/programs.h"

__attribute__((format(printf, 3, 4))) static void found(struct doctor_finding *finding, enum doctor_state state,
                                                        const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(finding->what, sizeof finding->what, format, arguments);
    va_end(arguments);
    finding->state = state;
}

static void mend(struct doctor_finding *finding, const char *how)
{
    snprintf(finding->mend, sizeof finding->mend, "%s", how);
}

/* ---- KVM ---- */

static int open_kvm(void)
{
    return open("/dev/kvm", O_RDWR | O_CLOEXEC);
}

static void look_at_kvm(struct doctor_finding *finding)
{
    cleanup_fd int kvm = open_kvm();
    if (kvm >= 0) {
        found(finding, DOCTOR_OK, "/dev/kvm opens for reading and writing");
    } else if (errno == EACCES || errno == EPERM) {
        found(finding, DOCTOR_UNUSABLE, "/dev/kvm is there, and not for you");
        mend(finding, "sudo usermod -aG kvm $USER   (then log in again)");
    } else {
        found(finding, DOCTOR_ABSENT, "/dev/kvm: %s", strerror(errno));
        mend(finding, "sudo modprobe kvm_intel || sudo modprobe kvm_amd   (virtualization must be on in the firmware)");
    }
}

static void look_at_kvm_version(struct doctor_finding *finding)
{
    cleanup_fd int kvm = open_kvm();
    int version = kvm < 0 ? -1 : ioctl(kvm, KVM_GET_API_VERSION, 0);
    if (version == KVM_API_VERSION)
        found(finding, DOCTOR_OK, "version %d", version);
    else
        found(finding, DOCTOR_ABSENT, version < 0 ? "cannot be asked" : "version %d, not 12", version);
}

static void look_at_kvm_capabilities(struct doctor_finding *finding)
{
    static const struct {
        const char *name;
        int capability;
    } needed[] = {
        {"irqchip", KVM_CAP_IRQCHIP},
        {"user memory", KVM_CAP_USER_MEMORY},
        {"ioeventfd", KVM_CAP_IOEVENTFD},
        {"irqfd", KVM_CAP_IRQFD},
        {"cpuid", KVM_CAP_EXT_CPUID},
        {"tss address", KVM_CAP_SET_TSS_ADDR},
        {"mp state", KVM_CAP_MP_STATE},
        {"xsave", KVM_CAP_XSAVE},
        {"immediate exit", KVM_CAP_IMMEDIATE_EXIT},
    };
    cleanup_fd int kvm = open_kvm();
    char missing[DOCTOR_TEXT_MAX / 2] = "";
    for (size_t i = 0; kvm >= 0 && i < sizeof needed / sizeof needed[0]; i++) {
        size_t used = strlen(missing);
        if (ioctl(kvm, KVM_CHECK_EXTENSION, needed[i].capability) <= 0)
            snprintf(missing + used, sizeof missing - used, "%s%s", used ? ", " : "", needed[i].name);
    }
    if (kvm < 0) {
        found(finding, DOCTOR_ABSENT, "cannot be asked");
    } else if (missing[0]) {
        found(finding, DOCTOR_ABSENT, "missing: %s", missing);
        mend(finding, "a host kernel of version 5.10 or later");
    } else {
        found(finding, DOCTOR_OK, "all of the %zu that hull-vmm uses; up to %d CPUs per guest",
              sizeof needed / sizeof needed[0], ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS));
    }
}

/* Whether a word is among the flags of the first CPU. */
static bool cpu_has(const char *flag)
{
    FILE *cpuinfo = fopen("/proc/cpuinfo", "re");
    char line[8192];
    bool has = false;
    while (cpuinfo && !has && fgets(line, sizeof line, cpuinfo)) {
        if (strncmp(line, "flags", 5) != 0)
            continue;
        for (char *save = NULL, *word = strtok_r(line, " \t\n", &save); word && !has;
             word = strtok_r(NULL, " \t\n", &save))
            has = strcmp(word, flag) == 0;
        break;
    }
    if (cpuinfo)
        fclose(cpuinfo);
    return has;
}

static void look_at_hardware(struct doctor_finding *finding)
{
    if (cpu_has("vmx")) {
        found(finding, DOCTOR_OK, "Intel VMX");
    } else if (cpu_has("svm")) {
        found(finding, DOCTOR_OK, "AMD SVM");
    } else {
        found(finding, DOCTOR_ABSENT,
              "no vmx or svm: KVM, if it is there, only interprets, which no Linux guest survives");
        mend(finding,
             "tools/lab/lab run -- hull ...   runs it in an emulated host; or a machine with nested virtualization");
    }
}

/* The first line of a small file; "" when it cannot be read. */
static void read_line(const char *path, char *line, int size)
{
    FILE *file = fopen(path, "re");
    if (!file || !fgets(line, size, file))
        line[0] = 0;
    line[strcspn(line, "\n")] = 0;
    if (file)
        fclose(file);
}

static void look_at_nesting(struct doctor_finding *finding)
{
    char value[16];
    read_line("/sys/module/kvm_intel/parameters/nested", value, sizeof value);
    if (!value[0])
        read_line("/sys/module/kvm_amd/parameters/nested", value, sizeof value);
    if (strchr("1Yy", value[0]) && value[0])
        found(finding, DOCTOR_OK, "guests may run guests");
    else
        found(finding, DOCTOR_ABSENT, value[0] ? "off: guests cannot run guests" : "the KVM module does not say");
}

/* ---- devices that make things faster or possible ---- */

static void look_at_device(struct doctor_finding *finding, const char *path, const char *module, const char *use)
{
    cleanup_fd int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0) {
        found(finding, DOCTOR_OK, "%s opens", path);
        return;
    }
    found(finding, errno == ENOENT ? DOCTOR_ABSENT : DOCTOR_UNUSABLE, "%s: %s (%s)", path, strerror(errno), use);
    snprintf(finding->mend, sizeof finding->mend, "sudo modprobe %s", module);
}

static void look_at_tun(struct doctor_finding *finding)
{
    look_at_device(finding, "/dev/net/tun", "tun", "networks of containers");
}

static void look_at_vhost_net(struct doctor_finding *finding)
{
    look_at_device(finding, "/dev/vhost-net", "vhost_net", "faster networks");
}

static void look_at_vhost_vsock(struct doctor_finding *finding)
{
    look_at_device(finding, "/dev/vhost-vsock", "vhost_vsock", "not needed: hull-vmm has its own");
}

/* ---- hull's own files ---- */

static void look_at_program(struct doctor_finding *finding, enum program program)
{
    char path[PATH_MAX];
    struct error err = {0};
    if (program_find(program, path, &err) == 0)
        found(finding, DOCTOR_OK, "%.200s", path);
    else
        found(finding, DOCTOR_ABSENT, "%.250s", err.text);
}

static void look_at_vmm(struct doctor_finding *finding)
{
    look_at_program(finding, PROGRAM_VMM);
}

static void look_at_kernel(struct doctor_finding *finding)
{
    look_at_program(finding, PROGRAM_KERNEL);
}

static void look_at_initramfs(struct doctor_finding *finding)
{
    look_at_program(finding, PROGRAM_INITRAMFS);
}

static void look_at_store(struct doctor_finding *finding)
{
    struct store *store;
    struct error err = {0};
    if (store_open(&store, NULL, &err) < 0) {
        found(finding, DOCTOR_UNUSABLE, "%.250s", err.text);
        mend(finding, "set HULL_ROOT to a directory that you may write");
        return;
    }
    found(finding, DOCTOR_OK, "%.200s", store_path(store));
    store_close(store);
}

/* ---- the host ---- */

static void look_at_memory(struct doctor_finding *finding)
{
    FILE *meminfo = fopen("/proc/meminfo", "re");
    char line[128];
    static const char name[] = "MemAvailable:";
    uint64_t available = 0; /* KiB */
    char overcommit[8];
    while (meminfo && fgets(line, sizeof line, meminfo))
        if (strncmp(line, name, sizeof name - 1) == 0)
            available = strtoull(line + sizeof name - 1, NULL, 10);
    if (meminfo)
        fclose(meminfo);
    read_line("/proc/sys/vm/overcommit_memory", overcommit, sizeof overcommit);
    bool enough = available >= UINT64_C(256) * 1024;
    found(finding, enough ? DOCTOR_OK : DOCTOR_ABSENT, "%" PRIu64 " MiB available, overcommit mode %s",
          available / 1024, overcommit);
    if (!enough)
        mend(finding, "a guest with the default of 512 MiB needs some of it; run with --memory 128m, or free some");
}

static void look_at_cgroup(struct doctor_finding *finding)
{
    struct statfs status;
    if (statfs("/sys/fs/cgroup", &status) == 0 && status.f_type == CGROUP2_SUPER_MAGIC)
        found(finding, DOCTOR_OK, "version 2 at /sys/fs/cgroup");
    else
        found(finding, DOCTOR_ABSENT, "no version 2 at /sys/fs/cgroup (limits on the host's side)");
}

static void look_at_landlock(struct doctor_finding *finding)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi > 0)
        found(finding, DOCTOR_OK, "ABI %ld", abi);
    else
        found(finding, DOCTOR_ABSENT, "%s (a second fence around hull-vmm)", strerror(errno));
}

static void look_at_userfaultfd(struct doctor_finding *finding)
{
    cleanup_fd int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
    if (fd >= 0)
        found(finding, DOCTOR_OK, "usable");
    else
        found(finding, errno == ENOSYS ? DOCTOR_ABSENT : DOCTOR_UNUSABLE, "%s (lazy restore)", strerror(errno));
}

static void look_at_io_uring(struct doctor_finding *finding)
{
    struct io_uring_params params = {0};
    cleanup_fd int fd = (int)syscall(SYS_io_uring_setup, 1, &params);
    if (fd >= 0)
        found(finding, DOCTOR_OK, "usable");
    else
        found(finding, errno == ENOSYS ? DOCTOR_ABSENT : DOCTOR_UNUSABLE, "%s (faster disks)", strerror(errno));
}

const struct doctor_check doctor_checks[] = {
    {"KVM", true, look_at_kvm},
    {"KVM API", true, look_at_kvm_version},
    {"KVM capabilities", true, look_at_kvm_capabilities},
    {"hardware virtualization", true, look_at_hardware},
    {"hull-vmm", true, look_at_vmm},
    {"guest kernel", true, look_at_kernel},
    {"guest boot file system", true, look_at_initramfs},
    {"image store", true, look_at_store},
    {"memory", true, look_at_memory},
    {"nested virtualization", false, look_at_nesting},
    {"tap interfaces", false, look_at_tun},
    {"vhost-net", false, look_at_vhost_net},
    {"vhost-vsock", false, look_at_vhost_vsock},
    {"control groups", false, look_at_cgroup},
    {"landlock", false, look_at_landlock},
    {"userfaultfd", false, look_at_userfaultfd},
    {"io_uring", false, look_at_io_uring},
    {NULL, false, NULL},
};
