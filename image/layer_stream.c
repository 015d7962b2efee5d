/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three threads, started with the first read:
 *
 *     read, decompress ──► ring of buffers ─┬─► hash
 *                                           └─► the caller: archive, tree, file system
 */
#include "image/layer_stream.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "image/buffer_ring.h"
#include "image/decoder.h"

enum { INPUT_SIZE = 256 << 10 };

enum reader { READER_CALLER, READER_HASH, READER_COUNT };

struct worker {
    pthread_t thread;
    bool started;
};

struct layer_stream {
    struct buffer_ring *ring;
    struct worker reading, hashing;
    bool started;

    /* of the reading thread once it runs; its error is read after the ring has ended */
    int fd;
    bool input_ended;
    const struct decoder *decoder; /* NULL: plain tar */
    void *state;
    struct decoder_pass pass;
    uint8_t *input;
    struct error error;

    struct hasher *hasher; /* of the hashing thread while that runs */
};

static const struct decoder *const decoders[] = {
    [LAYER_TAR] = NULL,
    [LAYER_GZIP] = &gzip_decoder,
    [LAYER_ZSTD] = &zstd_decoder,
};

static int prepare(struct layer_stream *stream, enum layer_compression compression, enum digest_algorithm algorithm,
                   struct error *err)
{
    stream->ring = buffer_ring_new(READER_COUNT);
    stream->decoder = decoders[compression];
    if (stream->decoder) {
        stream->input = malloc(INPUT_SIZE);
        stream->state = stream->decoder->new ();
    }
    if (!stream->ring || (stream->decoder && (!stream->input || !stream->state)))
        return error_set(err, ENOMEM, "out of memory");
    return hasher_new(&stream->hasher, algorithm, err);
}

int layer_stream_new(struct layer_stream **stream, int fd, enum layer_compression compression,
                     enum digest_algorithm algorithm, struct error *err)
{
    if ((unsigned)compression >= sizeof decoders / sizeof decoders[0])
        return error_set(err, EINVAL, "compression %d is unknown", (int)compression);
    struct layer_stream *fresh = calloc(1, sizeof *fresh);
    if (!fresh)
        return error_set(err, ENOMEM, "out of memory");
    fresh->fd = fd;
    int rc = prepare(fresh, compression, algorithm, err);
    if (rc < 0) {
        layer_stream_free(fresh);
        return rc;
    }
    *stream = fresh;
    return 0;
}

/* ---- reading and decompressing ----------------------------------------------------------------------------------- */

static ssize_t read_some(struct layer_stream *stream, uint8_t *bytes, size_t size)
{
    ssize_t length;
    do
        length = read(stream->fd, bytes, size);
    while (length < 0 && errno == EINTR);
    return length < 0 ? error_set_errno(&stream->error, errno, "cannot read the blob") : length;
}

static int fill_input(struct layer_stream *stream)
{
    ssize_t length = read_some(stream, stream->input, INPUT_SIZE);
    if (length < 0)
        return (int)length;
    stream->input_ended = length == 0;
    stream->pass.input = stream->input;
    stream->pass.input_left = (size_t)length;
    return 0;
}

/* Fills a buffer. @return how far, less than its size only at the end */
static ssize_t decode_some(struct layer_stream *stream, uint8_t *bytes)
{
    stream->pass.output = bytes;
    stream->pass.output_left = BUFFER_RING_SIZE;
    while (stream->pass.output_left > 0) {
        size_t left = stream->pass.output_left;
        const char *fault = stream->decoder->decode(stream->state, &stream->pass);
        if (fault)
            return error_set(&stream->error, EBADMSG, "cannot decompress %s: %s", stream->decoder->name, fault);
        if (stream->pass.output_left < left)
            continue; /* there may be more where that came from */
        if (stream->input_ended) {
            if (stream->decoder->complete(stream->state))
                break;
            return error_set(&stream->error, EBADMSG, "the %s data ends too early", stream->decoder->name);
        }
        int rc = stream->pass.input_left ? 0 : fill_input(stream);
        if (rc < 0)
            return rc;
    }
    return (ssize_t)(BUFFER_RING_SIZE - stream->pass.output_left);
}

static void *read_all(void *context)
{
    struct layer_stream *stream = context;
    ssize_t length = 0;
    for (uint8_t *room; (room = buffer_ring_room(stream->ring));) {
        length = stream->decoder ? decode_some(stream, room) : read_some(stream, room, BUFFER_RING_SIZE);
        if (length <= 0)
            break;
        buffer_ring_fill(stream->ring, (size_t)length);
    }
    buffer_ring_end(stream->ring, length < 0 ? (int)length : 0);
    return NULL;
}

/* ---- hashing ----------------------------------------------------------------------------------------------------- */

static void *hash_all(void *context)
{
    struct layer_stream *stream = context;
    const uint8_t *bytes;
    ssize_t length;
    while ((length = buffer_ring_next(stream->ring, READER_HASH, &bytes)) > 0)
        hasher_update(stream->hasher, bytes, (size_t)length);
    return NULL;
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

static int worker_start(struct worker *worker, void *(*run)(void *), struct layer_stream *stream, struct error *err)
{
    if (worker->started)
        return 0;
    int rc = pthread_create(&worker->thread, NULL, run, stream);
    worker->started = rc == 0;
    return rc == 0 ? 0 : error_set_errno(err, rc, "cannot start a thread");
}

static void worker_join(struct worker *worker)
{
    if (worker->started)
        (void)pthread_join(worker->thread, NULL);
    worker->started = false;
}

/* Signals are the caller's: its threads leave them alone. */
static int start(struct layer_stream *stream, struct error *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = worker_start(&stream->reading, read_all, stream, err);
    if (rc == 0)
        rc = worker_start(&stream->hashing, hash_all, stream, err);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    stream->started = rc == 0;
    return rc;
}

void layer_stream_free(struct layer_stream *stream)
{
    if (!stream)
        return;
    if (stream->ring)
        buffer_ring_close(stream->ring);
    worker_join(&stream->reading);
    worker_join(&stream->hashing);
    buffer_ring_free(stream->ring);
    if (stream->state)
        stream->decoder->free(stream->state);
    hasher_free(stream->hasher);
    free(stream->input);
    free(stream);
}

/* ---- the caller's side ------------------------------------------------------------------------------------------- */

ssize_t layer_stream_next(struct layer_stream *stream, const void **bytes, struct error *err)
{
    if (!stream->started) {
        int rc = start(stream, err);
        if (rc < 0)
            return rc;
    }
    const uint8_t *next = NULL;
    ssize_t length = buffer_ring_next(stream->ring, READER_CALLER, &next);
    if (length < 0)
        return error_set(err, (int)-length, "%s", stream->error.text);
    if (length > 0)
        *bytes = next;
    return length;
}

int layer_stream_verify(struct layer_stream *stream, const struct digest *expected, struct error *err)
{
    const void *bytes;
    ssize_t length;
    do
        length = layer_stream_next(stream, &bytes, err);
    while (length > 0);
    if (length < 0)
        return (int)length;
    worker_join(&stream->hashing);
    struct digest actual;
    int rc = hasher_finish(stream->hasher, &actual, err);
    if (rc < 0)
        return rc;
    if (digest_equal(&actual, expected))
        return 0;
    char actual_text[DIGEST_TEXT_MAX], expected_text[DIGEST_TEXT_MAX];
    digest_format(&actual, actual_text);
    digest_format(expected, expected_text);
    return error_set(err, EBADMSG, "its tar stream is %s, the image says %s", actual_text, expected_text);
}
