/* SPDX-License-Identifier: Apache-2.0 */
/* The registers of section 4.2.2 as one table: a register that is not in it reads as zero and ignores writes. */
#include "devices/virtio/mmio.h"

#include <stddef.h>
#include <string.h>

#include "base/bytes.h"
#include "devices/virtio/transport.h"

enum {
    MAGIC_VALUE = 0x74726976,     /* "virt" */
    VENDOR_ID = 0x4c4c5548,       /* "HULL" */
    VERSION = 2,                  /* not legacy */
    NO_SHARED_MEMORY = -1,        /* section 4.2.2: length and base of a region that is not there */
    CONFIG_SPACE = 0x100,         /* from here on lies the device's configuration */
    REGISTERS = CONFIG_SPACE / 4, /* 32-bit words before it */
};

/** One 32-bit register. */
struct mmio_register {
    uint32_t (*read)(struct virtio_transport *transport);               /**< NULL: reads as 0 */
    void (*write)(struct virtio_transport *transport, uint32_t number); /**< NULL: writes are ignored */
    bool lockless; /**< touched on every kick or interrupt: must not wait while the device works */
};

/* ---- what the device is
 * ---------------------------------------------------------------------------------------------- */

static uint32_t read_magic_value(struct virtio_transport *transport)
{
    (void)transport;
    return MAGIC_VALUE;
}

static uint32_t read_version(struct virtio_transport *transport)
{
    (void)transport;
    return VERSION;
}

static uint32_t read_device_id(struct virtio_transport *transport)
{
    return transport->ops->type;
}

static uint32_t read_vendor_id(struct virtio_transport *transport)
{
    (void)transport;
    return VENDOR_ID;
}

static uint32_t read_no_shared_memory(struct virtio_transport *transport)
{
    (void)transport;
    return (uint32_t)NO_SHARED_MEMORY;
}

static uint32_t read_config_generation(struct virtio_transport *transport)
{
    return atomic_load(&transport->config_generation);
}

/* ---- features and status
 * --------------------------------------------------------------------------------------------- */

static uint32_t read_device_features(struct virtio_transport *transport)
{
    uint32_t half = transport->device_features_select;
    return half > 1 ? 0 : (uint32_t)(virtio_transport_offered(transport) >> (half * 32));
}

static void write_device_features_select(struct virtio_transport *transport, uint32_t number)
{
    transport->device_features_select = number;
}

static void write_driver_features(struct virtio_transport *transport, uint32_t number)
{
    virtio_transport_set_features(transport, transport->driver_features_select, number);
}

static void write_driver_features_select(struct virtio_transport *transport, uint32_t number)
{
    transport->driver_features_select = number;
}

static uint32_t read_status(struct virtio_transport *transport)
{
    return transport->status;
}

/* ---- queues
 * ---------------------------------------------------------------------------------------------------------- */

static void write_queue_select(struct virtio_transport *transport, uint32_t number)
{
    transport->queue_select = number;
}

static uint32_t read_queue_size_max(struct virtio_transport *transport)
{
    return virtio_transport_selected(transport) ? transport->ops->queue_size : 0;
}

static void write_queue_size(struct virtio_transport *transport, uint32_t number)
{
    struct virtio_queue_layout *layout = virtio_transport_layout(transport);
    /* Too large a size becomes 0, which DRIVER_OK refuses; cut to 16 bits it could pass for another. */
    if (layout)
        layout->size = number <= transport->ops->queue_size ? (uint16_t)number : 0;
}

static uint32_t read_queue_ready(struct virtio_transport *transport)
{
    const struct transport_queue *selected = virtio_transport_selected(transport);
    return selected && selected->ready;
}

static void write_queue_ready(struct virtio_transport *transport, uint32_t number)
{
    virtio_transport_set_queue_ready(transport, number & 1);
}

static void set_half(uint64_t *address, unsigned shift, uint32_t number)
{
    *address = (*address & ~((uint64_t)UINT32_MAX << shift)) | (uint64_t)number << shift;
}

/* The six address registers differ in the field and the half of it only. */
#define QUEUE_ADDRESS_WRITER(name, field, shift)                                                                       \
    static void name(struct virtio_transport *transport, uint32_t number)                                              \
    {                                                                                                                  \
        struct virtio_queue_layout *layout = virtio_transport_layout(transport);                                       \
        if (layout)                                                                                                    \
            set_half(&layout->field, shift, number);                                                                   \
    }
QUEUE_ADDRESS_WRITER(write_queue_descriptors_low, descriptor_table, 0)
QUEUE_ADDRESS_WRITER(write_queue_descriptors_high, descriptor_table, 32)
QUEUE_ADDRESS_WRITER(write_queue_available_low, available_ring, 0)
QUEUE_ADDRESS_WRITER(write_queue_available_high, available_ring, 32)
QUEUE_ADDRESS_WRITER(write_queue_used_low, used_ring, 0)
QUEUE_ADDRESS_WRITER(write_queue_used_high, used_ring, 32)

/* ---- interrupts
 * ------------------------------------------------------------------------------------------------------ */

