/* SPDX-License-Identifier: Apache-2.0 */
/* What --stats prints when a machine has ended. */
#ifndef TOOLS_HULL_VMM_STATS_H
#define TOOLS_HULL_VMM_STATS_H

#include <stdio.h>

struct machine;
struct timeline;

/** Prints when each stage was reached, in microseconds, and how often each vCPU left the guest, by reason. */
void stats_print(FILE *stream, const struct machine *machine, const struct timeline *timeline);

#endif
