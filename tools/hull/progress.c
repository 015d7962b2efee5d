/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/hull/progress.h"

#include <inttypes.h>

/* As many digits of a digest as tell layers apart at a glance. */
enum { SHORT_DIGEST = 12 };

void progress_format_size(uint64_t bytes, char text[static PROGRESS_SIZE_MAX])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1000 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1000;
        unit++;
    }
    snprintf(text, PROGRESS_SIZE_MAX, unit ? "%.3g%s" : "%.0f%s", value, units[unit]);
}

void progress_print(void *context, const struct pull_event *event)
{
    static const char *const words[] = {
        [PULL_RESOLVED] = "resolved",
        [PULL_LAYER_EXISTS] = "already there",
        [PULL_LAYER_FETCH] = "fetching",
        [PULL_LAYER_FETCHED] = "fetched, verified",
        [PULL_LAYER_WAIT] = "waiting for another pull of it",
        [PULL_ROOTFS_BEGIN] = "making rootfs",
        [PULL_ROOTFS_READY] = "rootfs ready",
    };
    FILE *out = context;
    char digest[DIGEST_TEXT_MAX];
    char size[PROGRESS_SIZE_MAX];
    if ((size_t)event->phase >= sizeof words / sizeof words[0])
        return;
    if (event->phase == PULL_LAYER_FETCH && event->done > 0)
        return;
    digest_format_hex(&event->digest, digest);
    progress_format_size(event->total, size);
    fprintf(out, "%.*s: %s%s%s\n", SHORT_DIGEST, digest, words[event->phase], event->total ? " " : "",
            event->total ? size : "");
    fflush(out);
}
