/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/run_timeline.h"

#include <time.h>

static const char *const names[RUN_TIMELINE_POINTS] = {
    [RUN_TIMELINE_START] = "hull started",
    [RUN_TIMELINE_IMAGE_OPENED] = "image opened",
    [RUN_TIMELINE_DISK_MADE] = "writable disk made",
    [RUN_TIMELINE_VMM_SPAWNED] = "hull-vmm spawned",
    [RUN_TIMELINE_GUEST_HELLO] = "guest booted, vminitd said hello",
    [RUN_TIMELINE_STARTED] = "process started",
    [RUN_TIMELINE_EXITED] = "process exited, output written",
    [RUN_TIMELINE_VMM_GONE] = "hull-vmm gone",
};

void run_timeline_mark(struct run_timeline *timeline, enum run_timeline_point point)
{
    struct timespec now;
    if (!timeline || timeline->stamps[point] || clock_gettime(CLOCK_MONOTONIC, &now) < 0)
        return;
    timeline->stamps[point] = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static double milliseconds(uint64_t ns)
{
    return (double)ns / 1e6;
}

void run_timeline_print(const struct run_timeline *timeline, FILE *out)
{
    uint64_t first = timeline->stamps[RUN_TIMELINE_START];
    uint64_t previous = first;
    fprintf(out, "%-34s %10s %10s\n", "WHERE THE TIME WENT", "at ms", "took ms");
    for (int point = 0; point < RUN_TIMELINE_POINTS; point++) {
        uint64_t stamp = timeline->stamps[point];
        if (!stamp)
            continue;
        fprintf(out, "%-34s %10.2f %10.2f\n", names[point], milliseconds(stamp - first),
                milliseconds(stamp - previous));
        previous = stamp;
    }
    if (timeline->guest_started_ns)
        fprintf(out, "by the guest's own clock: vminitd at %.2f ms, the process at %.2f ms\n",
                milliseconds(timeline->guest_hello_ns), milliseconds(timeline->guest_started_ns));
}
