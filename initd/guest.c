/* SPDX-License-Identifier: Apache-2.0 */
#include "initd/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <linux/random.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "initd/boot.h"
#include "initd/files.h"

/* The new mount interface (open_tree(2), move_mount(2)); neither libc has it in all versions. Its flags, from
 * linux/mount.h, which cannot be included beside sys/mount.h. */
enum { OPEN_TREE_CLONED = 1, OPEN_TREE_CLOSE_ON_EXEC = O_CLOEXEC, MOVE_MOUNT_FROM_EMPTY_PATH = 4 };

#define FILES_DIRECTORY  "/files"
#define CGROUP_DIRECTORY BOOT_CGROUP_DIRECTORY "/container"
enum { FILE_PATH_MAX = sizeof FILES_DIRECTORY + 16 };

static void file_path(char path[static FILE_PATH_MAX], uint32_t index)
{
    snprintf(path, FILE_PATH_MAX, FILES_DIRECTORY "/%u", index);
}

/* ---- once, by vminitd ---- */

static int set_clock(uint64_t realtime_ns, struct error *err)
{
    struct timespec now = {.tv_sec = (time_t)(realtime_ns / 1000000000), .tv_nsec = (long)(realtime_ns % 1000000000)};
    return clock_settime(CLOCK_REALTIME, &now) < 0 ? error_set_errno(err, errno, "cannot set the clock") : 0;
}

/* Entropy from the host counts as such: the guest's generator is ready from here on. */
static int credit_entropy(struct protocol_bytes entropy, struct error *err)
{
    union {
        struct rand_pool_info info;
        uint8_t space[sizeof(struct rand_pool_info) + PROTOCOL_ENTROPY_MAX];
    } pool = {.info = {.entropy_count = (int)entropy.length * 8, .buf_size = (int)entropy.length}};
    if (entropy.length == 0)
        return 0;
    memcpy(pool.space + offsetof(struct rand_pool_info, buf), entropy.bytes, entropy.length);
    cleanup_fd int fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);
    if (fd < 0 || ioctl(fd, RNDADDENTROPY, &pool.info) < 0)
        return error_set_errno(err, errno, "cannot seed the random number generator");
    return 0;
}

static int make_mounts(const struct protocol_mount *mounts, uint32_t count, struct error *err)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct protocol_mount *wanted = &mounts[i];
        int rc = files_make_directories(wanted->target, 0755, err);
        if (rc < 0)
            return rc;
        if (mount(wanted->source, wanted->target, wanted->fstype, (unsigned long)wanted->flags, wanted->data) < 0)
            return error_set_errno(err, errno, "cannot mount %s (%s) on %s", wanted->source, wanted->fstype,
                                   wanted->target);
    }
    return 0;
}

/* Keeps one file in vminitd's own file system, to be mounted in the container under its name. */
static int keep_file(struct guest *guest, const struct protocol_file *file, struct error *err)
{
    char path[FILE_PATH_MAX];
    file_path(path, guest->file_count);
    cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    int rc = fd < 0 ? -errno : fd_write_full(fd, file->contents.bytes, file->contents.length);
    if (rc < 0)
        return error_set_errno(err, -rc, "cannot write %s", file->target);
    char *target = strdup(file->target);
    if (!target)
        return error_set(err, ENOMEM, "out of memory for a file's name");
    guest->files[guest->file_count++] = target;
    return 0;
}

static int keep_files(struct guest *guest, const struct protocol_configure *configure, struct error *err)
{
    if (mkdir(FILES_DIRECTORY, 0755) < 0 && errno != EEXIST)
        return error_set_errno(err, errno, "cannot make " FILES_DIRECTORY);
    int rc = 0;
    for (uint32_t i = 0; i < configure->files.count && rc == 0; i++)
        rc = keep_file(guest, &configure->files.items[i], err);
    return rc;
}

