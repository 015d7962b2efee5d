/* SPDX-License-Identifier: Apache-2.0 */
/* A growing list of owned strings that serves as argv or envp. */
#ifndef RUNTIME_STRINGS_H
#define RUNTIME_STRINGS_H

#include <stddef.h>

struct error;

/** Zero-initialise; release with strings_done(). */
struct strings {
    char **items; /**< NULL after the last; NULL itself while empty */
    size_t count;
    size_t capacity;
};

/** Appends a copy. @return 0 or -ENOMEM */
int strings_add(struct strings *strings, const char *text, struct error *err);

/** Appends formatted text. @return 0 or -ENOMEM */
__attribute__((format(printf, 3, 4))) int strings_add_format(struct strings *strings, struct error *err,
                                                             const char *format, ...);

/** Appends `NAME=value`, or puts it in the place of the one with the same name. @return 0 or -ENOMEM */
int strings_set_variable(struct strings *strings, const char *assignment, struct error *err);

/** Removes the variable with that name, if there is one. */
void strings_remove_variable(struct strings *strings, const char *name);

/** Frees all. */
void strings_done(struct strings *strings);

#endif
