/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a guest without ACPI tables or a chipset turns itself off: two ports.
 *
 *   POWER_RESET_PORT  the keyboard controller (i8042): the command "pulse the reset line", as Linux's `reboot=k` sends
 *   POWER_SLEEP_PORT  the sleep control register of hardware-reduced ACPI (ACPI 6.4, section 4.8.3.7): S5 powers off
 */
#ifndef DEVICES_POWER_H
#define DEVICES_POWER_H

#include "devices/bus_device.h"

enum power_request { POWER_OFF, POWER_RESET };

enum { POWER_RESET_PORT = 0x64, POWER_SLEEP_PORT = 0x600, POWER_WINDOW = 1 };

/** Whom to tell; the `device` argument of both ops. Embedded in the machine. */
struct power {
    /** Called on the vCPU's thread, any number of times. */
    void (*request)(void *context, enum power_request request);
    void *context;
};

extern const struct bus_device_ops power_reset_bus_ops;
extern const struct bus_device_ops power_sleep_bus_ops;

#endif
