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

static void print_line(FILE *out, const struct digest *digest, const char *words, uint64_t total)
{
    char text[DIGEST_TEXT_MAX];
    char size[PROGRESS_SIZE_MAX];
    digest_format_hex(digest, text);
    progress_format_size(total, size);
    fprintf(out, "%.*s: %s%s%s\n", SHORT_DIGEST, text, words, total ? " " : "", total ? size : "");
    fflush(out);
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
    if ((size_t)event->phase >= sizeof words / sizeof words[0])
        return;
    if (event->phase == PULL_LAYER_FETCH && event->done > 0)
        return;
    print_line(context, &event->digest, words[event->phase], event->total);
}

void progress_print_push(void *context, const struct push_event *event)
{
    static const char *const words[] = {
        [PUSH_BLOB_EXISTS] = "already there", [PUSH_BLOB_MOUNTED] = "taken from another repository",
        [PUSH_BLOB_SEND] = "sending",         [PUSH_BLOB_SENT] = "sent",
        [PUSH_MANIFEST_SENT] = "manifest",
    };
    if ((size_t)event->phase >= sizeof words / sizeof words[0] || (event->phase == PUSH_BLOB_SEND && event->done > 0))
        return;
    print_line(context, &event->digest, words[event->phase], event->total);
}
