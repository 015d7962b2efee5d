/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"

/* ---- stage 1 ----------------------------------------------------------------------------------------------------- */

static int compare_descriptors(const void *a, const void *b)
{
    const int *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

static int close_gap(unsigned first, unsigned last, struct error *err)
{
    if (first > last || close_range(first, last, 0) == 0)
        return 0;
    return error_set_errno(err, errno, "cannot close inherited descriptors");
}

static int fill_standard_streams(struct error *err)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0) /* takes the lowest free number */
            return error_set_errno(err, errno, "cannot open /dev/null");
    return 0;
}

static int limit_descriptors(struct error *err)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return error_set_errno(err, errno, "cannot read the limit of descriptors");
    if (limit.rlim_cur > JAIL_DESCRIPTORS_MAX || limit.rlim_cur == RLIM_INFINITY)
        limit.rlim_cur = JAIL_DESCRIPTORS_MAX;
    if (limit.rlim_max > JAIL_DESCRIPTORS_MAX || limit.rlim_max == RLIM_INFINITY)
        limit.rlim_max = JAIL_DESCRIPTORS_MAX;
    if (limit.rlim_cur < limit.rlim_max)
        limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        return error_set_errno(err, errno, "cannot limit descriptors");
    int last = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, (int)limit.rlim_cur - 1);
    if (last >= 0)
        close(last);
    return 0;
}

int jail_close_inherited(int *kept, unsigned count, struct error *err)
{
    qsort(kept, count, sizeof *kept, compare_descriptors);
    unsigned next = STDERR_FILENO + 1;
    for (unsigned i = 0; i < count; i++) {
        if (kept[i] < (int)next)
            continue;
        int rc = close_gap(next, (unsigned)kept[i] - 1, err);
        if (rc < 0)
            return rc;
        next = (unsigned)kept[i] + 1;
    }
    int rc = close_gap(next, ~0u, err);
    if (rc == 0)
        rc = fill_standard_streams(err);
    return rc < 0 ? rc : limit_descriptors(err);
}

int jail_leave_standard_streams(struct error *err)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot open /dev/null");
    int rc = 0;
    if (dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0)
        rc = error_set_errno(err, errno, "cannot give up standard input and output");
    close(fd);
    return rc;
}

/* ---- stage 3 ----------------------------------------------------------------------------------------------------- */

static int drop_capabilities(struct error *err)
{
    /* The bounding set limits what an exec could gain. Without CAP_SETPCAP it cannot be lowered, and no_new_privs sees
     * to the same. */
    for (int capability = 0; capability <= CAP_LAST_CAP; capability++)
        (void)prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        return error_set_errno(err, errno, "cannot clear ambient capabilities");
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};
    if (syscall(SYS_capset, &header, none) < 0)
        return error_set_errno(err, errno, "cannot drop capabilities");
    return 0;
}

int jail_enter(struct error *err)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return error_set_errno(err, errno, "cannot renounce new privileges");
    int rc = drop_capabilities(err);
    if (rc < 0)
        return rc;
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return error_set_errno(err, errno, "cannot become untraceable");
    const struct rlimit nothing = {0, 0};
    if (setrlimit(RLIMIT_CORE, &nothing) < 0)
        return error_set_errno(err, errno, "cannot switch core dumps off");
    return 0;
}
