/* SPDX-License-Identifier: Apache-2.0 */
/* The ring code against a driver that keeps the rules, and against one that breaks each of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "devices/virtio/queue.h"
#include "tests/support/virtio_driver.h"

enum { SIZE = 8, BUFFER = 64 };
static const size_t DESCRIPTOR = 16; /* bytes */

/* A queue in guest memory without a transport around it. */
struct fixture {
    struct virtio_driver driver;
    struct virtio_queue queue;
    struct virtio_chain chain;
    struct virtio_queue_layout layout;
    uint64_t buffer;
};

static void start(struct fixture *f, uint64_t features)
{
    assert_true(virtio_queue_start(&f->queue, &f->layout, &f->driver.memory, features));
}

static int setup(void **state)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;
    memset(f, 0, sizeof *f);
    driver_init(&f->driver);
    struct driver_queue *q = &f->driver.queues[0];
    q->size = SIZE;
    q->descriptors = driver_alloc(&f->driver, SIZE * DESCRIPTOR, 16);
    q->available = driver_alloc(&f->driver, 6 + SIZE * 2, 2);
    q->used = driver_alloc(&f->driver, 6 + SIZE * 8, 4);
    f->buffer = driver_alloc(&f->driver, BUFFER, 8);
    f->layout = (struct virtio_queue_layout){
        .size = SIZE, .descriptor_table = q->descriptors, .available_ring = q->available, .used_ring = q->used};
    start(f, VIRTIO_F_INDIRECT_DESC);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    driver_done(&f->driver);
    return 0;
}

static void assert_broken(struct fixture *f, const char *reason)
{
    assert_false(virtio_queue_pop(&f->queue, &f->chain));
    assert_string_equal(f->queue.fault ? f->queue.fault : "(no fault)", reason);
    /* And it stays so, and nothing more is written to the guest. */
    uint32_t head, length;
    virtio_queue_push(&f->queue, &f->chain, 1);
    assert_false(driver_used(&f->driver, 0, &head, &length));
    assert_false(virtio_queue_pop(&f->queue, &f->chain));
    assert_false(virtio_queue_enable_notify(&f->queue));
    assert_false(virtio_queue_should_interrupt(&f->queue));
}

/* ---- a driver that keeps the rules
 * ----------------------------------------------------------------------------------- */

static void test_empty(void **state)
{
    struct fixture *f = *state;
    assert_false(virtio_queue_pop(&f->queue, &f->chain));
    assert_null(f->queue.fault);
    assert_false(virtio_queue_should_interrupt(&f->queue));
}

static void test_chain(void **state)
{
    struct fixture *f = *state;
    const struct driver_span spans[] = {
        {f->buffer, 16, false}, {f->buffer + 16, 0, false}, {f->buffer + 16, 8, true}, {f->buffer + 32, 4, true}};
    uint16_t head = driver_submit(&f->driver, 0, spans, 4);
    assert_true(virtio_queue_pop(&f->queue, &f->chain));
    assert_int_equal(f->chain.head, head);
    assert_int_equal(f->chain.readable_count, 1); /* the empty one is gone */
    assert_int_equal(f->chain.readable_length, 16);
    assert_int_equal(f->chain.writable_count, 2);
    assert_int_equal(f->chain.writable_length, 12);
    assert_ptr_equal(f->chain.spans[0].iov_base, driver_at(&f->driver, f->buffer));
    assert_ptr_equal(f->chain.spans[2].iov_base, driver_at(&f->driver, f->buffer + 32));
    assert_false(virtio_queue_pop(&f->queue, &f->chain));
}

