/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of hull. Each stands in a file of its own that defines one `const struct command`; commands.c lists
 * them. The parser, the help texts and what is generated from them read these structs and nothing else.
 */
#ifndef HULL_COMMAND_H
#define HULL_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "tools/hull/options.h"

struct error;

/** Exit statuses, as users know them from docker. A process's own status is passed on as it is, 128+N for a signal. */
enum {
    STATUS_OK = 0,
    STATUS_FAILED = 1,           /**< a command other than run failed */
    STATUS_RUN_FAILED = 125,     /**< hull's own fault: nothing of the container's ran, or its end is not known */
    STATUS_NOT_EXECUTABLE = 126, /**< the command is there and cannot be executed */
    STATUS_NOT_FOUND = 127,      /**< the command is not in the image */
};

/** One command. */
struct command {
    const char *name;             /**< one word, or two: "image prune" */
    const char *summary;          /**< one line for `hull help`, no full stop */
    const char *operands;         /**< "IMAGE [COMMAND [ARG...]]"; "" = none */
    const char *description;      /**< paragraphs for `hull help NAME`; may be NULL */
    const char *example;          /**< a command line and what it does */
    const struct option *options; /**< ended by OPTION_END; may be NULL */
    int operands_min, operands_max;
    bool stop_at_operand; /**< options end at the first operand */
    int failure_status;   /**< exit status when it cannot do what was asked */

    /** Size of the struct that the options fill, and its initial contents (NULL = zeros). */
    size_t values_size;
    const void *defaults;

    /**
     * Does it.
     * @param values    the options' struct
     * @param operands  count of them, followed by NULL
     * @return the exit status, or -errno with @p err set: then main prints it and exits with failure_status
     */
    int (*run)(void *values, char **operands, int count, struct error *err);
};

/** All commands, in the order of `hull help`; NULL ends the list. */
extern const struct command *const commands[];

/**
 * The command whose name the words begin with.
 * @param words  set to how many of them are its name: 1 or 2
 * @return NULL with @p err set when there is none
 */
const struct command *command_find(char **argv, int argc, int *words, struct error *err);

/** Prints the help text of a command, or with NULL the list of them, to standard output. */
void command_print_help(const struct command *command);

extern const struct command command_run, command_pull, command_images, command_doctor, command_version, command_help;
extern const struct command command_rmi, command_image_prune, command_system_df, command_system_prune;
extern const struct command command_push, command_tag, command_login, command_logout;
extern const struct command command_save, command_load, command_import;
extern const struct command command_image_inspect, command_image_history;
extern const struct command command_image_mkfs, command_image_ls, command_image_cat, command_image_check;

#endif
