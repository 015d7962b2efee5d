/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Standard streams of this process, for an event loop. O_NONBLOCK belongs to the open file, which the shell that
 * started us shares: setting it there would break the shell. So a pipe or terminal is opened anew, and only the new
 * open file does not block.
 */
#ifndef RUNTIME_STDIO_H
#define RUNTIME_STDIO_H

struct error;

/**
 * A descriptor for the same stream that the caller owns and may give to a pump (base/pump.h).
 * @param fd  0, 1 or 2
 * @return the descriptor, or -errno
 */
int stdio_open(int fd, struct error *err);

#endif