static void test_bytes_of_a_chain(void **state)
{
    struct fixture *f = *state;
    memcpy(driver_at(&f->driver, f->buffer), "0123456789", 10);
    const struct driver_span spans[] = {
        {f->buffer, 4, false}, {f->buffer + 4, 6, false}, {f->buffer + 16, 3, true}, {f->buffer + 24, 5, true}};
    driver_submit(&f->driver, 0, spans, 4);
    assert_true(virtio_queue_pop(&f->queue, &f->chain));

    char text[11] = "";
    assert_true(virtio_chain_read(&f->chain, 0, text, 10));
    assert_string_equal(text, "0123456789");
    assert_true(virtio_chain_read(&f->chain, 3, text, 2));
    assert_memory_equal(text, "34", 2);
    assert_false(virtio_chain_read(&f->chain, 5, text, 6));
    assert_false(virtio_chain_read(&f->chain, UINT32_MAX, text, 2));
    assert_true(virtio_chain_read(&f->chain, 10, text, 0));

    assert_true(virtio_chain_write(&f->chain, 1, "abcdef", 6));
    assert_memory_equal(driver_at(&f->driver, f->buffer + 16), "\0ab", 3);
    assert_memory_equal(driver_at(&f->driver, f->buffer + 24), "cdef\0", 5);
    assert_false(virtio_chain_write(&f->chain, 2, "abcdefg", 7));

    struct iovec cut[VIRTIO_QUEUE_SIZE_MAX];
    assert_int_equal(virtio_chain_readable(&f->chain, 2, 4, cut), 2);
    assert_int_equal(cut[0].iov_len, 2);
    assert_int_equal(cut[1].iov_len, 2);
    assert_ptr_equal(cut[1].iov_base, driver_at(&f->driver, f->buffer + 4));
    assert_int_equal(virtio_chain_readable(&f->chain, 4, 6, cut), 1);
    assert_int_equal(virtio_chain_readable(&f->chain, 4, 7, cut), 0);
    assert_int_equal(virtio_chain_writable(&f->chain, 0, 8, cut), 2);
    assert_int_equal(virtio_chain_writable(&f->chain, 8, 0, cut), 0);
}

static void test_indirect(void **state)
{
    struct fixture *f = *state;
    uint64_t table = driver_alloc(&f->driver, 3 * DESCRIPTOR, 16);
    driver_table_entry(&f->driver, table, 0, f->buffer, 8, DESC_NEXT, 2);
    driver_table_entry(&f->driver, table, 2, f->buffer + 8, 8, DESC_NEXT | DESC_WRITE, 1);
    driver_table_entry(&f->driver, table, 1, f->buffer + 16, 8, DESC_WRITE, 0);
    /* A normal descriptor in front, as section 2.7.5.3.2 allows. */
    driver_descriptor(&f->driver, 0, 3, f->buffer + 24, 4, DESC_NEXT, 5);
    driver_descriptor(&f->driver, 0, 5, table, 3 * 16, DESC_INDIRECT, 0);
    driver_offer(&f->driver, 0, 3);
    assert_true(virtio_queue_pop(&f->queue, &f->chain));
    assert_int_equal(f->chain.head, 3);
    assert_int_equal(f->chain.readable_count, 2);
    assert_int_equal(f->chain.readable_length, 12);
    assert_int_equal(f->chain.writable_count, 2);
    assert_int_equal(f->chain.writable_length, 16);
}

static void test_full_length_chain(void **state)
{
    struct fixture *f = *state;
    struct driver_span spans[SIZE];
    for (unsigned i = 0; i < SIZE; i++)
        spans[i] = (struct driver_span){f->buffer + i, 1, i >= SIZE / 2};
    driver_submit(&f->driver, 0, spans, SIZE);
    assert_true(virtio_queue_pop(&f->queue, &f->chain));
    assert_int_equal(f->chain.readable_count + f->chain.writable_count, SIZE);
}

static void test_push_and_wrap(void **state)
{
    struct fixture *f = *state;
    const struct driver_span span = {f->buffer, 4, true};
    for (uint32_t i = 0; i < 0x10000 + 3 * SIZE; i++) { /* the 16-bit indices wrap */
        uint16_t offered = driver_submit(&f->driver, 0, &span, 1);
        assert_true(virtio_queue_pop(&f->queue, &f->chain));
        virtio_queue_push(&f->queue, &f->chain, i);
        uint32_t head, length;
        assert_true(driver_used(&f->driver, 0, &head, &length));
        assert_int_equal(head, offered);
        assert_int_equal(length, i);
    }
}

