/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Init of a guest that tries vsock with the kernel's own driver, against tests/programs/vsock_host.c: streams in both
 * directions, half-closes, refusals, many at once, and last words before the power goes. It has no console; each
 * connection to HOST_PORT begins with a letter that says what it is for, and results are reported in such connections.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "tests/guests/streams.h"

static void power_off(void)
{
    if (ioperm(0x600, 1, 1) == 0)
        __asm__ volatile("outb %0, %1" : : "a"((uint8_t)0x34), "d"((uint16_t)0x600));
    reboot(RB_AUTOBOOT);
}

static int connect_to(uint32_t port)
{
    int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = port};
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) < 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static int begin(char purpose)
{
    int fd = connect_to(HOST_PORT);
    if (fd >= 0 && write(fd, &purpose, 1) != 1) {
        close(fd);
        return -1;
    }
    return fd;
}

static void report(const char *name, const char *result)
{
    char text[128];
    int length = snprintf(text, sizeof text, "%s=%s", name, result);
    int fd = begin(STREAM_REPORT);
    if (fd < 0)
        return;
    (void)!write(fd, text, (size_t)length);
    close(fd);
}

static void report_error(const char *name)
{
    report(name, strerror(errno));
}

static void try_upload(void)
{
    static uint8_t bytes[PIECE];
    int fd = begin(STREAM_UPLOAD);
    for (uint32_t sent = 0; fd >= 0 && sent < STREAM_BYTES; sent += PIECE) {
        fill_pattern(bytes, PIECE, sent);
        if (write(fd, bytes, PIECE) != PIECE)
            return report_error("upload");
    }
    if (fd < 0 || shutdown(fd, SHUT_WR) < 0)
        return report_error("upload");
    char answer[8] = "";
    bool good = read(fd, answer, sizeof answer) == 2 && strcmp(answer, "ok") == 0 && read(fd, answer, 1) == 0;
    close(fd);
    report("upload", good ? "ok" : "no answer after the half-close");
}

static void try_download(void)
{
    static uint8_t bytes[PIECE];
    int fd = begin(STREAM_DOWNLOAD);
    if (fd < 0 || shutdown(fd, SHUT_WR) < 0)
        return report_error("download");
    uint32_t received = 0;
    bool good = true;
    for (ssize_t n; (n = read(fd, bytes, sizeof bytes)) > 0; received += (uint32_t)n)
        good = good && check_pattern(bytes, (size_t)n, received);
    close(fd);
    report("download", good && received == STREAM_BYTES ? "ok" : "not the bytes that were sent");
}

static void try_refusal(void)
{
    int fd = connect_to(HOST_PORT + 1);
    report("refusal", fd < 0 && errno == ECONNRESET ? "ok" : "not reset");
}

/* The host connects to us, and what it sends comes back until it has sent everything. */
static void try_echo(void)
{
    static uint8_t bytes[PIECE];
    const struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = GUEST_PORT};
    int listener = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (const struct sockaddr *)&address, sizeof address) < 0 ||
        listen(listener, 1) < 0)
        return report_error("echo");
    int go = begin(STREAM_CONNECT_BACK);
    int fd = accept(listener, NULL, NULL);
    if (fd < 0)
        return report_error("echo");
    bool good = true;
    for (ssize_t n; (n = read(fd, bytes, sizeof bytes)) > 0;)
        good = good && write(fd, bytes, (size_t)n) == n;
    close(fd);
    close(go);
    close(listener);
    report("echo", good ? "ok" : "a write failed");
}

static void try_many(void)
{
    int fds[MANY];
    for (unsigned i = 0; i < MANY; i++)
        if ((fds[i] = begin(STREAM_ECHO_BYTE)) < 0)
            return report_error("many");
    unsigned good = 0;
    for (unsigned i = 0; i < MANY; i++) {
        uint8_t sent = (uint8_t)i, back = 0;
        good += write(fds[i], &sent, 1) == 1 && read(fds[i], &back, 1) == 1 && back == sent;
        close(fds[i]);
    }
    report("many", good == MANY ? "ok" : "not all came back");
}

int main(void)
{
    try_upload();
    try_download();
    try_refusal();
    try_echo();
    try_many();
    int fd = begin(STREAM_LAST);
    (void)!write(fd, LAST_WORDS, sizeof LAST_WORDS - 1);
    power_off();
    return 1;
}
