/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/hull-vmm/stats.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/buffer.h"
#include "base/fd.h"

#include "vmm/exit.h"
#include "vmm/machine.h"
#include "vmm/timeline.h"

enum { STATS_TEXT_MAX = 64 * 1024 };

/* The first column is CLOCK_MONOTONIC, so that the lines can be put among those of other processes. */
static void print_stages(struct buffer *text, const struct timeline *timeline)
{
    uint64_t start = timeline->nanoseconds[TIMELINE_STARTED], previous = start;
    buffer_append_format(text, "%16s %12s %12s  %s\n", "clock us", "since start", "step us", "stage");
    for (enum timeline_stage stage = 0; stage < TIMELINE_STAGES; stage++) {
        uint64_t now = timeline->nanoseconds[stage];
        if (!now)
            continue;
        buffer_append_format(text, "%16" PRIu64 " %12" PRIu64 " %12" PRIu64 "  %s\n", now / 1000, (now - start) / 1000,
                             (now - previous) / 1000, timeline_stage_name(stage));
        previous = now;
    }
}

static void print_count(struct buffer *text, unsigned vcpu, uint64_t count, const char *name)
{
    if (count)
        buffer_append_format(text, "%6u %12" PRIu64 "  %s\n", vcpu, count, name);
}

static void print_exits(struct buffer *text, unsigned vcpu, const struct exit_counts *exits)
{
    for (unsigned reason = 0; reason < EXIT_REASONS; reason++) {
        char number[24];
        snprintf(number, sizeof number, "reason %u", reason);
        print_count(text, vcpu, exits->by_reason[reason], exit_name(reason) ? exit_name(reason) : number);
    }
    print_count(text, vcpu, exits->interrupted, "signal");
}

void stats_print(int fd, const struct machine *machine, const struct timeline *timeline)
{
    cleanup_buffer struct buffer text = BUFFER_INIT(STATS_TEXT_MAX);
    print_stages(&text, timeline);
    buffer_append_format(&text, "%6s %12s  %s\n", "vCPU", "exits", "reason");
    for (unsigned i = 0; i < machine_vcpu_count(machine); i++)
        print_exits(&text, i, machine_exits(machine, i));
    (void)fd_write_full(fd, text.bytes, text.length);
}
