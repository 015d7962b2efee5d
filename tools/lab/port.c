/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/lab/port.h"

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/fd.h"
#include "tools/lab/command.h"
#include "tools/lab/frame.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum {
    HANG_UP_MS = 300,
    CLOCK_TOLERANCE_NS = 20 * 1000 * 1000,
    STATUS_LAB_FAILED = 125,
};

struct port {
    int fd;
    int edge; /**< epoll instance: wakes when the port changes, for the time when nobody is connected */
    int number;
    unsigned sequence; /**< commands so far */
    struct frame_decoder decoder;
    struct buffer wire;    /**< to the client */
    struct buffer input;   /**< to the command's standard input */
    bool input_ended;      /**< nothing will come after `input` */
    int64_t hung_up_since; /**< CLOCK_MONOTONIC in ms, -1: somebody is connected */
    bool open;             /**< a client has said HELLO and did not hang up */
    struct command command;
};

/* ---- frames from the client -------------------------------------------------------------------------------------- */

static void forget_client(struct port *port)
{
    command_done(&port->command);
    buffer_clear(&port->wire);
    buffer_clear(&port->input);
    port->input_ended = false;
    port->open = false;
}

/* The emulated clock starts at a whole second and drifts when the machine outside sleeps. */
static void follow_clock(uint64_t outside)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t difference = (int64_t)(outside - ((uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec));
    if (llabs(difference) < CLOCK_TOLERANCE_NS)
        return;
    struct timespec then = {.tv_sec = (time_t)(outside / 1000000000), .tv_nsec = (long)(outside % 1000000000)};
    clock_settime(CLOCK_REALTIME, &then);
}

static void on_hello(struct port *port, const uint8_t *payload, size_t length)
{
    if (length != HELLO_LENGTH)
        return;
    forget_client(port);
    follow_clock(load_le64(payload + NONCE_LENGTH));
    port->open = true;
    frame_append(&port->wire, FRAME_READY, payload, NONCE_LENGTH);
}

static void on_directory(struct port *port, const uint8_t *payload, size_t length)
{
    free(port->command.directory);
    port->command.directory = strndup((const char *)payload, length);
}

static void on_argument(struct port *port, const uint8_t *payload, size_t length)
{
    command_add_argument(&port->command, payload, length);
}

static void on_env(struct port *port, const uint8_t *payload, size_t length)
{
    command_add_variable(&port->command, payload, length);
}

static void on_resize(struct port *port, const uint8_t *payload, size_t length)
{
    if (length == WINDOW_LENGTH)
        command_resize(&port->command, load_le16(payload), load_le16(payload + 2));
}

static void on_terminal(struct port *port, const uint8_t *payload, size_t length)
{
    port->command.terminal = true;
    on_resize(port, payload, length);
}

static void send_exit(struct port *port, int status)
{
    uint8_t byte = (uint8_t)status;
    frame_append(&port->wire, FRAME_EXIT, &byte, sizeof byte);
    port->open = false;
}

static void on_start(struct port *port, const uint8_t *payload, size_t length)
{
    (void)payload;
    (void)length;
    char name[64];
    snprintf(name, sizeof name, "%d-%u", port->number, port->sequence++);
    struct error err = {0};
    if (command_start(&port->command, name, &err) == 0)
        return;
    char text[ERROR_TEXT_MAX + 8];
    int text_length = snprintf(text, sizeof text, "lab: %s\n", err.text);
    frame_append(&port->wire, FRAME_STDERR, text, (size_t)text_length);
    send_exit(port, STATUS_LAB_FAILED);
}

static void on_stdin(struct port *port, const uint8_t *payload, size_t length)
{
    buffer_append(&port->input, payload, length);
    if (length == 0)
        port->input_ended = true;
}

static void on_signal(struct port *port, const uint8_t *payload, size_t length)
{
    if (length == 1)
        command_signal(&port->command, payload[0]);
}

/* What a frame does; when it is allowed: always, before the command runs, while it runs. */
enum phase { ANY_TIME, GATHERING, RUNNING };

