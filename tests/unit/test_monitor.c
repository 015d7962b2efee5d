/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor against tests/programs/fake_vmm.c, which plays hull-vmm and guest, well-behaved and not. */
#include "runtime/monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/fd.h"
#include "image/config.h"
#include "runtime/container.h"
#include "runtime/process_spec.h"
#include "runtime/run_timeline.h"
#include "runtime/vmm_process.h"
#include "tests/support/temp_dir.h"

enum { OUTPUT_MAX = 8 << 20 };

/* What a run came to. */
struct result {
    int rc;
    struct monitor_outcome outcome;
    struct error err;
};

/* A monitor in a process of its own, whose standard streams are pipes to the test. */
struct run {
    pid_t pid;
    int in, out, err;
    int result;
};

static void make_spec(struct process_spec *spec)
{
    *spec = (struct process_spec){.working_dir = strdup("/"), .user = strdup("")};
    assert_int_equal(strings_add(&spec->argv, "program", NULL), 0);
}

static void run_monitor(const char *scenario, const char *directory, struct result *result)
{
    char own[PATH_MAX];
    char executable[PATH_MAX];
    struct container container = CONTAINER_NONE;
    struct process_spec spec;
    struct run_timeline timeline = {0};
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 32);
    own[length > 0 ? length : 0] = 0;
    *strrchr(own, '/') = 0;
    snprintf(executable, sizeof executable, "%s/fake_vmm", own);
    setenv("HULL_RUN", directory, 1);
    setenv("SECRET", "x", 1); /* which the fake looks for, as it does for this: */
    int stray = open("/dev/null", O_RDONLY);
    assert_true(stray > 2);
    int tmp = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int kernel = open("/dev/null", O_RDONLY | O_CLOEXEC);
    result->rc = container_create(&container, NULL, tmp, &result->err);
    if (result->rc < 0)
        return;
    make_spec(&spec);
    struct protocol_configure configure = {.hostname = "test", .root = "/root"};
    struct vmm_settings settings = {
        .cpus = 1,
        .memory = 1 << 20,
        .kernel_fd = kernel,
        .initramfs_fd = -1,
        .cmdline = scenario,
        .vsock_fd = container.listen_fd,
        .console_fd = -1,
    };
    struct monitor_request request = {
        .container = &container,
        .vmm_executable = executable,
        .settings = &settings,
        .configure = &configure,
        .spec = &spec,
        .interactive = true,
        .timeline = &timeline,
    };
    result->rc = monitor_run(&request, &result->outcome, &result->err);
    process_spec_done(&spec);
    container_remove(&container);
    close(tmp);
    close(kernel);
}

static struct run start(const char *scenario, const char *directory)
{
    int in[2], out[2], err[2], result_pipe[2];
    assert_int_equal(
        pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC) | pipe2(err, O_CLOEXEC) | pipe2(result_pipe, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct result result = {0};
        dup2(in[0], 0);
        dup2(out[1], 1);
        dup2(err[1], 2);
        /* Or it would keep its own streams open. */
        close(in[1]);
        close(out[0]);
        close(err[0]);
        run_monitor(scenario, directory, &result);
        _exit(fd_write_full(result_pipe[1], &result, sizeof result) < 0);
    }
    close(in[0]);
    close(out[1]);
    close(err[1]);
    close(result_pipe[1]);
    return (struct run){pid, in[1], out[0], err[0], result_pipe[0]};
}

static void finish(struct run *run, struct result *result)
{
    int status;
    assert_int_equal(fd_read_full(run->result, result, sizeof *result), sizeof *result);
    assert_int_equal(waitpid(run->pid, &status, 0), run->pid);
    assert_int_equal(status, 0);
    fd_close(&run->in);
    fd_close(&run->out);
    fd_close(&run->err);
    fd_close(&run->result);
}

/* Nothing of a container is left in a directory for what runs. */
static void assert_nothing_left(const char *directory)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/containers", directory);
    assert_int_equal(rmdir(path), 0);
}

