/* SPDX-License-Identifier: Apache-2.0 */
/* hull image mkfs. */
#include "image/mkfs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/temp_file.h"
#include "tools/hull/command.h"

enum { PATH_BYTES_MAX = 4096 };

struct values {
    uint64_t size;
};

static const struct option options[] = {
    {.name = "size",
     .letter = 's',
     .kind = OPTION_SIZE,
     .argument = "SIZE",
     .help = "Size of the file system, the rest free (default: no larger than its contents)",
     .offset = offsetof(struct values, size)},
    OPTION_END,
};

static int fill(const char *source, int out_fd, uint64_t size, struct error *err)
{
    struct stat status;
    cleanup_fd int fd = open(source, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0)
        return error_set_errno(err, errno, "cannot open '%s'", source);
    if (S_ISDIR(status.st_mode))
        return mkfs_from_directory(source, out_fd, size, err);
    if (!S_ISREG(status.st_mode))
        return error_set(err, EINVAL, "'%s' is neither a directory nor a tar file", source);
    int rc = mkfs_from_tar(fd, out_fd, size, err);
    return rc < 0 ? error_context(err, rc, "'%s'", source) : 0;
}

/* Cuts a path into a directory and the name in it. */
static int open_parent(const char *path, const char **name, struct error *err)
{
    char parent[PATH_BYTES_MAX] = ".";
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;
    *name = slash ? slash + 1 : path;
    if (length >= sizeof parent || (*name)[0] == '\0')
        return error_set(err, EINVAL, "'%.200s' is no name for a file", path);
    if (slash) {
        memcpy(parent, path, length);
        memcpy(parent + length, length ? "" : "/", length ? 1 : 2);
    }
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? error_set_errno(err, errno, "cannot open '%s'", parent) : fd;
}

static int run(void *values, char **operands, int count, struct error *err)
{
    (void)count;
    const struct values *asked = values;
    struct temp_file file = TEMP_FILE_NONE;
    const char *name;
    cleanup_fd int parent = open_parent(operands[1], &name, err);
    if (parent < 0)
        return parent;
    int rc = temp_file_new(&file, parent, err);
    if (rc == 0)
        rc = fill(operands[0], file.fd, asked->size, err);
    if (rc == 0)
        rc = temp_file_publish(&file, parent, name, 0644, TEMP_FILE_REPLACE, err);
    temp_file_done(&file);
    return rc < 0 ? rc : STATUS_OK;
}

const struct command command_image_mkfs = {
    .name = "image mkfs",
    .summary = "Make an EXT4 file system of a directory or a tar file",
    .operands = "DIR|TAR OUT",
    .description =
        "The tar file may be bare or packed by gzip or zstd. Neither privileges nor mounting are needed; the\n"
        "same input gives the same bytes. OUT is there when it is complete, and not before.",
    .example = "  hull image mkfs --size 4g root/ root.ext4",
    .options = options,
    .operands_min = 2,
    .operands_max = 2,
    .failure_status = STATUS_FAILED,
    .values_size = sizeof(struct values),
    .run = run,
};
