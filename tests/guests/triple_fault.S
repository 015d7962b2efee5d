/* SPDX-License-Identifier: Apache-2.0 */
/* An exception without any table to handle it: the processor gives up. */
#include "guest.inc"

.globl start
start:
    lidt no_table
    ud2
1:  jmp 1b

.data
no_table: .short 0
          .quad 0