static uint32_t read_interrupt_status(struct virtio_transport *transport)
{
    return atomic_load(&transport->interrupt_status);
}

static void write_interrupt_ack(struct virtio_transport *transport, uint32_t number)
{
    atomic_fetch_and(&transport->interrupt_status, ~number);
}

/* ---- the table
 * ------------------------------------------------------------------------------------------------------- */

#define REGISTER(offset) [(offset) / 4]

static const struct mmio_register registers[REGISTERS] = {
    REGISTER(0x000) = {.read = read_magic_value, .lockless = true},
    REGISTER(0x004) = {.read = read_version, .lockless = true},
    REGISTER(0x008) = {.read = read_device_id, .lockless = true},
    REGISTER(0x00c) = {.read = read_vendor_id, .lockless = true},
    REGISTER(0x010) = {.read = read_device_features},
    REGISTER(0x014) = {.write = write_device_features_select},
    REGISTER(0x020) = {.write = write_driver_features},
    REGISTER(0x024) = {.write = write_driver_features_select},
    REGISTER(0x030) = {.write = write_queue_select},
    REGISTER(0x034) = {.read = read_queue_size_max},
    REGISTER(0x038) = {.write = write_queue_size},
    REGISTER(0x044) = {.read = read_queue_ready, .write = write_queue_ready},
    REGISTER(VIRTIO_MMIO_QUEUE_NOTIFY) = {.write = virtio_transport_kick, .lockless = true},
    REGISTER(0x060) = {.read = read_interrupt_status, .lockless = true},
    REGISTER(0x064) = {.write = write_interrupt_ack, .lockless = true},
    REGISTER(0x070) = {.read = read_status, .write = virtio_transport_set_status},
    REGISTER(0x080) = {.write = write_queue_descriptors_low},
    REGISTER(0x084) = {.write = write_queue_descriptors_high},
    REGISTER(0x090) = {.write = write_queue_available_low},
    REGISTER(0x094) = {.write = write_queue_available_high},
    REGISTER(0x0a0) = {.write = write_queue_used_low},
    REGISTER(0x0a4) = {.write = write_queue_used_high},
    REGISTER(0x0b0) = {.read = read_no_shared_memory, .lockless = true},
    REGISTER(0x0b4) = {.read = read_no_shared_memory, .lockless = true},
    REGISTER(0x0b8) = {.read = read_no_shared_memory, .lockless = true},
    REGISTER(0x0bc) = {.read = read_no_shared_memory, .lockless = true},
    REGISTER(0x0fc) = {.read = read_config_generation, .lockless = true},
};

/* Section 4.2.2.2: the driver must access these registers with aligned 32-bit loads and stores. */
static const struct mmio_register *find_register(uint64_t offset, uint32_t length)
{
    static const struct mmio_register none = {.lockless = true};
    return length == 4 && offset % 4 == 0 ? &registers[offset / 4] : &none;
}

static void mmio_read(void *device, uint64_t offset, void *data, uint32_t length)
{
    struct virtio_transport *transport = device;
    memset(data, 0, length);
    if (offset >= CONFIG_SPACE) {
        if (!transport->ops->read_config)
            return;
        virtio_transport_lock(transport);
        transport->ops->read_config(transport->device, (uint32_t)(offset - CONFIG_SPACE), data, length);
        virtio_transport_unlock(transport);
        return;
    }
    const struct mmio_register *reg = find_register(offset, length);
    if (!reg->read)
        return;
    if (!reg->lockless)
        virtio_transport_lock(transport);
    store_le32(data, reg->read(transport));
    if (!reg->lockless)
        virtio_transport_unlock(transport);
}

static void mmio_write(void *device, uint64_t offset, const void *data, uint32_t length)
{
    struct virtio_transport *transport = device;
    if (offset >= CONFIG_SPACE) {
        if (!transport->ops->write_config)
            return;
        virtio_transport_lock(transport);
        transport->ops->write_config(transport->device, (uint32_t)(offset - CONFIG_SPACE), data, length);
        virtio_transport_unlock(transport);
        return;
    }
    const struct mmio_register *reg = find_register(offset, length);
    if (!reg->write)
        return;
    if (!reg->lockless)
        virtio_transport_lock(transport);
    reg->write(transport, load_le32(data));
    if (!reg->lockless)
        virtio_transport_unlock(transport);
}

const struct bus_device_ops virtio_mmio_bus_ops = {.name = "virtio-mmio", .read = mmio_read, .write = mmio_write};

int virtio_mmio_new(struct virtio_transport **transport, const struct virtio_device_ops *ops, void *device,
                    const struct guest_memory *memory, struct event_loop *loop, int irq_fd, struct error *err)
{
    return virtio_transport_new(transport, ops, device, memory, loop, irq_fd, err);
}

void virtio_mmio_free(struct virtio_transport *transport)
{
    virtio_transport_free(transport);
}

uint16_t virtio_mmio_queue_count(const struct virtio_transport *transport)
{
    return transport->ops->queue_count;
}

int virtio_mmio_kick_fd(const struct virtio_transport *transport, uint16_t index)
{
    return index < transport->ops->queue_count ? transport->control[index].kick_fd : -1;
}
