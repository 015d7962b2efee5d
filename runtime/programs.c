/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/programs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

static const struct {
    const char *description;
    const char *variable;
    const char *file;
    const char *mend;
    int access; /* what it must allow */
} programs[PROGRAM_COUNT] = {
    [PROGRAM_VMM] = {"the virtual machine monitor", "HULL_VMM", "hull-vmm", "'make' builds it", X_OK},
    [PROGRAM_KERNEL] = {"the guest kernel", "HULL_KERNEL", "vmlinux", "'make kernel' builds it, then 'make'", R_OK},
    [PROGRAM_INITRAMFS] = {"the guest's boot file system", "HULL_INITRAMFS", "initramfs.cpio", "'make' builds it",
                           R_OK},
};

/* Where a program and what belongs to it may lie, from the directory of hull itself. */
static const char *const places[] = {"", "../libexec/hull/"};

const char *program_description(enum program program)
{
    return programs[program].description;
}

/* The directory of the running executable, with a slash at its end. */
static int own_directory(char path[static PATH_MAX], struct error *err)
{
    ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - 1);
    if (length < 0)
        return error_set_errno(err, errno, "cannot find hull's own executable through /proc");
    path[length] = 0;
    char *slash = strrchr(path, '/');
    if (!slash)
        return error_set(err, ENOENT, "hull's own executable has no directory");
    slash[1] = 0;
    return 0;
}

int program_find(enum program program, char path[static PATH_MAX], struct error *err)
{
    char directory[PATH_MAX];
    const char *override = getenv(programs[program].variable);
    if (override && *override) {
        size_t size = strlen(override) + 1;
        if (size > PATH_MAX || access(override, programs[program].access) < 0)
            return error_set(err, ENOENT, "%s is not there: %s names '%s'", programs[program].description,
                             programs[program].variable, override);
        memcpy(path, override, size);
        return 0;
    }
    int rc = own_directory(directory, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        char candidate[PATH_MAX];
        int length = snprintf(candidate, sizeof candidate, "%s%s%s", directory, places[i], programs[program].file);
        if (length < 0 || length >= PATH_MAX)
            continue;
        if (access(candidate, programs[program].access) == 0) {
            memcpy(path, candidate, (size_t)length + 1);
            return 0;
        }
        if (errno == EACCES)
            return error_set_errno(err, EACCES, "%s: %s", programs[program].description, candidate);
    }
    return error_set(err, ENOENT, "%s is not there: no %s in %s or ../libexec/hull; %s, or set %s",
                     programs[program].description, programs[program].file, directory, programs[program].mend,
                     programs[program].variable);
}
