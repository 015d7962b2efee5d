/* SPDX-License-Identifier: Apache-2.0 */
/* Downloads that are continued, shared, given up. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/fd.h"
#include "image/store.h"
#include "tests/support/temp_dir.h"

struct fixture {
    char path[TEMP_DIR_PATH_MAX];
    struct store *store;
    struct digest digest;
    char partial[TEMP_DIR_PATH_MAX + DIGEST_TEXT_MAX + 16];
};

static const char content[] = "what the blob holds";
enum { CONTENT_LENGTH = sizeof content - 1, HALF = CONTENT_LENGTH / 2 };

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    char hex[DIGEST_TEXT_MAX];
    assert_non_null(fixture);
    assert_int_equal(temp_dir_new(fixture->path), 0);
    assert_int_equal(store_open(&fixture->store, fixture->path, NULL), 0);
    assert_int_equal(digest_of(&fixture->digest, DIGEST_SHA256, content, CONTENT_LENGTH, NULL), 0);
    digest_format_hex(&fixture->digest, hex);
    (void)snprintf(fixture->partial, sizeof fixture->partial, "%s/partial/sha256.%s", fixture->path, hex);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    store_close(fixture->store);
    temp_dir_remove(fixture->path);
    free(fixture);
    return 0;
}

static int partials(const struct fixture *fixture)
{
    char path[TEMP_DIR_PATH_MAX + 16];
    (void)snprintf(path, sizeof path, "%s/partial", fixture->path);
    return temp_dir_count_files(path);
}

static struct blob_writer *resume(const struct fixture *fixture, uint64_t expected)
{
    struct blob_writer *writer;
    struct error err = {0};
    if (blob_writer_resume(&writer, fixture->store, &fixture->digest, CONTENT_LENGTH, false, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(blob_writer_written(writer), expected);
    return writer;
}

static void leave_half(const struct fixture *fixture)
{
    struct blob_writer *writer = resume(fixture, 0);
    assert_int_equal(blob_writer_write(writer, content, HALF, NULL), 0);
    blob_writer_free(writer);
    assert_int_equal(partials(fixture), 1);
    assert_false(store_has_blob(fixture->store, &fixture->digest, CONTENT_LENGTH));
}

static void finish(const struct fixture *fixture, struct blob_writer *writer, size_t from)
{
    assert_int_equal(blob_writer_write(writer, &content[from], CONTENT_LENGTH - from, NULL), 0);
    assert_int_equal(blob_writer_commit(writer, NULL), 0);
    blob_writer_free(writer);
    assert_true(store_has_blob(fixture->store, &fixture->digest, CONTENT_LENGTH));
    assert_int_equal(store_check_blob(fixture->store, &fixture->digest, NULL), 0);
    assert_int_equal(partials(fixture), 0);
}

static void what_was_given_up_is_continued(void **state)
{
    struct fixture *fixture = *state;
    leave_half(fixture);
    finish(fixture, resume(fixture, HALF), HALF);
}

static void a_killed_download_is_continued(void **state)
{
    struct fixture *fixture = *state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct blob_writer *writer;
        if (blob_writer_resume(&writer, fixture->store, &fixture->digest, CONTENT_LENGTH, false, NULL) == 0 &&
            blob_writer_write(writer, content, HALF, NULL) == 0)
            kill(getpid(), SIGKILL);
        _exit(1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    finish(fixture, resume(fixture, HALF), HALF);
}

static void what_was_discarded_is_not(void **state)
{
    struct fixture *fixture = *state;
    struct blob_writer *writer = resume(fixture, 0);
    assert_int_equal(blob_writer_write(writer, content, HALF, NULL), 0);
    blob_writer_discard(writer);
    blob_writer_free(writer);
    assert_int_equal(partials(fixture), 0);
    finish(fixture, resume(fixture, 0), 0);
}

static void spoil(const struct fixture *fixture, const char *text)
{
    int fd = open(fixture->partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
    close(fd);
}

static void a_spoiled_beginning_never_becomes_visible(void **state)
{
    struct fixture *fixture = *state;
    struct error err = {0};
    spoil(fixture, "wh?t");
    struct blob_writer *writer = resume(fixture, 4);
    assert_int_equal(blob_writer_write(writer, &content[4], CONTENT_LENGTH - 4, NULL), 0);
    assert_int_equal(blob_writer_commit(writer, &err), -EBADMSG);
    assert_non_null(strstr(err.text, "another digest"));
    assert_false(store_has_blob(fixture->store, &fixture->digest, CONTENT_LENGTH));
    assert_int_equal(blob_writer_restart(writer, NULL), 0);
    assert_int_equal(blob_writer_written(writer), 0);
    finish(fixture, writer, 0);
}

static void a_beginning_longer_than_the_blob_is_dropped(void **state)
{
    struct fixture *fixture = *state;
    spoil(fixture, "what the blob holds and more");
    finish(fixture, resume(fixture, 0), 0);
}

static void only_one_downloads(void **state)
{
    struct fixture *fixture = *state;
    struct blob_writer *writer = resume(fixture, 0);
    struct blob_writer *second;
    assert_int_equal(blob_writer_resume(&second, fixture->store, &fixture->digest, CONTENT_LENGTH, false, NULL),
                     -EAGAIN);
    finish(fixture, writer, 0);
    assert_int_equal(blob_writer_resume(&second, fixture->store, &fixture->digest, CONTENT_LENGTH, false, NULL),
                     -EEXIST);
    assert_int_equal(partials(fixture), 0);
}

/* Starts a process that holds the download until it reads a byte, then does as told. */
static pid_t start_holder(const struct fixture *fixture, int ready[2], int go[2], bool finishes)
{
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(go), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child > 0)
        return child;
    struct blob_writer *writer;
    char byte = 0;
    if (blob_writer_resume(&writer, fixture->store, &fixture->digest, CONTENT_LENGTH, false, NULL) < 0 ||
        blob_writer_write(writer, content, HALF, NULL) < 0 || write(ready[1], &byte, 1) != 1 ||
        read(go[0], &byte, 1) != 1)
        _exit(1);
    if (finishes && blob_writer_write(writer, &content[HALF], CONTENT_LENGTH - HALF, NULL) == 0 &&
        blob_writer_commit(writer, NULL) == 0)
        _exit(0);
    _exit(2);
}

