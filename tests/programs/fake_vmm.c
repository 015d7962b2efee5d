/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands in for hull-vmm and for the guest in it, so that the monitor can be tested without a machine. The kernel
 * command line of its configuration names what it is to do: one of the scenarios at the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jansson.h>

#include "base/fd.h"
#include "initd/channel.h"
#include "initd/protocol.h"

enum { LISTENERS_MAX = 4, LINE_MAX_SIZE = 64, LATE_OUTPUT_SIZE = 1 << 20 };

/* The connections on which LISTEN lines came. */
static struct {
    uint32_t port;
    int fd;
} listeners[LISTENERS_MAX];
static int listener_count;

static struct channel control;

/* _exit(2): what a leak checker has to say at the end would be taken for last words. */
static _Noreturn void die(const char *text)
{
    fprintf(stderr, "hull-vmm: error: %s\n", text);
    _exit(70);
}

/* Nothing may be open but standard streams, what the configuration names, and the configuration itself. */
static void check_descriptors(const json_t *config, int config_fd)
{
    int kernel = -1;
    int vsock = -1;
    if (json_unpack((json_t *)(uintptr_t)config, "{s:{s:i}, s:{s:i}}", "kernel", "fd", &kernel, "vsock", "fd", &vsock) <
        0)
        die("the configuration names no descriptors");
    for (int fd = 3; fd < 256; fd++)
        if (fcntl(fd, F_GETFD) >= 0 && fd != kernel && fd != vsock && fd != config_fd)
            die("a descriptor was left open");
    if (getenv("SECRET"))
        die("the environment was handed on");
}

static void accept_listener(int listen_fd)
{
    char line[LINE_MAX_SIZE] = {0};
    char answer[LINE_MAX_SIZE];
    struct pollfd ready = {.fd = listen_fd, .events = POLLIN};
    if (poll(&ready, 1, 10000) != 1)
        die("nobody listens");
    int fd = accept(listen_fd, NULL, NULL);
    for (size_t i = 0; fd >= 0 && i < sizeof line - 1; i++)
        if (read(fd, &line[i], 1) != 1 || line[i] == '\n')
            break;
    static const char verb[] = "LISTEN ";
    if (strncmp(line, verb, sizeof verb - 1) != 0)
        die("not a LISTEN line");
    uint32_t port = (uint32_t)strtoul(line + sizeof verb - 1, NULL, 10);
    int length = snprintf(answer, sizeof answer, "OK %u\n", port);
    if (fd_send(fd, answer, (size_t)length, -1) < 0)
        die("cannot answer");
    listeners[listener_count].port = port;
    listeners[listener_count++].fd = fd;
}

/* What a guest's connection to a port of the host is. */
static int connect_to(uint32_t port)
{
    int ends[2];
    const uint8_t guest_port[4] = {1, 2, 3, 4};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        die("socketpair");
    for (int i = 0; i < listener_count; i++)
        if (listeners[i].port == port && fd_send(listeners[i].fd, guest_port, sizeof guest_port, ends[1]) == 0) {
            close(ends[1]);
            return ends[0];
        }
    die("nobody listens on that port");
}

static void send_message(struct protocol_message message)
{
    if (channel_send(&control, &message, NULL) < 0)
        die("cannot send");
}

static const struct protocol_message *receive(enum protocol_type type)
{
    const struct protocol_message *message;
    int rc;
    while ((rc = channel_next(&control, &message, NULL)) == 0) {
        struct pollfd ready = {.fd = control.fd, .events = POLLIN};
        if (poll(&ready, 1, 10000) != 1 || channel_receive(&control, NULL) <= 0)
            die("the monitor is gone");
    }
    if (rc < 0 || message->type != type)
        die("not the message that should come");
    return message;
}

static void say_hello(uint32_t version)
{
    channel_init(&control, connect_to(PROTOCOL_PORT_CONTROL), PROTOCOL_RECEIVER_GUEST);
    send_message((struct protocol_message){.type = PROTOCOL_HELLO, .hello = {version, 0, 1000000}});
}

/* The ports that START names, connected; -1 = none. */
struct stdio {
    int fds[3];
};

static struct stdio boot(void)
{
    struct stdio stdio;
    say_hello(PROTOCOL_VERSION);
    if (strcmp(receive(PROTOCOL_CONFIGURE)->configure.hostname, "test") != 0)
        die("CONFIGURE is not what was asked for");
    const struct protocol_start *start = &receive(PROTOCOL_START)->start;
    const uint32_t ports[3] = {start->stdin_port, start->stdout_port, start->stderr_port};
    for (int i = 0; i < 3; i++)
        stdio.fds[i] = ports[i] ? connect_to(ports[i]) : -1;
    send_message((struct protocol_message){.type = PROTOCOL_STARTED, .started = {1, 2000000}});
    return stdio;
}

static void exited(uint32_t code, uint32_t signal)
{
    send_message((struct protocol_message){.type = PROTOCOL_EXITED, .exited = {1, code, signal}});
}

static void power_off(void)
{
    (void)receive(PROTOCOL_SHUTDOWN);
    _exit(0);
}

/* ---- scenarios ---- */

/* Copies its input to its output, says something on standard error, exits with 7. */
static void echo(void)
{
    struct stdio stdio = boot();
    char chunk[65536];
    ssize_t n;
    while (stdio.fds[0] >= 0 && (n = read(stdio.fds[0], chunk, sizeof chunk)) > 0)
        if (fd_write_full(stdio.fds[1], chunk, (size_t)n) < 0)
            die("nobody reads");
    if (fd_write_full(stdio.fds[2], "done\n", 5) < 0)
        die("nobody reads");
    close(stdio.fds[1]);
    close(stdio.fds[2]);
    exited(7, 0);
    power_off();
}

