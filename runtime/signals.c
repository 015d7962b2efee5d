/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/signals.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/container_of.h"
#include "base/error.h"
#include "base/fd.h"

/* Those that a person or a supervisor sends on purpose and that mean the same on both sides. */
static const int taken[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGCONT};

static void readable(struct event_source *source, uint32_t events)
{
    (void)events;
    struct signals *signals = container_of(source, struct signals, source);
    struct signalfd_siginfo info;
    while (read(signals->fd, &info, sizeof info) == (ssize_t)sizeof info)
        signals->received(signals, (int)info.ssi_signo);
}

int signals_take(struct signals *signals, struct event_loop *loop, struct error *err)
{
    sigset_t mask;
    sigemptyset(&mask);
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        sigaddset(&mask, taken[i]);
    signals->loop = loop;
    signals->source = (struct event_source){.fd = -1, .ready = readable};
    signals->fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals->fd < 0)
        return error_set_errno(err, errno, "cannot watch for signals");
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, &signals->previous_sigpipe);
    sigprocmask(SIG_BLOCK, &mask, &signals->previous_mask);
    int rc = event_loop_add(loop, &signals->source, signals->fd, EPOLLIN, err);
    if (rc < 0)
        signals_give_back(signals);
    return rc;
}

void signals_give_back(struct signals *signals)
{
    if (signals->fd < 0)
        return;
    event_loop_remove(signals->loop, &signals->source);
    fd_close(&signals->fd);
    sigaction(SIGPIPE, &signals->previous_sigpipe, NULL);
    sigprocmask(SIG_SETMASK, &signals->previous_mask, NULL);
}
