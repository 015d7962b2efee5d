/* SPDX-License-Identifier: Apache-2.0 */
/* The end of the machine. */
#ifndef INITD_POWER_H
#define INITD_POWER_H

/** Powers the machine off, or resets it when that fails. Unwritten data is lost: sync first. Does not return. */
_Noreturn void power_off(void);

#endif
