/* SPDX-License-Identifier: Apache-2.0 */
#include "initd/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/sched.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "initd/exec.h"
#include "initd/files.h"
#include "initd/user.h"

static int reset_signals(struct error *err)
{
    sigset_t none;
    sigemptyset(&none);
    struct sigaction standard = {.sa_handler = SIG_DFL};
    if (sigprocmask(SIG_SETMASK, &none, NULL) < 0 || sigaction(SIGPIPE, &standard, NULL) < 0)
        return error_set_errno(err, errno, "cannot reset signals");
    return 0;
}

/* The pipes belong to the user, so that /dev/stdout can be opened again without being root. */
static int arrange_stdio(const int stdio[static 3], const struct user *user, struct error *err)
{
    for (int i = 0; i < 3; i++) {
        cleanup_fd int null_fd = stdio[i] < 0 ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;
        if (stdio[i] < 0 && null_fd < 0)
            return error_set_errno(err, errno, "cannot open /dev/null");
        if (stdio[i] >= 0 && fchown(stdio[i], user->uid, user->gid) < 0)
            return error_set_errno(err, errno, "cannot give the user its standard streams");
        if (dup2(stdio[i] < 0 ? null_fd : stdio[i], i) < 0)
            return error_set_errno(err, errno, "cannot set up descriptor %d", i);
    }
    return 0;
}

/* The user's own group is among the supplementary ones too, as docker has it: a program that changes its group keeps
 * what the group may not do. */
static int become(const struct user *user, struct error *err)
{
    gid_t groups[USER_GROUPS_MAX + 1] = {user->gid};
    size_t count = 1;
    for (size_t i = 0; i < user->group_count; i++)
        if (user->groups[i] != user->gid)
            groups[count++] = user->groups[i];
    if (setgroups(count, groups) < 0 || setgid(user->gid) < 0 || setuid(user->uid) < 0)
        return error_set_errno(err, errno, "cannot become user %u, group %u", user->uid, user->gid);
    return 0;
}

/* The variables of START, and HOME when they have none. */
static const char **complete_environment(const struct protocol_texts *env, const struct user *user, char **home)
{
    const char **complete = calloc((size_t)env->count + 2, sizeof *complete);
    if (!complete || asprintf(home, "HOME=%s", user->home) < 0) {
        free(complete);
        return NULL;
    }
    if (env->count)
        memcpy(complete, env->items, env->count * sizeof *complete);
    if (!exec_variable(complete, "HOME"))
        complete[env->count] = *home;
    return complete;
}

static int enter(const struct guest *guest, struct error *err)
{
    if (setsid() < 0)
        return error_set_errno(err, errno, "cannot make a session");
    /* Only now, that it is in the container's control group, so that this is the root of what it sees. */
    if (unshare(CLONE_NEWCGROUP) < 0)
        return error_set_errno(err, errno, "cannot make a cgroup namespace");
    int rc = reset_signals(err);
    return rc < 0 ? rc : guest_enter_container(guest, err);
}

static int prepare(const struct guest *guest, const struct protocol_start *start, const int stdio[static 3],
                   struct user *user, enum protocol_start_failure *reason, struct error *err)
{
    int rc = enter(guest, err);
    if (rc < 0)
        return rc;
    rc = user_resolve_here(user, start->user, err);
    if (rc < 0) {
        *reason = PROTOCOL_START_USER;
        return rc;
    }
    rc = files_make_directories(start->cwd, 0755, err);
    if (rc == 0 && chdir(start->cwd) < 0)
        rc = error_set_errno(err, errno, "cannot change to directory %s", start->cwd);
    if (rc == 0)
        rc = arrange_stdio(stdio, user, err);
    if (rc == 0)
        rc = become(user, err);
    umask((mode_t)(start->umask & 0777));
    return rc;
}

/* The new process. Returns only when it could not become the program. */
static void run_program(const struct guest *guest, const struct protocol_start *start, const int stdio[static 3],
                        struct spawn_failure *failure)
{
    struct error err = {0};
    struct user user;
    char *home = NULL;
    *failure = (struct spawn_failure){.reason = PROTOCOL_START_SYSTEM};
    int rc = prepare(guest, start, stdio, &user, &failure->reason, &err);
    if (rc == 0) {
        const char **env = complete_environment(&start->env, &user, &home);
        if (env)
            failure->reason = exec_program(start->argv.items, env, &failure->code);
        else
            failure->code = ENOMEM;
        error_set_errno(&err, failure->code, "%s", start->argv.items[0]);
    } else {
        failure->code = -rc;
    }
    snprintf(failure->text, sizeof failure->text, "%s", err.text);
}

static pid_t clone_into_namespaces(int cgroup_fd)
{
    struct clone_args args = {
        .flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_INTO_CGROUP,
        .exit_signal = SIGCHLD,
        .cgroup = (unsigned)cgroup_fd,
    };
    return (pid_t)syscall(SYS_clone3, &args, sizeof args);
}

pid_t spawn_process(const struct guest *guest, const struct protocol_start *start, const int stdio[static 3],
                    int *report_fd, struct error *err)
{
    int report[2];
    if (pipe2(report, O_CLOEXEC | O_NONBLOCK) < 0)
        return error_set_errno(err, errno, "cannot make a pipe");
    cleanup_fd int read_end = report[0];
    cleanup_fd int write_end = report[1];
    pid_t pid = clone_into_namespaces(guest->cgroup_fd);
    if (pid < 0)
        return error_set_errno(err, errno, "cannot make a process");
    if (pid == 0) {
        struct spawn_failure failure;
        run_program(guest, start, stdio, &failure);
        /* It fits into an empty pipe whole. */
        _exit(fd_write_full(write_end, &failure, sizeof failure) == 0 ? 1 : 2);
    }
    *report_fd = steal_fd(&read_end);
    return pid;
}
