/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/serial.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/event_loop.h"
#include "base/fd.h"

enum { INPUT_FIFO = 16, REGISTERS = 8 };

/** Interrupt enable and identification, in falling priority: line status, received data, transmitter, modem. */
enum {
    IER_RECEIVED = 1,
    IER_TRANSMITTER = 2,
    IER_LINE_STATUS = 4,
    IER_ALL = 0x0f,
    IIR_NONE = 0x01,
    IIR_TRANSMITTER = 0x02,
    IIR_RECEIVED = 0x04,
    IIR_LINE_STATUS = 0x06,
    IIR_FIFO = 0xc0,
};
enum { FCR_ENABLE = 1, FCR_CLEAR_INPUT = 2 };
enum { LCR_DIVISOR_LATCH = 0x80 };
enum { MCR_DTR = 1, MCR_RTS = 2, MCR_OUT1 = 4, MCR_OUT2 = 8, MCR_LOOPBACK = 0x10, MCR_ALL = 0x1f };
enum { LSR_DATA = 1, LSR_OVERRUN = 2, LSR_TRANSMITTER_EMPTY = 0x60 };
enum { MSR_CTS = 0x10, MSR_DSR = 0x20, MSR_RI = 0x40, MSR_DCD = 0x80 };

struct serial {
    pthread_mutex_t lock; /* vCPU threads and the loop's */
    struct event_loop *loop;
    int irq_fd;

    uint8_t interrupt_enable;
    uint8_t line_control;
    uint8_t modem_control;
    uint8_t scratch;
    uint8_t divisor[2];
    bool fifo_enabled;
    bool overrun;
    bool transmitter_pending; /* its interrupt, not yet seen in IIR */
    bool line_raised;         /* the interrupt line as last told */

    uint8_t input[INPUT_FIFO];
    unsigned input_first, input_count;
    int in_fd; /* borrowed; -1 when there is no more */
    struct event_source in_source;

    struct buffer output; /* what out_fd did not take yet */
    int out_fd;           /* owned; -1 once nobody reads */
    struct event_source out_source;
    bool out_watchable;
    uint64_t dropped;
};

/* ---- interrupts
 * ------------------------------------------------------------------------------------------------------ */

static uint8_t identify_interrupt(const struct serial *serial)
{
    if ((serial->interrupt_enable & IER_LINE_STATUS) && serial->overrun)
        return IIR_LINE_STATUS;
    if ((serial->interrupt_enable & IER_RECEIVED) && serial->input_count)
        return IIR_RECEIVED;
    if ((serial->interrupt_enable & IER_TRANSMITTER) && serial->transmitter_pending)
        return IIR_TRANSMITTER;
    return IIR_NONE;
}

/* The line is edge-triggered: it is told when it rises. OUT2 gates it, as on every PC. */
static void update_line(struct serial *serial)
{
    bool raised = identify_interrupt(serial) != IIR_NONE && (serial->modem_control & MCR_OUT2);
    if (raised && !serial->line_raised) {
        uint64_t one = 1;
        ssize_t ignored = write(serial->irq_fd, &one, sizeof one);
        (void)ignored;
    }
    serial->line_raised = raised;
}

/* ---- input
 * ----------------------------------------------------------------------------------------------------------- */

static void input_push(struct serial *serial, uint8_t byte)
{
    if (serial->input_count == INPUT_FIFO) {
        serial->overrun = true;
        return;
    }
    serial->input[(serial->input_first + serial->input_count++) % INPUT_FIFO] = byte;
}

/* Level-triggered: a full FIFO stops watching altogether, because a hang-up would be told again and again. */
static void input_watch(struct serial *serial)
{
    if (serial->in_fd >= 0 && serial->in_source.fd < 0 && serial->input_count < INPUT_FIFO &&
        event_loop_add(serial->loop, &serial->in_source, serial->in_fd, EPOLLIN, NULL) < 0)
        serial->in_fd = -1;
}

static void input_ready(struct event_source *source, uint32_t events)
{
    (void)events;
    struct serial *serial = (struct serial *)(void *)((char *)source - offsetof(struct serial, in_source));
    pthread_mutex_lock(&serial->lock);
    if (serial->input_count == INPUT_FIFO) {
        event_loop_remove(serial->loop, source); /* loopback filled it meanwhile */
        pthread_mutex_unlock(&serial->lock);
        return;
    }
    uint8_t bytes[INPUT_FIFO];
    ssize_t n = read(source->fd, bytes, INPUT_FIFO - serial->input_count);
    for (ssize_t i = 0; i < n; i++)
        input_push(serial, bytes[i]);
    bool over = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
    if (over)
        serial->in_fd = -1;
    if (over || serial->input_count == INPUT_FIFO)
        event_loop_remove(serial->loop, source);
    update_line(serial);
    pthread_mutex_unlock(&serial->lock);
}

/* ---- output
 * ---------------------------------------------------------------------------------------------------------- */

