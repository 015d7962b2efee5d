/* SPDX-License-Identifier: Apache-2.0 */
/* What --stats prints when a machine has ended. */
#ifndef TOOLS_HULL_VMM_STATS_H
#define TOOLS_HULL_VMM_STATS_H

struct machine;
struct timeline;

/** Writes when each stage was reached, in microseconds, and how often each vCPU left the guest, by reason. */
void stats_print(int fd, const struct machine *machine, const struct timeline *timeline);

#endif