static void play(const char *scenario, struct result *result)
{
    char directory[TEMP_DIR_PATH_MAX];
    assert_int_equal(temp_dir_new(directory), 0);
    struct run run = start(scenario, directory);
    fd_close(&run.in);
    finish(&run, result);
    assert_nothing_left(directory);
    temp_dir_remove(directory);
}

/* ---- what works ---- */

static void streams_are_carried(void **state)
{
    (void)state;
    char directory[TEMP_DIR_PATH_MAX];
    assert_int_equal(temp_dir_new(directory), 0);
    struct result result;
    char output[32];
    struct run run = start("echo", directory);
    assert_int_equal(fd_write_full(run.in, "hello\0world", 11), 0);
    fd_close(&run.in);
    assert_int_equal(fd_read_full(run.out, output, sizeof output), 11);
    assert_memory_equal(output, "hello\0world", 11);
    assert_int_equal(fd_read_full(run.err, output, sizeof output), 5);
    assert_memory_equal(output, "done\n", 5);
    finish(&run, &result);
    assert_int_equal(result.rc, 0);
    assert_int_equal(result.outcome.end, MONITOR_EXITED);
    assert_int_equal(result.outcome.value, 7);
    assert_int_equal(result.outcome.output_error, 0);
    assert_nothing_left(directory);
    temp_dir_remove(directory);
}

/* More than any buffer on the way holds, read only once the writer must have been held up. */
static void much_is_carried_and_held_up(void **state)
{
    (void)state;
    char directory[TEMP_DIR_PATH_MAX];
    assert_int_equal(temp_dir_new(directory), 0);
    struct result result;
    struct run run = start("echo", directory);
    char *sent = malloc(OUTPUT_MAX);
    char *got = malloc(OUTPUT_MAX + 1);
    assert_true(sent && got);
    for (size_t i = 0; i < OUTPUT_MAX; i++)
        sent[i] = (char)(i * 2654435761u >> 13);
    pid_t writer = fork();
    assert_true(writer >= 0);
    if (writer == 0)
        _exit(fd_write_full(run.in, sent, OUTPUT_MAX) < 0);
    fd_close(&run.in);
    assert_int_equal(fd_read_full(run.out, got, OUTPUT_MAX + 1), OUTPUT_MAX);
    assert_memory_equal(got, sent, OUTPUT_MAX);
    assert_int_equal(waitpid(writer, NULL, 0), writer);
    finish(&run, &result);
    assert_int_equal(result.outcome.value, 7);
    free(sent);
    free(got);
    temp_dir_remove(directory);
}

static void no_output_is_lost_after_the_exit(void **state)
{
    (void)state;
    char directory[TEMP_DIR_PATH_MAX];
    assert_int_equal(temp_dir_new(directory), 0);
    struct result result;
    struct run run = start("late-output", directory);
    char *got = malloc(OUTPUT_MAX);
    assert_non_null(got);
    assert_int_equal(fd_read_full(run.out, got, OUTPUT_MAX), 1 << 20);
    finish(&run, &result);
    assert_int_equal(result.rc, 0);
    assert_int_equal(result.outcome.value, 0);
    free(got);
    temp_dir_remove(directory);
}

/* A reader that goes away ends the stream, not the monitor. */
static void nobody_reads(void **state)
{
    (void)state;
    char directory[TEMP_DIR_PATH_MAX];
    assert_int_equal(temp_dir_new(directory), 0);
    struct result result;
    struct run run = start("late-output", directory);
    fd_close(&run.out);
    fd_close(&run.in);
    finish(&run, &result);
    /* The fake dies when it cannot write, after it has said EXITED: that much is known. */
    assert_int_equal(result.rc, 0);
    assert_int_equal(result.outcome.end, MONITOR_EXITED);
    assert_int_equal(result.outcome.output_error, EPIPE);
    assert_nothing_left(directory);
    temp_dir_remove(directory);
}

static void expect_ready(const struct run *run)
{
    char line[6];
    assert_int_equal(fd_read_full(run->out, line, sizeof line), sizeof line);
    assert_memory_equal(line, "ready\n", 6);
}

