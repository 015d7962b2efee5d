/* SPDX-License-Identifier: Apache-2.0 */
/*
 * make_tar SHAPE > TAR
 *
 * A root file system as images have them, made up but always the same: text, machine code and what is packed already,
 * in proportions that gzip and zstd make about 2.7 times smaller. The shapes are in the table below.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK = 512,
    WORDS = 4096,
    WORD_MAX = 12,
    PHRASES = 512, /* of text, and as many of code */
    PHRASE_MAX = 64,
    SLACK = 2 * PHRASE_MAX, /* bytes that a filler may write too many */
    FILES_PER_DIRECTORY = 60,
    MTIME = 1700000000,
    OUTPUT_BUFFER = 1 << 20,
};

struct shape {
    const char *name;
    uint32_t files;       /* regular files; one in twelve gets a symbolic link beside it */
    uint64_t total;       /* bytes of contents, about */
    bool flat;            /* all in one directory */
    uint32_t big_per_mil; /* of a thousand files how many are large; they have half of the bytes */
};

static const struct shape shapes[] = {
    {.name = "large", .files = 33600, .total = 1070ull << 20, .big_per_mil = 4},
    {.name = "small", .files = 80000, .total = 960ull << 20, .big_per_mil = 0},
    {.name = "directory", .files = 100000, .total = 0, .flat = true},
    {.name = "million", .files = 1000000, .total = 0, .flat = true},
};

struct generator {
    uint64_t state;
    char words[WORDS][WORD_MAX + 1];
    uint8_t word_lengths[WORDS];
    uint8_t opcodes[256][4];
    uint8_t text[PHRASES][PHRASE_MAX];
    uint8_t code[PHRASES][PHRASE_MAX];
    uint8_t *bytes;
    size_t room;
};

/* xorshift64*: fast, and the same everywhere */
static uint64_t next_random(struct generator *generator)
{
    uint64_t x = generator->state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    generator->state = x;
    return x * 0x2545f4914f6cdd1d;
}

static uint32_t below(struct generator *generator, uint32_t limit)
{
    return (uint32_t)((next_random(generator) >> 32) * limit >> 32);
}

/* Small numbers are much more frequent than large ones, as words of a language are. */
static uint32_t skewed(struct generator *generator, uint32_t limit)
{
    return (uint32_t)((uint64_t)below(generator, limit) * below(generator, limit) / limit);
}

/* ---- contents: each fills @p length bytes, which have some room behind them -------------------------------------- */

static void fill_words(struct generator *generator, uint8_t *bytes, size_t length)
{
    for (size_t at = 0; at < length;) {
        uint32_t word = skewed(generator, WORDS);
        memcpy(bytes + at, generator->words[word], WORD_MAX);
        at += generator->word_lengths[word];
        bytes[at++] = below(generator, 10) ? ' ' : '\n';
    }
}

static void fill_instructions(struct generator *generator, uint8_t *bytes, size_t length)
{
    for (size_t at = 0; at < length;) {
        uint64_t random = next_random(generator);
        memcpy(bytes + at, generator->opcodes[skewed(generator, 256)], 4);
        at += 2 + (random & 2);
        bytes[at++] = (uint8_t)(random >> 8);
        if ((random >> 16 & 3) == 0) {
            bytes[at++] = (uint8_t)(random >> 24);
            bytes[at++] = 0;
            bytes[at++] = 0;
        }
    }
}

/* What was written before comes again, in pieces: that is what compression lives from. */
static size_t put_phrase(struct generator *generator, uint8_t *bytes, uint8_t phrases[PHRASES][PHRASE_MAX])
{
    memcpy(bytes, phrases[skewed(generator, PHRASES)], PHRASE_MAX);
    return 20 + below(generator, PHRASE_MAX - 20);
}

static void fill_text(struct generator *generator, uint8_t *bytes, size_t length)
{
    for (size_t at = 0; at < length;) {
        at += put_phrase(generator, bytes + at, generator->text);
        fill_words(generator, bytes + at, 12);
        at += 12;
    }
}

static void fill_code(struct generator *generator, uint8_t *bytes, size_t length)
{
    for (size_t at = 0; at < length;) {
        at += put_phrase(generator, bytes + at, generator->code);
        fill_instructions(generator, bytes + at, 8);
        at += 8;
    }
}

static void fill_packed(struct generator *generator, uint8_t *bytes, size_t length)
{
    for (size_t at = 0; at < length; at += sizeof(uint64_t)) {
        uint64_t random = next_random(generator);
        memcpy(bytes + at, &random, sizeof random);
    }
}

