/* SPDX-License-Identifier: Apache-2.0 */
#include "image/decoder.h"

#include <stdlib.h>

#include <isa-l/igzip_lib.h>

struct gzip_state {
    struct inflate_state inflate;
    bool between_members;
    bool any;
};

static void start_member(struct gzip_state *state)
{
    isal_inflate_reset(&state->inflate);
    state->inflate.crc_flag = ISAL_GZIP; /* read the header, check the trailer */
    state->between_members = true;
}

static void *gzip_new(void)
{
    struct gzip_state *state = calloc(1, sizeof *state);
    if (!state)
        return NULL;
    isal_inflate_init(&state->inflate);
    start_member(state);
    return state;
}

static const char *gzip_fault(int code)
{
    switch (code) {
    case ISAL_INVALID_WRAPPER:
    case ISAL_UNSUPPORTED_METHOD:
        return "it is no gzip data";
    case ISAL_INCORRECT_CHECKSUM:
        return "a gzip checksum does not match";
    default:
        return "the deflate data is damaged";
    }
}

static const char *gzip_decode(void *context, struct decoder_pass *pass)
{
    struct gzip_state *state = context;
    struct inflate_state *inflate = &state->inflate;
    for (;;) {
        if (state->between_members && pass->input_left) {
            state->between_members = false;
            state->any = true;
        }
        if (state->between_members)
            return NULL;
        uint32_t input = (uint32_t)(pass->input_left < UINT32_MAX ? pass->input_left : UINT32_MAX);
        uint32_t output = (uint32_t)(pass->output_left < UINT32_MAX ? pass->output_left : UINT32_MAX);
        inflate->next_in = (uint8_t *)(uintptr_t)pass->input; /* not written to */
        inflate->avail_in = input;
        inflate->next_out = pass->output;
        inflate->avail_out = output;
        int code = isal_inflate(inflate);
        size_t used = input - inflate->avail_in;
        size_t made = output - inflate->avail_out;
        pass->input += used;
        pass->input_left -= used;
        pass->output += made;
        pass->output_left -= made;
        if (code < 0)
            return gzip_fault(code);
        if (inflate->block_state == ISAL_BLOCK_FINISH)
            start_member(state);
        else if (!pass->output_left || (!used && !made))
            return NULL;
    }
}

static bool gzip_complete(const void *context)
{
    const struct gzip_state *state = context;
    return state->between_members && state->any;
}

const struct decoder gzip_decoder = {
    .name = "gzip",
    .new = gzip_new,
    .decode = gzip_decode,
    .complete = gzip_complete,
    .free = free,
};
