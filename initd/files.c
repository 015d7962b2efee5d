/* SPDX-License-Identifier: Apache-2.0 */
#include "initd/files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"

/* Makes every directory that ends before a '/' of @p path, which is written to and restored. */
static int make_prefixes(char *path, mode_t mode, struct error *err)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdir(path, mode) < 0 && errno != EEXIST)
            return error_set_errno(err, errno, "cannot make directory %s", path);
        *slash = '/';
    }
    return 0;
}

int files_make_parents(const char *path, mode_t mode, struct error *err)
{
    if (!*path)
        return error_set(err, EINVAL, "cannot make directories for an empty path");
    char *copy = strdup(path);
    if (!copy)
        return error_set(err, ENOMEM, "out of memory for a path");
    int rc = make_prefixes(copy, mode, err);
    free(copy);
    return rc;
}

int files_make_directories(const char *path, mode_t mode, struct error *err)
{
    int rc = files_make_parents(path, mode, err);
    if (rc == 0 && mkdir(path, mode) < 0 && errno != EEXIST)
        rc = error_set_errno(err, errno, "cannot make directory %s", path);
    return rc;
}
