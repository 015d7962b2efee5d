/* SPDX-License-Identifier: Apache-2.0 */
#include "image/decoder.h"

#include <stdlib.h>

#include <zstd.h>

enum { WINDOW_LOG_MAX = 27 }; /* 128 MiB of memory per layer at most; what zstd itself takes without being asked */

struct zstd_state {
    ZSTD_DCtx *context;
    bool between_frames;
    bool any;
};

static void zstd_free(void *context)
{
    struct zstd_state *state = context;
    ZSTD_freeDCtx(state->context);
    free(state);
}

static void *zstd_new(void)
{
    struct zstd_state *state = calloc(1, sizeof *state);
    if (!state)
        return NULL;
    state->between_frames = true;
    state->context = ZSTD_createDCtx();
    if (!state->context || ZSTD_isError(ZSTD_DCtx_setParameter(state->context, ZSTD_d_windowLogMax, WINDOW_LOG_MAX))) {
        zstd_free(state);
        return NULL;
    }
    return state;
}

static const char *zstd_decode(void *context, struct decoder_pass *pass)
{
    struct zstd_state *state = context;
    for (;;) {
        if (state->between_frames && !pass->input_left)
            return NULL;
        ZSTD_inBuffer input = {.src = pass->input, .size = pass->input_left};
        ZSTD_outBuffer output = {.dst = pass->output, .size = pass->output_left};
        size_t code = ZSTD_decompressStream(state->context, &output, &input);
        pass->input += input.pos;
        pass->input_left -= input.pos;
        pass->output += output.pos;
        pass->output_left -= output.pos;
        if (ZSTD_isError(code))
            return ZSTD_getErrorName(code);
        state->any = true;
        state->between_frames = code == 0;
        if (!pass->output_left || (!input.pos && !output.pos))
            return NULL;
    }
}

static bool zstd_complete(const void *context)
{
    const struct zstd_state *state = context;
    return state->between_frames && state->any;
}

const struct decoder zstd_decoder = {
    .name = "zstd",
    .new = zstd_new,
    .decode = zstd_decode,
    .complete = zstd_complete,
    .free = zstd_free,
};
