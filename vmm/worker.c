/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>

#include "base/error.h"
#include "vmm/seccomp.h"

enum { WORKER_STACK_SIZE = 256 * 1024 };

static int kick_signal(void)
{
    return SIGRTMIN;
}

/* Having a handler is what makes the signal interrupt a system call. */
static void ignore_kick(int signal)
{
    (void)signal;
}

static bool pass_gate(struct start_gate *gate, int confined)
{
    pthread_mutex_lock(&gate->mutex);
    if (confined < 0)
        gate->failure = confined;
    gate->waiting++;
    pthread_cond_broadcast(&gate->changed);
    while (gate->state == START_GATE_CLOSED)
        pthread_cond_wait(&gate->changed, &gate->mutex);
    bool run = gate->state == START_GATE_OPEN;
    pthread_mutex_unlock(&gate->mutex);
    return run;
}

static void *worker_main(void *argument)
{
    struct worker *worker = argument;
    (void)prctl(PR_SET_NAME, worker->name, 0, 0, 0);
    int confined = seccomp_filter_install(worker->filter);
    if (pass_gate(worker->gate, confined))
        worker->run(worker->argument);
    return NULL;
}

static int create_thread(struct worker *worker)
{
    pthread_attr_t attributes;
    int rc = pthread_attr_init(&attributes);
    if (rc != 0)
        return rc;
    sigset_t mask;
    sigfillset(&mask);
    sigdelset(&mask, kick_signal());
    rc = pthread_attr_setstacksize(&attributes, WORKER_STACK_SIZE);
    if (rc == 0)
        rc = pthread_attr_setsigmask_np(&attributes, &mask);
    if (rc == 0)
        rc = pthread_create(&worker->thread, &attributes, worker_main, worker);
    pthread_attr_destroy(&attributes);
    return rc;
}

int worker_start(struct worker *worker, const char *name, struct start_gate *gate, const struct seccomp_filter *filter,
                 void (*run)(void *argument), void *argument, struct error *err)
{
    struct sigaction action = {.sa_handler = ignore_kick};
    if (sigaction(kick_signal(), &action, NULL) < 0)
        return error_set_errno(err, errno, "cannot install a signal handler");
    *worker = (struct worker){.gate = gate, .filter = filter, .run = run, .argument = argument};
    snprintf(worker->name, sizeof worker->name, "%s", name);
    int rc = create_thread(worker);
    if (rc != 0)
        return error_set_errno(err, rc, "cannot create a thread");
    worker->started = true;
    return 0;
}

void worker_kick(const struct worker *worker)
{
    if (worker->started)
        pthread_kill(worker->thread, kick_signal());
}

void worker_join(struct worker *worker)
{
    if (worker->started)
        pthread_join(worker->thread, NULL);
    worker->started = false;
}

int start_gate_wait(struct start_gate *gate, unsigned count, struct error *err)
{
    pthread_mutex_lock(&gate->mutex);
    while (gate->waiting < count)
        pthread_cond_wait(&gate->changed, &gate->mutex);
    int failure = gate->failure;
    pthread_mutex_unlock(&gate->mutex);
    return failure < 0 ? error_set_errno(err, -failure, "cannot put a system call filter on a thread") : 0;
}

void start_gate_open(struct start_gate *gate, bool run)
{
    pthread_mutex_lock(&gate->mutex);
    gate->state = run ? START_GATE_OPEN : START_GATE_ABANDONED;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->mutex);
}
