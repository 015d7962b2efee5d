/* SPDX-License-Identifier: Apache-2.0 */
/* The ring code: whatever lies in guest memory, what pop hands out is a chain of spans inside it. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/reader.h"
#include "devices/virtio/queue.h"
#include "tests/support/virtio_script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A device that looks at every span it is given and writes to every byte that it may. */
struct fake {
    struct virtio_queue *queues;
    struct virtio_transport *transport;
    struct virtio_chain chain;
    const struct virtio_driver *driver;
};

static void require(bool true_here, const char *what)
{
    if (true_here)
        return;
    fprintf(stderr, "fuzz_queue: %s\n", what);
    abort();
}

static uint64_t check_spans(const struct fake *fake, const struct iovec *spans, unsigned count)
{
    uintptr_t begin = (uintptr_t)fake->driver->ram;
    uint64_t total = 0;
    for (unsigned i = 0; i < count; i++) {
        uintptr_t at = (uintptr_t)spans[i].iov_base;
        require(spans[i].iov_len > 0, "an empty span");
        require(at >= begin && spans[i].iov_len <= SCRIPT_RAM && at - begin <= SCRIPT_RAM - spans[i].iov_len,
                "a span outside guest memory");
        total += spans[i].iov_len;
    }
    return total;
}

static void check_chain(struct fake *fake)
{
    struct virtio_chain *chain = &fake->chain;
    require(chain->head < SCRIPT_QUEUE_SIZE, "a head out of range");
    require(chain->readable_count + chain->writable_count <= VIRTIO_QUEUE_SIZE_MAX, "too many spans");
    require(check_spans(fake, chain->spans, chain->readable_count) == chain->readable_length, "readable length");
    require(check_spans(fake, chain->spans + chain->readable_count, chain->writable_count) == chain->writable_length,
            "writable length");
    struct iovec spans[VIRTIO_QUEUE_SIZE_MAX];
    uint32_t half = chain->writable_length / 2;
    unsigned count = virtio_chain_writable(chain, half, chain->writable_length - half, spans);
    require(check_spans(fake, spans, count) == chain->writable_length - half, "length of a part");
    uint8_t bytes[32];
    if (virtio_chain_read(chain, 3, bytes, sizeof bytes))
        (void)virtio_chain_write(chain, half, bytes, sizeof bytes);
}

static void fake_activate(void *device, uint64_t features, struct virtio_queue *queues,
                          struct virtio_transport *transport)
{
    (void)features;
    struct fake *fake = device;
    fake->queues = queues;
    fake->transport = transport;
}

static void fake_notify(void *device, uint16_t index)
{
    struct fake *fake = device;
    struct virtio_queue *queue = &fake->queues[index];
    do {
        virtio_queue_disable_notify(queue);
        while (virtio_queue_pop(queue, &fake->chain)) {
            check_chain(fake);
            if (fake->chain.readable_length % 7 == 1) { /* now and then it changes its mind */
                virtio_queue_unpop(queue);
                require(virtio_queue_pop(queue, &fake->chain) || queue->fault, "a chain that vanished");
                if (queue->fault)
                    break;
                check_chain(fake);
            }
            virtio_queue_push(queue, &fake->chain, fake->chain.writable_length);
        }
    } while (virtio_queue_enable_notify(queue));
    virtio_transport_interrupt(fake->transport, queue);
}

static void fake_nothing(void *device)
{
    (void)device;
}

static const struct virtio_device_ops fake_ops = {
    .name = "fake",
    .type = VIRTIO_TYPE_RNG,
    .queue_count = 2,
    .queue_size = SCRIPT_QUEUE_SIZE,
    .activate = fake_activate,
    .notify = fake_notify,
    .reset = fake_nothing,
    .free = fake_nothing,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct virtio_driver driver;
    static struct fake fake;
    driver_init_sized(&driver, SCRIPT_RAM);
    fake = (struct fake){.driver = &driver};
    driver_attach(&driver, &fake_ops, &fake);
    driver_start(&driver, VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX, SCRIPT_QUEUE_SIZE);
    struct reader script = reader_over(data, size);
    while (script.left && !script.failed)
        (void)script_step(&driver, reader_u8(&script), &script);
    driver_run(&driver);
    driver_done(&driver);
    return 0;
}