static void test_unpop(void **state)
{
    struct fixture *f = *state;
    const struct driver_span span = {f->buffer, 4, true};
    uint16_t first = driver_submit(&f->driver, 0, &span, 1);
    uint16_t second = driver_submit(&f->driver, 0, &span, 1);
    assert_true(virtio_queue_pop(&f->queue, &f->chain));
    assert_true(virtio_queue_pop(&f->queue, &f->chain));
    assert_int_equal(f->chain.head, second);
    virtio_queue_unpop(&f->queue);
    virtio_queue_unpop(&f->queue);
    assert_true(virtio_queue_pop(&f->queue, &f->chain));
    assert_int_equal(f->chain.head, first);
}

static void pop_and_push(struct fixture *f, unsigned count)
{
    const struct driver_span span = {f->buffer, 4, true};
    for (unsigned i = 0; i < count; i++) {
        driver_submit(&f->driver, 0, &span, 1);
        assert_true(virtio_queue_pop(&f->queue, &f->chain));
        virtio_queue_push(&f->queue, &f->chain, 4);
    }
}

static void test_interrupts_by_flags(void **state)
{
    struct fixture *f = *state;
    pop_and_push(f, 1);
    assert_true(virtio_queue_should_interrupt(&f->queue));
    assert_false(virtio_queue_should_interrupt(&f->queue)); /* nothing new */
    driver_set_avail_flags(&f->driver, 0, 1);
    pop_and_push(f, 1);
    assert_false(virtio_queue_should_interrupt(&f->queue));
}

static void test_interrupts_by_event_index(void **state)
{
    struct fixture *f = *state;
    start(f, VIRTIO_F_EVENT_IDX);
    driver_set_used_event(&f->driver, 0, 2); /* "when the third is used" */
    pop_and_push(f, 2);
    assert_false(virtio_queue_should_interrupt(&f->queue));
    pop_and_push(f, 1);
    assert_true(virtio_queue_should_interrupt(&f->queue));
    pop_and_push(f, 3);
    assert_false(virtio_queue_should_interrupt(&f->queue));
    driver_set_used_event(&f->driver, 0, 7);
    pop_and_push(f, 4); /* passes it within a batch */
    assert_true(virtio_queue_should_interrupt(&f->queue));
}

static void test_notifications_by_flags(void **state)
{
    struct fixture *f = *state;
    virtio_queue_disable_notify(&f->queue);
    assert_int_equal(driver_used_flags(&f->driver, 0), 1);
    assert_false(virtio_queue_enable_notify(&f->queue));
    assert_int_equal(driver_used_flags(&f->driver, 0), 0);
}

static void test_notifications_by_event_index(void **state)
{
    struct fixture *f = *state;
    start(f, VIRTIO_F_EVENT_IDX);
    pop_and_push(f, 3);
    virtio_queue_disable_notify(&f->queue);
    assert_int_equal(driver_used_flags(&f->driver, 0), 0);
    assert_int_equal(driver_avail_event(&f->driver, 0), 0);
    assert_false(virtio_queue_enable_notify(&f->queue));
    assert_int_equal(driver_avail_event(&f->driver, 0), 3);
}

static void test_entry_that_comes_while_notifications_are_off(void **state)
{
    struct fixture *f = *state;
    virtio_queue_disable_notify(&f->queue);
    assert_false(virtio_queue_pop(&f->queue, &f->chain));
    driver_submit(&f->driver, 0, &(struct driver_span){f->buffer, 4, true}, 1);
    assert_true(virtio_queue_enable_notify(&f->queue));
}

static void test_reset_forgets(void **state)
{
    struct fixture *f = *state;
    driver_submit(&f->driver, 0, &(struct driver_span){f->buffer, 4, true}, 1);
    virtio_queue_reset(&f->queue);
    assert_false(virtio_queue_pop(&f->queue, &f->chain));
    virtio_queue_push(&f->queue, &f->chain, 4);
    uint32_t head, length;
    assert_false(driver_used(&f->driver, 0, &head, &length));
}

