/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/timeline.h"

#include <time.h>

static const char *const stage_names[TIMELINE_STAGES] = {
    [TIMELINE_STARTED] = "started",
    [TIMELINE_CONFIGURED] = "configured",
    [TIMELINE_OPENED] = "files opened",
    [TIMELINE_VM] = "VM created",
    [TIMELINE_MEMORY] = "memory mapped",
    [TIMELINE_KERNEL] = "kernel loaded",
    [TIMELINE_DEVICES] = "devices",
    [TIMELINE_VCPUS] = "vCPUs created",
    [TIMELINE_CONFINED] = "confined, guest runs",
    [TIMELINE_REQUESTED] = "end asked",
    [TIMELINE_STOPPED] = "stopped",
};

void timeline_mark(struct timeline *timeline, enum timeline_stage stage)
{
    if (!timeline || timeline->nanoseconds[stage])
        return;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    timeline->nanoseconds[stage] = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

const char *timeline_stage_name(enum timeline_stage stage)
{
    return stage_names[stage];
}
