/* SPDX-License-Identifier: Apache-2.0 */
/* One command in the lab: what was asked for, its processes, and the descriptors of its streams. */
#ifndef HULL_TOOLS_LAB_COMMAND_H
#define HULL_TOOLS_LAB_COMMAND_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

enum { REQUEST_MAX = 4 * 1024 * 1024 /**< bytes of all arguments, or of the whole environment */ };

/** A request being gathered, then the command that runs. Set up by command_init(), given up by command_done(). */
struct command {
    char *directory;         /**< owned; NULL: / */
    struct buffer arguments; /**< each terminated by a zero byte */
    struct buffer environment;
    size_t argument_count;
    size_t environment_count;
    bool terminal; /**< on a pseudo-terminal instead of pipes */
    uint16_t rows;
    uint16_t columns;

    pid_t pid;    /**< leader of the command's session and process group; 0 while none runs */
    int pidfd;    /**< readable when the leader has ended; -1 while none runs */
    int input;    /**< write end of its standard input, or -1; non-blocking */
    int output;   /**< read end of its standard output (or the terminal), or -1; non-blocking */
    int errors;   /**< read end of its standard error, or -1 */
    char *cgroup; /**< owned; directory of the control group that holds all that it started */
};

void command_init(struct command *command);

/** Kills what still runs, closes, frees, and leaves it as after command_init(). */
void command_done(struct command *command);

/** Appends an argument or a variable that is not terminated. */
void command_add_argument(struct command *command, const uint8_t *text, size_t length);
void command_add_variable(struct command *command, const uint8_t *text, size_t length);

/**
 * Starts it in a control group of its own.
 * @param name  of the control group, unique in the lab
 * @return 0 or -errno; a program that cannot be executed is told on the command's stderr and by status 126 or 127
 */
int command_start(struct command *command, const char *name, struct error *err);

/** Waits for the leader, which has ended. @return its status as a shell tells it: 0..255, 128+N for signal N */
int command_reap(struct command *command);

/** Sends a signal to the command's process group. */
void command_signal(const struct command *command, int signal);

/** Sets the size of the command's terminal, if it has one. */
void command_resize(struct command *command, uint16_t rows, uint16_t columns);

#endif