static void make_vocabulary(struct generator *generator)
{
    for (uint32_t i = 0; i < WORDS; i++) {
        uint32_t length = 3 + below(generator, WORD_MAX - 3 + 1);
        for (uint32_t j = 0; j < length; j++)
            generator->words[i][j] = (char)('a' + skewed(generator, 26));
        generator->word_lengths[i] = (uint8_t)length;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (uint32_t j = 0; j < 4; j++)
            generator->opcodes[i][j] = (uint8_t)next_random(generator);
    uint8_t phrase[PHRASE_MAX + SLACK];
    for (uint32_t i = 0; i < PHRASES; i++) {
        fill_words(generator, phrase, PHRASE_MAX);
        memcpy(generator->text[i], phrase, PHRASE_MAX);
        fill_instructions(generator, phrase, PHRASE_MAX);
        memcpy(generator->code[i], phrase, PHRASE_MAX);
    }
}

static void fill(struct generator *generator, size_t length)
{
    static void (*const kinds[])(struct generator *, uint8_t *, size_t) = {
        fill_text, fill_code, fill_text, fill_code, fill_text, fill_code, fill_text, fill_text, fill_packed, fill_text,
    };
    enum { KINDS = sizeof kinds / sizeof kinds[0] };
    if (!generator->bytes || length + SLACK > generator->room) {
        generator->room = length + SLACK;
        generator->bytes = realloc(generator->bytes, generator->room);
        if (!generator->bytes) {
            fprintf(stderr, "make_tar: out of memory\n");
            exit(EXIT_FAILURE);
        }
    }
    kinds[below(generator, KINDS)](generator, generator->bytes, length);
}

/* ---- tar (POSIX.1-1988 ustar) ------------------------------------------------------------------------------------ */

static void put(const void *bytes, size_t length)
{
    if (fwrite(bytes, 1, length, stdout) != length) {
        perror("make_tar");
        exit(EXIT_FAILURE);
    }
}

static void put_header(const char *name, char type, unsigned mode, uint64_t size, const char *target)
{
    static const char magic[8] = {'u', 's', 't', 'a', 'r', 0, '0', '0'};
    char header[BLOCK] = {0};
    (void)snprintf(header, 100, "%s", name);
    (void)snprintf(header + 100, 8, "%07o", mode);
    (void)snprintf(header + 108, 8, "%07o", 0);
    (void)snprintf(header + 116, 8, "%07o", 0);
    (void)snprintf(header + 124, 12, "%011llo", (unsigned long long)size);
    (void)snprintf(header + 136, 12, "%011o", MTIME);
    memset(header + 148, ' ', 8);
    header[156] = type;
    (void)snprintf(header + 157, 100, "%s", target);
    memcpy(header + 257, magic, sizeof magic);
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof header; i++)
        sum += (uint8_t)header[i];
    (void)snprintf(header + 148, 8, "%06o", sum);
    put(header, sizeof header);
}

static void put_file(struct generator *generator, const char *name, size_t length)
{
    static const char zeros[BLOCK];
    put_header(name, '0', 0644, length, "");
    if (!length)
        return;
    fill(generator, length);
    put(generator->bytes, length);
    put(zeros, (BLOCK - length % BLOCK) % BLOCK);
}

/* ---- the tree ---------------------------------------------------------------------------------------------------- */

static size_t size_of_file(struct generator *generator, const struct shape *shape)
{
    if (!shape->total)
        return 0;
    uint64_t mean = shape->total / shape->files;
    if (!shape->big_per_mil)
        return skewed(generator, (uint32_t)(4 * mean));
    if (below(generator, 1000) < shape->big_per_mil)
        return (size_t)(mean / 2 * 1000 / shape->big_per_mil / 2 +
                        below(generator, (uint32_t)(mean / 2 * 1000 / shape->big_per_mil)));
    return skewed(generator, (uint32_t)(2 * mean));
}

static void put_tree(struct generator *generator, const struct shape *shape)
{
    char directory[64] = "srv", name[100], link[100];
    put_header("srv/", '5', 0755, 0, "");
    for (uint32_t i = 0; i < shape->files; i++) {
        if (!shape->flat && i % FILES_PER_DIRECTORY == 0) {
            (void)snprintf(directory, sizeof directory, "srv/%s%u", generator->words[i / FILES_PER_DIRECTORY % WORDS],
                           i / FILES_PER_DIRECTORY);
            (void)snprintf(name, sizeof name, "%s/", directory);
            put_header(name, '5', 0755, 0, "");
        }
        (void)snprintf(name, sizeof name, "%s/%s-%u", directory, generator->words[below(generator, WORDS)], i);
        put_file(generator, name, size_of_file(generator, shape));
        if (!shape->flat && i % 12 == 0) {
            (void)snprintf(link, sizeof link, "%s/link-%u", directory, i);
            put_header(link, '2', 0777, 0, strrchr(name, '/') + 1);
        }
    }
    static const char end[2 * BLOCK];
    put(end, sizeof end);
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc == 2 && i < sizeof shapes / sizeof shapes[0]; i++) {
        if (strcmp(argv[1], shapes[i].name) != 0)
            continue;
        static struct generator generator = {.state = 0x9e3779b97f4a7c15};
        setvbuf(stdout, NULL, _IOFBF, OUTPUT_BUFFER);
        make_vocabulary(&generator);
        put_tree(&generator, &shapes[i]);
        free(generator.bytes);
        return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    fprintf(stderr, "usage: make_tar large|small|directory|million > TAR\n");
    return EXIT_FAILURE;
}
