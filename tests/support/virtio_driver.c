/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/virtio_driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/bytes.h"

enum { RUN_LIMIT = 100000 };

/* Not assert(): a test program stops here whatever it is built with. */
static void require(bool true_here, const char *what)
{
    if (true_here)
        return;
    fprintf(stderr, "virtio_driver: %s\n", what);
    abort();
}

void driver_init(struct virtio_driver *driver)
{
    driver_init_sized(driver, DRIVER_RAM_SIZE);
}

void driver_init_sized(struct virtio_driver *driver, size_t ram_size)
{
    *driver = (struct virtio_driver){.next_free = DRIVER_RAM_BASE};
    /* From the allocator, so that AddressSanitizer guards both ends. */
    driver->ram = aligned_alloc(4096, ram_size);
    require(driver->ram, "out of memory");
    memset(driver->ram, 0, ram_size);
    driver->memory.count = 1;
    driver->memory.regions[0] =
        (struct guest_region){.guest_address = DRIVER_RAM_BASE, .size = ram_size, .host = driver->ram};
    require(event_loop_new(&driver->loop, NULL) == 0, "no event loop");
    driver->irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    require(driver->irq_fd >= 0, "no eventfd");
}

void driver_attach(struct virtio_driver *driver, const struct virtio_device_ops *ops, void *device)
{
    require(virtio_mmio_new(&driver->transport, ops, device, &driver->memory, driver->loop, driver->irq_fd, NULL) == 0,
            "no transport");
}

void driver_done(struct virtio_driver *driver)
{
    virtio_mmio_free(driver->transport);
    event_loop_free(driver->loop);
    close(driver->irq_fd);
    free(driver->ram);
}

uint32_t driver_read(struct virtio_driver *driver, uint32_t offset)
{
    uint8_t bytes[4];
    virtio_mmio_bus_ops.read(driver->transport, offset, bytes, sizeof bytes);
    return load_le32(bytes);
}

void driver_write(struct virtio_driver *driver, uint32_t offset, uint32_t number)
{
    uint8_t bytes[4];
    store_le32(bytes, number);
    virtio_mmio_bus_ops.write(driver->transport, offset, bytes, sizeof bytes);
}

uint64_t driver_offered(struct virtio_driver *driver)
{
    driver_write(driver, MMIO_DEVICE_FEATURES_SEL, 1);
    uint64_t features = (uint64_t)driver_read(driver, MMIO_DEVICE_FEATURES) << 32;
    driver_write(driver, MMIO_DEVICE_FEATURES_SEL, 0);
    return features | driver_read(driver, MMIO_DEVICE_FEATURES);
}

