/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/power.h"

#include <string.h>

enum {
    I8042_PULSE_RESET = 0xfe,

    SLEEP_ENABLE = 1 << 5,
    SLEEP_TYPE_SHIFT = 2,
    SLEEP_TYPE_MASK = 7,
    SLEEP_TYPE_S5 = 5,
};

/* Status 0: no data from the keyboard, and the input buffer is empty, so that a command may be sent at once. */
static void read_zero(void *device, uint64_t offset, void *data, uint32_t length)
{
    (void)device;
    (void)offset;
    memset(data, 0, length);
}

static void write_reset(void *device, uint64_t offset, const void *data, uint32_t length)
{
    (void)length;
    const struct power *power = device;
    if (offset == 0 && *(const uint8_t *)data == I8042_PULSE_RESET)
        power->request(power->context, POWER_RESET);
}

static void write_sleep(void *device, uint64_t offset, const void *data, uint32_t length)
{
    (void)length;
    const struct power *power = device;
    unsigned control = *(const uint8_t *)data;
    if (offset == 0 && (control & SLEEP_ENABLE) && ((control >> SLEEP_TYPE_SHIFT) & SLEEP_TYPE_MASK) == SLEEP_TYPE_S5)
        power->request(power->context, POWER_OFF);
}

const struct bus_device_ops power_reset_bus_ops = {.name = "i8042", .read = read_zero, .write = write_reset};
const struct bus_device_ops power_sleep_bus_ops = {.name = "acpi-sleep", .read = read_zero, .write = write_sleep};
