/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors: whole reads and writes, and handing a descriptor to another process. */
#ifndef BASE_FD_H
#define BASE_FD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

/** Closes *fd unless negative and leaves -1. Keeps errno. */
void fd_close(int *fd);

/**
 * Reads until @p length bytes have arrived or the end is reached; retries EINTR.
 * @return the number of bytes read (short only at the end of the file), or -errno
 */
ssize_t fd_read_full(int fd, void *bytes, size_t length);

/** Like fd_read_full(), at @p offset and without moving the file position. */
ssize_t fd_pread_full(int fd, void *bytes, size_t length, uint64_t offset);

/** Writes all @p length bytes; retries EINTR and short writes. @return 0 or -errno */
int fd_write_full(int fd, const void *bytes, size_t length);

/** Like fd_write_full(), at @p offset and without moving the file position. */
int fd_pwrite_full(int fd, const void *bytes, size_t length, uint64_t offset);

/** Sets or clears O_NONBLOCK. @return 0 or -errno */
int fd_set_nonblocking(int fd, int nonblocking);

/**
 * Sends @p length (at least 1) bytes and, when @p passed is not negative, that descriptor along with them over a Unix
 * socket (SCM_RIGHTS, unix(7)). The caller keeps its own copy. Never raises SIGPIPE.
 * @return 0 or -errno
 */
int fd_send(int socket, const void *bytes, size_t length, int passed);

/**
 * Receives up to @p length bytes and at most one descriptor, close-on-exec; should there be more, they are closed.
 * @param passed  set to the descriptor, which the caller owns now, or -1
 * @return the number of bytes (0 at the end), or -errno
 */
ssize_t fd_receive(int socket, void *bytes, size_t length, int *passed);

#endif
