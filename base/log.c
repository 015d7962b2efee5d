/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static const char *log_program = "hull";
static enum log_level log_level = LOG_LEVEL_WARN;

void log_setup(const char *program, enum log_level level)
{
    log_program = program;
    log_level = level;
}

int log_enabled(enum log_level level)
{
    return level <= log_level;
}

void log_print(enum log_level level, const char *format, ...)
{
    static const char *const names[] = {
        [LOG_LEVEL_ERROR] = "error",
        [LOG_LEVEL_WARN] = "warning",
        [LOG_LEVEL_INFO] = "info",
        [LOG_LEVEL_DEBUG] = "debug",
    };
    if (!log_enabled(level))
        return;

    int saved_errno = errno;
    char line[1024];
    int used = snprintf(line, sizeof line, "%s: %s: ", log_program, names[level]);
    if (used > 0) {
        va_list args;
        va_start(args, format);
        int text = vsnprintf(line + used, sizeof line - (size_t)used, format, args);
        va_end(args);
        used = text < 0 ? used : used + text;
        if ((size_t)used > sizeof line - 2)
            used = sizeof line - 2;
        for (int i = 0; i < used; i++)
            if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
                line[i] = '?';
        line[used++] = '\n';
        /* A full or closed standard error must not stop a machine. */
        if (write(STDERR_FILENO, line, (size_t)used) < 0)
            errno = saved_errno;
    }
    errno = saved_errno;
}
