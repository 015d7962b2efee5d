/* SPDX-License-Identifier: Apache-2.0 */
#include "initd/exec.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *exec_variable(const char *const *env, const char *name)
{
    size_t length = strlen(name);
    for (; *env; env++)
        if (strncmp(*env, name, length) == 0 && (*env)[length] == '=')
            return *env + length + 1;
    return NULL;
}

/* execve(2) takes non-const strings and does not write to them. */
static int try_execute(const char *path, const char **argv, const char **env)
{
    struct stat status;
    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
        return EISDIR;
    execve(path, (char **)(uintptr_t)argv, (char **)(uintptr_t)env);
    return errno;
}

static int search_path(const char *path, const char **argv, const char **env)
{
    int worst = ENOENT;
    for (const char *next = path; next;) {
        const char *colon = strchr(next, ':');
        int length = colon ? (int)(colon - next) : (int)strlen(next);
        char candidate[PATH_MAX];
        /* An empty entry is the current directory, as it always was. */
        int size = length ? snprintf(candidate, sizeof candidate, "%.*s/%s", length, next, argv[0])
                          : snprintf(candidate, sizeof candidate, "./%s", argv[0]);
        next = colon ? colon + 1 : NULL;
        if (size < 0 || (size_t)size >= sizeof candidate)
            continue;
        int code = try_execute(candidate, argv, env);
        if (code == EISDIR || code == ENOENT || code == ENOTDIR)
            continue;
        if (code != EACCES)
            return code;
        worst = EACCES; /* another directory may have one that can be executed */
    }
    return worst;
}

enum protocol_start_failure exec_program(const char **argv, const char **env, int *code)
{
    const char *path = exec_variable(env, "PATH");
    if (strchr(argv[0], '/'))
        *code = try_execute(argv[0], argv, env);
    else
        *code = argv[0][0] ? search_path(path ? path : "", argv, env) : ENOENT;
    return *code == ENOENT || *code == ENOTDIR ? PROTOCOL_START_NOT_FOUND : PROTOCOL_START_NOT_EXECUTABLE;
}
