/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/vmm_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/close_range.h>

#include <jansson.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "image/json.h"

/* Kernel, boot file system, socket and console, beside the disks and the configuration itself. */
enum { DESCRIPTORS_MAX = VMM_DISKS_MAX + 5 };

/* What is handed to the child: these numbers stay open in it. */
struct descriptors {
    int fds[DESCRIPTORS_MAX];
    unsigned count;
};

/* ---- the configuration (vmm/config.h says what it consists of) ---- */

static json_t *descriptor(struct descriptors *passed, int fd)
{
    passed->fds[passed->count++] = fd;
    return json_pack("{s:i}", "fd", fd);
}

static json_t *disks_json(const struct vmm_settings *settings, struct descriptors *passed)
{
    json_t *disks = json_array();
    for (unsigned i = 0; i < settings->disk_count; i++) {
        const struct vmm_disk *disk = &settings->disks[i];
        json_t *entry = descriptor(passed, disk->fd);
        json_object_set_new(entry, "readonly", json_boolean(disk->readonly));
        json_object_set_new(entry, "id", json_string(disk->id));
        json_array_append_new(disks, entry);
    }
    return disks;
}

static json_t *settings_json(const struct vmm_settings *settings, struct descriptors *passed)
{
    json_t *root = json_pack("{s:I, s:I, s:s, s:b}", "cpus", (json_int_t)settings->cpus, "memory",
                             (json_int_t)settings->memory, "cmdline", settings->cmdline, "rng", 1);
    json_object_set_new(root, "kernel", descriptor(passed, settings->kernel_fd));
    if (settings->initramfs_fd >= 0)
        json_object_set_new(root, "initramfs", descriptor(passed, settings->initramfs_fd));
    json_object_set_new(root, "disks", disks_json(settings, passed));
    json_t *vsock = descriptor(passed, settings->vsock_fd);
    json_object_set_new(vsock, "cid", json_integer(3));
    json_object_set_new(root, "vsock", vsock);
    if (settings->console_fd >= 0)
        json_object_set_new(root, "serial", descriptor(passed, settings->console_fd));
    return root;
}

/* @return a descriptor from which the whole configuration can be read, or -errno */
static int write_settings(const struct vmm_settings *settings, struct descriptors *passed, struct error *err)
{
    json_t *root = settings_json(settings, passed);
    cleanup_free char *text = root ? json_print(root, JSON_COMPACT) : NULL;
    json_decref(root);
    if (!text)
        return error_set(err, ENOMEM, "out of memory for hull-vmm's configuration");
    cleanup_fd int fd = memfd_create("hull-vmm-config", MFD_CLOEXEC);
    int rc = fd < 0 ? -errno : fd_write_full(fd, text, strlen(text));
    if (rc == 0 && lseek(fd, 0, SEEK_SET) < 0)
        rc = -errno;
    return rc < 0 ? error_set_errno(err, -rc, "cannot write hull-vmm's configuration") : steal_fd(&fd);
}

/* ---- the process ---- */

/* Of the environment it gets what concerns it: PATH, for a wrapper script in its place, and hull's own variables. What
 * else is in there, such as a password, is none of the business of a process that faces a guest. */
static bool may_pass(const char *variable)
{
    return strncmp(variable, "HULL_", 5) == 0 || strncmp(variable, "PATH=", 5) == 0;
}

/* @return the variables that it gets, to be freed, or NULL */
static char **filtered_environment(void)
{
    size_t count = 0;
    while (environ[count])
        count++;
    char **filtered = calloc(count + 1, sizeof *filtered);
    size_t kept = 0;
    for (size_t i = 0; filtered && i < count; i++)
        if (may_pass(environ[i]))
            filtered[kept++] = environ[i];
    return filtered;
}

