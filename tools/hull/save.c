/* SPDX-License-Identifier: Apache-2.0 */
/* hull save. */
#include "image/save.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/store.h"
#include "image/temp_file.h"
#include "tools/hull/command.h"

struct values {
    const char *output;
    const char *format;
};

static const struct values defaults = {.format = "oci-archive"};

static const struct option options[] = {
    {.name = "output",
     .letter = 'o',
     .kind = OPTION_TEXT,
     .argument = "FILE",
     .help = "Write there, not to standard output; it appears when whole",
     .offset = offsetof(struct values, output)},
    {.name = "format",
     .kind = OPTION_TEXT,
     .argument = "FORMAT",
     .help = "oci-archive (default) or docker-archive",
     .offset = offsetof(struct values, format)},
    OPTION_END,
};

/* What is to be written. */
struct request {
    struct store *store;
    struct reference references[SAVE_IMAGES_MAX];
    size_t count;
    enum save_format format;
};

static int parse_format(const char *text, enum save_format *format, struct error *err)
{
    if (strcmp(text, "oci-archive") == 0)
        *format = SAVE_OCI;
    else if (strcmp(text, "docker-archive") == 0)
        *format = SAVE_DOCKER;
    else
        return error_set(err, EINVAL, "--format: '%s' is neither oci-archive nor docker-archive", text);
    return 0;
}

static int save_to(const struct request *request, int fd, struct error *err)
{
    return image_save(request->store, request->references, request->count, request->format, fd, err);
}

/* Into a file that is not seen before it is whole. */
static int save_to_file(const struct request *request, const char *path, struct error *err)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    size_t length = slash ? (size_t)(slash - path) + 1 : 0;
    if (!name[0] || length >= sizeof directory)
        return error_set(err, EINVAL, "'%s' is no name of a file", path);
    memcpy(directory, path, length);
    directory[length] = '\0';
    cleanup_fd int dir = open(length ? directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return error_set_errno(err, errno, "cannot write to '%s'", path);

    mode_t mask = umask(0);
    (void)umask(mask);
    struct temp_file file = TEMP_FILE_NONE;
    int rc = temp_file_new(&file, dir, err);
    if (rc == 0)
        rc = save_to(request, file.fd, err);
    if (rc == 0)
        rc = temp_file_publish(&file, dir, name, 0666 & ~mask, TEMP_FILE_REPLACE, err);
    temp_file_done(&file);
    return rc;
}

static int save(const struct request *request, const char *path, struct error *err)
{
    struct stat status;
    if (!path && isatty(STDOUT_FILENO))
        return error_set(err, EINVAL, "an archive is nothing for a terminal: name a file with -o");
    if (!path)
        return save_to(request, STDOUT_FILENO, err);
    if (stat(path, &status) < 0 || S_ISREG(status.st_mode))
        return save_to_file(request, path, err);
    cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC); /* a pipe, a device */
    if (fd < 0)
        return error_set_errno(err, errno, "cannot open '%s'", path);
    return save_to(request, fd, err);
}

static int save_operands(const struct values *asked, struct request *request, char **operands, int count,
                         struct error *err)
{
    int rc = parse_format(asked->format, &request->format, err);
    for (int i = 0; rc == 0 && i < count; i++)
        rc = reference_parse(&request->references[request->count++], operands[i], err);
    if (rc == 0)
        rc = store_open(&request->store, NULL, err);
    if (rc < 0)
        return rc;
    rc = save(request, asked->output, err);
    store_close(request->store);
    return rc;
}

static int run(void *values, char **operands, int count, struct error *err)
{
    struct request *request = calloc(1, sizeof *request);
    if (!request)
        return error_set(err, ENOMEM, "out of memory");
    int rc = save_operands(values, request, operands, count, err);
    free(request);
    return rc < 0 ? rc : STATUS_OK;
}

const struct command command_save = {
    .name = "save",
    .summary = "Write images to an archive",
    .operands = "IMAGE...",
    .description =
        "An oci-archive is an OCI layout in a tar file: podman, skopeo and 'docker load' (from 25 on) read it,\n"
        "and all digests stay the same. A docker-archive is what every 'docker load' reads: layers are\n"
        "unpacked, so the image id stays and the manifest's digest does not. The same images give the same\n"
        "bytes.",
    .example = "  hull save -o debian.tar debian:bookworm-slim",
    .options = options,
    .operands_min = 1,
    .operands_max = SAVE_IMAGES_MAX,
    .failure_status = STATUS_FAILED,
    .values_size = sizeof(struct values),
    .defaults = &defaults,
    .run = run,
};
