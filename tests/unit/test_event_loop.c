/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/event_loop.h"

struct counter {
    struct event_source source; /* first, so that a source is its counter */
    struct event_loop *loop;
    struct counter *victim; /* removed when this one is told */
    unsigned told;
    uint32_t events;
    bool stops;
};

static void count(struct event_source *source, uint32_t events)
{
    struct counter *counter = (struct counter *)(void *)source;
    counter->told++;
    counter->events = events;
    if (counter->victim)
        event_loop_remove(counter->loop, &counter->victim->source);
    if (counter->stops)
        event_loop_stop(counter->loop);
}

struct fixture {
    struct event_loop *loop;
    int fds[2];
    struct counter counters[2];
};

static int setup(void **state)
{
    static struct fixture f;
    assert_int_equal(event_loop_new(&f.loop, NULL), 0);
    for (int i = 0; i < 2; i++) {
        f.fds[i] = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK); /* ready to be read */
        f.counters[i] = (struct counter){.source = {.fd = -1, .ready = count}, .loop = f.loop};
    }
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    event_loop_free(f->loop);
    close(f->fds[0]);
    close(f->fds[1]);
    return 0;
}

static void add(struct fixture *f, int i, uint32_t events)
{
    assert_int_equal(event_loop_add(f->loop, &f->counters[i].source, f->fds[i], events, NULL), 0);
}

static void test_add_modify_remove(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(event_loop_run_once(f->loop, 0, NULL), 0);
    add(f, 0, EPOLLIN);
    assert_int_equal(f->counters[0].source.fd, f->fds[0]);
    assert_int_equal(event_loop_run_once(f->loop, 0, NULL), 1);
    assert_int_equal(f->counters[0].events, EPOLLIN);
    assert_int_equal(event_loop_run_once(f->loop, 0, NULL), 1); /* level-triggered */
    event_loop_modify(f->loop, &f->counters[0].source, 0);
    assert_int_equal(event_loop_run_once(f->loop, 0, NULL), 0);
    event_loop_modify(f->loop, &f->counters[0].source, EPOLLOUT);
    assert_int_equal(event_loop_run_once(f->loop, 0, NULL), 1);
    assert_int_equal(f->counters[0].events, EPOLLOUT);
    event_loop_remove(f->loop, &f->counters[0].source);
    assert_int_equal(f->counters[0].source.fd, -1);
    assert_int_equal(event_loop_run_once(f->loop, 0, NULL), 0);
    event_loop_remove(f->loop, &f->counters[0].source);
    assert_int_equal(f->counters[0].told, 3);
}

static void test_edge_triggered(void **state)
{
    struct fixture *f = *state;
    add(f, 0, EPOLLIN | EPOLLET);
    assert_int_equal(event_loop_run_once(f->loop, 0, NULL), 1);
    assert_int_equal(event_loop_run_once(f->loop, 0, NULL), 0);
}

/* Both are ready in one wait; whichever comes first removes the other, which must not be told any more. */
static void test_removed_while_fetched(void **state)
{
    struct fixture *f = *state;
    add(f, 0, EPOLLIN);
    add(f, 1, EPOLLIN);
    f->counters[0].victim = &f->counters[1];
    f->counters[1].victim = &f->counters[0];
    assert_int_equal(event_loop_run_once(f->loop, 0, NULL), 1);
    assert_int_equal(f->counters[0].told + f->counters[1].told, 1);
}

static void test_remove_elsewhere(void **state)
{
    struct fixture *f = *state;
    add(f, 0, EPOLLIN);
    event_loop_remove_elsewhere(f->loop, &f->counters[0].source);
    assert_int_equal(f->counters[0].source.fd, -1);
    assert_int_equal(event_loop_run_once(f->loop, 0, NULL), 0);
    add(f, 0, EPOLLIN); /* and it can be added again */
    assert_int_equal(event_loop_run_once(f->loop, 0, NULL), 1);
}

static void test_what_cannot_be_watched(void **state)
{
    struct fixture *f = *state;
    assert_true(event_loop_add(f->loop, &f->counters[0].source, -1, EPOLLIN, NULL) < 0);
    assert_int_equal(f->counters[0].source.fd, -1);
}

static void test_stopped_by_a_handler(void **state)
{
    struct fixture *f = *state;
    f->counters[0].stops = true;
    add(f, 0, EPOLLIN);
    assert_int_equal(event_loop_run(f->loop, NULL), 0);
    assert_int_equal(f->counters[0].told, 1);
}

static void *stop_from_thread(void *loop)
{
    usleep(2000);
    event_loop_stop(loop);
    return NULL;
}

static void test_stopped_by_another_thread(void **state)
{
    struct fixture *f = *state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, stop_from_thread, f->loop), 0);
    assert_int_equal(event_loop_run(f->loop, NULL), 0);
    pthread_join(thread, NULL);
}

static void test_stopped_before_it_runs(void **state)
{
    struct fixture *f = *state;
    event_loop_stop(f->loop);
    assert_int_equal(event_loop_run(f->loop, NULL), 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_add_modify_remove),         CASE(test_edge_triggered),         CASE(test_removed_while_fetched),
        CASE(test_remove_elsewhere),          CASE(test_what_cannot_be_watched), CASE(test_stopped_by_a_handler),
        CASE(test_stopped_by_another_thread), CASE(test_stopped_before_it_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