/* ---- a layout that breaks the rules
 * ---------------------------------------------------------------------------------- */

static void assert_refused(struct fixture *f, struct virtio_queue_layout layout, const char *reason)
{
    assert_false(virtio_queue_start(&f->queue, &layout, &f->driver.memory, 0));
    assert_string_equal(f->queue.fault, reason);
    assert_false(virtio_queue_pop(&f->queue, &f->chain));
}

static void test_sizes_refused(void **state)
{
    struct fixture *f = *state;
    static const uint16_t sizes[] = {0, 3, 6, VIRTIO_QUEUE_SIZE_MAX + 1, 2 * VIRTIO_QUEUE_SIZE_MAX, 0x8000, UINT16_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct virtio_queue_layout layout = f->layout;
        layout.size = sizes[i];
        assert_refused(f, layout, "queue size is not a power of two in range");
    }
}

static void test_addresses_refused(void **state)
{
    struct fixture *f = *state;
    const uint64_t end = DRIVER_RAM_BASE + DRIVER_RAM_SIZE;
    /* Misaligned by the smallest step; no RAM; all but the last byte in RAM; an address whose end overflows. */
    const uint64_t descriptors[] = {f->layout.descriptor_table + 8, 0, end - SIZE * DESCRIPTOR + 16, UINT64_MAX - 15};
    const uint64_t available[] = {f->layout.available_ring + 1, 0, end - (6 + SIZE * 2) + 2, UINT64_MAX - 1};
    const uint64_t used[] = {f->layout.used_ring + 2, 0, end - (6 + SIZE * 8) + 2, UINT64_MAX - 3};
    for (size_t i = 0; i < 4; i++) {
        struct virtio_queue_layout layout = f->layout;
        layout.descriptor_table = descriptors[i];
        assert_refused(f, layout, "a queue is misaligned or not in guest memory");
        layout = f->layout;
        layout.available_ring = available[i];
        assert_refused(f, layout, "a queue is misaligned or not in guest memory");
        layout = f->layout;
        layout.used_ring = used[i];
        assert_refused(f, layout, "a queue is misaligned or not in guest memory");
    }
}

/* ---- chains that break the rules
 * ------------------------------------------------------------------------------------- */

static void test_head_out_of_range(void **state)
{
    struct fixture *f = *state;
    driver_offer(&f->driver, 0, SIZE);
    assert_broken(f, "a descriptor index is out of range");
}

static void test_next_out_of_range(void **state)
{
    struct fixture *f = *state;
    driver_descriptor(&f->driver, 0, 0, f->buffer, 4, DESC_NEXT, SIZE);
    driver_offer(&f->driver, 0, 0);
    assert_broken(f, "a descriptor index is out of range");
}

static void test_loop(void **state)
{
    struct fixture *f = *state;
    driver_descriptor(&f->driver, 0, 0, f->buffer, 4, DESC_NEXT, 1);
    driver_descriptor(&f->driver, 0, 1, f->buffer, 4, DESC_NEXT, 0);
    driver_offer(&f->driver, 0, 0);
    assert_broken(f, "a chain of descriptors loops");
}

static void test_loop_of_empty_descriptors(void **state)
{
    struct fixture *f = *state;
    driver_descriptor(&f->driver, 0, 2, f->buffer, 0, DESC_NEXT, 2);
    driver_offer(&f->driver, 0, 2);
    assert_broken(f, "a chain of descriptors loops");
}

static void test_loop_in_indirect_table(void **state)
{
    struct fixture *f = *state;
    uint64_t table = driver_alloc(&f->driver, 2 * DESCRIPTOR, 16);
    driver_table_entry(&f->driver, table, 0, f->buffer, 4, DESC_NEXT, 1);
    driver_table_entry(&f->driver, table, 1, f->buffer, 4, DESC_NEXT, 0);
    driver_descriptor(&f->driver, 0, 0, table, 2 * 16, DESC_INDIRECT, 0);
    driver_offer(&f->driver, 0, 0);
    assert_broken(f, "a chain of descriptors loops");
}

