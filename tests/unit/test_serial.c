/* SPDX-License-Identifier: Apache-2.0 */
/* The UART as Linux's 8250 driver probes and uses it, and a reader that does not keep up. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/event_loop.h"
#include "devices/serial.h"

enum { DATA = 0, IER = 1, IIR = 2, FCR = 2, LCR = 3, MCR = 4, LSR = 5, MSR = 6, SCR = 7 };
enum { LSR_DATA = 1, LSR_OVERRUN = 2, LSR_EMPTY = 0x60, OUT2 = 8 };

struct fixture {
    struct event_loop *loop;
    struct serial *serial;
    int irq;
    int host_in[2];  /* the test writes [1] */
    int host_out[2]; /* the test reads [0] */
};

static int setup(void **state)
{
    static struct fixture f;
    memset(&f, 0, sizeof f);
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(event_loop_new(&f.loop, NULL), 0);
    assert_int_equal(pipe2(f.host_in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(f.host_out, O_CLOEXEC), 0);
    f.irq = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    assert_int_equal(serial_new(&f.serial, f.host_in[0], f.host_out[1], f.irq, f.loop, NULL), 0);
    *state = &f;
    return 0;
}

static void close_if_open(int fd)
{
    if (fd >= 0)
        close(fd);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    serial_free(f->serial);
    event_loop_free(f->loop);
    close_if_open(f->irq);
    for (int i = 0; i < 2; i++) {
        close_if_open(f->host_in[i]);
        close_if_open(f->host_out[i]);
    }
    return 0;
}

static uint8_t in(struct fixture *f, unsigned offset)
{
    uint8_t byte = 0xee;
    serial_bus_ops.read(f->serial, offset, &byte, 1);
    return byte;
}

static void out(struct fixture *f, unsigned offset, uint8_t byte)
{
    serial_bus_ops.write(f->serial, offset, &byte, 1);
}

static void run(struct fixture *f)
{
    int limit = 100000;
    while (event_loop_run_once(f->loop, 0, NULL) > 0)
        assert_true(limit-- > 0); /* it must not spin */
}

static unsigned interrupts(struct fixture *f)
{
    uint64_t count = 0;
    return read(f->irq, &count, sizeof count) == sizeof count ? (unsigned)count : 0;
}

/* drivers/tty/serial/8250/8250_port.c: autoconfig() */
static void test_linux_finds_a_16550a(void **state)
{
    struct fixture *f = *state;
    out(f, IER, 0);
    assert_int_equal(in(f, IER) & 0x0f, 0);
    out(f, IER, 0x0f);
    assert_int_equal(in(f, IER), 0x0f);
    out(f, IER, 0xff);
    assert_int_equal(in(f, IER), 0x0f);
    out(f, IER, 0);
    out(f, MCR, 0x10 | 0x0a); /* loopback, OUT2, RTS */
    assert_int_equal(in(f, MSR) & 0xf0, 0x90);
    out(f, MCR, 0);
    assert_int_equal(in(f, MSR), 0xb0);
    out(f, FCR, 1);
    assert_int_equal(in(f, IIR) >> 6, 3);
    out(f, FCR, 0);
    assert_int_equal(in(f, IIR), 1);
    out(f, SCR, 0x5a);
    assert_int_equal(in(f, SCR), 0x5a);
    assert_int_equal(in(f, LSR), LSR_EMPTY);
}

static void test_divisor_latch(void **state)
{
    struct fixture *f = *state;
    out(f, LCR, 0x83);
    out(f, DATA, 0x01);
    out(f, IER, 0x02);
    assert_int_equal(in(f, DATA), 0x01);
    assert_int_equal(in(f, IER), 0x02);
    out(f, LCR, 0x03);
    assert_int_equal(in(f, LCR), 0x03);
    assert_int_equal(in(f, IER), 0); /* the divisor went elsewhere */
    char byte;
    assert_int_equal(fcntl(f->host_out[0], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(read(f->host_out[0], &byte, 1), -1);
}

static void test_output(void **state)
{
    struct fixture *f = *state;
    for (const char *text = "hello\n"; *text; text++)
        out(f, DATA, (uint8_t)*text);
    char got[16] = "";
    assert_int_equal(read(f->host_out[0], got, sizeof got), 6);
    assert_string_equal(got, "hello\n");
    assert_int_equal(serial_dropped(f->serial), 0);
}

static void test_output_leaves_the_callers_descriptor_alone(void **state)
{
    struct fixture *f = *state;
    assert_false(fcntl(f->host_out[1], F_GETFL) & O_NONBLOCK);
}

/* A pipe takes 64 KiB, the buffer as much again; the guest's writes return all the same. */
static void test_reader_that_does_not_read(void **state)
{
    struct fixture *f = *state;
    enum { TOTAL = 200 * 1024 };
    for (unsigned i = 0; i < TOTAL; i++)
        out(f, DATA, (uint8_t)(i % 251));
    uint64_t dropped = serial_dropped(f->serial);
    assert_true(dropped > 0);
    unsigned received = 0;
    assert_int_equal(fcntl(f->host_out[0], F_SETFL, O_NONBLOCK), 0);
    for (;;) {
        uint8_t bytes[4096];
        ssize_t n = read(f->host_out[0], bytes, sizeof bytes);
        if (n < 0) {
            run(f);
            n = read(f->host_out[0], bytes, sizeof bytes);
        }
        if (n <= 0)
            break;
        for (ssize_t i = 0; i < n; i++)
            assert_int_equal(bytes[i], received++ % 251); /* in order, nothing missing in between */
    }
    assert_int_equal(received + dropped, TOTAL);
    out(f, DATA, 'x'); /* and it goes on */
    char byte;
    assert_int_equal(read(f->host_out[0], &byte, 1), 1);
    assert_int_equal(byte, 'x');
}

static void test_reader_that_is_gone(void **state)
{
    struct fixture *f = *state;
    close(f->host_out[0]);
    f->host_out[0] = -1;
    out(f, DATA, 'x');
    out(f, DATA, 'y');
    run(f);
    assert_int_equal(serial_dropped(f->serial), 2);
    assert_int_equal(in(f, LSR), LSR_EMPTY);
}

static void test_input(void **state)
{
    struct fixture *f = *state;
    out(f, MCR, OUT2);
    out(f, IER, 1);
    assert_int_equal(write(f->host_in[1], "ab", 2), 2);
    run(f);
    assert_int_equal(interrupts(f), 1);
    assert_int_equal(in(f, IIR) & 0x0f, 4);
    assert_int_equal(in(f, LSR) & LSR_DATA, LSR_DATA);
    assert_int_equal(in(f, DATA), 'a');
    assert_int_equal(in(f, DATA), 'b');
    assert_int_equal(in(f, LSR) & LSR_DATA, 0);
    assert_int_equal(in(f, IIR) & 0x0f, 1);
    assert_int_equal(in(f, DATA), 0);
}

static void test_more_input_than_the_fifo_holds(void **state)
{
    struct fixture *f = *state;
    uint8_t bytes[1000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i % 251);
    assert_int_equal(write(f->host_in[1], bytes, sizeof bytes), sizeof bytes);
    close(f->host_in[1]); /* a hang-up beside a full FIFO must not make the loop spin */
    f->host_in[1] = -1;
    run(f);
    for (size_t i = 0; i < sizeof bytes; i++) {
        if (!(in(f, LSR) & LSR_DATA))
            run(f);
        assert_int_equal(in(f, LSR), LSR_EMPTY | LSR_DATA);
        assert_int_equal(in(f, DATA), bytes[i]);
    }
    run(f);
    assert_int_equal(in(f, LSR), LSR_EMPTY);
}

static void test_fifo_reset_forgets_input(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(write(f->host_in[1], "ab", 2), 2);
    run(f);
    out(f, FCR, 1 | 2);
    assert_int_equal(in(f, LSR), LSR_EMPTY);
}

static void test_transmitter_interrupt(void **state)
{
    struct fixture *f = *state;
    out(f, MCR, OUT2);
    out(f, IER, 2);
    assert_int_equal(interrupts(f), 1);
    assert_int_equal(in(f, IIR) & 0x0f, 2);
    assert_int_equal(in(f, IIR) & 0x0f, 1); /* reading it answered it */
    out(f, DATA, 'x');
    assert_int_equal(interrupts(f), 1);
    out(f, DATA, 'y'); /* not answered, and the transmitter is empty anew */
    assert_int_equal(interrupts(f), 1);
    out(f, IER, 0);
    out(f, IER, 2);
    assert_int_equal(in(f, IIR) & 0x0f, 2);
}

static void test_priorities(void **state)
{
    struct fixture *f = *state;
    out(f, IER, 7);
    out(f, MCR, 0x10); /* loopback, to get an overrun */
    for (unsigned i = 0; i < 17; i++)
        out(f, DATA, (uint8_t)i);
    assert_int_equal(in(f, IIR) & 0x0f, 6);
    assert_int_equal(in(f, LSR), LSR_EMPTY | LSR_DATA | LSR_OVERRUN);
    assert_int_equal(in(f, IIR) & 0x0f, 4);
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(in(f, DATA), i);
    assert_int_equal(in(f, IIR) & 0x0f, 2);
    assert_int_equal(in(f, IIR) & 0x0f, 1);
}

static void test_no_interrupt_without_out2(void **state)
{
    struct fixture *f = *state;
    out(f, IER, 2);
    assert_int_equal(interrupts(f), 0);
    out(f, MCR, OUT2);
    assert_int_equal(interrupts(f), 1);
}

static void test_input_that_arrives_while_loopback_filled_the_fifo(void **state)
{
    struct fixture *f = *state;
    out(f, MCR, 0x10);
    for (unsigned i = 0; i < 16; i++)
        out(f, DATA, (uint8_t)i);
    assert_int_equal(write(f->host_in[1], "z", 1), 1);
    run(f);
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(in(f, DATA), i);
    run(f);
    assert_int_equal(in(f, DATA), 'z');
}

static void test_wide_accesses(void **state)
{
    struct fixture *f = *state;
    uint8_t data[4] = {1, 2, 3, 4};
    serial_bus_ops.write(f->serial, SCR, data, 1);
    serial_bus_ops.read(f->serial, SCR, data, 1);
    assert_int_equal(data[0], 1);
    serial_bus_ops.read(f->serial, LSR, data, 2);
    assert_int_equal(data[0], LSR_EMPTY);
    assert_int_equal(data[1], 0);
}

static void test_input_that_cannot_be_watched(void **state)
{
    struct fixture *f = *state;
    struct serial *serial = NULL;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    assert_int_equal(serial_new(&serial, null, null, f->irq, f->loop, NULL), 0);
    run(f);
    uint8_t byte = 'x';
    serial_bus_ops.write(serial, DATA, &byte, 1);
    serial_bus_ops.read(serial, LSR, &byte, 1);
    assert_int_equal(byte, LSR_EMPTY);
    serial_free(serial);
    close(null);
}

static void test_socket_as_output(void **state)
{
    struct fixture *f = *state;
    struct serial *serial = NULL;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(serial_new(&serial, -1, pair[0], f->irq, f->loop, NULL), 0);
    close(pair[0]);
    uint8_t byte = 'x';
    serial_bus_ops.write(serial, DATA, &byte, 1);
    assert_int_equal(read(pair[1], &byte, 1), 1);
    assert_int_equal(byte, 'x');
    serial_free(serial);
    assert_int_equal(read(pair[1], &byte, 1), 0);
    close(pair[1]);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_linux_finds_a_16550a),
        CASE(test_divisor_latch),
        CASE(test_output),
        CASE(test_output_leaves_the_callers_descriptor_alone),
        CASE(test_reader_that_does_not_read),
        CASE(test_reader_that_is_gone),
        CASE(test_input),
        CASE(test_more_input_than_the_fifo_holds),
        CASE(test_fifo_reset_forgets_input),
        CASE(test_transmitter_interrupt),
        CASE(test_priorities),
        CASE(test_no_interrupt_without_out2),
        CASE(test_input_that_arrives_while_loopback_filled_the_fifo),
        CASE(test_wide_accesses),
        CASE(test_input_that_cannot_be_watched),
        CASE(test_socket_as_output),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
