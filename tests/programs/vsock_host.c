/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's side of tests/guests/streams.c.
 *
 *     vsock_host SOCKET -- HULL-VMM ARGUMENT...
 *
 * Starts the machine, listens through its vsock socket as a monitor does, serves the guest's connections one after the
 * other (the guest makes them so, but for the many), and prints one TAP line for each thing that was tried.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "tests/guests/streams.h"

enum { CONNECT_ATTEMPTS = 2500, CONNECT_PAUSE_US = 2000, TIMEOUT_S = 60 };

/** What must have been tried, and how it went. */
static struct result {
    const char *name, *says;
    bool seen, good;
} results[] = {
    {.name = "upload", .says = "bytes from the guest arrive, and its half-close leaves the way back open"},
    {.name = "download", .says = "bytes for the guest arrive, after its half-close"},
    {.name = "refusal", .says = "a port on which nobody listens resets the guest"},
    {.name = "echo", .says = "the guest accepts a connection from the host"},
    {.name = "echoed", .says = "what the host sends comes back, then the end"},
    {.name = "many", .says = "many connections live side by side"},
    {.name = "last", .says = "words sent right before the power goes arrive"},
    {.name = "status", .says = "hull-vmm ends with 0"},
};
enum { RESULTS = sizeof results / sizeof results[0] };

static void note(const char *name, bool good)
{
    for (unsigned i = 0; i < RESULTS; i++)
        if (strcmp(results[i].name, name) == 0) {
            results[i].seen = true;
            results[i].good = good;
        }
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void say_rate(const char *what, double since)
{
    printf("# %s: %.0f MiB/s\n", what, STREAM_BYTES / 1048576.0 / (now() - since));
}

/* ---- the machine's socket
 * -------------------------------------------------------------------------------------------- */

static int connect_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    for (unsigned i = 0; i < CONNECT_ATTEMPTS; i++) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
            return fd;
        fd_close(&fd);
        usleep(CONNECT_PAUSE_US);
    }
    return -1;
}

/* Sends a command, and reads its answer up to the newline and no further. */
static int command(const char *path, const char *word, unsigned port)
{
    int fd = connect_socket(path);
    if (fd < 0)
        return -1;
    (void)dprintf(fd, "%s %u\n", word, port);
    return fd;
}

static bool answered(int fd)
{
    char text[2], byte;
    bool good = fd_read_full(fd, text, 2) == 2 && memcmp(text, "OK", 2) == 0;
    while (good && (good = read(fd, &byte, 1) == 1) && byte != '\n')
        ;
    return good;
}

/* ---- connections
 * ----------------------------------------------------------------------------------------------------- */

static void serve_report(int fd)
{
    char text[128] = "";
    (void)fd_read_full(fd, text, sizeof text - 1);
    char *value = strchr(text, '=');
    if (!value)
        return;
    *value++ = '\0';
    if (strcmp(value, "ok") != 0)
        printf("# %s: %s\n", text, value);
    note(text, strcmp(value, "ok") == 0);
}

static uint32_t receive_all(int fd, bool *good)
{
    static uint8_t bytes[PIECE];
    uint32_t received = 0;
    for (ssize_t n; (n = read(fd, bytes, sizeof bytes)) > 0; received += (uint32_t)n)
        *good = *good && check_pattern(bytes, (size_t)n, received);
    return received;
}

static bool send_all(int fd)
{
    static uint8_t bytes[PIECE];
    for (uint32_t sent = 0; sent < STREAM_BYTES; sent += PIECE) {
        fill_pattern(bytes, sizeof bytes, sent);
        if (fd_write_full(fd, bytes, sizeof bytes) < 0)
            return false;
    }
    return true;
}

static void serve_upload(int fd)
{
    double since = now();
    bool good = true;
    uint32_t received = receive_all(fd, &good);
    say_rate("from the guest", since);
    (void)fd_write_full(fd, good && received == STREAM_BYTES ? "ok" : "no", 2);
}

static void serve_download(int fd)
{
    double since = now();
    (void)send_all(fd);
    say_rate("to the guest", since);
}

/* One process sends while another receives, as an echo of more than the buffers hold demands. */
static void connect_back(const char *path)
{
    int fd = command(path, "CONNECT", GUEST_PORT);
    if (fd < 0 || !answered(fd))
        return;
    double since = now();
    pid_t sender = fork();
    if (sender == 0) {
        bool sent = send_all(fd);
        (void)shutdown(fd, SHUT_WR);
        _exit(!sent);
    }
    bool good = true;
    uint32_t received = receive_all(fd, &good);
    say_rate("to the guest and back", since);
    int status = 1;
    (void)waitpid(sender, &status, 0);
    close(fd);
    note("echoed", good && status == 0 && received == STREAM_BYTES);
}

static void serve_last(int fd)
{
    char text[32] = "";
    (void)fd_read_full(fd, text, sizeof text - 1);
    note("last", strcmp(text, LAST_WORDS) == 0);
}

/* The many are open all at once, so each is served by a process of its own. */
static void serve_echo_byte(int fd)
{
    if (fork() != 0)
        return;
    char byte;
    if (read(fd, &byte, 1) == 1)
        (void)fd_write_full(fd, &byte, 1);
    _exit(0);
}

/* @return whether more is to be expected */
static bool serve(int fd, const char *path)
{
    char purpose = 0;
    bool more = true;
    if (read(fd, &purpose, 1) == 1) {
        if (purpose == STREAM_REPORT)
            serve_report(fd);
        else if (purpose == STREAM_UPLOAD)
            serve_upload(fd);
        else if (purpose == STREAM_DOWNLOAD)
            serve_download(fd);
        else if (purpose == STREAM_CONNECT_BACK)
            connect_back(path);
        else if (purpose == STREAM_ECHO_BYTE)
            serve_echo_byte(fd);
        else if (purpose == STREAM_LAST)
            serve_last(fd);
        more = purpose != STREAM_LAST;
    }
    close(fd);
    return more;
}

int main(int argc, char **argv)
{
    if (argc < 4 || strcmp(argv[2], "--") != 0) {
        fprintf(stderr, "usage: vsock_host SOCKET -- HULL-VMM ARGUMENT...\n");
        return 64;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    alarm(TIMEOUT_S);
    pid_t machine = fork();
    if (machine == 0) {
        execvp(argv[3], argv + 3);
        _exit(127);
    }
    int listener = command(argv[1], "LISTEN", HOST_PORT);
    bool more = listener >= 0 && answered(listener);
    while (more) {
        uint8_t port[4];
        int fd = -1;
        more = fd_receive(listener, port, sizeof port, &fd) == sizeof port && fd >= 0 && serve(fd, argv[1]);
    }
    int status = -1;
    (void)waitpid(machine, &status, 0);
    note("status", status == 0);
    int failed = 0;
    for (unsigned i = 0; i < RESULTS; i++) {
        bool good = results[i].seen && results[i].good;
        failed += !good;
        printf("%s %u - %s\n", good ? "ok" : "not ok", i + 1, results[i].says);
    }
    printf("1..%d\n", RESULTS);
    return failed != 0;
}
