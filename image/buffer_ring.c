/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All counters are under one lock; the bytes are not. A buffer belongs to the filler from room() to fill() and to the
 * readers until the last of them has moved on, and each of these steps takes the lock, which orders their accesses.
 */
#include "image/buffer_ring.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

/* How far a reader is. */
struct position {
    uint64_t released; /* buffers that it has let go of */
    bool holds;        /* the one after them */
};

struct buffer_ring {
    pthread_mutex_t lock;
    pthread_cond_t filled;   /* there is something to read, or an end */
    pthread_cond_t released; /* there may be something to fill, or a reader has closed */
    uint64_t shown;          /* buffers that were filled; the next one's place is this, modulo their count */
    unsigned readers;
    bool ended, closed;
    int rc; /* once ended */
    struct position positions[BUFFER_RING_READERS_MAX];
    size_t lengths[BUFFER_RING_COUNT];
    uint8_t *bytes;
};

struct buffer_ring *buffer_ring_new(unsigned readers)
{
    struct buffer_ring *ring = readers > 0 && readers <= BUFFER_RING_READERS_MAX ? calloc(1, sizeof *ring) : NULL;
    if (!ring)
        return NULL;
    ring->bytes = malloc((size_t)BUFFER_RING_COUNT * BUFFER_RING_SIZE);
    if (!ring->bytes) {
        free(ring);
        return NULL;
    }
    ring->readers = readers;
    pthread_mutex_init(&ring->lock, NULL);
    pthread_cond_init(&ring->filled, NULL);
    pthread_cond_init(&ring->released, NULL);
    return ring;
}

void buffer_ring_free(struct buffer_ring *ring)
{
    if (!ring)
        return;
    pthread_cond_destroy(&ring->released);
    pthread_cond_destroy(&ring->filled);
    pthread_mutex_destroy(&ring->lock);
    free(ring->bytes);
    free(ring);
}

static uint8_t *buffer_at(const struct buffer_ring *ring, uint64_t number)
{
    return ring->bytes + number % BUFFER_RING_COUNT * BUFFER_RING_SIZE;
}

/* ---- the filler -------------------------------------------------------------------------------------------------- */

static bool is_full(const struct buffer_ring *ring)
{
    for (unsigned i = 0; i < ring->readers; i++)
        if (ring->shown - ring->positions[i].released == BUFFER_RING_COUNT)
            return true;
    return false;
}

uint8_t *buffer_ring_room(struct buffer_ring *ring)
{
    pthread_mutex_lock(&ring->lock);
    while (!ring->closed && is_full(ring))
        pthread_cond_wait(&ring->released, &ring->lock);
    uint8_t *room = ring->closed ? NULL : buffer_at(ring, ring->shown);
    pthread_mutex_unlock(&ring->lock);
    return room;
}

void buffer_ring_fill(struct buffer_ring *ring, size_t length)
{
    pthread_mutex_lock(&ring->lock);
    ring->lengths[ring->shown % BUFFER_RING_COUNT] = length;
    ring->shown++;
    pthread_cond_broadcast(&ring->filled);
    pthread_mutex_unlock(&ring->lock);
}

void buffer_ring_end(struct buffer_ring *ring, int rc)
{
    pthread_mutex_lock(&ring->lock);
    ring->ended = true;
    ring->rc = rc;
    pthread_cond_broadcast(&ring->filled);
    pthread_mutex_unlock(&ring->lock);
}

/* ---- readers ----------------------------------------------------------------------------------------------------- */

static void let_go(struct buffer_ring *ring, struct position *position)
{
    if (!position->holds)
        return;
    position->holds = false;
    position->released++;
    pthread_cond_signal(&ring->released);
}

/* With the lock held. */
static ssize_t wait_for_next(struct buffer_ring *ring, struct position *position, const uint8_t **bytes)
{
    while (!ring->closed && !ring->ended && position->released == ring->shown)
        pthread_cond_wait(&ring->filled, &ring->lock);
    if (ring->closed)
        return -ECANCELED;
    if (position->released == ring->shown)
        return ring->rc;
    position->holds = true;
    *bytes = buffer_at(ring, position->released);
    return (ssize_t)ring->lengths[position->released % BUFFER_RING_COUNT];
}

ssize_t buffer_ring_next(struct buffer_ring *ring, unsigned reader, const uint8_t **bytes)
{
    pthread_mutex_lock(&ring->lock);
    let_go(ring, &ring->positions[reader]);
    ssize_t length = wait_for_next(ring, &ring->positions[reader], bytes);
    pthread_mutex_unlock(&ring->lock);
    return length;
}

void buffer_ring_close(struct buffer_ring *ring)
{
    pthread_mutex_lock(&ring->lock);
    ring->closed = true;
    pthread_cond_broadcast(&ring->filled);
    pthread_cond_broadcast(&ring->released);
    pthread_mutex_unlock(&ring->lock);
}
