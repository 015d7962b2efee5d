/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/hull/command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

const struct command *const commands[] = {
    &command_run,         &command_pull,          &command_push,          &command_images,
    &command_tag,         &command_rmi,           &command_save,          &command_load,
    &command_import,      &command_image_mkfs,    &command_image_ls,      &command_image_cat,
    &command_image_check, &command_image_inspect, &command_image_history, &command_image_prune,
    &command_system_df,   &command_system_prune,  &command_login,         &command_logout,
    &command_doctor,      &command_version,       &command_help,          NULL,
};

/* How many words of @p argv are the command's name; 0 = they are another's. */
static int match(const struct command *command, char **argv, int argc)
{
    size_t first = strcspn(command->name, " ");
    if (argc < 1 || strlen(argv[0]) != first || memcmp(argv[0], command->name, first) != 0)
        return 0;
    if (!command->name[first])
        return 1;
    return argc > 1 && strcmp(argv[1], command->name + first + 1) == 0 ? 2 : 0;
}

/* Says what may follow a word with which names of two words begin. */
static void explain(const char *word, struct error *err)
{
    char choices[256] = "";
    for (const struct command *const *command = commands; *command; command++) {
        size_t first = strcspn((*command)->name, " ");
        size_t used = strlen(choices);
        if ((*command)->name[first] && strlen(word) == first && memcmp(word, (*command)->name, first) == 0)
            (void)snprintf(choices + used, sizeof choices - used, "%s'%s'", used ? ", " : "", (*command)->name);
    }
    if (choices[0])
        (void)error_set(err, EINVAL, "'%s' is the beginning of %s", word, choices);
    else
        (void)error_set(err, EINVAL, "there is no command '%s'; 'hull help' lists them", word);
}

const struct command *command_find(char **argv, int argc, int *words, struct error *err)
{
    for (const struct command *const *command = commands; *command; command++)
        if ((*words = match(*command, argv, argc)) > 0)
            return *command;
    explain(argc > 0 ? argv[0] : "", err);
    return NULL;
}
