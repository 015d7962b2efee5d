/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/timeline.h"

#include <time.h>

static const char *const names[TIMELINE_POINTS] = {
    [TIMELINE_START] = "hull started",
    [TIMELINE_IMAGE_OPENED] = "image opened",
    [TIMELINE_DISK_MADE] = "writable disk made",
    [TIMELINE_VMM_SPAWNED] = "hull-vmm spawned",
    [TIMELINE_GUEST_HELLO] = "guest booted, vminitd said hello",
    [TIMELINE_STARTED] = "process started",
    [TIMELINE_EXITED] = "process exited, output written",
    [TIMELINE_VMM_GONE] = "hull-vmm gone",
};

void timeline_mark(struct timeline *timeline, enum timeline_point point)
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

void timeline_print(const struct timeline *timeline, FILE *out)
{
    uint64_t first = timeline->stamps[TIMELINE_START];
    uint64_t previous = first;
    fprintf(out, "%-34s %10s %10s\n", "WHERE THE TIME WENT", "at ms", "took ms");
    for (int point = 0; point < TIMELINE_POINTS; point++) {
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