static const struct handler {
    enum frame_type type;
    enum phase phase;
    void (*handle)(struct port *port, const uint8_t *payload, size_t length);
} handlers[] = {
    {FRAME_HELLO, ANY_TIME, on_hello},        {FRAME_DIRECTORY, GATHERING, on_directory},
    {FRAME_ARGUMENT, GATHERING, on_argument}, {FRAME_ENV, GATHERING, on_env},
    {FRAME_TERMINAL, GATHERING, on_terminal}, {FRAME_START, GATHERING, on_start},
    {FRAME_STDIN, RUNNING, on_stdin},         {FRAME_SIGNAL, RUNNING, on_signal},
    {FRAME_RESIZE, RUNNING, on_resize},
};

/* What is out of place was meant for a command that is gone. */
static bool in_place(const struct port *port, enum phase phase)
{
    bool running = port->command.pid != 0;
    return phase == ANY_TIME || (port->open && running == (phase == RUNNING));
}

static void on_frame(struct port *port, const struct buffer *frame)
{
    for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++) {
        if (handlers[i].type != frame->bytes[0])
            continue;
        if (in_place(port, handlers[i].phase))
            handlers[i].handle(port, frame->bytes + 1, frame->length - 1);
        return;
    }
}

/* ---- bytes in and out -------------------------------------------------------------------------------------------- */

