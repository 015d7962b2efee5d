/* SPDX-License-Identifier: Apache-2.0 */
/* vminitd's conversation with a monitor, as far as it goes without a machine: greeting, refusals, hostile bytes, ends.
 */
#include "initd/init.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/fd.h"
#include "initd/channel.h"

enum { PATIENCE_MS = 10000 };

/* A vminitd in a process of its own, and the monitor's end of its connection. */
struct guest_process {
    pid_t pid;
    struct channel channel;
};

static int works(struct error *err)
{
    (void)err;
    return 0;
}

static int breaks(struct error *err)
{
    return error_set(err, ENODEV, "no loopback here");
}

static struct guest_process start(int (*environment)(struct error *err))
{
    int ends[2];
    struct guest_process guest;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    guest.pid = fork();
    assert_true(guest.pid >= 0);
    if (guest.pid == 0) {
        close(ends[0]);
        int rc = init_run(ends[1], environment, NULL);
        _exit(rc == 0 ? 0 : 1);
    }
    close(ends[1]);
    channel_init(&guest.channel, ends[0], PROTOCOL_RECEIVER_HOST);
    return guest;
}

/* Waits for vminitd to end and returns its exit status. */
static int end(struct guest_process *guest)
{
    int status;
    assert_int_equal(waitpid(guest->pid, &status, 0), guest->pid);
    assert_true(WIFEXITED(status));
    channel_done(&guest->channel);
    return WEXITSTATUS(status);
}

/* The next message, or NULL at the end of the connection. */
static const struct protocol_message *receive(struct guest_process *guest)
{
    const struct protocol_message *message = NULL;
    int rc;
    while ((rc = channel_next(&guest->channel, &message, NULL)) == 0) {
        struct pollfd ready = {.fd = guest->channel.fd, .events = POLLIN};
        assert_int_equal(poll(&ready, 1, PATIENCE_MS), 1);
        rc = channel_receive(&guest->channel, NULL);
        if (rc == 0 || rc == -ECONNRESET)
            return NULL;
        assert_int_equal(rc, 1);
    }
    assert_int_equal(rc, 1);
    return message;
}

static void expect(struct guest_process *guest, enum protocol_type type)
{
    const struct protocol_message *message = receive(guest);
    assert_non_null(message);
    if (message) /* the analysers do not know that the assertion leaves */
        assert_int_equal(message->type, type);
}

static void say(struct guest_process *guest, struct protocol_message message)
{
    assert_int_equal(channel_send(&guest->channel, &message, NULL), 0);
}

static void shut_down(struct guest_process *guest)
{
    say(guest, (struct protocol_message){.type = PROTOCOL_SHUTDOWN, .shutdown = {0, PROTOCOL_SHUTDOWN_DISCARD}});
}

static void hello_and_shutdown(void **state)
{
    (void)state;
    struct guest_process guest = start(works);
    const struct protocol_message *message = receive(&guest);
    assert_non_null(message);
    if (message) {
        assert_int_equal(message->type, PROTOCOL_HELLO);
        assert_int_equal(message->hello.version, PROTOCOL_VERSION);
        assert_true(message->hello.uptime_ns > 0);
    }
    shut_down(&guest);
    assert_int_equal(end(&guest), 0);
}

static void the_monitor_goes(void **state)
{
    (void)state;
    struct guest_process guest = start(works);
    expect(&guest, PROTOCOL_HELLO);
    channel_done(&guest.channel);
    assert_int_equal(end(&guest), 0);
}

static void an_environment_that_fails(void **state)
{
    (void)state;
    struct guest_process guest = start(breaks);
    expect(&guest, PROTOCOL_HELLO);
    const struct protocol_message *message = receive(&guest);
    assert_non_null(message);
    if (message) {
        assert_int_equal(message->type, PROTOCOL_ERROR);
        assert_int_equal(message->error.code, ENODEV);
        assert_string_equal(message->error.text, "no loopback here");
    }
    assert_int_equal(end(&guest), 1);
}

static const char *argv[] = {"true", NULL};

static void start_before_configure(void **state)
{
    (void)state;
    struct guest_process guest = start(works);
    expect(&guest, PROTOCOL_HELLO);
    say(&guest,
        (struct protocol_message){.type = PROTOCOL_START, .start = {.process = 1, .cwd = "/", .argv = {argv, 1}}});
    expect(&guest, PROTOCOL_ERROR);
    /* It still listens. A signal for nobody is no error. */
    say(&guest, (struct protocol_message){.type = PROTOCOL_SIGNAL, .signal = {1, 9}});
    say(&guest, (struct protocol_message){.type = PROTOCOL_SIGNAL, .signal = {0, UINT32_MAX}});
    shut_down(&guest);
    assert_null(receive(&guest));
    assert_int_equal(end(&guest), 0);
}

/* Bytes that are no frame: it says so, drops the connection, and ends as it does when the monitor goes. */
static void hostile_bytes(void **state)
{
    (void)state;
    for (int seed = 0; seed < 64; seed++) {
        uint8_t noise[512];
        struct guest_process guest = start(works);
        expect(&guest, PROTOCOL_HELLO);
        uint32_t word = (uint32_t)seed;
        for (size_t i = 0; i < sizeof noise; i++) {
            word = word * 1664525 + 1013904223;
            noise[i] = (uint8_t)(word >> 24);
        }
        noise[3] = 0xff; /* a length that no frame has */
        (void)send(guest.channel.fd, noise, sizeof noise, MSG_NOSIGNAL);
        expect(&guest, PROTOCOL_ERROR);
        assert_null(receive(&guest));
        assert_int_equal(end(&guest), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello_and_shutdown),
        cmocka_unit_test(the_monitor_goes),
        cmocka_unit_test(an_environment_that_fails),
        cmocka_unit_test(start_before_configure),
        cmocka_unit_test(hostile_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
