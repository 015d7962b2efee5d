/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /init of the lab: builds the file system that commands see, then serves one port per process.
 *
 * The root is the outside machine's, read-only over 9p, under an overlay that keeps what is written in memory. From the
 * kernel's command line, which hands what it does not know to init's environment:
 *     LAB_PORTS=N            how many ports there are
 *     LAB_SHARES=none,PATH:loose,PATH
 *                            directories of the outside machine to be shared read-write at the same places, each with
 *                            what 9p may remember of it (its cache= option); the 9p tags are share0, share1, ...
 */
#include "base/fd.h"
#include "tools/lab/port.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <net/if.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    PORTS_MAX = 31, /**< of one virtio-serial device; port 0 is reserved for a console */
    PATH_SIZE = 512,
};

/* Big messages: each is a round trip through the emulator. */
#define P9_OPTIONS "trans=virtio,version=9p2000.L,msize=512000,cache="

struct mount_point {
    const char *source;
    const char *target;
    const char *type;
    unsigned long flags;
    const char *data;
};

static const struct mount_point root_mounts[] = {
    {"root", "/lower", "9p", MS_RDONLY, P9_OPTIONS "loose"},
    {"upper", "/rw", "tmpfs", 0, "mode=755"},
};

static const struct mount_point overlay_mount = {
    "lab", "/new", "overlay", 0, "lowerdir=/lower,upperdir=/rw/upper,workdir=/rw/work",
};

/* In the new root. What belongs to a running machine is the lab's own. */
static const struct mount_point system_mounts[] = {
    {"proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL},
    {"sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL},
    {"cgroup2", "/sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL},
    {"debugfs", "/sys/kernel/debug", "debugfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL},
    {"tracefs", "/sys/kernel/tracing", "tracefs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL},
    {"devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=755"},
    {"devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "mode=620,ptmxmode=666"},
    {"mqueue", "/dev/mqueue", "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL},
    {"tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, NULL},
    {"tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755"},
    {"tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "size=100%"},
    {"tmpfs", "/var/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "size=100%"},
    /* Images and disks: straight in memory, without the overlay between. */
    {"tmpfs", "/var/lib/hull", "tmpfs", MS_NOSUID | MS_NODEV, "size=100%"},
};

/* PID 1 that ends is a panic, which ends the emulator: the message is on the console, and the client sees the end. */
__attribute__((format(printf, 1, 2))) static _Noreturn void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("lab agent: ", stderr);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, ": %s\n", strerror(errno));
    va_end(arguments);
    reboot(RB_POWER_OFF);
    exit(EXIT_FAILURE);
}

static void make_directories(const char *path)
{
    char part[PATH_SIZE];
    snprintf(part, sizeof part, "%s", path);
    for (char *slash = part + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(part, 0755);
        *slash = '/';
    }
    mkdir(part, 0755);
}

static void mount_one(const struct mount_point *point)
{
    make_directories(point->target);
    if (mount(point->source, point->target, point->type, point->flags, point->data) < 0)
        die("cannot mount %s on %s", point->type, point->target);
}

static void mount_all(const struct mount_point *points, size_t count)
{
    for (size_t i = 0; i < count; i++)
        mount_one(&points[i]);
}

/* The boot file system has no /dev/console, so the kernel could not open it for us. */
static void open_console(void)
{
    mkdir("/dev", 0755);
    if (mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, NULL) < 0)
        return;
    int fd = open("/dev/console", O_RDWR);
    for (int i = 0; i < 3 && fd >= 0; i++)
        dup2(fd, i);
    if (fd > STDERR_FILENO)
        close(fd);
}

static void enter_root(void)
{
    mount_all(root_mounts, sizeof root_mounts / sizeof root_mounts[0]);
    make_directories("/rw/upper");
    make_directories("/rw/work");
    mount_one(&overlay_mount);
    if (chdir("/new") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
        die("cannot enter the root");
}

static void mount_shared(char *shares)
{
    int i = 0;
    char *rest;
    for (char *path = strtok_r(shares, ":", &rest); path; path = strtok_r(NULL, ":", &rest)) {
        char tag[16];
        char options[128];
        char *cache = strsep(&path, ",");
        snprintf(tag, sizeof tag, "share%d", i++);
        snprintf(options, sizeof options, P9_OPTIONS "%s", cache);
        mount_one(&(struct mount_point){tag, path, "9p", 0, options});
    }
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || fd_write_full(fd, text, strlen(text)) < 0)
        die("cannot write '%s'", path);
    close(fd);
}

static void bring_up_loopback(void)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        die("cannot bring up the loopback interface");
    close(fd);
}

static void set_up_system(void)
{
    mount_all(system_mounts, sizeof system_mounts / sizeof system_mounts[0]);
    write_file("/sys/fs/cgroup/cgroup.subtree_control", "+cpu +io +memory +pids +cpuset");
    /* Machines in the lab may be larger than it, as long as they don't touch all of it. */
    write_file("/proc/sys/vm/overcommit_memory", "1");
    bring_up_loopback();
    sethostname("lab", 3);
    setsid();
}

/* Which virtio device has the ports is in their names and depends on what else is there: /dev/vport3p1. */
static int try_port(int number)
{
    char pattern[32];
    snprintf(pattern, sizeof pattern, "/dev/vport*p%d", number);
    glob_t found;
    if (glob(pattern, 0, NULL, &found) != 0)
        return -1;
    int fd = open(found.gl_pathv[0], O_RDWR | O_CLOEXEC);
    if (fd < 0)
        die("cannot open '%s'", found.gl_pathv[0]);
    globfree(&found);
    return fd;
}

/* Ports are announced one after the other, some after init has started. */
static int open_port(int number)
{
    int notify = inotify_init1(IN_CLOEXEC);
    if (notify < 0 || inotify_add_watch(notify, "/dev", IN_CREATE) < 0)
        die("cannot watch /dev");
    int fd;
    while ((fd = try_port(number)) < 0) {
        char events[4096];
        if (read(notify, events, sizeof events) < 0 && errno != EINTR)
            die("cannot wait for port %d", number);
    }
    close(notify);
    return fd;
}

static pid_t start_worker(int number)
{
    pid_t pid = fork();
    if (pid < 0)
        die("cannot fork");
    if (pid > 0)
        return pid;
    signal(SIGPIPE, SIG_IGN);
    int rc = port_serve(open_port(number), number);
    fprintf(stderr, "lab agent: port %d: %s\n", number, strerror(-rc));
    _exit(EXIT_FAILURE);
}

/* Reaps whom nobody else waits for; replaces a worker that failed. */
static _Noreturn void watch_workers(pid_t workers[], int count)
{
    for (;;) {
        pid_t ended = wait(NULL);
        for (int i = 0; i < count; i++)
            if (workers[i] == ended)
                workers[i] = start_worker(i + 1);
    }
}

int main(void)
{
    open_console();
    const char *ports = getenv("LAB_PORTS");
    char *shares = getenv("LAB_SHARES");
    int count = ports ? (int)strtol(ports, NULL, 10) : 0;
    if (count < 1 || count > PORTS_MAX)
        die("LAB_PORTS is to be from 1 to %d", PORTS_MAX);
    enter_root();
    set_up_system();
    if (shares)
        mount_shared(shares);
    pid_t workers[PORTS_MAX];
    for (int i = 0; i < count; i++)
        workers[i] = start_worker(i + 1);
    watch_workers(workers, count);
}
