/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/fd.h"

static void test_close(void **state)
{
    (void)state;
    int fd = memfd_create("x", MFD_CLOEXEC);
    int number = fd;
    errno = ENOENT;
    fd_close(&fd);
    assert_int_equal(fd, -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(fcntl(number, F_GETFD), -1);
    fd_close(&fd);
}

static void test_whole_reads_and_writes(void **state)
{
    (void)state;
    cleanup_fd int fd = memfd_create("x", MFD_CLOEXEC);
    char bytes[8] = "";
    assert_int_equal(fd_write_full(fd, "0123456789", 10), 0);
    assert_int_equal(fd_pwrite_full(fd, "ab", 2, 8), 0);
    assert_int_equal(fd_pread_full(fd, bytes, 4, 7), 3); /* short at the end only */
    assert_memory_equal(bytes, "7ab", 3);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(fd_read_full(fd, bytes, 8), 8);
    assert_memory_equal(bytes, "01234567", 8);
    assert_int_equal(fd_read_full(fd, bytes, 8), 2);
    assert_int_equal(fd_read_full(-1, bytes, 1), -EBADF);
    assert_int_equal(fd_write_full(-1, bytes, 1), -EBADF);
}

/* A pipe hands bytes over in pieces when more is asked for than is there. */
static void test_read_goes_on_until_the_end(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < 5; i++) {
            ssize_t ignored = write(ends[1], "ab", 2);
            (void)ignored;
            usleep(1000);
        }
        _exit(0);
    }
    close(ends[1]);
    char bytes[32];
    assert_int_equal(fd_read_full(ends[0], bytes, sizeof bytes), 10);
    assert_memory_equal(bytes, "ababababab", 10);
    close(ends[0]);
}

static void test_nonblocking(void **state)
{
    (void)state;
    int ends[2];
    char byte;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(fd_set_nonblocking(ends[0], 1), 0);
    assert_int_equal(read(ends[0], &byte, 1), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(fd_set_nonblocking(ends[0], 0), 0);
    assert_false(fcntl(ends[0], F_GETFL) & O_NONBLOCK);
    assert_int_equal(fd_set_nonblocking(-1, 1), -EBADF);
    close(ends[0]);
    close(ends[1]);
}

static void test_passing_a_descriptor(void **state)
{
    (void)state;
    int pair[2], received = -2;
    char bytes[16] = "";
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    int file = memfd_create("x", MFD_CLOEXEC);
    assert_int_equal(fd_write_full(file, "inside", 6), 0);
    assert_int_equal(fd_send(pair[0], "here", 4, file), 0);
    close(file);
    assert_int_equal(fd_receive(pair[1], bytes, sizeof bytes, &received), 4);
    assert_memory_equal(bytes, "here", 4);
    assert_true(received >= 0);
    assert_true(fcntl(received, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(fd_pread_full(received, bytes, 6, 0), 6);
    assert_memory_equal(bytes, "inside", 6);
    close(received);

    assert_int_equal(fd_send(pair[0], "alone", 5, -1), 0);
    assert_int_equal(fd_receive(pair[1], bytes, sizeof bytes, &received), 5);
    assert_int_equal(received, -1);
    close(pair[1]);
    assert_int_equal(fd_send(pair[0], "x", 1, -1), -EPIPE); /* and no signal */
    close(pair[0]);
}

static void test_more_descriptors_than_wanted(void **state)
{
    (void)state;
    int pair[2], received = -2;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(2 * sizeof(int))];
    } control = {0};
    char byte = 'x';
    struct iovec span = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &span, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof control.space};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(2 * sizeof(int));
    memcpy(CMSG_DATA(header), pair, sizeof pair);
    assert_int_equal(sendmsg(pair[0], &message, 0), 1);
    int before = dup(0);
    close(before);
    assert_int_equal(fd_receive(pair[1], &byte, 1, &received), 1);
    if (received >= 0)
        close(received);
    int after = dup(0);
    assert_int_equal(after, before); /* none was left open */
    close(after);
    close(pair[0]);
    close(pair[1]);
}

int main(void)
{
    signal(SIGCHLD, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_close),
        cmocka_unit_test(test_whole_reads_and_writes),
        cmocka_unit_test(test_read_goes_on_until_the_end),
        cmocka_unit_test(test_nonblocking),
        cmocka_unit_test(test_passing_a_descriptor),
        cmocka_unit_test(test_more_descriptors_than_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
