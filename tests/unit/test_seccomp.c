/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"

enum { MAIN = 1 << THREAD_MAIN, DISK = 1 << THREAD_DISK, VCPU = 1 << THREAD_VCPU, ALL = MAIN | DISK | VCPU, NONE = 0 };

/* One system call with its arguments, and the roles that may make it. */
struct call {
    const char *name;
    long number;
    long arguments[6];
    unsigned allowed;
};

/* Does the call in a child that wears the filter. @return how the child ended, as wait(2) tells it */
static int attempt(const struct seccomp_filter *filter, const struct call *call)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const long *a = call->arguments;
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || seccomp_filter_install(filter) < 0)
            _exit(99);
        syscall(call->number, a[0], a[1], a[2], a[3], a[4], a[5]);
        for (;;)
            syscall(SYS_exit, 0); /* not _exit(): only the main role may end the process with all its threads */
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void each_role_may_do_its_work_and_nothing_else(void **state)
{
    (void)state;
    static const char path[] = "/dev/null";
    const long file = (long)(intptr_t)path;
    const int event = eventfd(0, EFD_NONBLOCK);
    uint64_t buffer[16] = {1};
    const long bytes = (long)(intptr_t)buffer;
    const long rw = PROT_READ | PROT_WRITE, rwx = rw | PROT_EXEC, anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
    const struct call calls[] = {
        {"write", SYS_write, {event, bytes, 8}, ALL},
        {"read", SYS_read, {event, bytes, 8}, ALL},
        {"close", SYS_close, {-1}, ALL},
        {"mmap", SYS_mmap, {0, 4096, rw, anonymous, -1}, ALL},
        {"KVM_RUN", SYS_ioctl, {-1, KVM_RUN}, VCPU},
        {"preadv", SYS_preadv, {-1, bytes, 0}, DISK},
        {"pwritev", SYS_pwritev, {-1, bytes, 0}, DISK},
        {"fdatasync", SYS_fdatasync, {-1}, DISK},
        {"fallocate", SYS_fallocate, {-1, 0, 0, 1}, DISK},
        {"epoll_wait", SYS_epoll_wait, {-1, bytes, 1, 0}, MAIN | DISK},
        {"accept4", SYS_accept4, {-1}, MAIN},
        {"sendmsg", SYS_sendmsg, {-1, bytes}, MAIN},
        {"a pair of Unix sockets", SYS_socketpair, {AF_UNIX, SOCK_STREAM, 0, bytes}, MAIN},
        {"getrandom", SYS_getrandom, {bytes, 8}, MAIN},

        {"open", SYS_open, {file, O_RDONLY}, NONE},
        {"openat", SYS_openat, {AT_FDCWD, file, O_RDONLY}, NONE},
        {"openat2", SYS_openat2, {AT_FDCWD, file, bytes, 24}, NONE},
        {"creat", SYS_creat, {file, 0600}, NONE},
        {"unlink", SYS_unlink, {file}, NONE},
        {"rename", SYS_rename, {file, file}, NONE},
        {"chmod", SYS_chmod, {file, 0}, NONE},
        {"mount", SYS_mount, {0}, NONE},
        {"io_uring_setup", SYS_io_uring_setup, {1, bytes}, NONE},
        {"memfd_create", SYS_memfd_create, {file, 0}, NONE},
        {"socket", SYS_socket, {AF_INET, SOCK_STREAM}, NONE},
        {"a Unix socket", SYS_socket, {AF_UNIX, SOCK_STREAM}, NONE},
        {"a pair of other sockets", SYS_socketpair, {AF_TIPC, SOCK_STREAM, 0, bytes}, NONE},
        {"connect", SYS_connect, {-1, bytes, 16}, NONE},
        {"bind", SYS_bind, {-1, bytes, 16}, NONE},
        {"listen", SYS_listen, {-1, 1}, NONE},
        {"execve", SYS_execve, {file}, NONE},
        {"execveat", SYS_execveat, {AT_FDCWD, file}, NONE},
        {"fork", SYS_fork, {0}, NONE},
        {"vfork", SYS_vfork, {0}, NONE},
        {"clone", SYS_clone, {SIGCHLD}, NONE},
        {"clone3", SYS_clone3, {bytes, 64}, NONE},
        {"unshare", SYS_unshare, {CLONE_NEWUSER}, NONE},
        {"setns", SYS_setns, {-1, 0}, NONE},
        {"ptrace", SYS_ptrace, {0}, NONE},
        {"process_vm_writev", SYS_process_vm_writev, {1}, NONE},
        {"kill", SYS_kill, {1, 0}, NONE},
        {"tgkill of another process", SYS_tgkill, {1, 1, 0}, NONE},
        {"bpf", SYS_bpf, {0}, NONE},
        {"prctl", SYS_prctl, {PR_GET_DUMPABLE}, NONE},
        {"seccomp", SYS_seccomp, {0}, NONE},
        {"another ioctl", SYS_ioctl, {-1, KVM_CREATE_VM}, NONE},
        {"KVM_SET_USER_MEMORY_REGION", SYS_ioctl, {-1, KVM_SET_USER_MEMORY_REGION}, NONE},
        {"TIOCSTI", SYS_ioctl, {0, TIOCSTI}, NONE},
        {"executable memory", SYS_mmap, {0, 4096, rwx, anonymous, -1}, NONE},
        {"memory made executable", SYS_mprotect, {bytes & ~4095L, 4096, PROT_READ | PROT_EXEC}, NONE},
        {"setuid", SYS_setuid, {0}, NONE},
    };
    for (enum thread_role role = 0; role < THREAD_ROLES; role++) {
        struct seccomp_filter filter = {0};
        struct error err = {0};
        assert_int_equal(seccomp_filter_build(&filter, role, &err), 0);
        for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
            int status = attempt(&filter, &calls[i]);
            bool survived = WIFEXITED(status) && WEXITSTATUS(status) == 0;
            bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
            bool allowed = calls[i].allowed & 1u << role;
            if (allowed ? !survived : !killed)
                fail_msg("role %d, %s: wait status 0x%x", (int)role, calls[i].name, (unsigned)status);
        }
        seccomp_filter_done(&filter);
        assert_null(filter.instructions);
    }
    close(event);
}

static void no_filter_changes_nothing(void **state)
{
    (void)state;
    struct seccomp_filter none = {0};
    assert_int_equal(seccomp_filter_install(&none), 0);
    assert_int_equal(prctl(PR_GET_SECCOMP), 0);
    seccomp_filter_done(&none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_role_may_do_its_work_and_nothing_else),
        cmocka_unit_test(no_filter_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