static void signals_are_forwarded(void **state)
{
    (void)state;
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        char directory[TEMP_DIR_PATH_MAX];
        assert_int_equal(temp_dir_new(directory), 0);
        struct result result;
        struct run run = start("signalled", directory);
        expect_ready(&run);
        assert_int_equal(kill(run.pid, signals[i]), 0);
        finish(&run, &result);
        assert_int_equal(result.rc, 0);
        assert_int_equal(result.outcome.end, MONITOR_SIGNALED);
        assert_int_equal(result.outcome.value, signals[i]);
        assert_nothing_left(directory);
        temp_dir_remove(directory);
    }
}

static void the_third_interrupt_kills(void **state)
{
    (void)state;
    char directory[TEMP_DIR_PATH_MAX];
    assert_int_equal(temp_dir_new(directory), 0);
    struct result result;
    struct run run = start("stubborn", directory);
    for (int i = 0; i < 3; i++) {
        expect_ready(&run);
        assert_int_equal(kill(run.pid, SIGINT), 0);
    }
    finish(&run, &result);
    assert_int_equal(result.outcome.end, MONITOR_SIGNALED);
    assert_int_equal(result.outcome.value, SIGKILL);
    temp_dir_remove(directory);
}

/* ---- what does not ---- */

static void programs_that_cannot_run(void **state)
{
    (void)state;
    struct result result;
    play("not-found", &result);
    assert_int_equal(result.rc, 0);
    assert_int_equal(result.outcome.end, MONITOR_NOT_FOUND);
    assert_string_equal(result.outcome.text, "no such?[31m"); /* no escape of a guest's reaches a terminal */
    play("not-executable", &result);
    assert_int_equal(result.outcome.end, MONITOR_NOT_EXECUTABLE);
    play("unknown-user", &result);
    assert_int_equal(result.rc, -EIO);
    assert_non_null(strstr(result.err.text, "who is that"));
}

/* Scenarios that end in an error, and words that the error must have. */
static void failures(void **state)
{
    (void)state;
    static const struct {
        const char *scenario;
        const char *words;
    } rows[] = {
        {"crash", "cannot use /dev/kvm: it is broken"},
        {"crash-silently", "status 3"},
        {"crash-while-running", "triple fault"},
        {"guest-error", "the disk is on fire"},
        {"wrong-version", "version 2"},
        {"exited-before-started", "EXITED"},
        {"exited-oddly", "EXITED"},
        {"garbage", "unexpected message"},
        {"bad-handover", "ended before"},
        {"no-such-scenario", "no such scenario"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct result result;
        print_message("%s\n", rows[i].scenario);
        play(rows[i].scenario, &result);
        assert_true(result.rc < 0);
        assert_non_null(strstr(result.err.text, rows[i].words));
        assert_null(strchr(result.err.text, '\n'));
    }
}

/* Killed with no chance to clean up, the monitor takes hull-vmm along, and the next one removes what it left. */
static void a_killed_monitor_leaves_no_machine(void **state)
{
    (void)state;
    char directory[TEMP_DIR_PATH_MAX];
    assert_int_equal(temp_dir_new(directory), 0);
    struct result result;
    struct run run = start("signalled", directory);
    expect_ready(&run);
    assert_int_equal(kill(run.pid, SIGKILL), 0);
    /* hull-vmm holds the other ends of what it was handed; when they are closed, it is gone. */
    char byte;
    assert_int_equal(fd_read_full(run.out, &byte, 1), 0);
    assert_int_equal(waitpid(run.pid, NULL, 0), run.pid);
    fd_close(&run.in);
    fd_close(&run.err);
    fd_close(&run.result);
    run = start("echo", directory);
    fd_close(&run.in);
    finish(&run, &result);
    assert_int_equal(result.outcome.value, 7);
    assert_nothing_left(directory);
    temp_dir_remove(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_are_carried),
        cmocka_unit_test(much_is_carried_and_held_up),
        cmocka_unit_test(no_output_is_lost_after_the_exit),
        cmocka_unit_test(nobody_reads),
        cmocka_unit_test(signals_are_forwarded),
        cmocka_unit_test(the_third_interrupt_kills),
        cmocka_unit_test(programs_that_cannot_run),
        cmocka_unit_test(failures),
        cmocka_unit_test(a_killed_monitor_leaves_no_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
