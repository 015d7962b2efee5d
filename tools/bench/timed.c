/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timed COMMAND [ARGUMENT...]
 *
 * Runs it with its standard output thrown away and prints what it took: wall time and processor time in microseconds,
 * peak memory in KiB (getrusage(2); of a command with children that of the largest process).
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static long long microseconds(struct timeval time)
{
    return time.tv_sec * 1000000LL + time.tv_usec;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: timed COMMAND [ARGUMENT...]\n");
        return EXIT_FAILURE;
    }
    posix_spawn_file_actions_t actions;
    pid_t child;
    int status;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    long long start = now_us();
    if (posix_spawnp(&child, argv[1], &actions, NULL, argv + 1, environ) != 0 || waitpid(child, &status, 0) != child) {
        perror(argv[1]);
        return EXIT_FAILURE;
    }
    long long wall = now_us() - start;
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "timed: %s failed\n", argv[1]);
        return EXIT_FAILURE;
    }
    printf("%lld %lld %ld\n", wall, microseconds(usage.ru_utime) + microseconds(usage.ru_stime), usage.ru_maxrss);
    return EXIT_SUCCESS;
}
