/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/hull-vmm/stats.h"

#include <inttypes.h>

#include "vmm/exit.h"
#include "vmm/machine.h"
#include "vmm/timeline.h"

/* The first column is CLOCK_MONOTONIC, so that the lines can be put among those of other processes. */
static void print_stages(FILE *stream, const struct timeline *timeline)
{
    uint64_t start = timeline->nanoseconds[TIMELINE_STARTED], previous = start;
    fprintf(stream, "%16s %12s %12s  %s\n", "clock us", "since start", "step us", "stage");
    for (enum timeline_stage stage = 0; stage < TIMELINE_STAGES; stage++) {
        uint64_t now = timeline->nanoseconds[stage];
        if (!now)
            continue;
        fprintf(stream, "%16" PRIu64 " %12" PRIu64 " %12" PRIu64 "  %s\n", now / 1000, (now - start) / 1000,
                (now - previous) / 1000, timeline_stage_name(stage));
        previous = now;
    }
}

static void print_count(FILE *stream, unsigned vcpu, uint64_t count, const char *name)
{
    if (count)
        fprintf(stream, "%6u %12" PRIu64 "  %s\n", vcpu, count, name);
}

static void print_exits(FILE *stream, unsigned vcpu, const struct exit_counts *exits)
{
    for (unsigned reason = 0; reason < EXIT_REASONS; reason++) {
        char number[24];
        snprintf(number, sizeof number, "reason %u", reason);
        print_count(stream, vcpu, exits->by_reason[reason], exit_name(reason) ? exit_name(reason) : number);
    }
    print_count(stream, vcpu, exits->interrupted, "signal");
}

void stats_print(FILE *stream, const struct machine *machine, const struct timeline *timeline)
{
    print_stages(stream, timeline);
    fprintf(stream, "%6s %12s  %s\n", "vCPU", "exits", "reason");
    for (unsigned i = 0; i < machine_vcpu_count(machine); i++)
        print_exits(stream, i, machine_exits(machine, i));
    fflush(stream);
}