/* The ring's descriptors and an indirect table that is full together hold more than any chain may. */
static void test_too_many_spans(void **state)
{
    struct fixture *f = *state;
    uint64_t table = driver_alloc(&f->driver, VIRTIO_QUEUE_SIZE_MAX * DESCRIPTOR, 16);
    for (unsigned i = 0; i < VIRTIO_QUEUE_SIZE_MAX; i++)
        driver_table_entry(&f->driver, table, (uint16_t)i, f->buffer, 1, i + 1 < VIRTIO_QUEUE_SIZE_MAX ? DESC_NEXT : 0,
                           (uint16_t)(i + 1));
    driver_descriptor(&f->driver, 0, 1, table, VIRTIO_QUEUE_SIZE_MAX * 16, DESC_INDIRECT, 0);
    driver_offer(&f->driver, 0, 1);
    assert_true(virtio_queue_pop(&f->queue, &f->chain));
    assert_int_equal(f->chain.readable_count, VIRTIO_QUEUE_SIZE_MAX);

    driver_descriptor(&f->driver, 0, 0, f->buffer, 1, DESC_NEXT, 1);
    driver_offer(&f->driver, 0, 0);
    assert_broken(f, "a chain has too many descriptors");
}

static void test_nested_indirect(void **state)
{
    struct fixture *f = *state;
    uint64_t table = driver_alloc(&f->driver, 16, 16);
    driver_table_entry(&f->driver, table, 0, table, 16, DESC_INDIRECT, 0);
    driver_descriptor(&f->driver, 0, 0, table, 16, DESC_INDIRECT, 0);
    driver_offer(&f->driver, 0, 0);
    assert_broken(f, "an indirect table inside an indirect table");
}

static void test_indirect_and_next(void **state)
{
    struct fixture *f = *state;
    uint64_t table = driver_alloc(&f->driver, 16, 16);
    driver_table_entry(&f->driver, table, 0, f->buffer, 4, 0, 0);
    driver_descriptor(&f->driver, 0, 0, table, 16, DESC_INDIRECT | DESC_NEXT, 1);
    driver_offer(&f->driver, 0, 0);
    assert_broken(f, "a descriptor is both indirect and chained");
}

static void test_indirect_not_negotiated(void **state)
{
    struct fixture *f = *state;
    start(f, 0);
    uint64_t table = driver_alloc(&f->driver, 16, 16);
    driver_table_entry(&f->driver, table, 0, f->buffer, 4, 0, 0);
    driver_descriptor(&f->driver, 0, 0, table, 16, DESC_INDIRECT, 0);
    driver_offer(&f->driver, 0, 0);
    assert_broken(f, "an indirect descriptor without the feature");
}

static void test_indirect_table_sizes(void **state)
{
    struct fixture *f = *state;
    static const uint32_t sizes[] = {0, 8, 24, (VIRTIO_QUEUE_SIZE_MAX + 1) * 16, UINT32_MAX, UINT32_MAX - 15};
    uint64_t table = driver_alloc(&f->driver, 16, 16);
    driver_table_entry(&f->driver, table, 0, f->buffer, 4, 0, 0);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        start(f, VIRTIO_F_INDIRECT_DESC);
        driver_set_avail_index(&f->driver, 0, 0);
        driver_descriptor(&f->driver, 0, 0, table, sizes[i], DESC_INDIRECT, 0);
        driver_offer(&f->driver, 0, 0);
        assert_broken(f, "an indirect table has a wrong size");
    }
}

static void test_indirect_table_addresses(void **state)
{
    struct fixture *f = *state;
    const uint64_t addresses[] = {DRIVER_RAM_BASE + 8, 0, DRIVER_RAM_BASE + DRIVER_RAM_SIZE - 16, UINT64_MAX - 15};
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        start(f, VIRTIO_F_INDIRECT_DESC);
        driver_set_avail_index(&f->driver, 0, 0);
        driver_descriptor(&f->driver, 0, 0, addresses[i], 32, DESC_INDIRECT, 0);
        driver_offer(&f->driver, 0, 0);
        assert_broken(f, "an indirect table is misaligned or not in guest memory");
    }
}

