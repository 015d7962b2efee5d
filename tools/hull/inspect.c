/* SPDX-License-Identifier: Apache-2.0 */
/* hull image inspect and hull image history. */
#include "image/inspect.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "base/error.h"
#include "image/store.h"
#include "tools/hull/command.h"
#include "tools/hull/progress.h"

enum { CREATED_COLUMN = 20, MADE_BY_COLUMN = 60 };

/* The descriptions of images, in a JSON array. */
static int describe(char **operands, int count, json_t **list, struct error *err)
{
    struct store *store;
    json_t *described = json_array();
    int rc = store_open(&store, NULL, err);
    if (rc < 0) {
        json_decref(described);
        return rc;
    }
    for (int i = 0; rc == 0 && i < count; i++) {
        struct reference reference;
        json_t *image;
        rc = reference_parse(&reference, operands[i], err);
        if (rc == 0)
            rc = image_inspect(store, &reference, &image, err);
        if (rc == 0 && json_array_append_new(described, image) < 0)
            rc = error_set(err, ENOMEM, "out of memory for descriptions");
    }
    store_close(store);
    if (rc < 0)
        json_decref(described);
    else
        *list = described;
    return rc;
}

static int run_inspect(void *values, char **operands, int count, struct error *err)
{
    (void)values;
    json_t *list = NULL;
    int rc = describe(operands, count, &list, err);
    if (rc < 0)
        return rc;
    int failed = json_dumpf(list, stdout, JSON_INDENT(4));
    json_decref(list);
    putchar('\n');
    return failed ? error_set(err, ENOMEM, "out of memory for JSON") : STATUS_OK;
}

/* Prints what somebody else wrote: control characters must not reach the terminal. */
static void print_text(const json_t *text, int width)
{
    const char *at = json_string_value(text);
    int printed = 0;
    for (; at && *at && printed < width; at++, printed++)
        putchar((unsigned char)*at < ' ' || *at == 0x7f ? '?' : *at);
    printf("%*s ", width - printed, "");
}

static int run_history(void *values, char **operands, int count, struct error *err)
{
    (void)values;
    json_t *list = NULL;
    int rc = describe(operands, count, &list, err);
    if (rc < 0)
        return rc;
    const json_t *history = json_object_get(json_array_get(list, 0), "History");
    printf("%-*s %-*s %10s\n", CREATED_COLUMN, "CREATED", MADE_BY_COLUMN, "CREATED BY", "SIZE");
    for (size_t i = json_array_size(history); i-- > 0;) {
        char size[PROGRESS_SIZE_MAX];
        const json_t *step = json_array_get(history, i);
        progress_format_size((uint64_t)json_integer_value(json_object_get(step, "Size")), size);
        print_text(json_object_get(step, "Created"), CREATED_COLUMN);
        print_text(json_object_get(step, "CreatedBy"), MADE_BY_COLUMN);
        printf("%10s\n", size);
    }
    json_decref(list);
    return STATUS_OK;
}

const struct command command_image_inspect = {
    .name = "image inspect",
    .summary = "Show what images say of themselves, as JSON",
    .operands = "IMAGE...",
    .example = "  hull image inspect debian | jq '.[0].Config.Cmd'",
    .operands_min = 1,
    .operands_max = -1,
    .failure_status = STATUS_FAILED,
    .run = run_inspect,
};

const struct command command_image_history = {
    .name = "image history",
    .summary = "Show how an image came about, newest step first",
    .operands = "IMAGE",
    .example = "  hull image history debian",
    .operands_min = 1,
    .operands_max = 1,
    .failure_status = STATUS_FAILED,
    .run = run_history,
};