uint64_t driver_negotiate(struct virtio_driver *driver, uint64_t wanted)
{
    driver_write(driver, MMIO_STATUS, 0);
    driver_write(driver, MMIO_STATUS, STATUS_ACKNOWLEDGE);
    driver_write(driver, MMIO_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
    uint64_t features = driver_offered(driver) & (wanted | VIRTIO_F_VERSION_1);
    driver_write(driver, MMIO_DRIVER_FEATURES_SEL, 1);
    driver_write(driver, MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32));
    driver_write(driver, MMIO_DRIVER_FEATURES_SEL, 0);
    driver_write(driver, MMIO_DRIVER_FEATURES, (uint32_t)features);
    driver_write(driver, MMIO_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
    return features;
}

static void write_address(struct virtio_driver *driver, uint32_t offset, uint64_t address)
{
    driver_write(driver, offset, (uint32_t)address);
    driver_write(driver, offset + 4, (uint32_t)(address >> 32));
}

void driver_write_layout(struct virtio_driver *driver, uint16_t index)
{
    const struct driver_queue *queue = &driver->queues[index];
    driver_write(driver, MMIO_QUEUE_SEL, index);
    driver_write(driver, MMIO_QUEUE_NUM, queue->size);
    write_address(driver, MMIO_QUEUE_DESC, queue->descriptors);
    write_address(driver, MMIO_QUEUE_DRIVER, queue->available);
    write_address(driver, MMIO_QUEUE_DEVICE, queue->used);
}

void driver_setup_queue(struct virtio_driver *driver, uint16_t index, uint16_t size)
{
    driver->queues[index] = (struct driver_queue){
        .size = size,
        .descriptors = driver_alloc(driver, (size_t)size * 16, 16),
        .available = driver_alloc(driver, 6 + size * 2u, 2),
        .used = driver_alloc(driver, 6 + size * 8u, 4),
    };
    driver_write_layout(driver, index);
    driver_write(driver, MMIO_QUEUE_READY, 1);
}

void driver_start(struct virtio_driver *driver, uint64_t wanted, uint16_t size)
{
    driver_negotiate(driver, wanted);
    for (uint16_t i = 0; i < virtio_mmio_queue_count(driver->transport); i++)
        driver_setup_queue(driver, i, size);
    driver_write(driver, MMIO_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK | STATUS_DRIVER_OK);
}

uint64_t driver_alloc(struct virtio_driver *driver, size_t size, size_t alignment)
{
    uint64_t address = (driver->next_free + alignment - 1) & ~(uint64_t)(alignment - 1);
    driver->next_free = address + size;
    require(driver->next_free <= DRIVER_RAM_BASE + driver->memory.regions[0].size, "out of guest memory");
    memset(driver_at(driver, address), 0, size);
    return address;
}

void *driver_at(struct virtio_driver *driver, uint64_t address)
{
    return driver->ram + (address - DRIVER_RAM_BASE);
}

void driver_table_entry(struct virtio_driver *driver, uint64_t table, uint16_t number, uint64_t address,
                        uint32_t length, uint16_t flags, uint16_t next)
{
    uint8_t *entry = (uint8_t *)driver_at(driver, table) + (size_t)number * 16;
    store_le64(entry, address);
    store_le32(entry + 8, length);
    store_le16(entry + 12, flags);
    store_le16(entry + 14, next);
}

void driver_descriptor(struct virtio_driver *driver, uint16_t index, uint16_t number, uint64_t address, uint32_t length,
                       uint16_t flags, uint16_t next)
{
    driver_table_entry(driver, driver->queues[index].descriptors, number, address, length, flags, next);
}

void driver_offer(struct virtio_driver *driver, uint16_t index, uint16_t head)
{
    struct driver_queue *queue = &driver->queues[index];
    uint8_t *available = driver_at(driver, queue->available);
    store_le16(available + 4 + (size_t)(queue->available_index % queue->size) * 2, head);
    driver_set_avail_index(driver, index, (uint16_t)(queue->available_index + 1));
}

uint16_t driver_submit(struct virtio_driver *driver, uint16_t index, const struct driver_span *spans, unsigned count)
{
    struct driver_queue *queue = &driver->queues[index];
    uint16_t head = queue->next_descriptor;
    for (unsigned i = 0; i < count; i++) {
        uint16_t number = queue->next_descriptor;
        queue->next_descriptor = (uint16_t)((number + 1) % queue->size);
        uint16_t flags = (uint16_t)((spans[i].writable ? DESC_WRITE : 0) | (i + 1 < count ? DESC_NEXT : 0));
        driver_descriptor(driver, index, number, spans[i].address, spans[i].length, flags, queue->next_descriptor);
    }
    driver_offer(driver, index, head);
    return head;
}

void driver_kick(struct virtio_driver *driver, uint16_t index)
{
    driver_write(driver, MMIO_QUEUE_NOTIFY, index);
    driver_run(driver);
}

unsigned driver_run(struct virtio_driver *driver)
{
    unsigned handled = 0;
    for (int rc; (rc = event_loop_run_once(driver->loop, 0, NULL)) > 0;) {
        handled += (unsigned)rc;
        require(handled < RUN_LIMIT, "the device spins");
    }
    return handled;
}

bool driver_used(struct virtio_driver *driver, uint16_t index, uint32_t *head, uint32_t *length)
{
    struct driver_queue *queue = &driver->queues[index];
    const uint8_t *used = driver_at(driver, queue->used);
    if (load_le16(used + 2) == queue->used_seen)
        return false;
    const uint8_t *element = used + 4 + (size_t)(queue->used_seen++ % queue->size) * 8;
    *head = load_le32(element);
    *length = load_le32(element + 4);
    return true;
}

uint64_t driver_interrupts(struct virtio_driver *driver)
{
    uint64_t count = 0;
    return read(driver->irq_fd, &count, sizeof count) == sizeof count ? count : 0;
}

void driver_set_used_event(struct virtio_driver *driver, uint16_t index, uint16_t event)
{
    const struct driver_queue *queue = &driver->queues[index];
    store_le16((uint8_t *)driver_at(driver, queue->available) + 4 + (size_t)queue->size * 2, event);
}

uint16_t driver_avail_event(struct virtio_driver *driver, uint16_t index)
{
    const struct driver_queue *queue = &driver->queues[index];
    return load_le16((uint8_t *)driver_at(driver, queue->used) + 4 + (size_t)queue->size * 8);
}

void driver_set_avail_flags(struct virtio_driver *driver, uint16_t index, uint16_t flags)
{
    store_le16(driver_at(driver, driver->queues[index].available), flags);
}

uint16_t driver_used_flags(struct virtio_driver *driver, uint16_t index)
{
    return load_le16(driver_at(driver, driver->queues[index].used));
}

void driver_set_avail_index(struct virtio_driver *driver, uint16_t index, uint16_t available_index)
{
    struct driver_queue *queue = &driver->queues[index];
    queue->available_index = available_index;
    store_le16((uint8_t *)driver_at(driver, queue->available) + 2, available_index);
}