/* Says that it has ended, and only then sends its output. */
static void late_output(void)
{
    struct stdio stdio = boot();
    char chunk[4096];
    memset(chunk, 'x', sizeof chunk);
    exited(0, 0);
    close(stdio.fds[2]);
    for (int sent = 0; sent < LATE_OUTPUT_SIZE; sent += (int)sizeof chunk)
        if (fd_write_full(stdio.fds[1], chunk, sizeof chunk) < 0)
            die("nobody reads");
    close(stdio.fds[1]);
    power_off();
}

/* Ends by the signal that it gets. */
static void signalled(void)
{
    struct stdio stdio = boot();
    if (fd_write_full(stdio.fds[1], "ready\n", 6) < 0)
        die("nobody reads");
    uint32_t signal = receive(PROTOCOL_SIGNAL)->signal.signal;
    close(stdio.fds[1]);
    close(stdio.fds[2]);
    exited(0, signal);
    power_off();
}

/* Takes no notice of SIGINT and ends by SIGKILL only. */
static void stubborn(void)
{
    struct stdio stdio = boot();
    uint32_t signal;
    do {
        if (fd_write_full(stdio.fds[1], "ready\n", 6) < 0)
            die("nobody reads");
        signal = receive(PROTOCOL_SIGNAL)->signal.signal;
    } while (signal != SIGKILL);
    close(stdio.fds[1]);
    close(stdio.fds[2]);
    exited(0, signal);
    power_off();
}

static void not_found(void)
{
    say_hello(PROTOCOL_VERSION);
    (void)receive(PROTOCOL_CONFIGURE);
    (void)receive(PROTOCOL_START);
    send_message((struct protocol_message){.type = PROTOCOL_START_FAILED,
                                           .start_failed = {1, PROTOCOL_START_NOT_FOUND, ENOENT, "no such\x1b[31m"}});
    power_off();
}

static void not_executable(void)
{
    say_hello(PROTOCOL_VERSION);
    (void)receive(PROTOCOL_CONFIGURE);
    (void)receive(PROTOCOL_START);
    send_message((struct protocol_message){.type = PROTOCOL_START_FAILED,
                                           .start_failed = {1, PROTOCOL_START_NOT_EXECUTABLE, EACCES, "denied"}});
    power_off();
}

static void unknown_user(void)
{
    say_hello(PROTOCOL_VERSION);
    (void)receive(PROTOCOL_CONFIGURE);
    (void)receive(PROTOCOL_START);
    send_message((struct protocol_message){.type = PROTOCOL_START_FAILED,
                                           .start_failed = {1, PROTOCOL_START_USER, ENOENT, "who is that"}});
    power_off();
}

static void guest_error(void)
{
    say_hello(PROTOCOL_VERSION);
    send_message((struct protocol_message){.type = PROTOCOL_ERROR, .error = {EIO, "the disk is on fire"}});
    pause();
}

static void crash(void)
{
    die("cannot use /dev/kvm: it is broken");
}

static void crash_silently(void)
{
    _exit(3);
}

static void crash_while_running(void)
{
    (void)boot();
    die("triple fault");
}

static void wrong_version(void)
{
    say_hello(PROTOCOL_VERSION + 1);
    pause();
}

static void exited_before_started(void)
{
    say_hello(PROTOCOL_VERSION);
    (void)receive(PROTOCOL_CONFIGURE);
    (void)receive(PROTOCOL_START);
    exited(0, 0);
    pause();
}

static void exited_oddly(void)
{
    (void)boot();
    exited(256, 0);
    pause();
}

static void garbage(void)
{
    int fd = connect_to(PROTOCOL_PORT_CONTROL);
    char noise[4096];
    memset(noise, 0xa5, sizeof noise);
    (void)fd_write_full(fd, noise, sizeof noise);
    pause();
}

/* Hands over no connection where one should be. */
static void bad_handover(void)
{
    if (fd_send(listeners[0].fd, "\1\2\3\4", 4, -1) < 0)
        die("cannot send");
    _exit(0);
}

static const struct {
    const char *name;
    void (*play)(void);
} scenarios[] = {
    {"echo", echo},
    {"late-output", late_output},
    {"signalled", signalled},
    {"stubborn", stubborn},
    {"not-found", not_found},
    {"not-executable", not_executable},
    {"unknown-user", unknown_user},
    {"guest-error", guest_error},
    {"crash", crash},
    {"crash-silently", crash_silently},
    {"crash-while-running", crash_while_running},
    {"wrong-version", wrong_version},
    {"exited-before-started", exited_before_started},
    {"exited-oddly", exited_oddly},
    {"garbage", garbage},
    {"bad-handover", bad_handover},
};

int main(int argc, char **argv)
{
    if (argc != 3 || strcmp(argv[1], "--config") != 0)
        die("usage: --config FD");
    json_error_t error;
    json_t *config = json_loadfd((int)strtol(argv[2], NULL, 10), 0, &error);
    int listen_fd = -1;
    const char *cmdline = "";
    if (!config || json_unpack(config, "{s:{s:i}, s:s}", "vsock", "fd", &listen_fd, "cmdline", &cmdline) < 0)
        die("no configuration");
    check_descriptors(config, (int)strtol(argv[2], NULL, 10));
    fd_set_nonblocking(listen_fd, 0);
    int expected = strncmp(cmdline, "crash", 5) == 0 && strcmp(cmdline, "crash-while-running") != 0 ? 0 : LISTENERS_MAX;
    while (listener_count < expected)
        accept_listener(listen_fd);
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++)
        if (strcmp(cmdline, scenarios[i].name) == 0)
            scenarios[i].play();
    die("no such scenario");
}
