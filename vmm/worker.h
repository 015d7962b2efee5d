/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The threads of a machine besides the main one. All start at the same gate:
 *
 *     main thread                          worker
 *     worker_start() for each   ────────►  puts on its system call filter, says whether that worked, waits
 *     puts on its own filter
 *     start_gate_open()         ────────►  runs
 *
 * so no instruction of the guest is executed before every thread is confined.
 */
#ifndef VMM_WORKER_H
#define VMM_WORKER_H

#include <pthread.h>
#include <stdbool.h>

struct error;
struct seccomp_filter;

/** Where workers wait. Use START_GATE_INIT. */
struct start_gate {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    unsigned waiting; /**< workers that are confined and wait */
    int failure;      /**< a worker's -errno from putting on its filter; 0 = none */
    enum { START_GATE_CLOSED, START_GATE_OPEN, START_GATE_ABANDONED } state;
};

#define START_GATE_INIT                                                                                                \
    (struct start_gate)                                                                                                \
    {                                                                                                                  \
        .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER                                        \
    }

/** One thread. Zero-initialise; must stay where it is while it runs. */
struct worker {
    pthread_t thread;
    bool started;
    struct start_gate *gate;
    char name[16]; /**< as debuggers and top(1) show it */
    const struct seccomp_filter *filter;
    void (*run)(void *argument);
    void *argument;
};

/**
 * Starts a thread with all signals blocked but the kick (worker_kick()).
 * @param name    at most 15 bytes of it are used
 * @param filter  put on first; borrowed until the gate is open
 * @return 0 or -errno
 */
int worker_start(struct worker *worker, const char *name, struct start_gate *gate, const struct seccomp_filter *filter,
                 void (*run)(void *argument), void *argument, struct error *err);

/** Interrupts the system call in which a started worker waits. */
void worker_kick(const struct worker *worker);

/** Waits for the end of a started worker; does nothing for one that is not. */
void worker_join(struct worker *worker);

/** Waits until @p count workers stand at the gate. @return 0, or -errno when one could not be confined */
int start_gate_wait(struct start_gate *gate, unsigned count, struct error *err);

/** Lets all run, or (@p run false) makes all end without having run. */
void start_gate_open(struct start_gate *gate, bool run);

#endif
