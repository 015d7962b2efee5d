/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Buffers that go round between threads, so that the stages of a pipeline run side by side in bounded memory. One
 * thread fills them; each of a fixed number of readers sees all of them, in order; a buffer is filled again when the
 * slowest reader has let go of it.
 *
 *     filler                                         reader
 *       buffer_ring_room()     waits for a free one    buffer_ring_next()   waits; the previous one is let go of
 *       buffer_ring_fill()     shows it to all           ...
 *       buffer_ring_end()      no more will come       buffer_ring_close()  nothing more is wanted
 */
#ifndef IMAGE_BUFFER_RING_H
#define IMAGE_BUFFER_RING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct buffer_ring;

enum {
    BUFFER_RING_COUNT = 8,        /**< buffers */
    BUFFER_RING_SIZE = 256 << 10, /**< bytes of each: small enough to still be in a cache when they are read */
    BUFFER_RING_READERS_MAX = 4,
};

/** @return NULL when out of memory */
struct buffer_ring *buffer_ring_new(unsigned readers);

/** No thread may use the ring any more. NULL is fine. */
void buffer_ring_free(struct buffer_ring *ring);

/** The filler's: waits for a buffer of BUFFER_RING_SIZE bytes. @return NULL when a reader wants nothing more */
uint8_t *buffer_ring_room(struct buffer_ring *ring);

/** The filler's: shows @p length bytes (not 0) of the buffer that it got last to the readers. */
void buffer_ring_fill(struct buffer_ring *ring, size_t length);

/** The filler's: nothing comes after what was shown. @p rc 0, or the -errno that readers get at the end. */
void buffer_ring_end(struct buffer_ring *ring, int rc);

/**
 * A reader's: waits for the next bytes; they stay until its next call. What was shown before an end is read first.
 *
 * @param reader  0 to readers - 1; each is one thread at a time
 * @return how many; 0 at the end; or the filler's -errno; -ECANCELED when the ring was closed
 */
ssize_t buffer_ring_next(struct buffer_ring *ring, unsigned reader, const uint8_t **bytes);

/** Any thread's: nobody wants anything more; whoever waits goes on. */
void buffer_ring_close(struct buffer_ring *ring);

#endif
