/* SPDX-License-Identifier: Apache-2.0 */
/* Directories for tests: made, counted, removed. */
#include "tests/support/temp_dir.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int temp_dir_new(char path[static TEMP_DIR_PATH_MAX])
{
    const char *parent = getenv("TMPDIR");
    int length = snprintf(path, TEMP_DIR_PATH_MAX, "%s/hull-test-XXXXXX", parent && parent[0] ? parent : "/tmp");
    if (length < 0 || length >= TEMP_DIR_PATH_MAX)
        return -ENAMETOOLONG;
    return mkdtemp(path) ? 0 : -errno;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

void temp_dir_remove(const char *path)
{
    enum { DESCRIPTORS = 16 };
    (void)nftw(path, remove_entry, DESCRIPTORS, FTW_DEPTH | FTW_PHYS);
}

int temp_dir_count_files(const char *path)
{
    DIR *stream = opendir(path);
    if (!stream)
        return -1;
    int count = 0;
    for (const struct dirent *entry; count >= 0 && (entry = readdir(stream));) {
        char below[4096];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        (void)snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
        struct stat status;
        if (lstat(below, &status) < 0) {
            count = -1;
        } else if (S_ISDIR(status.st_mode)) {
            int inside = temp_dir_count_files(below);
            count = inside < 0 ? -1 : count + inside;
        } else {
            count++;
        }
    }
    closedir(stream);
    return count;
}
