/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Diagnostics for whoever runs hull, on standard error: `program: level: text`. Results go to standard output and
 * failures travel in `struct error`; this is for what a person may want to see while things go on.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/**
 * Sets what is printed from now on: @p level and everything graver. The default is LOG_LEVEL_WARN. This level and the
 * program's name are the only mutable globals of the project. Call before threads start.
 *
 * @param program  printed in front of each line; must outlive the program (a string literal)
 */
void log_setup(const char *program, enum log_level level);

/** Whether @p level is printed; lets a caller skip costly work. */
int log_enabled(enum log_level level);

/** Prints one line with a single write(2), so that lines of several threads never mix. Control characters become '?'.
 */
__attribute__((format(printf, 2, 3))) void log_print(enum log_level level, const char *format, ...);

#define log_error(...) log_print(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_print(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_print(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_print(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
