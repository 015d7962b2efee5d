/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/resources.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "vmm/config.h"

enum { VSOCK_BACKLOG = 64 };

static int adopt(struct resource *resource, struct error *err)
{
    if (resource->inherited <= STDERR_FILENO)
        return error_set(err, EBADF, "descriptor %d is a standard stream", resource->inherited);
    int flags = fcntl(resource->inherited, F_GETFD);
    if (flags < 0 || fcntl(resource->inherited, F_SETFD, flags | FD_CLOEXEC) < 0)
        return error_set(err, EBADF, "descriptor %d is not open", resource->inherited);
    resource->fd = resource->inherited;
    return 0;
}

static int adopt_all(struct machine_config *config, struct error *err)
{
    struct resource *resources[CONFIG_RESOURCES_MAX];
    unsigned count = machine_config_resources(config, resources);
    for (unsigned i = 0; i < count; i++) {
        if (resources[i]->inherited < 0)
            continue;
        for (unsigned j = 0; j < i; j++)
            if (resources[j]->fd == resources[i]->inherited)
                return error_set(err, EBADF, "descriptor %d is named twice", resources[i]->inherited);
        int rc = adopt(resources[i], err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int open_path(struct resource *resource, int flags, const char *what, struct error *err)
{
    if (!resource->path)
        return 0;
    int fd = open(resource->path, flags | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot open the %s '%s'", what, resource->path);
    resource->fd = fd;
    return 0;
}

/* Two guests that write one disk, or one that writes what another has mounted, would ruin its file system. */
static int lock_disk(const struct disk_config *disk, struct error *err)
{
    struct flock lock = {.l_type = disk->readonly ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(disk->image.fd, F_OFD_SETLK, &lock) == 0 || (errno != EAGAIN && errno != EACCES))
        return 0; /* a file system without locks is none of our business */
    if (disk->image.path)
        return error_set(err, EBUSY, "the disk '%s' is in use by another machine", disk->image.path);
    return error_set(err, EBUSY, "the disk at descriptor %d is in use by another machine", disk->image.inherited);
}

static int open_disk(struct disk_config *disk, struct error *err)
{
    int rc = open_path(&disk->image, disk->readonly ? O_RDONLY : O_RDWR, "disk", err);
    if (rc < 0)
        return rc;
    int flags = fcntl(disk->image.fd, F_GETFL);
    if (!disk->readonly && (flags < 0 || (flags & O_ACCMODE) != O_RDWR))
        return error_set(err, EACCES, "descriptor %d is not open for writing, as its disk needs",
                         disk->image.inherited);
    return lock_disk(disk, err);
}

/* ---- the vsock socket -------------------------------------------------------------------------------------------- */

static bool nobody_listens(const struct sockaddr_un *address)
{
    struct stat status;
    if (lstat(address->sun_path, &status) < 0 || !S_ISSOCK(status.st_mode))
        return false;
    cleanup_fd int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return probe >= 0 && connect(probe, (const struct sockaddr *)address, sizeof *address) < 0 && errno == ECONNREFUSED;
}

static int bind_path(int fd, const struct sockaddr_un *address)
{
    if (bind(fd, (const struct sockaddr *)address, sizeof *address) == 0)
        return 0;
    if (errno != EADDRINUSE || !nobody_listens(address))
        return -errno;
    unlink(address->sun_path);
    return bind(fd, (const struct sockaddr *)address, sizeof *address) == 0 ? 0 : -errno;
}

static int listen_on_path(struct resource *resource, struct error *err)
{
    if (!resource->path)
        return 0;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(resource->path);
    if (length >= sizeof address.sun_path)
        return error_set(err, ENAMETOOLONG, "the vsock socket's path is longer than %zu bytes",
                         sizeof address.sun_path - 1);
    memcpy(address.sun_path, resource->path, length + 1);
    cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot make the vsock socket");
    int rc = bind_path(fd, &address);
    if (rc < 0)
        return error_set_errno(err, -rc, "cannot make the vsock socket '%s'", resource->path);
    if (listen(fd, VSOCK_BACKLOG) < 0)
        return error_set_errno(err, errno, "cannot listen on the vsock socket '%s'", resource->path);
    resource->fd = steal_fd(&fd);
    return 0;
}

int resources_open(struct machine_config *config, struct error *err)
{
    int rc = adopt_all(config, err);
    if (rc == 0)
        rc = open_path(&config->kernel, O_RDONLY, "kernel", err);
    if (rc == 0)
        rc = open_path(&config->initramfs, O_RDONLY, "initramfs", err);
    for (unsigned i = 0; rc == 0 && i < config->disk_count; i++)
        rc = open_disk(&config->disks[i], err);
    if (rc == 0)
        rc = open_path(&config->serial, O_RDWR | O_NONBLOCK, "serial console", err);
    if (rc == 0)
        rc = listen_on_path(&config->vsock.socket, err);
    return rc;
}
