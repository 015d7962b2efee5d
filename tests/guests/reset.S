/* SPDX-License-Identifier: Apache-2.0 */
/* Asks for a reset, as Linux does with `reboot=k`. */
#include "guest.inc"

.globl start
start:
    out_byte PORT_RESET, 0xfe
1:  jmp 1b
