/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/container.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "image/rootfs.h"

#define CONTAINERS "containers"
#define NAMES      "names"
#define LOCK_FILE  "lock"
#define SOCKET     "vsock"

/* Connections that wait in the socket before hull-vmm serves it: the monitor's LISTEN lines, with room to spare. */
enum { SOCKET_BACKLOG = 16 };

/* ---- directories ---- */

static int run_path(char path[static PATH_MAX], struct error *err)
{
    const char *override = getenv("HULL_RUN");
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    int length;
    if (override && *override)
        length = snprintf(path, PATH_MAX, "%s", override);
    else if (geteuid() == 0)
        length = snprintf(path, PATH_MAX, "/run/hull");
    else if (runtime && *runtime)
        length = snprintf(path, PATH_MAX, "%s/hull", runtime);
    else
        return error_set(err, ENOENT, "there is no place for what runs: set HULL_RUN or XDG_RUNTIME_DIR");
    return length < PATH_MAX ? 0 : error_set(err, ENAMETOOLONG, "the directory for what runs has too long a name");
}

static int open_directory(int at, const char *path, struct error *err)
{
    if (mkdirat(at, path, 0700) < 0 && errno != EEXIST)
        return error_set_errno(err, errno, "cannot make directory %s", path);
    int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? error_set_errno(err, errno, "cannot open directory %s", path) : fd;
}

