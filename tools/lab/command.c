/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/lab/command.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CGROUP_PARENT "/sys/fs/cgroup/lab"

enum {
    STATUS_LAB_FAILED = 125,
    STATUS_NOT_EXECUTABLE = 126,
    STATUS_NOT_FOUND = 127,
    STATUS_SIGNAL = 128,
};

/* The child's ends. */
struct streams {
    int input;
    int output;
    int errors;
};

void command_init(struct command *command)
{
    *command = (struct command){
        .arguments = BUFFER_INIT(REQUEST_MAX),
        .environment = BUFFER_INIT(REQUEST_MAX),
        .pidfd = -1,
        .input = -1,
        .output = -1,
        .errors = -1,
    };
}

static int write_cgroup_file(const char *cgroup, const char *file, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", cgroup, file);
    cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd_write_full(fd, text, strlen(text));
}

void command_done(struct command *command)
{
    if (command->pid) {
        write_cgroup_file(command->cgroup, "cgroup.kill", "1");
        kill(command->pid, SIGKILL); /* a child that has not entered its control group yet */
        command_reap(command);
    }
    if (command->cgroup)
        rmdir(command->cgroup); /* stays while something that the command left behind runs in it */
    free(command->cgroup);
    free(command->directory);
    fd_close(&command->input);
    fd_close(&command->output);
    fd_close(&command->errors);
    buffer_done(&command->arguments);
    buffer_done(&command->environment);
    command_init(command);
}

static void add_string(struct buffer *strings, size_t *count, const uint8_t *text, size_t length)
{
    buffer_append(strings, text, length);
    buffer_append_u8(strings, 0);
    (*count)++;
}

void command_add_argument(struct command *command, const uint8_t *text, size_t length)
{
    add_string(&command->arguments, &command->argument_count, text, length);
}

void command_add_variable(struct command *command, const uint8_t *text, size_t length)
{
    add_string(&command->environment, &command->environment_count, text, length);
}

/* A NULL-terminated vector into `strings`; NULL without memory. */
static char **string_vector(const struct buffer *strings, size_t count)
{
    char **vector = calloc(count + 1, sizeof *vector);
    char *next = (char *)strings->bytes;
    for (size_t i = 0; vector && i < count; i++) {
        vector[i] = next;
        next += strlen(next) + 1;
    }
    return vector;
}

/* ---- in the child ------------------------------------------------------------------------------------------------ */

static _Noreturn void child_fail(int status, const char *what, const char *name)
{
    dprintf(STDERR_FILENO, "lab: %s '%s': %s\n", what, name, strerror(errno));
    _exit(status);
}

static void take_streams(const struct command *command, const struct streams *streams)
{
    dup2(streams->input, STDIN_FILENO);
    dup2(streams->output, STDOUT_FILENO);
    dup2(streams->errors, STDERR_FILENO);
    setsid();
    if (command->terminal)
        ioctl(STDIN_FILENO, TIOCSCTTY, 0);
}

static _Noreturn void child_run(const struct command *command, const struct streams *streams)
{
    take_streams(command, streams);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);

    if (write_cgroup_file(command->cgroup, "cgroup.procs", "0") < 0)
        child_fail(STATUS_LAB_FAILED, "cannot enter control group", command->cgroup);
    if (chdir(command->directory ? command->directory : "/") < 0)
        child_fail(STATUS_LAB_FAILED, "cannot change to directory", command->directory);
    char **arguments = string_vector(&command->arguments, command->argument_count);
    environ = string_vector(&command->environment, command->environment_count);
    if (arguments && arguments[0] && environ)
        execvp(arguments[0], arguments);
    child_fail(errno == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE, "cannot execute",
               (const char *)command->arguments.bytes);
}

/* ---- in the agent ------------------------------------------------------------------------------------------------ */

static void close_streams(struct streams *streams)
{
    fd_close(&streams->input);
    fd_close(&streams->output);
    fd_close(&streams->errors);
}

/* One pipe: `ours` non-blocking; which end is ours says @p we_write. */
static int open_pipe(bool we_write, int *ours, int *theirs)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    *ours = ends[we_write];
    *theirs = ends[!we_write];
    return fd_set_nonblocking(*ours, 1);
}

static int open_pipes(struct command *command, struct streams *streams)
{
    int rc = open_pipe(true, &command->input, &streams->input);
    if (rc == 0)
        rc = open_pipe(false, &command->output, &streams->output);
    if (rc == 0)
        rc = open_pipe(false, &command->errors, &streams->errors);
    return rc;
}

static int open_terminal(struct command *command, struct streams *streams)
{
    struct winsize size = {.ws_row = command->rows, .ws_col = command->columns};
    if (openpty(&command->output, &streams->input, NULL, NULL, &size) < 0)
        return -errno;
    fcntl(command->output, F_SETFD, FD_CLOEXEC);
    fcntl(streams->input, F_SETFD, FD_CLOEXEC);
    streams->output = fcntl(streams->input, F_DUPFD_CLOEXEC, 0);
    streams->errors = fcntl(streams->input, F_DUPFD_CLOEXEC, 0);
    command->input = fcntl(command->output, F_DUPFD_CLOEXEC, 0);
    if (streams->output < 0 || streams->errors < 0 || command->input < 0)
        return -errno;
    return fd_set_nonblocking(command->output, 1);
}

static int make_cgroup(struct command *command, const char *name, struct error *err)
{
    mkdir(CGROUP_PARENT, 0755);
    if (asprintf(&command->cgroup, CGROUP_PARENT "/%s", name) < 0) {
        command->cgroup = NULL;
        return error_set(err, ENOMEM, "no memory");
    }
    if (mkdir(command->cgroup, 0755) < 0 && errno != EEXIST)
        return error_set_errno(err, errno, "cannot make control group '%s'", command->cgroup);
    return 0;
}

static int start_child(struct command *command, const struct streams *streams, struct error *err)
{
    pid_t pid = fork();
    if (pid < 0)
        return error_set_errno(err, errno, "cannot fork");
    if (pid == 0)
        child_run(command, streams);
    command->pid = pid;
    command->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    return command->pidfd < 0 ? error_set_errno(err, errno, "cannot watch process %d", (int)pid) : 0;
}

int command_start(struct command *command, const char *name, struct error *err)
{
    if (command->argument_count == 0 || command->arguments.failed || command->environment.failed)
        return error_set(err, E2BIG, "no command, or one of more than %d bytes", REQUEST_MAX);
    int rc = make_cgroup(command, name, err);
    if (rc < 0)
        return rc;
    struct streams streams = {-1, -1, -1};
    rc = command->terminal ? open_terminal(command, &streams) : open_pipes(command, &streams);
    if (rc < 0)
        error_set_errno(err, -rc, "cannot open streams");
    else
        rc = start_child(command, &streams, err);
    close_streams(&streams);
    return rc;
}

int command_reap(struct command *command)
{
    int status = 0;
    while (waitpid(command->pid, &status, 0) < 0 && errno == EINTR)
        ;
    command->pid = 0;
    fd_close(&command->pidfd);
    return WIFSIGNALED(status) ? STATUS_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
}

void command_signal(const struct command *command, int signal)
{
    if (command->pid)
        kill(-command->pid, signal);
}

void command_resize(struct command *command, uint16_t rows, uint16_t columns)
{
    command->rows = rows;
    command->columns = columns;
    if (command->terminal && command->output >= 0) {
        struct winsize size = {.ws_row = rows, .ws_col = columns};
        ioctl(command->output, TIOCSWINSZ, &size);
    }
}
