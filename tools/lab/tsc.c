/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints the frequency of this machine's time stamp counter in kHz. The emulator hands the counter through to its
 * guest, whose kernel would measure it against an emulated timer: on a busy machine it fails at that, and its timers go
 * wrong.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <x86intrin.h>

enum { MEASURE_NS = 20 * 1000 * 1000, TRIES = 16 };

struct instant {
    uint64_t ticks;
    uint64_t ns;
};

/* Reads both clocks; of several tries the one in which least time passed between. */
static struct instant read_clocks(void)
{
    struct instant best = {0};
    uint64_t best_width = UINT64_MAX;
    for (int i = 0; i < TRIES; i++) {
        struct timespec now;
        uint64_t before = __rdtsc();
        clock_gettime(CLOCK_MONOTONIC_RAW, &now);
        uint64_t width = __rdtsc() - before;
        if (width >= best_width)
            continue;
        best_width = width;
        best = (struct instant){before + width / 2, (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec};
    }
    return best;
}

int main(void)
{
    struct timespec pause = {.tv_nsec = MEASURE_NS};
    struct instant start = read_clocks();
    nanosleep(&pause, NULL);
    struct instant end = read_clocks();
    printf("%llu\n", (unsigned long long)((end.ticks - start.ticks) * 1000000 / (end.ns - start.ns)));
    return EXIT_SUCCESS;
}