/* @return a descriptor of the locked file, or -errno; -EWOULDBLOCK when @p flags has LOCK_NB and somebody holds it */
static int open_locked(int dir, int flags, struct error *err)
{
    cleanup_fd int fd = openat(dir, LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot open a lock file");
    while (flock(fd, flags) < 0)
        if (errno != EINTR)
            return error_set_errno(err, errno, "cannot take a lock");
    return steal_fd(&fd);
}

/* ---- what dead monitors left ---- */

static void remove_directory(int containers, const char *id, int dir)
{
    unlinkat(dir, SOCKET, 0);
    unlinkat(dir, LOCK_FILE, 0);
    unlinkat(containers, id, AT_REMOVEDIR);
}

static void sweep_container(int containers, const char *id)
{
    cleanup_fd int dir = openat(containers, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0)
        return;
    cleanup_fd int lock = open_locked(dir, LOCK_EX | LOCK_NB, NULL);
    if (lock >= 0)
        remove_directory(containers, id, dir);
}

/* Removes the directories whose monitors are dead. The lock of RUN is held: none is being made meanwhile. */
static void sweep(int run_dir)
{
    int fd = openat(run_dir, CONTAINERS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = fd < 0 ? NULL : fdopendir(fd);
    if (!listing) {
        fd_close(&fd);
        return;
    }
    for (struct dirent *entry = readdir(listing); entry; entry = readdir(listing))
        if (entry->d_name[0] != '.')
            sweep_container(dirfd(listing), entry->d_name);
    closedir(listing);
}

/* ---- names ---- */

static int check_name(const char *name, struct error *err)
{
    size_t length = strlen(name);
    bool good = length > 0 && length <= CONTAINER_NAME_MAX && isalnum((unsigned char)name[0]);
    for (size_t i = 0; i < length && good; i++)
        good = isalnum((unsigned char)name[i]) || strchr("_.-", name[i]);
    return good ? 0 : error_set(err, EINVAL, "'%s' is no name for a container: letters, digits, '_', '.', '-'", name);
}

/* Whether a name's container still has a directory; after a sweep only living ones do. */
static bool name_is_live(int run_dir, int names, const char *name)
{
    char id[CONTAINER_ID_LENGTH + 1] = {0};
    char path[sizeof CONTAINERS + CONTAINER_ID_LENGTH + 2];
    if (readlinkat(names, name, id, CONTAINER_ID_LENGTH) < 0)
        return false;
    snprintf(path, sizeof path, CONTAINERS "/%s", id);
    return faccessat(run_dir, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int take_name(struct container *container, const char *name, struct error *err)
{
    cleanup_fd int names = open_directory(container->run_dir, NAMES, err);
    if (names < 0)
        return names;
    if (name_is_live(container->run_dir, names, name))
        return error_set(err, EEXIST, "the name '%s' is taken by a running container", name);
    unlinkat(names, name, 0);
    if (symlinkat(container->id, names, name) < 0)
        return error_set_errno(err, errno, "cannot take the name '%s'", name);
    snprintf(container->name, sizeof container->name, "%s", name);
    return 0;
}

/* ---- socket ---- */

/* Through the directory's descriptor, because RUN may be longer than a socket's address can be. */
static struct sockaddr_un socket_address(const struct container *container)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/" SOCKET, container->dir);
    return address;
}

static int make_socket(struct container *container, struct error *err)
{
    struct sockaddr_un address = socket_address(container);
    container->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (container->listen_fd < 0 || bind(container->listen_fd, (const struct sockaddr *)&address, sizeof address) < 0 ||
        listen(container->listen_fd, SOCKET_BACKLOG) < 0)
        return error_set_errno(err, errno, "cannot make a socket there (HULL_RUN must be on a local file system)");
    return 0;
}

int container_connect(const struct container *container, struct error *err)
{
    struct sockaddr_un address = socket_address(container);
    cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) < 0)
        return error_set_errno(err, errno, "cannot connect to the container's socket");
    return steal_fd(&fd);
}

/* ---- the whole ---- */

static int make_id(struct container *container, struct error *err)
{
    uint8_t random[CONTAINER_ID_LENGTH / 2];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return error_set_errno(err, errno, "cannot get random bytes");
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(container->id + 2 * i, 3, "%02x", random[i]);
    return 0;
}

static int make_directory(struct container *container, struct error *err)
{
    cleanup_fd int containers = open_directory(container->run_dir, CONTAINERS, err);
    if (containers < 0)
        return containers;
    container->dir = open_directory(containers, container->id, err);
    if (container->dir < 0)
        return container->dir;
    container->lock_fd = open_locked(container->dir, LOCK_EX | LOCK_NB, err);
    return container->lock_fd < 0 ? container->lock_fd : 0;
}

/* All that is in RUN, which is open. */
static int make(struct container *container, const char *name, struct error *err)
{
    cleanup_fd int lock = open_locked(container->run_dir, LOCK_EX, err);
    if (lock < 0)
        return lock;
    sweep(container->run_dir);
    int rc = make_id(container, err);
    if (rc == 0)
        rc = make_directory(container, err);
    if (rc == 0 && name)
        rc = take_name(container, name, err);
    return rc == 0 ? make_socket(container, err) : rc;
}

static int make_in_run(struct container *container, const char *name, struct error *err)
{
    char path[PATH_MAX];
    int rc = run_path(path, err);
    if (rc < 0)
        return rc;
    container->run_dir = open_directory(AT_FDCWD, path, err);
    if (container->run_dir < 0)
        return container->run_dir;
    rc = make(container, name, err);
    return rc < 0 ? error_context(err, rc, "in %s", path) : 0;
}

int container_create(struct container *container, const char *name, int tmp_dir, struct error *err)
{
    int rc = name ? check_name(name, err) : 0;
    if (rc == 0)
        rc = make_in_run(container, name, err);
    if (rc == 0)
        rc = temp_file_new(&container->disk, tmp_dir, err);
    if (rc == 0)
        rc = rootfs_write_scratch(container->disk.fd, CONTAINER_DISK_SIZE, err);
    if (rc < 0) {
        container_remove(container);
        return error_context(err, rc, "cannot make a container");
    }
    return 0;
}

void container_remove(struct container *container)
{
    temp_file_done(&container->disk);
    if (container->run_dir >= 0 && container->dir >= 0) {
        cleanup_fd int containers = openat(container->run_dir, CONTAINERS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cleanup_fd int names = openat(container->run_dir, NAMES, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (names >= 0 && container->name[0])
            unlinkat(names, container->name, 0);
        if (containers >= 0)
            remove_directory(containers, container->id, container->dir);
    }
    fd_close(&container->listen_fd);
    fd_close(&container->lock_fd);
    fd_close(&container->dir);
    fd_close(&container->run_dir);
    *container = CONTAINER_NONE;
}
