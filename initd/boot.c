/* SPDX-License-Identifier: Apache-2.0 */
#include "initd/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"

static int mount_new(const char *fstype, const char *target, unsigned long flags, struct error *err)
{
    if (mkdir(target, 0755) < 0 && errno != EEXIST)
        return error_set_errno(err, errno, "cannot make %s", target);
    if (mount(fstype, target, fstype, flags, NULL) < 0 && errno != EBUSY)
        return error_set_errno(err, errno, "cannot mount %s on %s", fstype, target);
    return 0;
}

/* The kernel starts init without descriptors when it finds no console; the first sockets must not become 0, 1 and 2. */
static int open_standard_descriptors(struct error *err)
{
    int fd = open("/dev/console", O_RDWR | O_NOCTTY);
    if (fd < 0)
        fd = open("/dev/null", O_RDWR);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot open /dev/null");
    for (int standard = 0; standard <= 2; standard++)
        if (fd != standard && dup2(fd, standard) < 0)
            return error_set_errno(err, errno, "cannot set up descriptor %d", standard);
    if (fd > 2)
        close(fd);
    return 0;
}

int boot_devices(struct error *err)
{
    umask(0);
    int rc = mount_new("devtmpfs", "/dev", MS_NOSUID | MS_NOEXEC, err);
    return rc < 0 ? rc : open_standard_descriptors(err);
}

/* The kernel gives it 127.0.0.1 and ::1 by itself. */
static int bring_loopback_up(struct error *err)
{
    cleanup_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_flags = IFF_UP | IFF_RUNNING};
    memcpy(request.ifr_name, "lo", sizeof "lo");
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        return error_set_errno(err, errno, "cannot bring the loopback interface up");
    return 0;
}

int boot_environment(struct error *err)
{
    int rc = mount_new("cgroup2", BOOT_CGROUP_DIRECTORY, MS_NOSUID | MS_NODEV | MS_NOEXEC, err);
    return rc < 0 ? rc : bring_loopback_up(err);
}