/* Lets the holder go while this process waits in the kernel, and says what the waiting ended with. */
static int wait_for_holder(const struct fixture *fixture, bool finishes, struct blob_writer **writer)
{
    int ready[2];
    int go[2];
    char byte;
    pid_t holder = start_holder(fixture, ready, go, finishes);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    pid_t releaser = fork();
    assert_true(releaser >= 0);
    if (releaser == 0) {
        (void)usleep(50000); /* the other side blocks meanwhile; it would be right without, too */
        _exit(write(go[1], "", 1) == 1 ? 0 : 1);
    }
    int rc = blob_writer_resume(writer, fixture->store, &fixture->digest, CONTENT_LENGTH, true, NULL);
    int status;
    assert_int_equal(waitpid(holder, &status, 0), holder);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), finishes ? 0 : 2);
    assert_int_equal(waitpid(releaser, &status, 0), releaser);
    for (int i = 0; i < 2; i++) {
        close(ready[i]);
        close(go[i]);
    }
    return rc;
}

static void who_waits_finds_the_blob(void **state)
{
    struct fixture *fixture = *state;
    struct blob_writer *writer;
    assert_int_equal(wait_for_holder(fixture, true, &writer), -EEXIST);
    assert_true(store_has_blob(fixture->store, &fixture->digest, CONTENT_LENGTH));
    assert_int_equal(partials(fixture), 0);
}

static void who_waits_goes_on_where_the_other_died(void **state)
{
    struct fixture *fixture = *state;
    struct blob_writer *writer;
    assert_int_equal(wait_for_holder(fixture, false, &writer), 0);
    assert_int_equal(blob_writer_written(writer), HALF);
    finish(fixture, writer, HALF);
}

int main(void)
{
#define partial_test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        partial_test(what_was_given_up_is_continued),
        partial_test(a_killed_download_is_continued),
        partial_test(what_was_discarded_is_not),
        partial_test(a_spoiled_beginning_never_becomes_visible),
        partial_test(a_beginning_longer_than_the_blob_is_dropped),
        partial_test(only_one_downloads),
        partial_test(who_waits_finds_the_blob),
        partial_test(who_waits_goes_on_where_the_other_died),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