/* Writes what the reader takes now. */
static void output_flush(struct serial *serial)
{
    while (serial->output.length && serial->out_fd >= 0) {
        ssize_t n = write(serial->out_fd, serial->output.bytes, serial->output.length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0) {
            serial->dropped += serial->output.length;
            buffer_clear(&serial->output);
            event_loop_remove_elsewhere(serial->loop, &serial->out_source);
            fd_close(&serial->out_fd);
            return;
        }
        buffer_consume(&serial->output, (size_t)n);
    }
}

static void output_ready(struct event_source *source, uint32_t events)
{
    (void)events;
    struct serial *serial = (struct serial *)(void *)((char *)source - offsetof(struct serial, out_source));
    pthread_mutex_lock(&serial->lock);
    output_flush(serial);
    if (!serial->output.length)
        event_loop_remove(serial->loop, source);
    pthread_mutex_unlock(&serial->lock);
}

static void output_byte(struct serial *serial, uint8_t byte)
{
    if (serial->out_fd < 0 || serial->output.length == SERIAL_OUTPUT_MAX) {
        serial->dropped++;
        return;
    }
    bool idle = serial->output.length == 0;
    buffer_append_u8(&serial->output, byte);
    if (serial->output.failed) {
        serial->output.failed = false;
        serial->dropped++;
        return;
    }
    if (!idle && serial->out_source.fd >= 0)
        return; /* the loop flushes when the reader takes more */
    output_flush(serial);
    if (serial->output.length && serial->out_source.fd < 0 && serial->out_watchable &&
        event_loop_add(serial->loop, &serial->out_source, serial->out_fd, EPOLLOUT, NULL) < 0)
        serial->out_watchable = false;
}

/* ---- registers
 * ------------------------------------------------------------------------------------------------------- */

static uint8_t read_receiver(struct serial *serial)
{
    if (!serial->input_count)
        return 0;
    uint8_t byte = serial->input[serial->input_first];
    serial->input_first = (serial->input_first + 1) % INPUT_FIFO;
    serial->input_count--;
    input_watch(serial);
    return byte;
}

static void write_transmitter(struct serial *serial, uint8_t byte)
{
    if (serial->modem_control & MCR_LOOPBACK)
        input_push(serial, byte);
    else
        output_byte(serial, byte);
    /* The byte left at once. The line falls and rises, which tells a driver that wants to know. */
    serial->transmitter_pending = false;
    update_line(serial);
    serial->transmitter_pending = true;
}

static uint8_t read_interrupt_enable(struct serial *serial)
{
    return serial->interrupt_enable;
}

static void write_interrupt_enable(struct serial *serial, uint8_t byte)
{
    /* Enabling the transmitter's interrupt while it is empty raises it; drivers test for that. */
    if (byte & ~serial->interrupt_enable & IER_TRANSMITTER)
        serial->transmitter_pending = true;
    serial->interrupt_enable = byte & IER_ALL;
}

static uint8_t read_interrupt_identification(struct serial *serial)
{
    uint8_t reason = identify_interrupt(serial);
    if (reason == IIR_TRANSMITTER)
        serial->transmitter_pending = false;
    return reason | (serial->fifo_enabled ? IIR_FIFO : 0);
}

static void write_fifo_control(struct serial *serial, uint8_t byte)
{
    serial->fifo_enabled = byte & FCR_ENABLE;
    if (byte & FCR_CLEAR_INPUT) {
        serial->input_count = 0;
        input_watch(serial);
    }
}

static uint8_t read_line_control(struct serial *serial)
{
    return serial->line_control;
}

static void write_line_control(struct serial *serial, uint8_t byte)
{
    serial->line_control = byte;
}

static uint8_t read_modem_control(struct serial *serial)
{
    return serial->modem_control;
}

static void write_modem_control(struct serial *serial, uint8_t byte)
{
    serial->modem_control = byte & MCR_ALL;
}

static uint8_t read_line_status(struct serial *serial)
{
    uint8_t status = LSR_TRANSMITTER_EMPTY;
    status |= serial->input_count ? LSR_DATA : 0;
    status |= serial->overrun ? LSR_OVERRUN : 0;
    serial->overrun = false;
    return status;
}

/* In loopback the modem outputs come back as inputs; otherwise somebody is always connected and ready. */
static uint8_t read_modem_status(struct serial *serial)
{
    static const struct {
        uint8_t output, input;
    } loopback[] = {{MCR_RTS, MSR_CTS}, {MCR_DTR, MSR_DSR}, {MCR_OUT1, MSR_RI}, {MCR_OUT2, MSR_DCD}};
    if (!(serial->modem_control & MCR_LOOPBACK))
        return MSR_CTS | MSR_DSR | MSR_DCD;
    uint8_t status = 0;
    for (size_t i = 0; i < sizeof loopback / sizeof loopback[0]; i++)
        status |= serial->modem_control & loopback[i].output ? loopback[i].input : 0;
    return status;
}