/* Returns 0, -ENOTCONN when nobody is connected and nothing is left to read, or another -errno. */
static int read_port(struct port *port)
{
    static uint8_t bytes[FRAME_DATA_MAX];
    ssize_t length = read(port->fd, bytes, sizeof bytes);
    if (length < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    if (length == 0)
        return -ENOTCONN;
    size_t done = 0;
    while (done < (size_t)length) {
        size_t used;
        if (frame_decode(&port->decoder, bytes + done, (size_t)length - done, &used))
            on_frame(port, &port->decoder.frame);
        done += used;
    }
    return 0;
}

/* Writes what it can of @p waiting. @return 0 or -errno */
static int drain(int fd, struct buffer *waiting)
{
    size_t length = waiting->length < FRAME_DATA_MAX ? waiting->length : FRAME_DATA_MAX;
    ssize_t written = write(fd, waiting->bytes, length);
    if (written < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    buffer_consume(waiting, (size_t)written);
    return 0;
}

static void write_input(struct port *port)
{
    int *fd = &port->command.input;
    /* A command that has closed its standard input: the rest of it has nowhere to go. */
    if (port->input.length > 0 && drain(*fd, &port->input) < 0)
        fd_close(fd);
    if (*fd < 0)
        buffer_clear(&port->input);
    else if (port->input.length == 0 && port->input_ended && !port->command.terminal)
        fd_close(fd);
}

/* Relays at most @p limit bytes; closes the stream at its end. @return how many */
static size_t relay(struct port *port, int *fd, enum frame_type type, size_t limit)
{
    static uint8_t bytes[FRAME_DATA_MAX];
    if (*fd < 0)
        return 0;
    ssize_t length = read(*fd, bytes, limit < sizeof bytes ? limit : sizeof bytes);
    if (length > 0)
        frame_append(&port->wire, type, bytes, (size_t)length);
    else if (length == 0 || (errno != EAGAIN && errno != EINTR))
        fd_close(fd);
    return length > 0 ? (size_t)length : 0;
}

/* What a pipe holds when its command has ended is the command's; what comes later is somebody else's. */
static void relay_rest(struct port *port, int *fd, enum frame_type type)
{
    int rest = 0;
    if (*fd >= 0 && !port->command.terminal)
        ioctl(*fd, FIONREAD, &rest);
    while (rest > 0) {
        size_t length = relay(port, fd, type, (size_t)rest);
        if (length == 0)
            return;
        rest -= (int)length;
    }
    while (port->command.terminal && port->wire.length < WIRE_MAX / 2 && relay(port, fd, type, FRAME_DATA_MAX) > 0)
        ;
}

static void on_command_end(struct port *port)
{
    int status = command_reap(&port->command);
    relay_rest(port, &port->command.output, FRAME_STDOUT);
    relay_rest(port, &port->command.errors, FRAME_STDERR);
    command_done(&port->command);
    buffer_clear(&port->input);
    port->input_ended = false;
    send_exit(port, status);
}

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

enum { WAIT_PORT, WAIT_INPUT, WAIT_OUTPUT, WAIT_ERRORS, WAIT_END, WAIT_COUNT };

static void choose_events(const struct port *port, struct pollfd wait[WAIT_COUNT])
{
    const struct command *command = &port->command;
    bool room = port->wire.length < STREAM_HIGH;
    short from_port = port->input.length < STREAM_HIGH ? POLLIN : 0;
    wait[WAIT_PORT] = (struct pollfd){port->fd, (short)(from_port | (port->wire.length ? POLLOUT : 0)), 0};
    /* A terminal's input is its output: don't ask twice whether it hung up. */
    bool input = command->input >= 0 && (port->input.length > 0 || !command->terminal);
    wait[WAIT_INPUT] = (struct pollfd){input ? command->input : -1, port->input.length ? POLLOUT : 0, 0};
    wait[WAIT_OUTPUT] = (struct pollfd){room ? command->output : -1, POLLIN, 0};
    wait[WAIT_ERRORS] = (struct pollfd){room ? command->errors : -1, POLLIN, 0};
    wait[WAIT_END] = (struct pollfd){room ? command->pidfd : -1, POLLIN, 0};
}

static int handle_events(struct port *port, const struct pollfd wait[WAIT_COUNT])
{
    if (wait[WAIT_OUTPUT].revents)
        relay(port, &port->command.output, FRAME_STDOUT, FRAME_DATA_MAX);
    if (wait[WAIT_ERRORS].revents)
        relay(port, &port->command.errors, FRAME_STDERR, FRAME_DATA_MAX);
    if (wait[WAIT_INPUT].revents & POLLERR)
        fd_close(&port->command.input);
    if (wait[WAIT_END].revents)
        on_command_end(port);
    if (wait[WAIT_PORT].revents & POLLOUT && port->wire.length > 0) {
        int rc = drain(port->fd, &port->wire);
        if (rc < 0)
            return rc;
    }
    return wait[WAIT_PORT].revents & POLLIN ? read_port(port) : 0;
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/*
 * Connections are announced on another queue than the one that data comes by. Data of the next client may be here, and
 * its command running, before the kernel has heard that the last one left: so a hang-up counts when it lasts. If in the
 * meantime there was another client, its HELLO has ended what was before.
 */
static int on_hang_up(struct port *port)
{
    int patience = -1; /* nothing runs: wait for the next client */
    if (port->open || port->wire.length > 0) {
        if (port->hung_up_since < 0)
            port->hung_up_since = now_ms();
        patience = (int)(port->hung_up_since + HANG_UP_MS - now_ms());
        if (patience <= 0) {
            forget_client(port);
            return 0;
        }
    }
    /* poll() would tell of the hang-up for as long as it lasts: wait for a change, not for a state. */
    struct epoll_event event;
    if (epoll_wait(port->edge, &event, 1, patience) < 0 && errno != EINTR)
        return -errno;
    int rc = read_port(port);
    return rc == -ENOTCONN ? 0 : rc;
}

static int serve_once(struct port *port)
{
    struct pollfd wait[WAIT_COUNT];
    choose_events(port, wait);
    if (poll(wait, WAIT_COUNT, -1) < 0)
        return errno == EINTR ? 0 : -errno;
    if (wait[WAIT_PORT].revents & POLLHUP)
        return on_hang_up(port);
    port->hung_up_since = -1;
    int rc = handle_events(port, wait);
    if (rc == -ENOTCONN)
        return on_hang_up(port);
    write_input(port);
    return rc < 0 ? rc : port->wire.failed || port->input.failed ? -ENOMEM : 0;
}

int port_serve(int fd, int number)
{
    struct port port = {
        .fd = fd,
        .number = number,
        .edge = epoll_create1(EPOLL_CLOEXEC),
        .hung_up_since = -1,
        .decoder = FRAME_DECODER_INIT,
        .wire = BUFFER_INIT(WIRE_MAX),
        .input = BUFFER_INIT(WIRE_MAX),
    };
    command_init(&port.command);
    struct epoll_event change = {.events = EPOLLIN | EPOLLOUT | EPOLLET};
    int rc = port.edge < 0 ? -errno : fd_set_nonblocking(fd, 1);
    if (rc == 0 && epoll_ctl(port.edge, EPOLL_CTL_ADD, fd, &change) < 0)
        rc = -errno;
    while (rc == 0)
        rc = serve_once(&port);
    forget_client(&port);
    frame_decoder_done(&port.decoder);
    buffer_done(&port.wire);
    buffer_done(&port.input);
    fd_close(&port.edge);
    return rc;
}
