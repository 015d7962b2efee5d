/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/vsock_listener.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/fd.h"

struct fixture {
    struct event_loop *loop;
    struct vsock_listener listener;
    int vmm; /* hull-vmm's end */
    int connection;
    const char *reason;
};

static struct fixture fixture;

static void connected(struct vsock_listener *listener, int connection)
{
    assert_ptr_equal(listener, &fixture.listener);
    fixture.connection = connection;
}

static void failed(struct vsock_listener *listener, const char *reason)
{
    assert_ptr_equal(listener, &fixture.listener);
    fixture.reason = reason;
}

static int setup(void **state)
{
    (void)state;
    int ends[2];
    char line[12] = {0};
    fixture = (struct fixture){.listener = VSOCK_LISTENER_NONE, .connection = -1};
    fixture.listener.connected = connected;
    fixture.listener.failed = failed;
    if (event_loop_new(&fixture.loop, NULL) < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0 ||
        vsock_listener_start(&fixture.listener, fixture.loop, ends[0], 1024, NULL) < 0)
        return -1;
    fixture.vmm = ends[1];
    return fd_read_full(fixture.vmm, line, 12) != 12 || memcmp(line, "LISTEN 1024\n", 12) != 0;
}

static int teardown(void **state)
{
    (void)state;
    vsock_listener_stop(&fixture.listener);
    event_loop_free(fixture.loop);
    fd_close(&fixture.vmm);
    fd_close(&fixture.connection);
    return 0;
}

static void turn(void)
{
    while (event_loop_run_once(fixture.loop, 0, NULL) > 0 && fixture.listener.fd >= 0)
        ;
}

static void hand_over(int passed)
{
    assert_int_equal(fd_send(fixture.vmm, "\1\2\3\4", 4, passed), 0);
}

static void a_connection_is_handed_over(void **state)
{
    (void)state;
    int pair[2];
    char byte = 'b';
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(fd_write_full(fixture.vmm, "OK 1024\n", 8), 0);
    turn();
    assert_int_equal(fixture.connection, -1);
    hand_over(pair[0]);
    turn();
    assert_true(fixture.connection >= 0);
    assert_int_equal(fixture.listener.fd, -1); /* one is enough */
    assert_int_equal(fd_write_full(pair[1], &byte, 1), 0);
    assert_int_equal(fd_read_full(fixture.connection, &byte, 1), 1);
    close(pair[0]);
    close(pair[1]);
}

/* All at once, and byte by byte. */
static void however_it_arrives(void **state)
{
    (void)state;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(fd_write_full(fixture.vmm, "OK 1024\n" + i, 1), 0);
        if (i < 4)
            turn();
    }
    hand_over(pair[0]);
    turn();
    assert_true(fixture.connection >= 0);
    close(pair[0]);
    close(pair[1]);
}

static void what_is_not_agreed_fails(void **state)
{
    (void)state;
    static const char *const answers[] = {"OK 1025\n", "NO 1024\n", "OK 1024 ", "\n"};
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        fixture.reason = NULL;
        assert_int_equal(fd_write_full(fixture.vmm, answers[i], strlen(answers[i])), 0);
        turn();
        assert_non_null(fixture.reason);
        assert_int_equal(fixture.listener.fd, -1);
        teardown(NULL);
        assert_int_equal(setup(NULL), 0);
    }
}

static void no_descriptor(void **state)
{
    (void)state;
    assert_int_equal(fd_write_full(fixture.vmm, "OK 1024\n", 8), 0);
    turn();
    hand_over(-1);
    turn();
    assert_non_null(fixture.reason);
    assert_int_equal(fixture.connection, -1);
}

static void the_other_side_goes(void **state)
{
    (void)state;
    fd_close(&fixture.vmm);
    turn();
    assert_non_null(fixture.reason);
    assert_int_equal(fixture.listener.fd, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_connection_is_handed_over, setup, teardown),
        cmocka_unit_test_setup_teardown(however_it_arrives, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_agreed_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(no_descriptor, setup, teardown),
        cmocka_unit_test_setup_teardown(the_other_side_goes, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
