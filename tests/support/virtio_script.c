/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/virtio_script.h"

#include <string.h>

enum { CONFIG_BYTES = 128 };

uint64_t script_address(struct reader *script)
{
    static const uint64_t odd[] = {
        0,
        DRIVER_RAM_BASE - 1,
        DRIVER_RAM_BASE + SCRIPT_RAM - 1,
        DRIVER_RAM_BASE + SCRIPT_RAM,
        UINT64_MAX,
        UINT64_MAX - 15,
        UINT64_C(1) << 63,
        UINT64_C(1) << 32,
    };
    uint16_t number = reader_le16(script);
    if (number >= 0xfff8)
        return odd[number - 0xfff8];
    return DRIVER_RAM_BASE + number;
}

uint32_t script_length(struct reader *script)
{
    uint16_t number = reader_le16(script);
    return number >= 0xff00 ? UINT32_MAX - (0xffffu - number) : number;
}

uint16_t script_queue(const struct virtio_driver *driver, struct reader *script)
{
    return (uint16_t)(reader_u8(script) % virtio_mmio_queue_count(driver->transport));
}

static void write_ram(struct virtio_driver *driver, struct reader *script)
{
    uint16_t offset = reader_le16(script);
    uint8_t length = reader_u8(script);
    const void *bytes = reader_take(script, length);
    if (bytes && offset + (size_t)length <= SCRIPT_RAM)
        memcpy(driver->ram + offset, bytes, length);
}

static void write_queue_descriptor(struct virtio_driver *driver, struct reader *script)
{
    uint16_t queue = script_queue(driver, script);
    uint16_t number = reader_u8(script) % SCRIPT_QUEUE_SIZE;
    uint64_t address = script_address(script);
    uint32_t length = script_length(script);
    uint16_t flags = reader_u8(script);
    uint16_t next = reader_u8(script);
    driver_descriptor(driver, queue, number, address, length, flags, next);
}

static void write_table_descriptor(struct virtio_driver *driver, struct reader *script)
{
    uint64_t table = DRIVER_RAM_BASE + (reader_le16(script) & 0xff0u);
    uint16_t number = reader_u8(script) % SCRIPT_QUEUE_SIZE;
    uint64_t address = script_address(script);
    uint32_t length = script_length(script);
    uint16_t flags = reader_u8(script);
    uint16_t next = reader_u8(script);
    driver_table_entry(driver, table, number, address, length, flags, next);
}

static void offer(struct virtio_driver *driver, struct reader *script)
{
    uint16_t queue = script_queue(driver, script);
    driver_offer(driver, queue, reader_u8(script));
}

static void set_index(struct virtio_driver *driver, struct reader *script)
{
    uint16_t queue = script_queue(driver, script);
    driver_set_avail_index(driver, queue, reader_le16(script));
}

static void notify(struct virtio_driver *driver, struct reader *script)
{
    driver_write(driver, MMIO_QUEUE_NOTIFY, reader_u8(script));
}

static void write_register(struct virtio_driver *driver, struct reader *script)
{
    uint32_t offset = reader_u8(script) & ~3u;
    driver_write(driver, offset, reader_le32(script));
    (void)driver_read(driver, offset);
}

static void touch_config(struct virtio_driver *driver, struct reader *script)
{
    uint32_t offset = MMIO_CONFIG + reader_u8(script) % CONFIG_BYTES;
    uint32_t width = 1u << reader_u8(script) % 4;
    const void *bytes = reader_take(script, width);
    uint8_t back[8];
    if (bytes)
        virtio_mmio_bus_ops.write(driver->transport, offset, bytes, width);
    virtio_mmio_bus_ops.read(driver->transport, offset, back, width);
}

static void start(struct virtio_driver *driver, struct reader *script)
{
    driver->next_free = DRIVER_RAM_BASE; /* what it allocated before belongs to nobody now */
    driver_start(driver, (uint64_t)reader_le32(script), SCRIPT_QUEUE_SIZE);
}

static void reset(struct virtio_driver *driver, struct reader *script)
{
    (void)script;
    driver_write(driver, MMIO_STATUS, 0);
}

static void run(struct virtio_driver *driver, struct reader *script)
{
    (void)script;
    driver_run(driver);
}

bool script_step(struct virtio_driver *driver, uint8_t what, struct reader *script)
{
    static void (*const steps[UINT8_MAX + 1])(struct virtio_driver * driver, struct reader * script) = {
        ['w'] = write_ram,
        ['d'] = write_queue_descriptor,
        ['t'] = write_table_descriptor,
        ['o'] = offer,
        ['i'] = set_index,
        ['n'] = notify,
        ['r'] = write_register,
        ['c'] = touch_config,
        ['s'] = start,
        ['x'] = reset,
        ['l'] = run,
    };
    if (!steps[what])
        return false;
    steps[what](driver, script);
    return true;
}
