/* SPDX-License-Identifier: Apache-2.0 */
#include "initd/vsock.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "base/cleanup.h"
#include "base/error.h"

int vsock_connect_begin(uint32_t port, struct error *err)
{
    cleanup_fd int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot make a vsock socket");
    struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = port};
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS)
        return error_set_errno(err, errno, "cannot connect to port %u of the host", port);
    return steal_fd(&fd);
}

int vsock_connect_finish(int fd, struct error *err)
{
    struct pollfd wanted = {.fd = fd, .events = POLLOUT};
    while (poll(&wanted, 1, -1) < 0)
        if (errno != EINTR)
            return error_set_errno(err, errno, "cannot wait for the host");
    int code = 0;
    socklen_t length = sizeof code;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &length) < 0)
        code = errno;
    return code ? error_set_errno(err, code, "cannot connect to the host") : 0;
}
