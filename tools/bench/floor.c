/* SPDX-License-Identifier: Apache-2.0 */
/*
 * floor gzip|zstd IN OUT
 *
 * What no writer of verified layers can be faster than by much: two threads, one reads the blob, hashes and
 * decompresses it, the other hashes what comes out and writes it to one file. No archive is parsed and no file system
 * made. Prints both digests, so that nothing is left out. It shares no code with hull on purpose.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <isa-l/igzip_lib.h>
#include <openssl/evp.h>
#include <zstd.h>

enum { SLOTS = 8, SLOT_SIZE = 256 << 10, INPUT_SIZE = 256 << 10 };

struct slot {
    uint8_t bytes[SLOT_SIZE];
    size_t length; /* 0 = the end */
};

/* Buffers between the two threads, used in turn. */
static struct {
    struct slot slots[SLOTS];
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned filled, emptied;
} ring = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void die(const char *what)
{
    fprintf(stderr, "floor: %s\n", what);
    exit(EXIT_FAILURE);
}

static struct slot *slot_to_fill(void)
{
    pthread_mutex_lock(&ring.lock);
    while (ring.filled - ring.emptied == SLOTS)
        pthread_cond_wait(&ring.changed, &ring.lock);
    pthread_mutex_unlock(&ring.lock);
    return &ring.slots[ring.filled % SLOTS];
}

static struct slot *slot_to_empty(void)
{
    pthread_mutex_lock(&ring.lock);
    while (ring.filled == ring.emptied)
        pthread_cond_wait(&ring.changed, &ring.lock);
    pthread_mutex_unlock(&ring.lock);
    return &ring.slots[ring.emptied % SLOTS];
}

static void advance(unsigned *count)
{
    pthread_mutex_lock(&ring.lock);
    ++*count;
    pthread_cond_signal(&ring.changed);
    pthread_mutex_unlock(&ring.lock);
}

/* ---- hashing ----------------------------------------------------------------------------------------------------- */

static EVP_MD_CTX *hash_start(void)
{
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    if (!hash || EVP_DigestInit_ex(hash, EVP_sha256(), NULL) != 1)
        die("no SHA-256");
    return hash;
}

static void hash_print(EVP_MD_CTX *hash)
{
    uint8_t bytes[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (EVP_DigestFinal_ex(hash, bytes, &length) != 1)
        die("no SHA-256");
    EVP_MD_CTX_free(hash);
    printf("sha256:");
    for (unsigned i = 0; i < length; i++)
        printf("%02x", bytes[i]);
    printf("\n");
}

/* ---- the thread that decompresses -------------------------------------------------------------------------------- */

struct source {
    int fd;
    EVP_MD_CTX *hash; /* NULL: not wanted */
    uint8_t bytes[INPUT_SIZE];
};

/* The next piece of the blob. @return its length, 0 at the end */
static size_t read_some(struct source *source)
{
    ssize_t length = read(source->fd, source->bytes, sizeof source->bytes);
    if (length < 0)
        die("cannot read");
    if (source->hash)
        EVP_DigestUpdate(source->hash, source->bytes, (size_t)length);
    return (size_t)length;
}

static void *decompress_zstd(void *context)
{
    struct source *source = context;
    ZSTD_DCtx *zstd = ZSTD_createDCtx();
    ZSTD_inBuffer in = {.src = source->bytes};
    for (bool more = true; more;) {
        struct slot *slot = slot_to_fill();
        ZSTD_outBuffer out = {.dst = slot->bytes, .size = SLOT_SIZE};
        while (more && out.pos < out.size) {
            if (in.pos == in.size) {
                in.pos = 0;
                in.size = read_some(source);
                more = in.size > 0;
            }
            if (more && ZSTD_isError(ZSTD_decompressStream(zstd, &out, &in)))
                die("bad zstd data");
        }
        slot->length = out.pos;
        more = more && out.pos > 0;
        advance(&ring.filled);
    }
    slot_to_fill()->length = 0;
    advance(&ring.filled);
    ZSTD_freeDCtx(zstd);
    return NULL;
}

static void *decompress_gzip(void *context)
{
    static struct inflate_state inflate;
    struct source *source = context;
    isal_inflate_init(&inflate);
    inflate.crc_flag = ISAL_GZIP;
    for (bool more = true; more;) {
        struct slot *slot = slot_to_fill();
        inflate.next_out = slot->bytes;
        inflate.avail_out = SLOT_SIZE;
        while (more && inflate.avail_out > 0) {
            if (inflate.avail_in == 0) {
                inflate.next_in = source->bytes;
                inflate.avail_in = (uint32_t)read_some(source);
            }
            more = inflate.avail_in > 0;
            if (more && isal_inflate(&inflate) < 0)
                die("bad gzip data");
        }
        slot->length = SLOT_SIZE - inflate.avail_out;
        advance(&ring.filled);
    }
    slot_to_fill()->length = 0;
    advance(&ring.filled);
    return NULL;
}

/* ---- the thread that writes -------------------------------------------------------------------------------------- */

static void write_all(int fd, const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, bytes, length);
        if (written <= 0)
            die("cannot write");
        bytes += written;
        length -= (size_t)written;
    }
}

static void hash_and_write(int fd, EVP_MD_CTX *hash)
{
    for (struct slot *slot; (slot = slot_to_empty())->length; advance(&ring.emptied)) {
        EVP_DigestUpdate(hash, slot->bytes, slot->length);
        write_all(fd, slot->bytes, slot->length);
    }
}

int main(int argc, char **argv)
{
    if (argc != 5 || (strcmp(argv[1], "gzip") != 0 && strcmp(argv[1], "zstd") != 0))
        die("usage: floor gzip|zstd blob|tar IN OUT");
    static struct source source;
    source.fd = open(argv[3], O_RDONLY | O_CLOEXEC);
    source.hash = strcmp(argv[2], "blob") == 0 ? hash_start() : NULL;
    int out = open(argv[4], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (source.fd < 0 || out < 0)
        die("cannot open a file");
    EVP_MD_CTX *hash = hash_start();
    pthread_t thread;
    if (pthread_create(&thread, NULL, argv[1][0] == 'g' ? decompress_gzip : decompress_zstd, &source) != 0)
        die("no thread");
    hash_and_write(out, hash);
    pthread_join(thread, NULL);
    if (source.hash)
        hash_print(source.hash);
    hash_print(hash);
    return fflush(stdout) == 0 && close(out) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
