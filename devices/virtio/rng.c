/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/virtio/rng.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/error.h"
#include "devices/virtio/queue.h"

enum {
    QUEUE_SIZE = 8,         /* Linux has one request under way */
    REQUESTS_PER_TURN = 16, /* then the loop's other devices have a turn */
};

struct rng {
    struct virtio_queue *queue;
    struct virtio_transport *transport;
    struct virtio_chain chain;
    struct iovec spans[VIRTIO_QUEUE_SIZE_MAX];
};

/* @return how many bytes of the chain were filled */
static uint32_t fill(struct rng *rng)
{
    uint32_t length = rng->chain.writable_length;
    if (length > VIRTIO_RNG_REQUEST_MAX)
        length = VIRTIO_RNG_REQUEST_MAX;
    unsigned count = virtio_chain_writable(&rng->chain, 0, length, rng->spans);
    uint32_t filled = 0;
    for (unsigned i = 0; i < count; i++) {
        /* The pool is ready long before a machine is; should it not be, the guest gets less and not a late answer. */
        ssize_t n = getrandom(rng->spans[i].iov_base, rng->spans[i].iov_len, GRND_NONBLOCK);
        if (n <= 0)
            break;
        filled += (uint32_t)n;
        if ((size_t)n < rng->spans[i].iov_len)
            break;
    }
    return filled;
}

static bool serve_next(struct rng *rng)
{
    if (!virtio_queue_pop(rng->queue, &rng->chain))
        return false;
    if (rng->chain.writable_length == 0) {
        virtio_transport_fail(rng->transport, "a request without room for random bytes");
        return false;
    }
    virtio_queue_push(rng->queue, &rng->chain, fill(rng));
    return true;
}

static void rng_notify(void *device, uint16_t index)
{
    struct rng *rng = device;
    unsigned served = 0;
    do {
        virtio_queue_disable_notify(rng->queue);
        while (served < REQUESTS_PER_TURN && serve_next(rng))
            served++;
        if (served == REQUESTS_PER_TURN) {
            virtio_transport_again(rng->transport, index);
            break;
        }
    } while (virtio_queue_enable_notify(rng->queue));
    virtio_transport_interrupt(rng->transport, rng->queue);
}

static void rng_activate(void *device, uint64_t features, struct virtio_queue *queues,
                         struct virtio_transport *transport)
{
    (void)features;
    struct rng *rng = device;
    rng->queue = &queues[0];
    rng->transport = transport;
}

static void rng_reset(void *device)
{
    struct rng *rng = device;
    rng->queue = NULL;
}

static void rng_free(void *device)
{
    free(device);
}

const struct virtio_device_ops virtio_rng_ops = {
    .name = "virtio-rng",
    .type = VIRTIO_TYPE_RNG,
    .queue_count = 1,
    .queue_size = QUEUE_SIZE,
    .activate = rng_activate,
    .notify = rng_notify,
    .reset = rng_reset,
    .free = rng_free,
};

int virtio_rng_new(void **device, struct error *err)
{
    struct rng *rng = calloc(1, sizeof *rng);
    if (!rng)
        return error_set(err, ENOMEM, "out of memory for a random number device");
    *device = rng;
    return 0;
}
