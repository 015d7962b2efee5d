/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ownership by scope. A variable marked cleanup_fd or cleanup_free gives up what it holds when its scope ends, on every
 * path; steal_fd() and steal_pointer() move it out first when the function succeeds.
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_close_fd(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static inline void cleanup_free_pointer(void *pointer)
{
    free(*(void **)pointer);
}

/** Closes the descriptor unless it is -1 (or negative) when the scope ends. */
#define cleanup_fd __attribute__((cleanup(cleanup_close_fd)))

/** free()s the pointer when the scope ends. */
#define cleanup_free __attribute__((cleanup(cleanup_free_pointer)))

/** Returns *fd and leaves -1 there: the caller of the caller owns it now. */
static inline int steal_fd(int *fd)
{
    int stolen = *fd;
    *fd = -1;
    return stolen;
}

/** Returns the pointer and leaves NULL in its place. */
#define steal_pointer(pointer)                                                                                         \
    (__extension__({                                                                                                   \
        __typeof__(pointer) stolen_ = (pointer);                                                                       \
        (pointer) = NULL;                                                                                              \
        stolen_;                                                                                                       \
    }))

#endif
