/* SPDX-License-Identifier: Apache-2.0 */
#include "image/layer_stream.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "image/decoder.h"

enum { INPUT_SIZE = 256 << 10, OUTPUT_SIZE = 256 << 10 };

struct layer_stream {
    int fd;
    bool input_ended, ended;
    const struct decoder *decoder; /* NULL: plain tar */
    void *state;
    struct hasher *hasher;
    struct decoder_pass pass;
    uint8_t *input, *output;
};

static const struct decoder *const decoders[] = {
    [LAYER_TAR] = NULL,
    [LAYER_GZIP] = &gzip_decoder,
    [LAYER_ZSTD] = &zstd_decoder,
};

static int prepare(struct layer_stream *stream, enum layer_compression compression, enum digest_algorithm algorithm,
                   struct error *err)
{
    stream->decoder = decoders[compression];
    stream->input = malloc(INPUT_SIZE);
    if (stream->decoder) {
        stream->output = malloc(OUTPUT_SIZE);
        stream->state = stream->decoder->new ();
    }
    if (!stream->input || (stream->decoder && (!stream->output || !stream->state)))
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

void layer_stream_free(struct layer_stream *stream)
{
    if (!stream)
        return;
    if (stream->state)
        stream->decoder->free(stream->state);
    hasher_free(stream->hasher);
    free(stream->input);
    free(stream->output);
    free(stream);
}

static int fill_input(struct layer_stream *stream, struct error *err)
{
    ssize_t length;
    do
        length = read(stream->fd, stream->input, INPUT_SIZE);
    while (length < 0 && errno == EINTR);
    if (length < 0)
        return error_set_errno(err, errno, "cannot read the blob");
    stream->input_ended = length == 0;
    stream->pass.input = stream->input;
    stream->pass.input_left = (size_t)length;
    return 0;
}

/* @return bytes in output, 0 at the end */
static ssize_t decode_some(struct layer_stream *stream, struct error *err)
{
    stream->pass.output = stream->output;
    stream->pass.output_left = OUTPUT_SIZE;
    while (stream->pass.output_left == OUTPUT_SIZE) {
        const char *fault = stream->decoder->decode(stream->state, &stream->pass);
        if (fault)
            return error_set(err, EBADMSG, "cannot decompress %s: %s", stream->decoder->name, fault);
        if (stream->pass.output_left < OUTPUT_SIZE)
            break;
        if (stream->input_ended) {
            if (stream->decoder->complete(stream->state))
                return 0;
            return error_set(err, EBADMSG, "the %s data ends too early", stream->decoder->name);
        }
        int rc = stream->pass.input_left ? 0 : fill_input(stream, err);
        if (rc < 0)
            return rc;
    }
    return (ssize_t)(OUTPUT_SIZE - stream->pass.output_left);
}

static ssize_t read_plain(struct layer_stream *stream, struct error *err)
{
    int rc = fill_input(stream, err);
    return rc < 0 ? rc : (ssize_t)stream->pass.input_left;
}

ssize_t layer_stream_next(struct layer_stream *stream, const void **bytes, struct error *err)
{
    if (stream->ended)
        return 0;
    ssize_t length = stream->decoder ? decode_some(stream, err) : read_plain(stream, err);
    if (length == 0)
        stream->ended = true;
    if (length <= 0)
        return length;
    *bytes = stream->decoder ? stream->output : stream->input;
    hasher_update(stream->hasher, *bytes, (size_t)length);
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
