/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a function of hull says that it failed.
 *
 * A function that can fail returns 0 or a negative errno value and takes a `struct error *` as its last argument.
 * The innermost function that knows what went wrong calls error_set() once; each layer above may put its own context
 * in front with error_context() once. Nobody prints but main(). Output arguments are untouched on failure.
 *
 *     if (fd < 0)
 *         return error_set(err, errno, "cannot open kernel '%s'", path);      ->  returns -errno
 *     ...
 *     int rc = kernel_load(&kernel, fd, err);
 *     if (rc < 0)
 *         return error_context(err, rc, "machine 'm1'");                      ->  "machine 'm1': cannot open ..."
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

enum { ERROR_TEXT_MAX = 512 };

/** One failure: why, as an errno value, and in words. Zero-initialise before first use. */
struct error {
    int code;                  /**< positive errno value; 0 = no error */
    char text[ERROR_TEXT_MAX]; /**< one line, always terminated, printable (outside bytes are escaped) */
};

/**
 * Records a failure and returns its negative code, so that callers can write `return error_set(...)`.
 *
 * @param err     where to record; may be NULL (then only the code is returned)
 * @param code    positive errno value; 0 is taken for EIO, so that a failure never looks like success
 * @param format  printf format of one line without a full stop or newline. `: strerror(code)` is not added: say in
 * words what to do. Control characters in the result are replaced by '?', too long a text is cut.
 * @return -code
 */
__attribute__((format(printf, 3, 4))) int error_set(struct error *err, int code, const char *format, ...);

/** Like error_set(), and appends `: ` and the system's words for @p code. */
__attribute__((format(printf, 3, 4))) int error_set_errno(struct error *err, int code, const char *format, ...);

/**
 * Puts `context: ` in front of a recorded failure.
 *
 * @param err  the error recorded below; may be NULL
 * @param rc   the negative code to hand on; recorded, should it be another one than below
 * @return @p rc
 */
__attribute__((format(printf, 3, 4))) int error_context(struct error *err, int rc, const char *format, ...);

#if defined(__clang_analyzer__) || defined(STATIC_ANALYSIS)
/* Analyzers see one file at a time; without this they follow paths on which a failure returns 0. */
#define error_set(err, code, ...)       ((void)error_set(err, code, __VA_ARGS__), -1)
#define error_set_errno(err, code, ...) ((void)error_set_errno(err, code, __VA_ARGS__), -1)
#define error_context(err, rc, ...)     ((void)error_context(err, rc, __VA_ARGS__), (rc))
#endif

#endif
