/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"

enum {
    MAIN = 1 << THREAD_MAIN,
    DISK = 1 << THREAD_DISK,
    VCPU = 1 << THREAD_VCPU,
    ALL = MAIN | DISK | VCPU,
};

/* A call that is allowed: always, or when one argument compares. */
struct rule {
    int call;
    unsigned roles;
    enum scmp_compare compare; /* _SCMP_CMP_MIN: always */
    unsigned argument;
    scmp_datum_t datum; /* for SCMP_CMP_MASKED_EQ the mask; the masked bits must be 0 */
};

#define ALWAYS               .compare = _SCMP_CMP_MIN
#define WHEN_EQUAL(n, value) .compare = SCMP_CMP_EQ, .argument = (n), .datum = (scmp_datum_t)(value)
#define WHEN_CLEAR(n, bits)  .compare = SCMP_CMP_MASKED_EQ, .argument = (n), .datum = (scmp_datum_t)(bits)

static const struct rule rules[] = {
    /* The work of each role. */
    {SCMP_SYS(ioctl), VCPU, WHEN_EQUAL(1, KVM_RUN)},
    {SCMP_SYS(ioctl), VCPU, WHEN_EQUAL(1, KVM_GET_REGS)}, /* to say where a guest crashed */
    {SCMP_SYS(epoll_wait), MAIN | DISK, ALWAYS},
    {SCMP_SYS(epoll_ctl), ALL, ALWAYS}, /* a vCPU that resets a device stops watching its descriptors */
    {SCMP_SYS(read), ALL, ALWAYS},      /* eventfds, serial input */
    {SCMP_SYS(write), ALL, ALWAYS},     /* eventfds, serial output, log */
    {SCMP_SYS(close), ALL, ALWAYS},
    /* Disks. */
    {SCMP_SYS(preadv), DISK, ALWAYS},
    {SCMP_SYS(pwritev), DISK, ALWAYS},
    {SCMP_SYS(pread64), DISK, ALWAYS},
    {SCMP_SYS(pwrite64), DISK, ALWAYS},
    {SCMP_SYS(fdatasync), DISK, ALWAYS},
    {SCMP_SYS(fallocate), DISK, ALWAYS},
    /* vsock: connections on a listening socket that is there already; a stream handed out is one end of a pair. */
    {SCMP_SYS(accept4), MAIN, ALWAYS},
    {SCMP_SYS(socketpair), MAIN, WHEN_EQUAL(0, AF_UNIX)},
    {SCMP_SYS(sendmsg), MAIN, ALWAYS},
    {SCMP_SYS(recvmsg), MAIN, ALWAYS},
    {SCMP_SYS(sendto), MAIN, ALWAYS},
    {SCMP_SYS(recvfrom), MAIN, ALWAYS},
    {SCMP_SYS(readv), MAIN, ALWAYS},
    {SCMP_SYS(writev), MAIN, ALWAYS},
    {SCMP_SYS(poll), MAIN, ALWAYS}, /* at the end, until a slow reader has the last bytes */
    {SCMP_SYS(shutdown), MAIN | VCPU, ALWAYS},
    {SCMP_SYS(poll), MAIN, ALWAYS}, /* at the end, for readers of what the guest sent last */
    {SCMP_SYS(fcntl), MAIN, WHEN_EQUAL(1, F_GETFL)},
    {SCMP_SYS(fcntl), MAIN, WHEN_EQUAL(1, F_SETFL)},
    {SCMP_SYS(getrandom), MAIN, ALWAYS},            /* the entropy device */
    {SCMP_SYS(ioctl), MAIN, WHEN_EQUAL(1, TCSETS)}, /* a terminal gets its settings back */
    /* Stopping: vCPUs are kicked with a signal, joined, and the process ends. */
    {SCMP_SYS(getpid), MAIN, ALWAYS},
    {SCMP_SYS(tgkill), MAIN, ALWAYS},
    {SCMP_SYS(wait4), MAIN, ALWAYS}, /* for the child that removes a socket file, if there is one */
    {SCMP_SYS(exit_group), MAIN, ALWAYS},
    {SCMP_SYS(exit), ALL, ALWAYS},
    {SCMP_SYS(rt_sigreturn), ALL, ALWAYS},
    {SCMP_SYS(rt_sigprocmask), ALL, ALWAYS},
    {SCMP_SYS(restart_syscall), ALL, ALWAYS},
    /* Locks, time and memory, as the C library needs them. */
    {SCMP_SYS(futex), ALL, ALWAYS},
    {SCMP_SYS(sched_yield), ALL, ALWAYS},
    {SCMP_SYS(clock_gettime), ALL, ALWAYS},
    {SCMP_SYS(brk), ALL, ALWAYS},
    {SCMP_SYS(mmap), ALL, WHEN_CLEAR(2, PROT_EXEC)},
    {SCMP_SYS(mprotect), ALL, WHEN_CLEAR(2, PROT_EXEC)},
    {SCMP_SYS(munmap), ALL, ALWAYS},
    {SCMP_SYS(mremap), ALL, ALWAYS},
    {SCMP_SYS(madvise), ALL, ALWAYS},
};

