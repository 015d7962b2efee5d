/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/hull-vmm/janitor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

static void clean_up_later(int pipe_fd, const char *path)
{
    /* A terminal's Ctrl-C is for the machine; this process ends when that has ended. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    dup2(pipe_fd, STDIN_FILENO);
    close_range(STDOUT_FILENO, ~0u, 0);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) < 0 && errno == EINTR)
        ;
    unlink(path);
    _exit(0);
}

int janitor_start(struct janitor *janitor, const char *path, struct error *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_set_errno(err, errno, "cannot make a pipe");
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[1]);
        clean_up_later(ends[0], path);
    }
    close(ends[0]);
    if (pid < 0) {
        int rc = error_set_errno(err, errno, "cannot start a process that removes the socket at the end");
        close(ends[1]);
        return rc;
    }
    janitor->pid = pid;
    janitor->pipe_fd = ends[1];
    return 0;
}

void janitor_finish(struct janitor *janitor)
{
    if (!janitor->pid)
        return;
    fd_close(&janitor->pipe_fd);
    while (waitpid(janitor->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    janitor->pid = 0;
}