static int make_cgroup(struct guest *guest, struct error *err)
{
    if (mkdir(CGROUP_DIRECTORY, 0755) < 0 && errno != EEXIST)
        return error_set_errno(err, errno, "cannot make the container's control group");
    guest->cgroup_fd = open(CGROUP_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return guest->cgroup_fd < 0 ? error_set_errno(err, errno, "cannot open the container's control group") : 0;
}

int guest_configure(struct guest *guest, const struct protocol_configure *configure, struct error *err)
{
    if (guest->root)
        return error_set(err, EALREADY, "the machine is configured already");
    guest->root = strdup(configure->root);
    int rc = guest->root ? 0 : error_set(err, ENOMEM, "out of memory for the root's name");
    if (rc == 0)
        rc = set_clock(configure->realtime_ns, err);
    if (rc == 0)
        rc = credit_entropy(configure->entropy, err);
    if (rc == 0 && sethostname(configure->hostname, strlen(configure->hostname)) < 0)
        rc = error_set_errno(err, errno, "cannot set the host name");
    if (rc == 0)
        rc = make_mounts(configure->mounts.items, configure->mounts.count, err);
    if (rc == 0)
        rc = keep_files(guest, configure, err);
    if (rc == 0)
        rc = make_cgroup(guest, err);
    return rc;
}

void guest_unmount(const struct guest *guest)
{
    if (!guest->root)
        return;
    sync();
    (void)umount2(guest->root, MNT_DETACH);
}

void guest_done(struct guest *guest)
{
    for (uint32_t i = 0; i < guest->file_count; i++)
        free(guest->files[i]);
    free(guest->root);
    fd_close(&guest->cgroup_fd);
    *guest = GUEST_NONE;
}

/* ---- in the new process ---- */

/* What every container finds mounted (OCI runtime-spec, config-linux.md, "Default Filesystems"). */
static const struct {
    const char *target;
    const char *fstype;
    unsigned long flags;
    const char *data;
} default_mounts[] = {
    {"/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL},
    {"/dev", "tmpfs", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k"},
    {"/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"},
    {"/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777,size=65536k"},
    {"/dev/mqueue", "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL},
    {"/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL},
    {"/sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL},
};

/* "Default Devices" of the same document. */
static const struct {
    const char *path;
    unsigned major, minor;
} default_devices[] = {
    {"/dev/null", 1, 3},   {"/dev/zero", 1, 5},    {"/dev/full", 1, 7},
    {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0},
};

static const struct {
    const char *path;
    const char *leads_to;
} default_links[] = {
    {"/dev/ptmx", "pts/ptmx"},          {"/dev/fd", "/proc/self/fd"},       {"/dev/stdin", "/proc/self/fd/0"},
    {"/dev/stdout", "/proc/self/fd/1"}, {"/dev/stderr", "/proc/self/fd/2"},
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static int mount_defaults(struct error *err)
{
    for (size_t i = 0; i < COUNT(default_mounts); i++) {
        const char *target = default_mounts[i].target;
        if (mkdir(target, 0755) < 0 && errno != EEXIST)
            return error_set_errno(err, errno, "cannot make %s in the container", target);
        if (mount(default_mounts[i].fstype, target, default_mounts[i].fstype, default_mounts[i].flags,
                  default_mounts[i].data) < 0)
            return error_set_errno(err, errno, "cannot mount %s in the container", target);
    }
    return 0;
}

static int make_devices(struct error *err)
{
    for (size_t i = 0; i < COUNT(default_devices); i++)
        if (mknod(default_devices[i].path, S_IFCHR | 0666, makedev(default_devices[i].major, default_devices[i].minor)))
            return error_set_errno(err, errno, "cannot make %s in the container", default_devices[i].path);
    for (size_t i = 0; i < COUNT(default_links); i++)
        if (symlink(default_links[i].leads_to, default_links[i].path))
            return error_set_errno(err, errno, "cannot make %s in the container", default_links[i].path);
    return 0;
}

/* Takes a mount of each of the runtime's files along, while their paths can still be reached. */
static int detach_files(const struct guest *guest, int trees[static PROTOCOL_FILES_MAX], struct error *err)
{
    for (uint32_t i = 0; i < guest->file_count; i++) {
        char path[FILE_PATH_MAX];
        file_path(path, i);
        trees[i] = (int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONED | OPEN_TREE_CLOSE_ON_EXEC);
        if (trees[i] < 0)
            return error_set_errno(err, errno, "cannot take %s into the container", guest->files[i]);
    }
    return 0;
}

/* Mounts them over the image's. Where the image has none, an empty one is made to mount on. */
static int attach_files(const struct guest *guest, const int *trees, struct error *err)
{
    for (uint32_t i = 0; i < guest->file_count; i++) {
        const char *target = guest->files[i];
        int rc = files_make_parents(target, 0755, err);
        if (rc < 0)
            return rc;
        cleanup_fd int fd = open(target, O_RDONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0644);
        (void)fd; /* only to be there: that the mount point is missing is said below */
        if (syscall(SYS_move_mount, trees[i], "", AT_FDCWD, target, MOVE_MOUNT_FROM_EMPTY_PATH) < 0)
            return error_set_errno(err, errno, "cannot mount %s in the container", target);
    }
    return 0;
}

int guest_enter_container(const struct guest *guest, struct error *err)
{
    int trees[PROTOCOL_FILES_MAX] = {0}; /* closed by execve(2) or the process's end */
    umask(0);
    int rc = detach_files(guest, trees, err);
    if (rc < 0)
        return rc;
    /* The boot file system is a rootfs, which pivot_root(2) cannot leave; moving over it is how it is done. */
    if (chdir(guest->root) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
        return error_set_errno(err, errno, "cannot enter the container's root");
    /* From here on every path, and every symbolic link that the image put in one, stays inside. */
    rc = mount_defaults(err);
    if (rc == 0)
        rc = make_devices(err);
    if (rc == 0)
        rc = attach_files(guest, trees, err);
    return rc;
}
