/* SPDX-License-Identifier: Apache-2.0 */
/* Signals as events: while a container runs in the foreground, those that a user sends to hull are the container's. */
#ifndef RUNTIME_SIGNALS_H
#define RUNTIME_SIGNALS_H

#include <signal.h>

#include "base/event_loop.h"

struct error;

/** Watches signals of the process. Initialise with SIGNALS_NONE; must stay where it is. */
struct signals {
    struct event_loop *loop;
    struct event_source source;
    int fd; /**< a signalfd; owned */
    sigset_t previous_mask;
    struct sigaction previous_sigpipe;
    void (*received)(struct signals *signals, int signal);
};

#define SIGNALS_NONE                                                                                                   \
    (struct signals)                                                                                                   \
    {                                                                                                                  \
        .source = {.fd = -1}, .fd = -1                                                                                 \
    }

/** Takes the signals that are forwarded, and ignores SIGPIPE. Set `received` first. @return 0 or -errno */
int signals_take(struct signals *signals, struct event_loop *loop, struct error *err);

/** Puts mask and SIGPIPE back as they were. Fine on SIGNALS_NONE. */
void signals_give_back(struct signals *signals);

#endif
