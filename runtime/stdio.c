/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/stdio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/error.h"

int stdio_open(int fd, struct error *err)
{
    struct stat status;
    char path[32];
    int copy = -1;
    if (fstat(fd, &status) == 0 && (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode))) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        copy = open(path, (fd == 0 ? O_RDONLY : O_WRONLY) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    }
    /* A regular file keeps its position and its O_APPEND, and a socket is never waited for. Somebody else's terminal
     * cannot be opened anew: what is left is to write to it when it is ready. */
    if (copy < 0)
        copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    return copy < 0 ? error_set_errno(err, errno, "cannot use descriptor %d", fd) : copy;
}
