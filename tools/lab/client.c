/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs one command in a lab: client [-t] [-T SECONDS] [-B SECONDS] [-e NAME=VALUE]... DIRECTORY COMMAND [ARGUMENT]...
 *
 * DIRECTORY holds the lab's sockets, port-1, port-2, ...: each serves one command at a time, whoever holds its lock.
 *   -t  on a terminal       -T  limit of the command's time       -B  limit of waiting for the lab to answer
 * Exit status: the command's, 128+N for signal N, 124 when -T ran out, 125 when the lab failed.
 */
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/fd.h"
#include "tools/lab/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum {
    STATUS_TIMEOUT = 124,
    STATUS_LAB_FAILED = 125,
    STATUS_USAGE = 64,
    PORTS_MAX = 31,
    CONNECT_RETRY_MS = 5, /**< only while the emulator has not made its sockets yet */
    KILL_GRACE_S = 2,     /**< between SIGTERM and hanging up, which kills */
    BOOT_LIMIT_S = 60,
};

struct client {
    const char *directory; /**< of the lab */
    int socket;
    int signals; /**< signalfd */
    int timer;   /**< timerfd: the limit that counts now */
    long command_limit;
    long boot_limit;
    bool terminal;
    bool input_ended;
    bool ready;     /**< the agent has answered our HELLO */
    bool timed_out; /**< SIGTERM has been sent for it */
    bool interrupted;
    int status; /**< of the command; -1 while unknown */
    uint8_t nonce[NONCE_LENGTH];
    struct buffer wire;
    struct frame_decoder decoder;
    struct termios saved; /**< the terminal as we found it */
};

/* The one terminal of the process, for whichever way out. */
static struct client *terminal_owner;

static void restore_terminal(void)
{
    if (terminal_owner)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal_owner->saved);
}

__attribute__((format(printf, 2, 3))) static _Noreturn void leave(int status, const char *format, ...)
{
    restore_terminal();
    va_list arguments;
    va_start(arguments, format);
    fputs("lab: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(status);
}

/* ---- a port of one's own ----------------------------------------------------------------------------------------- */

/* Takes the lock of one port. It is held until this process ends. */
static bool lock_port(const char *directory, int number, int how)
{
    char path[256];
    snprintf(path, sizeof path, "%s/port-%d.lock", directory, number);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return false;
    if (flock(fd, how) == 0)
        return true;
    close(fd);
    return false;
}

/* The first free port, or if all are busy, one of them when it becomes free. */
static int take_port(const char *directory)
{
    int count = 0;
    char path[256];
    do
        snprintf(path, sizeof path, "%s/port-%d.lock", directory, ++count);
    while (count <= PORTS_MAX && access(path, F_OK) == 0);
    count--;
    if (count == 0)
        leave(STATUS_LAB_FAILED, "no lab in '%s'", directory);
    for (int number = 1; number <= count; number++)
        if (lock_port(directory, number, LOCK_EX | LOCK_NB))
            return number;
    int number = 1 + getpid() % count;
    if (!lock_port(directory, number, LOCK_EX))
        leave(STATUS_LAB_FAILED, "cannot wait for port %d: %s", number, strerror(errno));
    return number;
}

/* The emulator holds the lock of this file from before it starts until it ends. */
static bool emulator_lives(const char *directory)
{
    char path[256];
    snprintf(path, sizeof path, "%s/alive", directory);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool lives = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
    fd_close(&fd);
    return lives;
}

static int connect_port(const char *directory, int number, long limit_s)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length = snprintf(address.sun_path, sizeof address.sun_path, "%s/port-%d", directory, number);
    if (length < 0 || (size_t)length >= sizeof address.sun_path)
        leave(STATUS_LAB_FAILED, "'%s' is too long for a socket's path", directory);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        leave(STATUS_LAB_FAILED, "cannot make a socket: %s", strerror(errno));
    for (long tries = limit_s * 1000 / CONNECT_RETRY_MS;
         connect(fd, (struct sockaddr *)&address, sizeof address) < 0;) {
        int error = errno;
        if ((error != ENOENT && error != ECONNREFUSED) || tries-- <= 0 || !emulator_lives(directory))
            leave(STATUS_LAB_FAILED, "the lab does not answer at '%s': %s", address.sun_path, strerror(error));
        poll(NULL, 0, CONNECT_RETRY_MS);
    }
    fd_set_nonblocking(fd, 1);
    return fd;
}

/* ---- what we say ------------------------------------------------------------------------------------------------- */

