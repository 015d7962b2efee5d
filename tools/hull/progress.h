/* SPDX-License-Identifier: Apache-2.0 */
/* What a person sees while an image is pulled or pushed: one line per step, no cursor tricks, on the stream that is not
 * data. */
#ifndef HULL_PROGRESS_H
#define HULL_PROGRESS_H

#include <stdio.h>

#include "image/pull.h"
#include "image/push.h"

/** For pull_options.progress; the context is the FILE to print to. */
void progress_print(void *context, const struct pull_event *event);

/** For push_options.progress, likewise. */
void progress_print_push(void *context, const struct push_event *event);

/** Writes a number of bytes for people, powers of 1000 as docker does: "1.36MB". */
enum { PROGRESS_SIZE_MAX = 32 };
void progress_format_size(uint64_t bytes, char text[static PROGRESS_SIZE_MAX]);

#endif