static int add_rule(scmp_filter_ctx context, const struct rule *rule)
{
    /* tgkill only reaches this process. */
    struct scmp_arg_cmp own_process = {.arg = 0, .op = SCMP_CMP_EQ, .datum_a = (scmp_datum_t)(uint32_t)getpid()};
    if (rule->call == SCMP_SYS(tgkill))
        return seccomp_rule_add_array(context, SCMP_ACT_ALLOW, rule->call, 1, &own_process);
    struct scmp_arg_cmp condition = {.arg = rule->argument, .op = rule->compare, .datum_a = rule->datum};
    return seccomp_rule_add_array(context, SCMP_ACT_ALLOW, rule->call, rule->compare ? 1 : 0, &condition);
}

static int add_rules(scmp_filter_ctx context, enum thread_role role)
{
    int rc = seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    for (size_t i = 0; rc == 0 && i < sizeof rules / sizeof rules[0]; i++)
        if (rules[i].roles & 1u << role)
            rc = add_rule(context, &rules[i]);
    /* Calls with conditions are not in the kernel's cache of always allowed ones; KVM_RUN is made at every exit, so it
     * is looked for first. */
    if (rc == 0 && role == THREAD_VCPU)
        rc = seccomp_syscall_priority(context, SCMP_SYS(ioctl), UINT8_MAX);
    return rc;
}

/* libseccomp 2.5 writes a program only to a descriptor. */
static int export_filter(struct seccomp_filter *filter, scmp_filter_ctx context)
{
    cleanup_fd int fd = memfd_create("seccomp", MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    int rc = seccomp_export_bpf(context, fd);
    if (rc < 0)
        return rc;
    struct stat status;
    if (fstat(fd, &status) < 0)
        return -errno;
    size_t size = (size_t)status.st_size;
    if (size / sizeof(struct sock_filter) > BPF_MAXINSNS)
        return -E2BIG;
    cleanup_free struct sock_filter *instructions = malloc(size);
    if (!instructions)
        return -ENOMEM;
    if (fd_pread_full(fd, instructions, size, 0) != (ssize_t)size)
        return -EIO;
    filter->count = (unsigned short)(size / sizeof(struct sock_filter));
    filter->instructions = steal_pointer(instructions);
    return 0;
}

int seccomp_filter_build(struct seccomp_filter *filter, enum thread_role role, struct error *err)
{
    scmp_filter_ctx context = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int rc = context ? add_rules(context, role) : -ENOMEM;
    if (rc == 0)
        rc = export_filter(filter, context);
    seccomp_release(context);
    return rc < 0 ? error_set_errno(err, -rc, "cannot build a system call filter") : 0;
}

void seccomp_filter_done(struct seccomp_filter *filter)
{
    free(filter->instructions);
    *filter = (struct seccomp_filter){0};
}

int seccomp_filter_install(const struct seccomp_filter *filter)
{
    if (!filter->instructions)
        return 0;
    struct sock_fprog program = {.len = filter->count, .filter = filter->instructions};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0 ? -errno : 0;
}
