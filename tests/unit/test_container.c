/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/container.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/fd.h"
#include "tests/support/temp_dir.h"

struct fixture {
    char directory[TEMP_DIR_PATH_MAX]; /* holds run/ and is where disks are kept */
    int tmp;
};

static int setup(void **state)
{
    static struct fixture fixture;
    char run[PATH_MAX];
    if (temp_dir_new(fixture.directory) < 0)
        return -1;
    snprintf(run, sizeof run, "%s/run", fixture.directory);
    setenv("HULL_RUN", run, 1);
    fixture.tmp = open(fixture.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *state = &fixture;
    return fixture.tmp < 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    close(fixture->tmp);
    temp_dir_remove(fixture->directory);
    return 0;
}

/* How many files there are beside the one lock that stays. */
static int files_left(const struct fixture *fixture)
{
    return temp_dir_count_files(fixture->directory) - 1;
}

static void made_and_removed(void **state)
{
    struct fixture *fixture = *state;
    struct container container = CONTAINER_NONE;
    struct stat status;
    assert_int_equal(container_create(&container, "web.1", fixture->tmp, NULL), 0);
    assert_int_equal(strlen(container.id), CONTAINER_ID_LENGTH);
    assert_int_equal(strspn(container.id, "0123456789abcdef"), CONTAINER_ID_LENGTH);
    assert_int_equal(fstat(container.disk.fd, &status), 0);
    assert_true((uint64_t)status.st_size == CONTAINER_DISK_SIZE);
    assert_true(status.st_blocks * 512 < 8 << 20); /* sparse */
    assert_int_equal(fstat(container.dir, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    container_remove(&container);
    container_remove(&container); /* twice is fine */
    assert_int_equal(files_left(fixture), 0);
}

static void its_socket_connects(void **state)
{
    struct fixture *fixture = *state;
    struct container container = CONTAINER_NONE;
    char byte = 'x';
    assert_int_equal(container_create(&container, NULL, fixture->tmp, NULL), 0);
    int client = container_connect(&container, NULL);
    assert_true(client >= 0);
    int server = accept(container.listen_fd, NULL, NULL);
    assert_true(server >= 0);
    assert_int_equal(fd_write_full(client, &byte, 1), 0);
    assert_int_equal(fd_read_full(server, &byte, 1), 1);
    close(client);
    close(server);
    container_remove(&container);
}

static void names(void **state)
{
    struct fixture *fixture = *state;
    static const char *const bad[] = {"", "-x", ".x", "a/b", "a b", "..", "x\n"};
    struct container first = CONTAINER_NONE;
    struct container second = CONTAINER_NONE;
    struct error err = {0};
    char longest[CONTAINER_NAME_MAX + 2];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(container_create(&first, bad[i], fixture->tmp, NULL), -EINVAL);
    memset(longest, 'n', sizeof longest);
    longest[CONTAINER_NAME_MAX + 1] = 0;
    assert_int_equal(container_create(&first, longest, fixture->tmp, NULL), -EINVAL);
    longest[CONTAINER_NAME_MAX] = 0;
    assert_int_equal(container_create(&first, longest, fixture->tmp, NULL), 0);
    assert_int_equal(container_create(&second, longest, fixture->tmp, &err), -EEXIST);
    assert_non_null(strstr(err.text, "taken"));
    container_remove(&first);
    assert_int_equal(container_create(&second, longest, fixture->tmp, NULL), 0);
    container_remove(&second);
    assert_int_equal(files_left(fixture), 0);
}

/* A monitor is killed: its directory and its name are free for the next one, a living one's are not touched. */
static void the_dead_are_swept(void **state)
{
    struct fixture *fixture = *state;
    struct container living = CONTAINER_NONE;
    struct container next = CONTAINER_NONE;
    int ready[2];
    char byte;
    assert_int_equal(container_create(&living, "living", fixture->tmp, NULL), 0);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct container dying = CONTAINER_NONE;
        if (container_create(&dying, "dying", fixture->tmp, NULL) < 0 || write(ready[1], "r", 1) != 1)
            _exit(1);
        pause();
    }
    close(ready[1]);
    assert_int_equal(fd_read_full(ready[0], &byte, 1), 1);
    close(ready[0]);
    int before = temp_dir_count_files(fixture->directory);
    assert_int_equal(container_create(&next, "dying", fixture->tmp, NULL), -EEXIST);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(container_create(&next, "dying", fixture->tmp, NULL), 0);
    assert_int_equal(temp_dir_count_files(fixture->directory), before);
    int client = container_connect(&living, NULL);
    assert_true(client >= 0);
    close(client);
    container_remove(&next);
    container_remove(&living);
    assert_int_equal(files_left(fixture), 0);
}

static void no_place(void **state)
{
    struct fixture *fixture = *state;
    struct container container = CONTAINER_NONE;
    char path[PATH_MAX];
    struct error err = {0};
    snprintf(path, sizeof path, "%s/file", fixture->directory);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    setenv("HULL_RUN", path, 1);
    assert_int_equal(container_create(&container, NULL, fixture->tmp, &err), -ENOTDIR);
    assert_non_null(strstr(err.text, path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(made_and_removed, setup, teardown),
        cmocka_unit_test_setup_teardown(its_socket_connects, setup, teardown),
        cmocka_unit_test_setup_teardown(names, setup, teardown),
        cmocka_unit_test_setup_teardown(the_dead_are_swept, setup, teardown),
        cmocka_unit_test_setup_teardown(no_place, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