static void say_hello(struct client *client)
{
    uint8_t payload[HELLO_LENGTH];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (getrandom(client->nonce, NONCE_LENGTH, 0) != NONCE_LENGTH)
        leave(STATUS_LAB_FAILED, "no random bytes: %s", strerror(errno));
    memcpy(payload, client->nonce, NONCE_LENGTH);
    store_le64(payload + NONCE_LENGTH, (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec);
    frame_append(&client->wire, FRAME_HELLO, payload, sizeof payload);
}

static void say_text(struct client *client, enum frame_type type, const char *text)
{
    if (strlen(text) >= FRAME_MAX)
        leave(STATUS_LAB_FAILED, "an argument or variable has more than %d bytes", FRAME_MAX - 1);
    frame_append(&client->wire, type, text, strlen(text));
}

static void say_window(struct client *client, enum frame_type type)
{
    struct winsize size = {0};
    uint8_t payload[WINDOW_LENGTH];
    ioctl(STDIN_FILENO, TIOCGWINSZ, &size);
    store_le16(payload, size.ws_row);
    store_le16(payload + 2, size.ws_col);
    frame_append(&client->wire, type, payload, sizeof payload);
}

static void say_signal(struct client *client, int number)
{
    uint8_t byte = (uint8_t)number;
    frame_append(&client->wire, FRAME_SIGNAL, &byte, sizeof byte);
}

/* HELLO and the request; the agent answers HELLO when it is up, so nobody asks whether it is. */
static void say_request(struct client *client, const struct buffer *environment, char **command)
{
    say_hello(client);
    char *directory = getcwd(NULL, 0);
    say_text(client, FRAME_DIRECTORY, directory ? directory : "/");
    free(directory);
    for (size_t i = 0; i < environment->length; i += strlen((char *)environment->bytes + i) + 1)
        say_text(client, FRAME_ENV, (char *)environment->bytes + i);
    for (int i = 0; command[i]; i++)
        say_text(client, FRAME_ARGUMENT, command[i]);
    if (client->terminal)
        say_window(client, FRAME_TERMINAL);
    frame_append(&client->wire, FRAME_START, "", 0);
}

/* ---- what we hear ------------------------------------------------------------------------------------------------ */

static void set_timer(const struct client *client, long seconds)
{
    struct itimerspec when = {.it_value.tv_sec = seconds};
    timerfd_settime(client->timer, 0, &when, NULL);
}

static void write_stream(struct client *client, int fd, const uint8_t *bytes, size_t length)
{
    int rc = fd_write_full(fd, bytes, length);
    if (rc == -EPIPE) /* as SIGPIPE would have done to the command itself */
        client->status = 128 + SIGPIPE;
    else if (rc < 0)
        leave(STATUS_LAB_FAILED, "cannot write what the command wrote: %s", strerror(-rc));
}

static void on_frame(struct client *client, const uint8_t *payload, size_t length, uint8_t type)
{
    if (!client->ready) {
        /* What comes before was for whoever had the port before us. */
        if (type != FRAME_READY || length != NONCE_LENGTH || memcmp(payload, client->nonce, NONCE_LENGTH) != 0)
            return;
        client->ready = true;
        set_timer(client, client->command_limit);
    } else if (type == FRAME_STDOUT) {
        write_stream(client, STDOUT_FILENO, payload, length);
    } else if (type == FRAME_STDERR) {
        write_stream(client, STDERR_FILENO, payload, length);
    } else if (type == FRAME_EXIT && length == 1) {
        client->status = payload[0];
    }
}

static void read_socket(struct client *client)
{
    static uint8_t bytes[FRAME_DATA_MAX];
    ssize_t length = read(client->socket, bytes, sizeof bytes);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (length <= 0)
        leave(STATUS_LAB_FAILED, "the lab went away; %s/console.log may say why", client->directory);
    size_t done = 0;
    while (done < (size_t)length && client->status < 0) {
        size_t used;
        const struct buffer *frame = &client->decoder.frame;
        if (frame_decode(&client->decoder, bytes + done, (size_t)length - done, &used))
            on_frame(client, frame->bytes + 1, frame->length - 1, frame->bytes[0]);
        done += used;
    }
}

static void write_socket(struct client *client)
{
    ssize_t written = send(client->socket, client->wire.bytes, client->wire.length, MSG_NOSIGNAL);
    if (written > 0)
        buffer_consume(&client->wire, (size_t)written);
    else if (errno != EAGAIN && errno != EINTR)
        leave(STATUS_LAB_FAILED, "the lab went away; %s/console.log may say why", client->directory);
}

static void read_input(struct client *client)
{
    static uint8_t bytes[FRAME_DATA_MAX];
    ssize_t length = read(STDIN_FILENO, bytes, sizeof bytes);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    /* Nothing, be it an error: the end. An empty frame says so. */
    frame_append(&client->wire, FRAME_STDIN, bytes, length > 0 ? (size_t)length : 0);
    client->input_ended = length <= 0;
}

static void on_signal(struct client *client)
{
    struct signalfd_siginfo info;
    if (read(client->signals, &info, sizeof info) != sizeof info)
        return;
    int number = (int)info.ssi_signo;
    if (number == SIGWINCH) {
        if (client->terminal)
            say_window(client, FRAME_RESIZE);
    } else if (client->interrupted || !client->ready) {
        leave(128 + number, "given up");
    } else {
        client->interrupted = true;
        say_signal(client, number);
    }
}

static void on_timer(struct client *client)
{
    if (!client->ready)
        leave(STATUS_LAB_FAILED, "the lab did not answer for %ld s", client->boot_limit);
    if (client->timed_out)
        leave(STATUS_TIMEOUT, "time limit of %ld s: killed", client->command_limit);
    client->timed_out = true;
    say_signal(client, SIGTERM);
    set_timer(client, KILL_GRACE_S);
}

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

enum { WAIT_SOCKET, WAIT_INPUT, WAIT_SIGNAL, WAIT_TIMER, WAIT_COUNT };

static void serve_once(struct client *client)
{
    bool want_input = client->ready && !client->input_ended && client->wire.length < STREAM_HIGH;
    struct pollfd wait[WAIT_COUNT] = {
        {client->socket, (short)(POLLIN | (client->wire.length ? POLLOUT : 0)), 0},
        {want_input ? STDIN_FILENO : -1, POLLIN, 0},
        {client->signals, POLLIN, 0},
        {client->timer, POLLIN, 0},
    };
    if (poll(wait, WAIT_COUNT, -1) < 0 && errno != EINTR)
        leave(STATUS_LAB_FAILED, "cannot wait: %s", strerror(errno));
    if (wait[WAIT_SIGNAL].revents)
        on_signal(client);
    if (wait[WAIT_TIMER].revents)
        on_timer(client);
    if (wait[WAIT_INPUT].revents)
        read_input(client);
    if (wait[WAIT_SOCKET].revents & POLLOUT)
        write_socket(client);
    if (wait[WAIT_SOCKET].revents & (POLLIN | POLLHUP | POLLERR))
        read_socket(client);
    if (client->wire.failed)
        leave(STATUS_LAB_FAILED, "the request is too long");
}

static void open_signals(struct client *client)
{
    sigset_t set;
    sigemptyset(&set);
    static const int forwarded[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};
    for (size_t i = 0; i < sizeof forwarded / sizeof forwarded[0]; i++)
        sigaddset(&set, forwarded[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    client->signals = signalfd(-1, &set, SFD_CLOEXEC);
}

static void take_terminal(struct client *client)
{
    if (!client->terminal)
        return;
    if (tcgetattr(STDIN_FILENO, &client->saved) < 0)
        leave(STATUS_LAB_FAILED, "standard input is no terminal");
    terminal_owner = client;
    struct termios raw = client->saved;
    cfmakeraw(&raw);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
}

static int run(struct client *client)
{
    open_signals(client);
    client->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    set_timer(client, client->boot_limit);
    take_terminal(client);
    while (client->status < 0)
        serve_once(client);
    restore_terminal();
    if (client->timed_out)
        leave(STATUS_TIMEOUT, "time limit of %ld s: stopped", client->command_limit);
    return client->status;
}

static long parse_seconds(const char *text)
{
    char *end;
    long seconds = strtol(text, &end, 10);
    if (end == text || *end || seconds < 1)
        leave(STATUS_USAGE, "'%s' is no number of seconds", text);
    return seconds;
}

int main(int argc, char **argv)
{
    struct client client = {
        .status = -1,
        .boot_limit = BOOT_LIMIT_S,
        .wire = BUFFER_INIT(WIRE_MAX),
        .decoder = FRAME_DECODER_INIT,
    };
    struct buffer environment = BUFFER_INIT(WIRE_MAX);
    int option;
    while ((option = getopt(argc, argv, "+tT:B:e:")) >= 0) {
        if (option == 't')
            client.terminal = true;
        else if (option == 'T')
            client.command_limit = parse_seconds(optarg);
        else if (option == 'B')
            client.boot_limit = parse_seconds(optarg);
        else if (option == 'e')
            buffer_append(&environment, optarg, strlen(optarg) + 1);
        else
            return STATUS_USAGE;
    }
    if (argc - optind < 2)
        leave(STATUS_USAGE, "usage: client [-t] [-T S] [-B S] [-e NAME=VALUE]... DIRECTORY COMMAND [ARGUMENT]...");
    client.directory = argv[optind];
    client.socket = connect_port(client.directory, take_port(client.directory), client.boot_limit);
    say_request(&client, &environment, argv + optind + 1);
    int status = run(&client);
    buffer_done(&environment);
    buffer_done(&client.wire);
    frame_decoder_done(&client.decoder);
    close(client.socket);
    return status;
}
