/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of hull-vmm. */
#ifndef TOOLS_HULL_VMM_OPTIONS_H
#define TOOLS_HULL_VMM_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>

#include "base/log.h"
#include "vmm/config.h"

struct error;

enum options_wish { OPTIONS_RUN, OPTIONS_HELP, OPTIONS_VERSION };

struct options {
    struct machine_config config;
    enum options_wish wish;
    bool from_file;  /**< --config was given: what is wrong is wrong data, not wrong usage */
    bool stats;      /**< print exits and stages after the end */
    bool unconfined; /**< skip jail and filters */
    enum log_level log_level;
};

/** Defaults; release with options_done(). */
void options_init(struct options *options);
void options_done(struct options *options);

/**
 * Reads the command line, and the files that --config names where they stand in it: later options win.
 * @return 0, or the process's exit status (sysexits.h) with *err in words
 */
int options_parse(struct options *options, int argc, char **argv, struct error *err);

/** Prints the help text. */
void options_print_help(FILE *stream);

#endif
