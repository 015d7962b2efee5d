/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/hull/command.h"

#include <string.h>

const struct command *const commands[] = {
    &command_run, &command_pull, &command_images, &command_doctor, &command_version, &command_help, NULL,
};

const struct command *command_find(const char *name)
{
    for (const struct command *const *command = commands; *command; command++)
        if (strcmp((*command)->name, name) == 0)
            return *command;
    return NULL;
}
