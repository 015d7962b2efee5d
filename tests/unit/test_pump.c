/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pump.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/fd.h"

static unsigned done_count;

static void done(struct pump *pump)
{
    assert_false(pump->active);
    done_count++;
}

struct fixture {
    struct event_loop *loop;
    int in;  /* the test writes here */
    int out; /* and reads here */
    struct pump pump;
};

/* A pump from one pipe to another. */
static int setup(void **state)
{
    static struct fixture fixture;
    int in[2], out[2];
    signal(SIGPIPE, SIG_IGN);
    done_count = 0;
    if (event_loop_new(&fixture.loop, NULL) < 0 || pipe2(in, O_CLOEXEC | O_NONBLOCK) < 0 ||
        pipe2(out, O_CLOEXEC | O_NONBLOCK) < 0)
        return -1;
    fixture.in = in[1];
    fixture.out = out[0];
    *state = &fixture;
    return pump_start(&fixture.pump, fixture.loop, in[0], out[1], done, NULL);
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    pump_stop(&fixture->pump);
    event_loop_free(fixture->loop);
    fd_close(&fixture->in);
    fd_close(&fixture->out);
    return 0;
}

static int turn(struct fixture *fixture)
{
    return event_loop_run_once(fixture->loop, 0, NULL);
}

static void bytes_and_the_end(void **state)
{
    struct fixture *fixture = *state;
    char got[16];
    assert_int_equal(turn(fixture), 0);
    assert_int_equal(write(fixture->in, "a\0b", 3), 3);
    assert_int_equal(turn(fixture), 1);
    assert_int_equal(read(fixture->out, got, sizeof got), 3);
    assert_memory_equal(got, "a\0b", 3);
    /* What was written before the end arrives before the end. */
    assert_int_equal(write(fixture->in, "tail", 4), 4);
    fd_close(&fixture->in);
    while (fixture->pump.active)
        assert_true(turn(fixture) > 0);
    assert_int_equal(done_count, 1);
    assert_int_equal(read(fixture->out, got, sizeof got), 4);
    assert_int_equal(read(fixture->out, got, sizeof got), 0);
    assert_true(fixture->pump.carried == 7);
    assert_int_equal(fixture->pump.sink_error, 0);
}

/* A sink that is not read holds the writer up: the pump takes what its buffer and the pipes hold, and then is idle. */
static void pressure(void **state)
{
    struct fixture *fixture = *state;
    static char chunk[PUMP_BUFFER_SIZE];
    size_t written = 0;
    size_t read_back = 0;
    for (int idle = 0; idle < 2;) {
        ssize_t n = write(fixture->in, chunk, sizeof chunk);
        written += n > 0 ? (size_t)n : 0;
        idle = turn(fixture) == 0 && n < 0 ? idle + 1 : 0;
    }
    assert_true(written <= 4 * (size_t)PUMP_BUFFER_SIZE);
    /* The writer goes away meanwhile: neither busy waiting nor loss. */
    fd_close(&fixture->in);
    assert_int_equal(turn(fixture), 0);
    for (ssize_t n; (n = read(fixture->out, chunk, sizeof chunk)) != 0;) {
        if (n > 0)
            read_back += (size_t)n;
        else
            assert_true(turn(fixture) > 0);
    }
    assert_int_equal(read_back, written);
    assert_int_equal(done_count, 1);
}

static void nobody_reads(void **state)
{
    struct fixture *fixture = *state;
    fd_close(&fixture->out);
    assert_int_equal(write(fixture->in, "x", 1), 1);
    while (fixture->pump.active)
        assert_true(turn(fixture) > 0);
    assert_int_equal(done_count, 1);
    assert_int_equal(fixture->pump.sink_error, EPIPE);
    assert_int_equal(write(fixture->in, "x", 1), -1); /* and its writer is told */
    assert_int_equal(errno, EPIPE);
}

/* Regular files, which epoll does not take, at either end. */
static void files(void **state)
{
    struct fixture *fixture = *state;
    enum { SIZE = 300000 };
    char *contents = malloc(SIZE);
    char *got = malloc(SIZE + 1);
    int sockets[2];
    assert_true(contents && got);
    for (int i = 0; i < SIZE; i++)
        contents[i] = (char)(i * 7 + i / 251);
    int from = memfd_create("from", MFD_CLOEXEC);
    int to = memfd_create("to", MFD_CLOEXEC);
    int to_copy = fcntl(to, F_DUPFD_CLOEXEC, 3);
    assert_int_equal(fd_pwrite_full(from, contents, SIZE, 0), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    struct pump out = {0};
    struct pump in = {0};
    assert_int_equal(pump_start(&out, fixture->loop, from, sockets[0], done, NULL), 0);
    assert_int_equal(pump_start(&in, fixture->loop, sockets[1], to, done, NULL), 0);
    while (out.active || in.active)
        assert_true(turn(fixture) > 0);
    assert_int_equal(done_count, 2);
    assert_int_equal(fd_pread_full(to_copy, got, SIZE + 1, 0), SIZE);
    assert_memory_equal(got, contents, SIZE);
    close(to_copy);
    free(contents);
    free(got);
}

static void two_files_are_refused(void **state)
{
    struct fixture *fixture = *state;
    struct pump pump = {0};
    int from = memfd_create("from", MFD_CLOEXEC);
    int to = memfd_create("to", MFD_CLOEXEC);
    assert_int_equal(pump_start(&pump, fixture->loop, from, to, done, NULL), -EINVAL);
    assert_int_equal(fcntl(from, F_GETFD), -1); /* closed all the same */
    assert_int_equal(fcntl(to, F_GETFD), -1);
}

static void a_full_device(void **state)
{
    struct fixture *fixture = *state;
    struct pump pump = {0};
    int ends[2];
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    if (full < 0)
        skip();
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(pump_start(&pump, fixture->loop, ends[0], full, done, NULL), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    while (pump.active)
        assert_true(turn(fixture) > 0);
    assert_int_equal(pump.sink_error, ENOSPC);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bytes_and_the_end, setup, teardown),
        cmocka_unit_test_setup_teardown(pressure, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_reads, setup, teardown),
        cmocka_unit_test_setup_teardown(files, setup, teardown),
        cmocka_unit_test_setup_teardown(two_files_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_device, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
