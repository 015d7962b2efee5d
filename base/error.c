/* SPDX-License-Identifier: Apache-2.0 */
/* Error values: formatting in place, without allocation, so that "out of memory" can be reported too. */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The text may quote a guest, a registry or an archive: none of them may move the terminal's cursor or add a line. */
static void make_printable(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p; p++)
        if (*p < 0x20 || *p == 0x7f)
            *p = '?';
}

__attribute__((format(printf, 3, 0))) static int record(struct error *err, int code, const char *format, va_list args)
{
    if (code <= 0)
        code = EIO;
    if (err) {
        err->code = code;
        if (vsnprintf(err->text, sizeof err->text, format, args) < 0)
            err->text[0] = '\0';
        make_printable(err->text);
    }
    return -code;
}

int(error_set)(struct error *err, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int rc = record(err, code, format, args);
    va_end(args);
    return rc;
}

int(error_set_errno)(struct error *err, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int rc = record(err, code, format, args);
    va_end(args);
    if (err) {
        size_t used = strlen(err->text);
        (void)snprintf(err->text + used, sizeof err->text - used, ": %s", strerror(-rc));
    }
    return rc;
}

int(error_context)(struct error *err, int rc, const char *format, ...)
{
    if (!err)
        return rc;

    if (rc < 0)
        err->code = -rc;
    char below[ERROR_TEXT_MAX];
    memcpy(below, err->text, sizeof below);

    va_list args;
    va_start(args, format);
    int length = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    if (length < 0)
        length = 0;
    if ((size_t)length < sizeof err->text)
        (void)snprintf(err->text + length, sizeof err->text - (size_t)length, ": %s", below);
    make_printable(err->text);
    return rc;
}
