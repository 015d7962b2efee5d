/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scratch DIR BYTES RUNS
 *
 * Makes the writable disk of a container as `hull run` does and prints the median time in microseconds and the bytes
 * that the last one takes.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "image/rootfs.h"

enum { RUNS_MAX = 1000, STAT_BLOCK = 512 };

static long now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int compare(const void *left, const void *right)
{
    long a = *(const long *)left, b = *(const long *)right;
    return a < b ? -1 : a > b;
}

/* @return the microseconds that one took, or a negative number */
static long make_one(const char *directory, uint64_t size, struct stat *status, struct error *err)
{
    long start = now_us();
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set(err, EXIT_FAILURE, "cannot create a file in '%s'", directory);
    int rc = rootfs_write_scratch(fd, size, err);
    long took = now_us() - start;
    if (rc == 0 && fstat(fd, status) < 0)
        rc = error_set(err, EXIT_FAILURE, "cannot look at the file");
    close(fd);
    return rc < 0 ? rc : took;
}

int main(int argc, char **argv)
{
    static long times[RUNS_MAX];
    long runs = argc == 4 ? strtol(argv[3], NULL, 10) : 0;
    if (runs < 1 || runs > RUNS_MAX) {
        fprintf(stderr, "usage: scratch DIR BYTES RUNS\n");
        return EXIT_FAILURE;
    }
    struct error err = {0};
    struct stat status = {0};
    for (long i = 0; i < runs; i++) {
        times[i] = make_one(argv[1], strtoull(argv[2], NULL, 10), &status, &err);
        if (times[i] < 0) {
            fprintf(stderr, "scratch: %s\n", err.text);
            return EXIT_FAILURE;
        }
    }
    qsort(times, (size_t)runs, sizeof times[0], compare);
    printf("%ld %lld\n", times[runs / 2], (long long)status.st_blocks * STAT_BLOCK);
    return EXIT_SUCCESS;
}