/* What the child does between vfork(2) and execve(2): system calls and nothing else, in the parent's memory. */
static _Noreturn void become_vmm(char *const argv[], char *const env[], int null_fd, int stderr_fd,
                                 const struct descriptors *passed, pid_t parent)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* A session of its own: ^C on the terminal is for the container, not for the machine below it. */
    setsid();
    if (getppid() != parent || dup2(null_fd, 0) < 0 || dup2(null_fd, 1) < 0 || dup2(stderr_fd, 2) < 0)
        _exit(127);
    /* What whoever started us left open ends here, too. */
    if (syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
        _exit(127);
    for (unsigned i = 0; i < passed->count; i++)
        if (fcntl(passed->fds[i], F_SETFD, 0) < 0)
            _exit(127);
    execve(argv[0], argv, env);
    dprintf(2, "cannot execute %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

/* A function of its own: nothing that lives across vfork(2) may be in registers that the child reuses. posix_spawn(3),
 * which is vfork(2) too, cannot ask for the signal at the parent's death. */
static __attribute__((noinline)) pid_t fork_vmm(char *const argv[], char *const env[], int null_fd, int stderr_fd,
                                                const struct descriptors *passed)
{
    pid_t parent = getpid();
    pid_t pid = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork): see above */
    if (pid == 0)        /* NOLINTNEXTLINE(clang-analyzer-unix.Vfork): it makes system calls only */
        become_vmm(argv, env, null_fd, stderr_fd, passed, parent);
    return pid;
}

static int spawn(struct vmm_process *vmm, char *const argv[], const struct descriptors *passed, struct error *err)
{
    int ends[2];
    cleanup_fd int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null_fd < 0 || pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return error_set_errno(err, errno, "cannot start hull-vmm");
    cleanup_fd int read_end = ends[0];
    cleanup_fd int write_end = ends[1];
    char **env = filtered_environment();
    if (!env)
        return error_set(err, ENOMEM, "out of memory for hull-vmm's environment");
    pid_t pid = fork_vmm(argv, env, null_fd, write_end, passed);
    free(env);
    if (pid < 0)
        return error_set_errno(err, errno, "cannot start hull-vmm");
    vmm->pid = pid;
    vmm->stderr_fd = steal_fd(&read_end);
    vmm->pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
    return vmm->pid_fd < 0 ? error_set_errno(err, errno, "cannot watch hull-vmm") : 0;
}

int vmm_process_start(struct vmm_process *vmm, const char *executable, const struct vmm_settings *settings,
                      struct error *err)
{
    struct descriptors passed = {.count = 0};
    if (settings->disk_count > VMM_DISKS_MAX)
        return error_set(err, EINVAL, "more than %d disks", VMM_DISKS_MAX);
    cleanup_fd int config = write_settings(settings, &passed, err);
    if (config < 0)
        return config;
    passed.fds[passed.count++] = config;
    char number[16];
    char option[] = "--config";
    snprintf(number, sizeof number, "%d", config);
    /* execve(2) takes non-const strings and does not write to them. */
    char *const argv[] = {(char *)(uintptr_t)executable, option, number, NULL};
    int rc = spawn(vmm, argv, &passed, err);
    if (rc < 0)
        vmm_process_done(vmm);
    return rc;
}

bool vmm_process_listen(struct vmm_process *vmm)
{
    for (;;) {
        char chunk[VMM_SAID_MAX / 2];
        ssize_t n = read(vmm->stderr_fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 && errno == EAGAIN;
        /* Only the end is kept: the reason for the end stands there. */
        if (vmm->said_length + (size_t)n >= sizeof vmm->said) {
            size_t dropped = vmm->said_length + (size_t)n - (sizeof vmm->said - 1);
            dropped = dropped < vmm->said_length ? dropped : vmm->said_length;
            memmove(vmm->said, vmm->said + dropped, vmm->said_length - dropped);
            vmm->said_length -= dropped;
        }
        memcpy(vmm->said + vmm->said_length, chunk, (size_t)n);
        vmm->said_length += (size_t)n;
        vmm->said[vmm->said_length] = 0;
    }
}

void vmm_process_reap(struct vmm_process *vmm)
{
    if (vmm->pid < 0)
        return;
    while (waitpid(vmm->pid, &vmm->status, 0) < 0 && errno == EINTR)
        ;
    vmm->pid = -1;
    (void)vmm_process_listen(vmm);
}

/* The last line that it said, without the newline and its own name. */
static const char *last_words(struct vmm_process *vmm)
{
    static const char own_prefix[] = "hull-vmm: error: ";
    size_t length = vmm->said_length;
    while (length > 0 && vmm->said[length - 1] == '\n')
        length--;
    vmm->said[length] = 0;
    const char *newline = strrchr(vmm->said, '\n');
    const char *line = newline ? newline + 1 : vmm->said;
    return strncmp(line, own_prefix, sizeof own_prefix - 1) == 0 ? line + sizeof own_prefix - 1 : line;
}

int vmm_process_explain(struct vmm_process *vmm, struct error *err)
{
    const char *words = last_words(vmm);
    if (*words)
        return error_set(err, EIO, "the virtual machine: %s", words);
    if (WIFSIGNALED(vmm->status))
        return error_set(err, EIO, "the virtual machine was killed by signal %d (%s)", WTERMSIG(vmm->status),
                         strsignal(WTERMSIG(vmm->status)));
    return error_set(err, EIO,
                     "the virtual machine ended before the container did (status %d); --console shows what its kernel "
                     "says",
                     WEXITSTATUS(vmm->status));
}

void vmm_process_done(struct vmm_process *vmm)
{
    if (vmm->pid > 0) {
        kill(vmm->pid, SIGKILL);
        vmm_process_reap(vmm);
    }
    fd_close(&vmm->pid_fd);
    fd_close(&vmm->stderr_fd);
}
