/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/virtio/transport.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"

/** After so many a guest fills nobody's log any more. */
enum { FAILURES_LOGGED = 8 };

/** The bits that a driver sets; NEEDS_RESET is the device's. */
static const uint32_t driver_status_bits = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER |
                                           VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_FAILED;

static const uint64_t transport_features = VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX;

/* An eventfd whose counter is full has its reader woken already. */
static void signal_eventfd(int fd)
{
    uint64_t one = 1;
    ssize_t ignored = write(fd, &one, sizeof one);
    (void)ignored;
}

/* ---- the driver's side
 * ----------------------------------------------------------------------------------------------- */

uint64_t virtio_transport_offered(const struct virtio_transport *transport)
{
    return transport_features | (transport->ops->features ? transport->ops->features(transport->device) : 0);
}

static void reset(struct virtio_transport *transport)
{
    if (transport->active)
        transport->ops->reset(transport->device);
    transport->active = false;
    transport->status = 0;
    transport->driver_features = 0;
    transport->device_features_select = transport->driver_features_select = transport->queue_select = 0;
    for (unsigned i = 0; i < transport->ops->queue_count; i++) {
        transport->control[i].ready = false;
        transport->control[i].layout = (struct virtio_queue_layout){.size = transport->ops->queue_size};
        virtio_queue_reset(&transport->queues[i]);
    }
    atomic_store(&transport->interrupt_status, 0);
}

static void start(struct virtio_transport *transport)
{
    for (unsigned i = 0; i < transport->ops->queue_count; i++) {
        struct transport_queue *control = &transport->control[i];
        if (!control->ready)
            continue;
        if (!virtio_queue_start(&transport->queues[i], &control->layout, transport->memory,
                                transport->driver_features)) {
            virtio_transport_fail(transport, transport->queues[i].fault);
            return;
        }
    }
    transport->active = true;
    transport->ops->activate(transport->device, transport->driver_features, transport->queues, transport);
    /* What the driver queued before DRIVER_OK it may have kicked for too early; and notify belongs on the loop. */
    for (uint16_t i = 0; i < transport->ops->queue_count; i++)
        if (transport->control[i].ready)
            virtio_transport_again(transport, i);
}

static bool features_acceptable(const struct virtio_transport *transport)
{
    return (transport->driver_features & VIRTIO_F_VERSION_1) &&
           !(transport->driver_features & ~virtio_transport_offered(transport));
}

void virtio_transport_set_status(struct virtio_transport *transport, uint32_t status)
{
    if (status == 0) {
        reset(transport);
        return;
    }
    uint32_t current = transport->status & driver_status_bits;
    status &= driver_status_bits;
    if (current & ~status)
        return;
    uint32_t added = status & ~current;
    if ((added & VIRTIO_STATUS_FEATURES_OK) && (!(status & VIRTIO_STATUS_DRIVER) || !features_acceptable(transport)))
        added &= ~(uint32_t)VIRTIO_STATUS_FEATURES_OK;
    if (!((current | added) & VIRTIO_STATUS_FEATURES_OK))
        added &= ~(uint32_t)VIRTIO_STATUS_DRIVER_OK;
    transport->status |= added;
    if ((added & VIRTIO_STATUS_DRIVER_OK) && !(transport->status & VIRTIO_STATUS_NEEDS_RESET))
        start(transport);
}

void virtio_transport_set_features(struct virtio_transport *transport, uint32_t half, uint32_t bits)
{
    if (half > 1 || (transport->status & VIRTIO_STATUS_FEATURES_OK))
        return;
    unsigned shift = half * 32;
    transport->driver_features &= ~((uint64_t)UINT32_MAX << shift);
    transport->driver_features |= (uint64_t)bits << shift;
}

struct transport_queue *virtio_transport_selected(struct virtio_transport *transport)
{
    if (transport->queue_select >= transport->ops->queue_count)
        return NULL;
    return &transport->control[transport->queue_select];
}

struct virtio_queue_layout *virtio_transport_layout(struct virtio_transport *transport)
{
    struct transport_queue *control = virtio_transport_selected(transport);
    if (!control || control->ready || (transport->status & VIRTIO_STATUS_DRIVER_OK))
        return NULL;
    return &control->layout;
}

void virtio_transport_set_queue_ready(struct virtio_transport *transport, bool ready)
{
    struct transport_queue *control = virtio_transport_selected(transport);
    if (control && !(transport->status & VIRTIO_STATUS_DRIVER_OK))
        control->ready = ready;
}

void virtio_transport_kick(struct virtio_transport *transport, uint32_t index)
{
    if (index < transport->ops->queue_count)
        signal_eventfd(transport->control[index].kick_fd);
}

