/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "image/buffer_ring.h"

enum { PIECES = 500, SLOW_EVERY = 50, SLOW_US = 200 };

/* What one thread does; checked by the test's own thread, as cmocka wants it. */
struct part {
    struct buffer_ring *ring;
    unsigned reader;
    uint32_t pieces;
    bool slow, intact;
    ssize_t end;
    pthread_t thread;
};

static size_t length_of(uint32_t piece)
{
    return sizeof piece + piece * 7919 % (BUFFER_RING_SIZE - sizeof piece + 1);
}

/* The first and the last bytes tell the number. */
static void mark(uint8_t *bytes, uint32_t piece)
{
    memcpy(bytes, &piece, sizeof piece);
    memcpy(bytes + length_of(piece) - sizeof piece, &piece, sizeof piece);
}

static bool is_marked(const uint8_t *bytes, size_t length, uint32_t piece)
{
    return length == length_of(piece) && memcmp(bytes, &piece, sizeof piece) == 0 &&
           memcmp(bytes + length - sizeof piece, &piece, sizeof piece) == 0;
}

static void rest(const struct part *part, uint32_t piece)
{
    if (part->slow && piece % SLOW_EVERY == 0)
        usleep(SLOW_US);
}

static void *fill_all(void *context)
{
    struct part *part = context;
    for (uint32_t i = 0; i < part->pieces; i++) {
        uint8_t *room = buffer_ring_room(part->ring);
        if (!room)
            return NULL;
        rest(part, i);
        mark(room, i);
        buffer_ring_fill(part->ring, length_of(i));
        part->intact = i + 1 == part->pieces;
    }
    buffer_ring_end(part->ring, (int)part->end);
    return NULL;
}

static void *read_all(void *context)
{
    struct part *part = context;
    const uint8_t *bytes;
    part->intact = true;
    while ((part->end = buffer_ring_next(part->ring, part->reader, &bytes)) > 0) {
        rest(part, part->pieces);
        part->intact = part->intact && is_marked(bytes, (size_t)part->end, part->pieces);
        part->pieces++;
    }
    return NULL;
}

static void begin(struct part *part, struct buffer_ring *ring, void *(*run)(void *))
{
    part->ring = ring;
    assert_int_equal(pthread_create(&part->thread, NULL, run, part), 0);
}

static void assert_all_arrives(bool slow_filler, bool slow_reader, int rc)
{
    struct buffer_ring *ring = buffer_ring_new(3);
    assert_non_null(ring);
    struct part filler = {.pieces = PIECES, .slow = slow_filler, .end = rc};
    struct part readers[3] = {{.reader = 0, .slow = slow_reader}, {.reader = 1}, {.reader = 2}};
    begin(&filler, ring, fill_all);
    for (size_t i = 0; i < 3; i++)
        begin(&readers[i], ring, read_all);
    pthread_join(filler.thread, NULL);
    assert_true(filler.intact);
    for (size_t i = 0; i < 3; i++) {
        pthread_join(readers[i].thread, NULL);
        assert_true(readers[i].intact);
        assert_int_equal(readers[i].pieces, PIECES);
        assert_int_equal(readers[i].end, rc);
    }
    buffer_ring_free(ring);
}

static void test_every_reader_sees_all(void **state)
{
    (void)state;
    assert_all_arrives(false, false, 0);
    assert_all_arrives(true, false, 0);
    assert_all_arrives(false, true, 0);
}

static void test_failure_comes_behind_the_bytes(void **state)
{
    (void)state;
    assert_all_arrives(false, false, -EBADMSG);
}

static void test_filler_waits_for_slowest(void **state)
{
    (void)state;
    struct buffer_ring *ring = buffer_ring_new(2);
    const uint8_t *bytes;
    uint8_t *first = buffer_ring_room(ring);
    for (uint32_t i = 0; i < BUFFER_RING_COUNT; i++) {
        mark(buffer_ring_room(ring), i);
        buffer_ring_fill(ring, length_of(i));
    }
    struct part filler = {.pieces = 1};
    begin(&filler, ring, fill_all);
    /* One reader is through; the other still holds the first buffer, which must stay as it is. */
    for (uint32_t i = 0; i < BUFFER_RING_COUNT; i++)
        assert_int_equal(buffer_ring_next(ring, 0, &bytes), length_of(i));
    assert_int_equal(buffer_ring_next(ring, 1, &bytes), length_of(0));
    assert_ptr_equal(bytes, first);
    usleep(SLOW_US);
    assert_true(is_marked(bytes, length_of(0), 0));
    assert_int_equal(buffer_ring_next(ring, 1, &bytes), length_of(1));
    pthread_join(filler.thread, NULL);
    assert_true(filler.intact);
    buffer_ring_free(ring);
}

static void test_close_wakes_all(void **state)
{
    (void)state;
    struct buffer_ring *ring = buffer_ring_new(2);
    struct part filler = {.pieces = BUFFER_RING_COUNT + 1}, reader = {.reader = 1};
    begin(&filler, ring, fill_all);
    begin(&reader, ring, read_all);
    usleep(SLOW_US);
    buffer_ring_close(ring);
    pthread_join(filler.thread, NULL);
    pthread_join(reader.thread, NULL);
    assert_false(filler.intact);
    assert_int_equal(reader.end, -ECANCELED);
    assert_null(buffer_ring_room(ring));
    buffer_ring_free(ring);
}

static void test_readers_are_bounded(void **state)
{
    (void)state;
    assert_null(buffer_ring_new(0));
    assert_null(buffer_ring_new(BUFFER_RING_READERS_MAX + 1));
    buffer_ring_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_reader_sees_all),    cmocka_unit_test(test_failure_comes_behind_the_bytes),
        cmocka_unit_test(test_filler_waits_for_slowest), cmocka_unit_test(test_close_wakes_all),
        cmocka_unit_test(test_readers_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