static void test_readable_after_writable(void **state)
{
    struct fixture *f = *state;
    const struct driver_span spans[] = {{f->buffer, 4, true}, {f->buffer, 4, false}};
    driver_submit(&f->driver, 0, spans, 2);
    assert_broken(f, "a readable descriptor follows a writable one");
}

static void test_buffers_outside_memory(void **state)
{
    struct fixture *f = *state;
    const struct driver_span spans[] = {
        {0, 1, false},
        {DRIVER_RAM_BASE - 1, 2, true},
        {DRIVER_RAM_BASE + DRIVER_RAM_SIZE - 4, 5, true},
        {DRIVER_RAM_BASE + DRIVER_RAM_SIZE, 1, false},
        {DRIVER_RAM_BASE, UINT32_MAX, false},
        {UINT64_MAX, 1, true},
        {UINT64_MAX, UINT32_MAX, false},
    };
    for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++) {
        start(f, 0);
        driver_set_avail_index(&f->driver, 0, 0);
        driver_submit(&f->driver, 0, &spans[i], 1);
        f->driver.queues[0].next_descriptor = 0;
        assert_broken(f, "a buffer is not in guest memory");
    }
}

/* A sum that 32 bits cannot hold: as a guest of more than 4 GiB can build; here regions overlap to get there. */
static void test_total_length_overflows(void **state)
{
    struct fixture *f = *state;
    f->driver.memory.regions[0].size = UINT64_C(1) << 33; /* never touched beyond the real end */
    start(f, 0);
    const struct driver_span spans[] = {
        {f->buffer, 0x80000000, false}, {f->buffer, 0x7fffffff, true}, {f->buffer, 1, true}};
    driver_submit(&f->driver, 0, spans, 2);
    assert_true(virtio_queue_pop(&f->queue, &f->chain));
    assert_int_equal(f->chain.readable_length, 0x80000000);
    driver_submit(&f->driver, 0, spans, 3);
    assert_broken(f, "a chain is longer than 4 GiB");
}

static void test_available_index_jump(void **state)
{
    struct fixture *f = *state;
    driver_set_avail_index(&f->driver, 0, SIZE); /* full is fine */
    assert_true(virtio_queue_pop(&f->queue, &f->chain));
    start(f, 0);
    driver_set_avail_index(&f->driver, 0, SIZE + 1);
    assert_broken(f, "the available index jumped by more than the queue holds");
}

static void test_available_index_backwards(void **state)
{
    struct fixture *f = *state;
    pop_and_push(f, 1);
    uint32_t head, length;
    assert_true(driver_used(&f->driver, 0, &head, &length));
    driver_set_avail_index(&f->driver, 0, 0);
    assert_broken(f, "the available index jumped by more than the queue holds");
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_empty),
        CASE(test_chain),
        CASE(test_bytes_of_a_chain),
        CASE(test_indirect),
        CASE(test_full_length_chain),
        CASE(test_push_and_wrap),
        CASE(test_unpop),
        CASE(test_interrupts_by_flags),
        CASE(test_interrupts_by_event_index),
        CASE(test_notifications_by_flags),
        CASE(test_notifications_by_event_index),
        CASE(test_entry_that_comes_while_notifications_are_off),
        CASE(test_reset_forgets),
        CASE(test_sizes_refused),
        CASE(test_addresses_refused),
        CASE(test_head_out_of_range),
        CASE(test_next_out_of_range),
        CASE(test_loop),
        CASE(test_loop_of_empty_descriptors),
        CASE(test_loop_in_indirect_table),
        CASE(test_too_many_spans),
        CASE(test_nested_indirect),
        CASE(test_indirect_and_next),
        CASE(test_indirect_not_negotiated),
        CASE(test_indirect_table_sizes),
        CASE(test_indirect_table_addresses),
        CASE(test_readable_after_writable),
        CASE(test_buffers_outside_memory),
        CASE(test_total_length_overflows),
        CASE(test_available_index_jump),
        CASE(test_available_index_backwards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