static void kicked(struct event_source *source, uint32_t events)
{
    (void)events;
    struct transport_queue *control =
        (struct transport_queue *)(void *)((char *)source - offsetof(struct transport_queue, source));
    struct virtio_transport *transport = control->transport;
    uint64_t count;
    if (read(control->kick_fd, &count, sizeof count) < 0)
        return;
    virtio_transport_lock(transport);
    if (transport->active && control->ready && !(transport->status & VIRTIO_STATUS_NEEDS_RESET))
        transport->ops->notify(transport->device, control->index);
    virtio_transport_unlock(transport);
}

/* ---- the device's side
 * ----------------------------------------------------------------------------------------------- */

void virtio_transport_lock(struct virtio_transport *transport)
{
    pthread_mutex_lock(&transport->lock);
}

void virtio_transport_unlock(struct virtio_transport *transport)
{
    /* Whoever held the lock may have met a broken ring, and this is the one place where all of them come by. */
    for (unsigned i = 0; i < transport->ops->queue_count; i++)
        if (transport->queues[i].fault && !(transport->status & VIRTIO_STATUS_NEEDS_RESET))
            virtio_transport_fail(transport, transport->queues[i].fault);
    pthread_mutex_unlock(&transport->lock);
}

static void interrupt(struct virtio_transport *transport, unsigned reason)
{
    atomic_fetch_or(&transport->interrupt_status, reason);
    signal_eventfd(transport->irq_fd);
}

void virtio_transport_again(struct virtio_transport *transport, uint16_t index)
{
    signal_eventfd(transport->control[index].kick_fd);
}

void virtio_transport_interrupt(struct virtio_transport *transport, struct virtio_queue *queue)
{
    if (virtio_queue_should_interrupt(queue))
        interrupt(transport, VIRTIO_INTERRUPT_USED_BUFFER);
}

void virtio_transport_config_changed(struct virtio_transport *transport)
{
    atomic_fetch_add(&transport->config_generation, 1);
    if (transport->status & VIRTIO_STATUS_DRIVER_OK)
        interrupt(transport, VIRTIO_INTERRUPT_CONFIG_CHANGE);
}

void virtio_transport_fail(struct virtio_transport *transport, const char *reason)
{
    if (transport->status & VIRTIO_STATUS_NEEDS_RESET)
        return;
    if (transport->failures++ < FAILURES_LOGGED)
        log_warn("%s: the guest must reset the device: %s", transport->ops->name, reason);
    transport->status |= VIRTIO_STATUS_NEEDS_RESET;
    for (unsigned i = 0; i < transport->ops->queue_count; i++)
        if (!transport->queues[i].fault)
            transport->queues[i].fault = reason;
    if (transport->status & VIRTIO_STATUS_DRIVER_OK)
        interrupt(transport, VIRTIO_INTERRUPT_CONFIG_CHANGE);
}

/* ---- life
 * ------------------------------------------------------------------------------------------------------------ */

static int watch_kicks(struct virtio_transport *transport, struct error *err)
{
    for (uint16_t i = 0; i < transport->ops->queue_count; i++) {
        struct transport_queue *control = &transport->control[i];
        control->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (control->kick_fd < 0)
            return error_set_errno(err, errno, "cannot make an eventfd for %s", transport->ops->name);
        int rc = event_loop_add(transport->loop, &control->source, control->kick_fd, EPOLLIN, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int virtio_transport_new(struct virtio_transport **out, const struct virtio_device_ops *ops, void *device,
                         const struct guest_memory *memory, struct event_loop *loop, int irq_fd, struct error *err)
{
    struct virtio_transport *transport = calloc(1, sizeof *transport);
    if (!transport) {
        ops->free(device);
        return error_set(err, ENOMEM, "out of memory for %s", ops->name);
    }
    transport->ops = ops;
    transport->device = device;
    transport->memory = memory;
    transport->loop = loop;
    transport->irq_fd = irq_fd;
    pthread_mutex_init(&transport->lock, NULL);
    for (unsigned i = 0; i < VIRTIO_QUEUES_MAX; i++)
        transport->control[i] = (struct transport_queue){
            .source = {.fd = -1, .ready = kicked}, .kick_fd = -1, .index = (uint16_t)i, .transport = transport};
    reset(transport);
    int rc = watch_kicks(transport, err);
    if (rc < 0) {
        virtio_transport_free(transport);
        return rc;
    }
    *out = transport;
    return 0;
}

void virtio_transport_free(struct virtio_transport *transport)
{
    if (!transport)
        return;
    if (transport->active && transport->ops->drain)
        transport->ops->drain(transport->device);
    reset(transport);
    for (unsigned i = 0; i < VIRTIO_QUEUES_MAX; i++) {
        event_loop_remove(transport->loop, &transport->control[i].source);
        fd_close(&transport->control[i].kick_fd);
    }
    transport->ops->free(transport->device);
    pthread_mutex_destroy(&transport->lock);
    free(transport);
}
