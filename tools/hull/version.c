/* SPDX-License-Identifier: Apache-2.0 */
/* hull version. */
#include <stdio.h>

#include "tools/hull/command.h"

static int run(void *values, char **operands, int count, struct error *err)
{
    (void)values;
    (void)operands;
    (void)count;
    (void)err;
    printf("hull %s\n", HULL_VERSION);
    return STATUS_OK;
}

const struct command command_version = {
    .name = "version",
    .summary = "Print hull's version",
    .operands = "",
    .example = "  hull version",
    .failure_status = STATUS_FAILED,
    .run = run,
};
