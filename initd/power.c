/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's kernel has no ACPI, so it cannot power off by itself; hull-vmm offers the one register that ACPI's
 * hardware-reduced machines have for it (ACPI 6.5, section 4.8.3.7, sleep control) at a fixed port.
 */
#include "initd/power.h"

#include <sys/reboot.h>
#include <unistd.h>

#ifdef __x86_64__
#include <sys/io.h>

enum { SLEEP_CONTROL_PORT = 0x600, SLEEP_ENABLE = 1 << 5, SLEEP_TYPE_S5 = 5 << 2 };

static void power_off_by_port(void)
{
    if (ioperm(SLEEP_CONTROL_PORT, 1, 1) == 0)
        outb(SLEEP_ENABLE | SLEEP_TYPE_S5, SLEEP_CONTROL_PORT);
}
#else
static void power_off_by_port(void)
{
    reboot(RB_POWER_OFF);
}
#endif

_Noreturn void power_off(void)
{
    power_off_by_port();
    reboot(RB_AUTOBOOT);
    for (;;)
        pause();
}
