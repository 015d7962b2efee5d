/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command-line options described by tables: the parser, the help texts and everything else that lists options read the
 * same rows. Conventions are docker's: `--name value` and `--name=value`, `-n value` and `-nvalue`, letters of flags
 * together (`-ab`), `--flag=false`, `--` ends them.
 */
#ifndef HULL_OPTIONS_H
#define HULL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

/** What an option's value is, and the type of the variable it goes into. */
enum option_kind {
    OPTION_FLAG,   /**< bool */
    OPTION_TEXT,   /**< const char *, borrowed from argv; the last one given counts */
    OPTION_LIST,   /**< struct option_list: may be given many times */
    OPTION_NUMBER, /**< uint32_t in [least, most] */
    OPTION_SIZE,   /**< uint64_t, bytes: a decimal number with an optional b, k, m, g or t (powers of 1024) */
};

enum { OPTION_LIST_MAX = 1024 };

/** Values in the order given; borrowed from argv. */
struct option_list {
    const char *items[OPTION_LIST_MAX];
    size_t count;
};

/** One option. */
struct option {
    const char *name;      /**< long form, without dashes */
    char letter;           /**< short form, or 0 */
    enum option_kind kind; /**< how its value is read */
    const char *argument;  /**< what the value is called in help texts; NULL for a flag */
    const char *help;      /**< one line, no full stop */
    size_t offset;         /**< of its variable in the command's struct of values */
    uint32_t least, most;  /**< of a number */
};

/** Options of a command; the row without a name ends the table. */
#define OPTION_END                                                                                                     \
    {                                                                                                                  \
        .name = NULL                                                                                                   \
    }

/**
 * Parses the options at the front of @p argv, and among the operands too unless @p stop_at_operand.
 *
 * @param values           the command's struct; variables of options that are not given keep their values
 * @param argv, argc       without the program's and the command's name; operands are moved together to the front
 * @param stop_at_operand  what follows the first operand belongs to it (`run IMAGE COMMAND -x`)
 * @return the number of operands, or -EINVAL
 */
int options_parse(const struct option *options, void *values, char **argv, int argc, bool stop_at_operand,
                  struct error *err);

/** Parses a size as OPTION_SIZE does. @return 0 or -EINVAL */
int options_parse_size(const char *text, uint64_t *size, struct error *err);

#endif
