/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/fd.h"
#include "image/temp_file.h"
#include "tests/support/temp_dir.h"

/* Both ways of making one must behave alike. */
typedef int maker(struct temp_file *file, int dir, struct error *err);
static maker *const makers[] = {temp_file_new, temp_file_new_named};
enum { MAKERS = 2 };

struct fixture {
    char path[TEMP_DIR_PATH_MAX];
    int root;
    int tmp;
    int target;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    assert_int_equal(temp_dir_new(fixture->path), 0);
    fixture->root = open(fixture->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fixture->root >= 0);
    assert_int_equal(mkdirat(fixture->root, "tmp", 0700), 0);
    assert_int_equal(mkdirat(fixture->root, "target", 0700), 0);
    fixture->tmp = openat(fixture->root, "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fixture->target = openat(fixture->root, "target", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fixture->tmp >= 0 && fixture->target >= 0);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    close(fixture->root);
    close(fixture->tmp);
    close(fixture->target);
    temp_dir_remove(fixture->path);
    free(fixture);
    return 0;
}

static void write_text(const struct temp_file *file, const char *text)
{
    assert_int_equal(fd_write_full(file->fd, text, strlen(text)), 0);
}

static void assert_holds(const struct fixture *fixture, const char *text)
{
    char got[64] = "";
    int fd = openat(fixture->target, "name", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_true(fd_read_full(fd, got, sizeof got - 1) >= 0);
    close(fd);
    assert_string_equal(got, text);
}

static void it_appears_whole_or_not_at_all(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < MAKERS; i++) {
        struct temp_file file = TEMP_FILE_NONE;
        struct stat status;
        assert_int_equal(makers[i](&file, fixture->tmp, NULL), 0);
        write_text(&file, "first");
        assert_int_equal(faccessat(fixture->target, "name", F_OK, 0), -1);
        assert_int_equal(temp_file_publish(&file, fixture->target, "name", 0444, TEMP_FILE_KEEP, NULL), 0);
        assert_holds(fixture, "first");
        assert_int_equal(fstatat(fixture->target, "name", &status, 0), 0);
        assert_int_equal(status.st_mode & 07777, 0444);
        assert_int_equal(status.st_nlink, 1);
        temp_file_done(&file);
        assert_holds(fixture, "first");
        assert_int_equal(temp_dir_count_files(fixture->path), 1);
        assert_int_equal(unlinkat(fixture->target, "name", 0), 0);
    }
}

static void keeping_and_replacing(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *text;
        enum temp_file_conflict conflict;
        const char *holds;
    } steps[] = {
        {"one", TEMP_FILE_REPLACE, "one"},
        {"two", TEMP_FILE_KEEP, "one"},
        {"three", TEMP_FILE_REPLACE, "three"},
        {"four", TEMP_FILE_KEEP, "three"},
    };
    for (int i = 0; i < MAKERS; i++) {
        for (size_t j = 0; j < sizeof steps / sizeof steps[0]; j++) {
            struct temp_file file = TEMP_FILE_NONE;
            assert_int_equal(makers[i](&file, fixture->tmp, NULL), 0);
            write_text(&file, steps[j].text);
            assert_int_equal(temp_file_publish(&file, fixture->target, "name", 0644, steps[j].conflict, NULL), 0);
            temp_file_done(&file);
            assert_holds(fixture, steps[j].holds);
            assert_int_equal(temp_dir_count_files(fixture->path), 1);
        }
        assert_int_equal(unlinkat(fixture->target, "name", 0), 0);
    }
}

static void what_is_not_published_goes(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < MAKERS; i++) {
        struct temp_file file = TEMP_FILE_NONE;
        assert_int_equal(makers[i](&file, fixture->tmp, NULL), 0);
        write_text(&file, "half");
        temp_file_done(&file);
        assert_int_equal(file.fd, -1);
        temp_file_done(&file);
        assert_int_equal(temp_dir_count_files(fixture->path), 0);
    }
}

/* Publishing into what is no directory any more fails, and still nothing is left. */
static void a_failure_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < MAKERS; i++) {
        for (int conflict = TEMP_FILE_KEEP; conflict <= TEMP_FILE_REPLACE; conflict++) {
            struct temp_file file = TEMP_FILE_NONE;
            struct error err = {0};
            assert_int_equal(makers[i](&file, fixture->tmp, NULL), 0);
            int rc =
                temp_file_publish(&file, fixture->target, "no/such", 0644, (enum temp_file_conflict)conflict, &err);
            temp_file_done(&file);
            assert_int_equal(rc, -ENOENT);
            assert_non_null(strstr(err.text, "no/such"));
            assert_int_equal(temp_dir_count_files(fixture->path), 0);
        }
    }
}

static void the_sweep_takes_only_what_has_no_owner(void **state)
{
    struct fixture *fixture = *state;
    struct temp_file file = TEMP_FILE_NONE;
    assert_int_equal(temp_file_new_named(&file, fixture->tmp, NULL), 0);

    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct temp_file other = TEMP_FILE_NONE;
        close(file.fd); /* the lock is the parent's; a copy of the descriptor would hold it too */
        if (temp_file_new_named(&other, fixture->tmp, NULL) == 0)
            kill(getpid(), SIGKILL);
        _exit(1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(temp_dir_count_files(fixture->path), 2);

    temp_file_sweep(fixture->tmp);
    assert_int_equal(temp_dir_count_files(fixture->path), 1);
    assert_int_equal(temp_file_publish(&file, fixture->target, "name", 0644, TEMP_FILE_REPLACE, NULL), 0);
    temp_file_done(&file);
}

#define temp_file_test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        temp_file_test(it_appears_whole_or_not_at_all),
        temp_file_test(keeping_and_replacing),
        temp_file_test(what_is_not_published_goes),
        temp_file_test(a_failure_leaves_nothing),
        temp_file_test(the_sweep_takes_only_what_has_no_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
