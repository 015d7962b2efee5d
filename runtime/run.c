/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/image.h"
#include "runtime/container.h"
#include "runtime/programs.h"
#include "runtime/run_timeline.h"
#include "runtime/vmm_process.h"

/* Where vminitd mounts what; nothing but these names is at the other end. */
#define GUEST_LOWER "/lower"
#define GUEST_DISK  "/disk"
#define GUEST_ROOT  "/root"

/* ---- what the guest is told ---- */

/* The image's file system read-only below, the container's own disk above (overlayfs.rst). The journal-less disk and
 * the image need no ext4 recovery, and an image that is shared must not be written even if the kernel wanted to. */
static const struct protocol_mount mounts[] = {
    {"/dev/vda", GUEST_LOWER, "ext4", MS_RDONLY | MS_NOATIME, "noload"},
    {"/dev/vdb", GUEST_DISK, "ext4", MS_NOATIME, "noinit_itable"},
    {"overlay", GUEST_ROOT, "overlay", 0,
     "lowerdir=" GUEST_LOWER ",upperdir=" GUEST_DISK "/upper,workdir=" GUEST_DISK "/work"},
};

static const char hosts_head[] = "127.0.0.1\tlocalhost\n"
                                 "::1\tlocalhost ip6-localhost ip6-loopback\n";

/* The texts of /etc/hostname, /etc/hosts and /etc/resolv.conf. There is no network yet, so there is no name server. */
struct etc_files {
    char hostname[CONTAINER_ID_SHORT + 2];
    char hosts[sizeof hosts_head + CONTAINER_ID_SHORT + 16];
    struct protocol_file files[3];
};

static struct protocol_file text_file(const char *target, const char *text)
{
    return (struct protocol_file){target, {(const uint8_t *)text, (uint32_t)strlen(text)}};
}

static void make_etc_files(struct etc_files *etc, const char *hostname)
{
    snprintf(etc->hostname, sizeof etc->hostname, "%s\n", hostname);
    snprintf(etc->hosts, sizeof etc->hosts, "%s127.0.1.1\t%s\n", hosts_head, hostname);
    etc->files[0] = text_file("/etc/hostname", etc->hostname);
    etc->files[1] = text_file("/etc/hosts", etc->hosts);
    etc->files[2] = text_file("/etc/resolv.conf", "");
}

/* ---- what the machine is ---- */

/* The command line of every machine: reset through the keyboard controller, which hull-vmm has, and reset instead of
 * waiting after a panic. */
static void make_cmdline(char *cmdline, size_t size, const struct run_request *request)
{
    snprintf(cmdline, size, "%s reboot=k panic=-1%s", request->console ? "console=ttyS0" : "quiet",
             /* Skips the patching of lock prefixes, which costs a boot on one CPU a sixth of its instructions. */
             request->cpus == 1 ? " noreplace-smp" : "");
}

/* Files that the machine is made from, open. */
struct machine_files {
    char vmm[PATH_MAX];
    int kernel;
    int initramfs;
    int console;
};

static void machine_files_done(const struct machine_files *files)
{
    const int fds[] = {files->kernel, files->initramfs, files->console};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

static int open_program(enum program program, const char *override, struct error *err)
{
    char path[PATH_MAX];
    int rc = override ? 0 : program_find(program, path, err);
    if (rc < 0)
        return rc;
    int fd = open(override ? override : path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? error_set_errno(err, errno, "%s: cannot open %s", program_description(program),
                                    override ? override : path)
                  : fd;
}

static int open_machine_files(struct machine_files *files, const struct run_request *request, struct error *err)
{
    int rc = program_find(PROGRAM_VMM, files->vmm, err);
    if (rc < 0)
        return rc;
    files->kernel = open_program(PROGRAM_KERNEL, request->kernel, err);
    if (files->kernel < 0)
        return files->kernel;
    files->initramfs = open_program(PROGRAM_INITRAMFS, NULL, err);
    if (files->initramfs < 0)
        return files->initramfs;
    if (request->console && (files->console = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)) < 0)
        return error_set_errno(err, errno, "cannot use standard error as the console");
    return 0;
}

/* ---- the whole ---- */

int run_check_size(uint64_t memory, uint32_t cpus, struct error *err)
{
    if (memory < RUN_MEMORY_MIN)
        return error_set(err, EINVAL, "%llu bytes of memory are too little for a guest; the least is %llu MiB",
                         (unsigned long long)memory, (unsigned long long)(RUN_MEMORY_MIN >> 20));
    if (cpus < 1 || cpus > RUN_CPUS_MAX)
        return error_set(err, EINVAL, "a guest has 1 to %d CPUs", RUN_CPUS_MAX);
    return 0;
}

static int run_in(struct container *container, const struct run_request *request, const struct machine_files *files,
                  struct monitor_outcome *outcome, struct error *err)
{
    char hostname[CONTAINER_ID_SHORT + 1];
    char cmdline[128];
    struct etc_files etc;
    struct process_spec spec;
    snprintf(hostname, sizeof hostname, "%.*s", CONTAINER_ID_SHORT, container->id);
    make_etc_files(&etc, hostname);
    make_cmdline(cmdline, sizeof cmdline, request);
    int rc = process_spec_make(&spec, &request->image->config, &request->overrides, hostname, err);
    if (rc < 0)
        return rc;
    struct protocol_mount guest_mounts[sizeof mounts / sizeof mounts[0]];
    memcpy(guest_mounts, mounts, sizeof mounts);
    struct protocol_configure configure = {
        .hostname = hostname,
        .mounts = {guest_mounts, sizeof mounts / sizeof mounts[0]},
        .root = GUEST_ROOT,
        .files = {etc.files, sizeof etc.files / sizeof etc.files[0]},
    };
    struct vmm_settings settings = {
        .cpus = request->cpus,
        .memory = request->memory,
        .kernel_fd = files->kernel,
        .initramfs_fd = files->initramfs,
        .cmdline = cmdline,
        .disks = {{request->image->rootfs_fd, true, "rootfs"}, {container->disk.fd, false, "scratch"}},
        .disk_count = 2,
        .vsock_fd = container->listen_fd,
        .console_fd = files->console,
    };
    struct monitor_request monitor = {
        .container = container,
        .vmm_executable = files->vmm,
        .settings = &settings,
        .configure = &configure,
        .spec = &spec,
        .interactive = request->interactive,
        .timeline = request->timeline,
    };
    rc = monitor_run(&monitor, outcome, err);
    process_spec_done(&spec);
    return rc;
}

int run_container(const struct run_request *request, struct monitor_outcome *outcome, struct error *err)
{
    struct machine_files files = {.kernel = -1, .initramfs = -1, .console = -1};
    struct container container = CONTAINER_NONE;
    int rc = run_check_size(request->memory, request->cpus, err);
    if (rc == 0)
        rc = open_machine_files(&files, request, err);
    if (rc == 0)
        rc = container_create(&container, request->name, request->tmp_dir, err);
    if (rc == 0) {
        run_timeline_mark(request->timeline, RUN_TIMELINE_DISK_MADE);
        rc = run_in(&container, request, &files, outcome, err);
    }
    container_remove(&container);
    machine_files_done(&files);
    return rc;
}
