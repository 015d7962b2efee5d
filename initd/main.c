/* SPDX-License-Identifier: Apache-2.0 */
/* vminitd: the kernel starts it as /init. What it cannot tell the monitor it prints on the console, if there is one. */
#include "base/error.h"
#include "base/log.h"
#include "initd/boot.h"
#include "initd/init.h"
#include "initd/power.h"
#include "initd/protocol.h"
#include "initd/vsock.h"

static int connect_to_monitor(struct error *err)
{
    int fd = vsock_connect_begin(PROTOCOL_PORT_CONTROL, err);
    if (fd < 0)
        return fd;
    int rc = vsock_connect_finish(fd, err);
    return rc < 0 ? rc : fd;
}

int main(void)
{
    struct error err = {0};
    log_setup("vminitd", LOG_LEVEL_WARN);
    int rc = boot_devices(&err);
    if (rc == 0)
        rc = connect_to_monitor(&err);
    if (rc >= 0)
        rc = init_run(rc, boot_environment, &err);
    if (rc < 0)
        log_error("%s", err.text);
    power_off();
}
