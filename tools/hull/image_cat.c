/* SPDX-License-Identifier: Apache-2.0 */
/* hull image cat. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "tools/hull/command.h"
#include "tools/hull/image_files.h"

static int print_bytes(void *context, const void *bytes, size_t length, struct error *err)
{
    (void)context;
    int rc = fd_write_full(STDOUT_FILENO, bytes, length);
    return rc < 0 ? error_set_errno(err, -rc, "cannot write") : 0;
}

static int print_file(const struct ext4_reader *reader, const char *path, struct error *err)
{
    struct ext4_file file;
    int rc = ext4_reader_find(reader, path, true, &file, err);
    if (rc < 0)
        return rc;
    if (!S_ISREG(file.mode))
        return error_set(err, S_ISDIR(file.mode) ? EISDIR : EINVAL, "'%s' is %s", path,
                         S_ISDIR(file.mode) ? "a directory" : "no regular file");
    return ext4_reader_contents(reader, &file, print_bytes, NULL, err);
}

static int run(void *values, char **operands, int count, struct error *err)
{
    (void)values;
    struct image_files files;
    int rc = image_files_open(&files, operands[0], err);
    if (rc < 0)
        return rc;
    for (int i = 1; i < count && rc == 0; i++)
        rc = print_file(&files.reader, operands[i], err);
    image_files_close(&files);
    return rc < 0 ? rc : STATUS_OK;
}

const struct command command_image_cat = {
    .name = "image cat",
    .summary = "Print files of an image",
    .operands = "IMAGE PATH...",
    .description =
        "Nothing is started. Symbolic links lead to where they lead inside the image. IMAGE may also be the\n"
        "path of a file made by 'hull image mkfs', beginning with '/' or '.'.",
    .example = "  hull image cat debian /etc/os-release",
    .operands_min = 2,
    .operands_max = -1,
    .failure_status = STATUS_FAILED,
    .run = run,
};
