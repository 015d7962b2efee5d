/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/e2fs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

int e2fs_new_file(void)
{
    int fd = memfd_create("hull-test", MFD_CLOEXEC);
    if (fd < 0)
        abort();
    return fd;
}

/* Runs a program of e2fsprogs with one option and the file. @return at most @p max bytes of its output; free() it */
static char *run(int fd, const char *program, const char *option, const char *errors, size_t max, size_t *length,
                 int *status)
{
    char command[8192], *output = malloc(max + 1);
    snprintf(command, sizeof command, "PATH=$PATH:/sbin:/usr/sbin %s '%s' /proc/%d/fd/%d 2>%s", program, option,
             getpid(), fd, errors);
    FILE *pipe = popen(command, "re"); /* NOLINT(cert-env33-c): every word of the command is the test's own */
    if (!output || !pipe)
        abort();
    *length = fread(output, 1, max, pipe);
    output[*length] = '\0';
    *status = pclose(pipe);
    return output;
}

static bool is_expected_line(const char *line)
{
    return strncmp(line, "e2fsck ", 7) == 0 || strncmp(line, "Pass ", 5) == 0 || strstr(line, " blocks") != NULL;
}

bool e2fs_is_clean(int fd)
{
    int status;
    size_t length;
    char *output = run(fd, "e2fsck", "-fn", "&1", E2FS_OUTPUT_MAX, &length, &status);
    bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    char *copy = strdup(output), *rest = copy;
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n"))
        clean = clean && (line[0] == '\0' || is_expected_line(line));
    if (!clean)
        printf("# e2fsck:\n%s\n", output);
    free(copy);
    free(output);
    return clean;
}

char *e2fs_debug(int fd, const char *request)
{
    int status;
    size_t length;
    return run(fd, "debugfs -R", request, "&1", E2FS_OUTPUT_MAX, &length, &status);
}

bool e2fs_says(int fd, const char *request, const char *expected)
{
    char *output = e2fs_debug(fd, request);
    bool found = strstr(output, expected) != NULL;
    if (!found)
        printf("# debugfs '%s' does not say '%s' but:\n%.800s\n", request, expected, output);
    free(output);
    return found;
}

bool e2fs_holds(int fd, const char *path, const void *bytes, size_t length)
{
    char request[512];
    snprintf(request, sizeof request, "cat \"%s\"", path);
    int status;
    size_t count;
    char *found = run(fd, "debugfs -R", request, "/dev/null", length + 1, &count, &status);
    bool same = count == length && memcmp(found, bytes, length) == 0;
    if (!same)
        printf("# '%s' holds %zu bytes, %zu were written%s\n", path, count, length,
               count == length ? "; they differ" : "");
    free(found);
    return same;
}

/* ---- an output that fails ---------------------------------------------------------------------------------------- */

static int count_operation(struct e2fs_faulty *faulty)
{
    return faulty->operations++ >= faulty->fail_at ? -faulty->code : 0;
}

static int faulty_write(void *context, const void *bytes, size_t length, uint64_t offset)
{
    struct e2fs_faulty *faulty = context;
    int rc = count_operation(faulty);
    return rc < 0 ? rc : fd_pwrite_full(faulty->fd, bytes, length, offset);
}

static int faulty_discard(void *context, uint64_t offset, uint64_t length)
{
    struct e2fs_faulty *faulty = context;
    int rc = count_operation(faulty);
    struct ext4_io file = ext4_io_file(&faulty->fd);
    return rc < 0 ? rc : file.discard(file.context, offset, length);
}

static int faulty_resize(void *context, uint64_t size)
{
    struct e2fs_faulty *faulty = context;
    int rc = count_operation(faulty);
    return rc < 0 ? rc : ftruncate(faulty->fd, (off_t)size) < 0 ? -errno : 0;
}

struct ext4_io e2fs_faulty_io(struct e2fs_faulty *faulty)
{
    return (struct ext4_io){
        .write = faulty_write, .discard = faulty_discard, .resize = faulty_resize, .context = faulty};
}
