/* SPDX-License-Identifier: Apache-2.0 */
#include "initd/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "tests/support/temp_dir.h"

static char directory[TEMP_DIR_PATH_MAX];

static void make_file(const char *name, const char *contents, mode_t mode)
{
    int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_full(fd, contents, strlen(contents)), 0);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
    close(dir);
}

/* Directories a and b, in which programs of the same names have different faults. */
static int setup(void **state)
{
    (void)state;
    char path[TEMP_DIR_PATH_MAX + 8];
    if (temp_dir_new(directory) < 0)
        return -1;
    for (const char *name = "a\0b\0"; *name; name += 2) {
        snprintf(path, sizeof path, "%s/%s", directory, name);
        if (mkdir(path, 0700) < 0)
            return -1;
    }
    snprintf(path, sizeof path, "%s/a/dir", directory);
    if (mkdir(path, 0700) < 0)
        return -1;
    make_file("a/plain", "#!/bin/sh\nexit 21\n", 0600);
    make_file("b/plain", "#!/bin/sh\nexit 22\n", 0700);
    make_file("b/dir", "#!/bin/sh\nexit 23\n", 0700);
    make_file("a/only", "#!/bin/sh\nexit 24\n", 0600);
    make_file("a/noexec", "neither ELF nor script", 0700);
    make_file("a/orphan", "#!/no/such/interpreter\n", 0700);
    make_file("a/args", "#!/bin/sh\n[ \"$0,$1,$2,$V\" = \"$E,,x y,v\" ]\n", 0700);
    return chdir(directory);
}

static int teardown(void **state)
{
    (void)state;
    temp_dir_remove(directory);
    return chdir("/");
}

/* What became of an execution: the program's exit status, or a failure and its errno. */
struct outcome {
    enum protocol_start_failure failure;
    int code;
    int status;
};

static struct outcome execute(const char **argv, const char **env)
{
    struct outcome outcome = {0};
    int report[2];
    int status;
    assert_int_equal(pipe2(report, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        outcome.failure = exec_program(argv, env, &outcome.code);
        _exit(write(report[1], &outcome, sizeof outcome) != sizeof outcome);
    }
    close(report[1]);
    assert_true(fd_read_full(report[0], &outcome, sizeof outcome) >= 0);
    close(report[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    outcome.status = WEXITSTATUS(status);
    return outcome;
}

static void who_is_executed(void **state)
{
    (void)state;
    enum { RUNS = 0 };
    static const struct {
        const char *program;
        const char *path;
        int failure;
        int code; /* errno, or the status of what ran */
    } rows[] = {
        {"plain", "PATH=b", RUNS, 22},
        {"plain", "PATH=a:b", RUNS, 22}, /* the first one cannot be executed */
        {"dir", "PATH=a:b", RUNS, 23},   /* the first one is a directory */
        {"plain", "PATH=/no/such:b:a", RUNS, 22},
        {"./b/plain", "PATH=a", RUNS, 22},
        {"only", "PATH=a:b", PROTOCOL_START_NOT_EXECUTABLE, EACCES},
        {"nothing", "PATH=a:b", PROTOCOL_START_NOT_FOUND, ENOENT},
        {"nothing", "PATH=", PROTOCOL_START_NOT_FOUND, ENOENT},
        {"nothing", "NOPATH=a", PROTOCOL_START_NOT_FOUND, ENOENT},
        {"", "PATH=a", PROTOCOL_START_NOT_FOUND, ENOENT},
        {"dir", "PATH=a", PROTOCOL_START_NOT_FOUND, ENOENT},
        {"./a/dir", "PATH=a", PROTOCOL_START_NOT_EXECUTABLE, EISDIR},
        {"./a", "PATH=a", PROTOCOL_START_NOT_EXECUTABLE, EISDIR},
        {"./a/plain", "PATH=b", PROTOCOL_START_NOT_EXECUTABLE, EACCES},
        {"./b/plain/below", "PATH=b", PROTOCOL_START_NOT_FOUND, ENOTDIR},
        {"noexec", "PATH=a", PROTOCOL_START_NOT_EXECUTABLE, ENOEXEC},
        {"./a/orphan", "PATH=a", PROTOCOL_START_NOT_FOUND, ENOENT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *argv[] = {rows[i].program, NULL};
        const char *env[] = {"FIRST=1", rows[i].path, NULL};
        print_message("'%s' with %s\n", rows[i].program, rows[i].path);
        struct outcome outcome = execute(argv, env);
        assert_int_equal(outcome.failure, rows[i].failure);
        assert_int_equal(rows[i].failure == RUNS ? outcome.status : outcome.code, rows[i].code);
    }
}

static void arguments_and_environment(void **state)
{
    (void)state;
    const char *argv[] = {"args", "", "x y", NULL};
    const char *env[] = {"V=v", "PATH=a", "E=a/args", NULL};
    assert_int_equal(execute(argv, env).status, 0);
}

static void a_path_that_is_too_long(void **state)
{
    (void)state;
    static char path[20000];
    char entry[10000];
    memset(entry, 'x', sizeof entry - 1);
    entry[sizeof entry - 1] = 0;
    snprintf(path, sizeof path, "PATH=%s:b", entry);
    const char *argv[] = {"plain", NULL};
    const char *env[] = {path, NULL};
    assert_int_equal(execute(argv, env).status, 22);
}

static void variables(void **state)
{
    (void)state;
    const char *const env[] = {"AB=1", "A=2", "B", "C=", NULL};
    assert_string_equal(exec_variable(env, "A"), "2");
    assert_string_equal(exec_variable(env, "C"), "");
    assert_null(exec_variable(env, "B"));
    assert_null(exec_variable(env, "D"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_is_executed, setup, teardown),
        cmocka_unit_test_setup_teardown(arguments_and_environment, setup, teardown),
        cmocka_unit_test_setup_teardown(a_path_that_is_too_long, setup, teardown),
        cmocka_unit_test(variables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
