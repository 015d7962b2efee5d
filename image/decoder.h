/* SPDX-License-Identifier: Apache-2.0 */
/* Decompression of layers behind one face: gzip by ISA-L, zstd by libzstd. */
#ifndef IMAGE_DECODER_H
#define IMAGE_DECODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Input still to be decoded and room for what comes out; decode() advances both. */
struct decoder_pass {
    const uint8_t *input;
    size_t input_left;
    uint8_t *output;
    size_t output_left;
};

/** One compression format. Several members or frames behind each other are one stream. */
struct decoder {
    const char *name;
    /** NULL when out of memory. */
    void *(*new)(void);
    /** Decodes until the input is used up or the room is full. @return NULL, or what is wrong with the input */
    const char *(*decode)(void *state, struct decoder_pass *pass);
    /** Whether the input may end here, and something has come. */
    bool (*complete)(const void *state);
    void (*free)(void *state);
};

extern const struct decoder gzip_decoder;
extern const struct decoder zstd_decoder;

#endif