static uint8_t read_scratch(struct serial *serial)
{
    return serial->scratch;
}

static void write_scratch(struct serial *serial, uint8_t byte)
{
    serial->scratch = byte;
}

static uint8_t read_divisor_low(struct serial *serial)
{
    return serial->divisor[0];
}

static void write_divisor_low(struct serial *serial, uint8_t byte)
{
    serial->divisor[0] = byte;
}

static uint8_t read_divisor_high(struct serial *serial)
{
    return serial->divisor[1];
}

static void write_divisor_high(struct serial *serial, uint8_t byte)
{
    serial->divisor[1] = byte;
}

struct uart_register {
    uint8_t (*read)(struct serial *serial);
    void (*write)(struct serial *serial, uint8_t byte); /**< NULL: writes are ignored */
};

static const struct uart_register registers[REGISTERS] = {
    [0] = {read_receiver, write_transmitter},
    [1] = {read_interrupt_enable, write_interrupt_enable},
    [2] = {read_interrupt_identification, write_fifo_control},
    [3] = {read_line_control, write_line_control},
    [4] = {read_modem_control, write_modem_control},
    [5] = {read_line_status, NULL},
    [6] = {read_modem_status, NULL},
    [7] = {read_scratch, write_scratch},
};

/** What the divisor latch bit puts in front of the first two. */
static const struct uart_register divisor_registers[] = {
    [0] = {read_divisor_low, write_divisor_low},
    [1] = {read_divisor_high, write_divisor_high},
};

static const struct uart_register *find_register(const struct serial *serial, uint64_t offset)
{
    if ((serial->line_control & LCR_DIVISOR_LATCH) && offset < sizeof divisor_registers / sizeof divisor_registers[0])
        return &divisor_registers[offset];
    return &registers[offset % REGISTERS];
}

/* The registers are bytes: of a wider access the first byte counts. */
static void serial_read(void *device, uint64_t offset, void *data, uint32_t length)
{
    struct serial *serial = device;
    memset(data, 0, length);
    pthread_mutex_lock(&serial->lock);
    *(uint8_t *)data = find_register(serial, offset)->read(serial);
    update_line(serial);
    pthread_mutex_unlock(&serial->lock);
}

static void serial_write(void *device, uint64_t offset, const void *data, uint32_t length)
{
    (void)length;
    struct serial *serial = device;
    pthread_mutex_lock(&serial->lock);
    const struct uart_register *reg = find_register(serial, offset);
    if (reg->write)
        reg->write(serial, *(const uint8_t *)data);
    update_line(serial);
    pthread_mutex_unlock(&serial->lock);
}

const struct bus_device_ops serial_bus_ops = {.name = "serial", .read = serial_read, .write = serial_write};

/* ---- life
 * ------------------------------------------------------------------------------------------------------------ */

/* A descriptor of our own for the same output, that does not block. */
static int open_output(int fd, int *output, struct error *err)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return error_set_errno(err, errno, "cannot use the console's output");
    cleanup_fd int opened = -1;
    if (!S_ISREG(status.st_mode)) {
        char path[32];
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        opened = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    }
    if (opened < 0) {
        opened = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (opened < 0)
            return error_set_errno(err, errno, "cannot use the console's output");
        int rc = fd_set_nonblocking(opened, 1);
        if (rc < 0)
            return error_set_errno(err, -rc, "cannot use the console's output");
    }
    *output = steal_fd(&opened);
    return 0;
}

int serial_new(struct serial **out, int in_fd, int out_fd, int irq_fd, struct event_loop *loop, struct error *err)
{
    cleanup_fd int output = -1;
    int rc = open_output(out_fd, &output, err);
    if (rc < 0)
        return rc;
    struct serial *serial = calloc(1, sizeof *serial);
    if (!serial)
        return error_set(err, ENOMEM, "out of memory for a serial port");
    pthread_mutex_init(&serial->lock, NULL);
    serial->loop = loop;
    serial->irq_fd = irq_fd;
    serial->in_fd = in_fd;
    serial->in_source = (struct event_source){.fd = -1, .ready = input_ready};
    serial->out_fd = steal_fd(&output);
    serial->out_source = (struct event_source){.fd = -1, .ready = output_ready};
    serial->out_watchable = true;
    serial->output = BUFFER_INIT(SERIAL_OUTPUT_MAX);
    input_watch(serial);
    *out = serial;
    return 0;
}

void serial_free(struct serial *serial)
{
    if (!serial)
        return;
    output_flush(serial);
    event_loop_remove(serial->loop, &serial->in_source);
    event_loop_remove(serial->loop, &serial->out_source);
    fd_close(&serial->out_fd);
    buffer_done(&serial->output);
    pthread_mutex_destroy(&serial->lock);
    free(serial);
}

uint64_t serial_dropped(struct serial *serial)
{
    pthread_mutex_lock(&serial->lock);
    uint64_t dropped = serial->dropped;
    pthread_mutex_unlock(&serial->lock);
    return dropped;
}
