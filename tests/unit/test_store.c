/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/fd.h"
#include "image/store.h"
#include "tests/support/temp_dir.h"

struct fixture {
    char path[TEMP_DIR_PATH_MAX];
    struct store *store;
};

static const char content[] = "what the blob holds";
enum { CONTENT_LENGTH = sizeof content - 1 };

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct error err = {0};
    assert_non_null(fixture);
    assert_int_equal(temp_dir_new(fixture->path), 0);
    if (store_open(&fixture->store, fixture->path, &err) != 0)
        fail_msg("%s", err.text);
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

static struct digest digest_of_text(const char *text)
{
    struct digest digest;
    assert_int_equal(digest_of(&digest, DIGEST_SHA256, text, strlen(text), NULL), 0);
    return digest;
}

/* Files under a directory of the store. */
static int count(const struct fixture *fixture, const char *below)
{
    char path[TEMP_DIR_PATH_MAX + 32];
    (void)snprintf(path, sizeof path, "%s/%s", fixture->path, below);
    return temp_dir_count_files(path);
}

static void write_file(const struct fixture *fixture, const char *name, const char *text)
{
    char path[TEMP_DIR_PATH_MAX + 256];
    (void)snprintf(path, sizeof path, "%s/%s", fixture->path, name);
    (void)unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
    close(fd);
}

static void read_file(const struct fixture *fixture, const char *name, char *text, size_t size)
{
    char path[TEMP_DIR_PATH_MAX + 256];
    (void)snprintf(path, sizeof path, "%s/%s", fixture->path, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t got = fd_read_full(fd, text, size - 1);
    assert_true(got >= 0);
    text[got] = '\0';
    close(fd);
}

static void blob_name(char *name, size_t size, const struct digest *digest)
{
    char hex[DIGEST_TEXT_MAX];
    digest_format_hex(digest, hex);
    (void)snprintf(name, size, "images/blobs/%s/%s", digest->algorithm == DIGEST_SHA512 ? "sha512" : "sha256", hex);
}

/* ---- layout ------------------------------------------------------------------------------------------------------ */

static void a_new_store_is_an_image_layout(void **state)
{
    struct fixture *fixture = *state;
    char text[512];
    read_file(fixture, "images/oci-layout", text, sizeof text);
    assert_string_equal(text, "{\"imageLayoutVersion\":\"1.0.0\"}\n");
    read_file(fixture, "images/index.json", text, sizeof text);
    assert_non_null(strstr(text, "\"schemaVersion\": 2"));
    assert_non_null(strstr(text, "\"manifests\": []"));
    assert_int_equal(count(fixture, "tmp"), 0);
}

static void the_root_is_chosen_by_the_environment(void **state)
{
    struct fixture *fixture = *state;
    char path[TEMP_DIR_PATH_MAX + 32];
    (void)snprintf(path, sizeof path, "%s/a/b/c", fixture->path);
    struct store *store;
    struct error err = {0};
    assert_int_equal(setenv("HULL_ROOT", path, 1), 0);
    assert_int_equal(store_open(&store, NULL, &err), 0);
    assert_string_equal(store_path(store), path);
    store_close(store);
    assert_int_equal(unsetenv("HULL_ROOT"), 0);
    assert_int_equal(count(fixture, "a/b/c/images"), 2);
}

static void a_root_that_can_not_be_is_named(void **state)
{
    struct fixture *fixture = *state;
    char path[TEMP_DIR_PATH_MAX + 32];
    struct store *store;
    struct error err = {0};
    write_file(fixture, "file", "");
    (void)snprintf(path, sizeof path, "%s/file/root", fixture->path);
    assert_int_equal(store_open(&store, path, &err), -ENOTDIR);
    assert_non_null(strstr(err.text, "/file"));
}

/* ---- blobs ------------------------------------------------------------------------------------------------------- */

static void a_blob_comes_back(void **state)
{
    struct fixture *fixture = *state;
    const enum digest_algorithm algorithms[] = {DIGEST_SHA256, DIGEST_SHA512};
    for (size_t i = 0; i < 2; i++) {
        struct digest digest;
        struct error err = {0};
        assert_int_equal(digest_of(&digest, algorithms[i], content, CONTENT_LENGTH, &err), 0);
        assert_false(store_has_blob(fixture->store, &digest, CONTENT_LENGTH));
        assert_int_equal(store_open_blob(fixture->store, &digest, &err), -ENOENT);
        assert_int_equal(store_put_blob(fixture->store, &digest, content, CONTENT_LENGTH, &err), 0);
        assert_true(store_has_blob(fixture->store, &digest, CONTENT_LENGTH));
        assert_false(store_has_blob(fixture->store, &digest, CONTENT_LENGTH + 1));

        cleanup_buffer struct buffer bytes = BUFFER_INIT(CONTENT_LENGTH);
        assert_int_equal(store_read_blob(fixture->store, &digest, &bytes, &err), 0);
        assert_int_equal(bytes.length, CONTENT_LENGTH);
        assert_memory_equal(bytes.bytes, content, CONTENT_LENGTH);

        struct buffer narrow = BUFFER_INIT(CONTENT_LENGTH - 1);
        assert_int_equal(store_read_blob(fixture->store, &digest, &narrow, &err), -EBADMSG);
        buffer_done(&narrow);
    }
    assert_int_equal(count(fixture, "images/blobs"), 2);
    assert_int_equal(count(fixture, "tmp"), 0);
}

static void an_empty_blob_is_a_blob(void **state)
{
    struct fixture *fixture = *state;
    struct digest digest = digest_of_text("");
    cleanup_buffer struct buffer bytes = BUFFER_INIT(1);
    assert_int_equal(store_put_blob(fixture->store, &digest, "", 0, NULL), 0);
    assert_int_equal(store_read_blob(fixture->store, &digest, &bytes, NULL), 0);
    assert_int_equal(bytes.length, 0);
}

static void what_is_not_promised_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct digest right = digest_of_text(content);
    struct digest wrong = digest_of_text("something else");
    static const struct {
        bool right_digest;
        size_t promised;
        const char *says;
    } cases[] = {
        {false, CONTENT_LENGTH, "another digest"},
        {true, CONTENT_LENGTH + 1, "ended after 19 of 20 bytes"},
        {true, CONTENT_LENGTH - 1, "more than the 18 bytes"},
        {true, 0, "more than the 0 bytes"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct blob_writer *writer;
        struct error err = {0};
        assert_int_equal(
            blob_writer_new(&writer, fixture->store, cases[i].right_digest ? &right : &wrong, cases[i].promised, &err),
            0);
        int rc = blob_writer_write(writer, content, CONTENT_LENGTH, &err);
        if (rc == 0)
            rc = blob_writer_commit(writer, &err);
        blob_writer_free(writer);
        assert_int_equal(rc, -EBADMSG);
        if (!strstr(err.text, cases[i].says))
            fail_msg("case %zu says: %s", i, err.text);
        assert_int_equal(count(fixture, "images/blobs"), 0);
        assert_int_equal(count(fixture, "tmp"), 0);
    }
}

static void a_damaged_blob_is_noticed_and_mended(void **state)
{
    struct fixture *fixture = *state;
    struct digest digest = digest_of_text(content);
    struct error err = {0};
    char name[256];
    assert_int_equal(store_put_blob(fixture->store, &digest, content, CONTENT_LENGTH, &err), 0);
    blob_name(name, sizeof name, &digest);

    /* The same length, and another one. */
    static const char *const damages[] = {"what the blob holdz", "what"};
    for (size_t i = 0; i < 2; i++) {
        struct buffer bytes = BUFFER_INIT(1024);
        write_file(fixture, name, damages[i]);
        assert_int_equal(store_read_blob(fixture->store, &digest, &bytes, &err), -EBADMSG);
        buffer_done(&bytes);
        assert_int_equal(store_put_blob(fixture->store, &digest, content, CONTENT_LENGTH, &err), 0);
        assert_int_equal(store_read_blob(fixture->store, &digest, &bytes, &err), 0);
        buffer_done(&bytes);
    }
    assert_int_equal(count(fixture, "tmp"), 0);
}

static void only_regular_files_are_blobs(void **state)
{
    struct fixture *fixture = *state;
    struct digest digest = digest_of_text(content);
    char name[256];
    char path[TEMP_DIR_PATH_MAX + 256];
    struct error err = {0};
    blob_name(name, sizeof name, &digest);
    (void)snprintf(path, sizeof path, "%s/%s", fixture->path, name);

    assert_int_equal(mkfifo(path, 0600), 0);
    assert_false(store_has_blob(fixture->store, &digest, 0));
    assert_int_equal(store_open_blob(fixture->store, &digest, &err), -EBADMSG);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/etc/hostname", path), 0);
    assert_int_equal(store_open_blob(fixture->store, &digest, &err), -ELOOP);
}

/* ---- crashes and rivals ------------------------------------------------------------------------------------------ */

/* Writes half a blob in a process that is then killed without warning. */
static void die_while_writing(const struct fixture *fixture, const struct digest *digest)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct store *store;
        struct blob_writer *writer;
        if (store_open(&store, fixture->path, NULL) == 0 &&
            blob_writer_new(&writer, store, digest, CONTENT_LENGTH, NULL) == 0 &&
            blob_writer_write(writer, content, CONTENT_LENGTH / 2, NULL) == 0)
            kill(getpid(), SIGKILL);
        _exit(1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void a_killed_writer_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct digest digest = digest_of_text(content);
    die_while_writing(fixture, &digest);

    struct store *store;
    assert_int_equal(store_open(&store, fixture->path, NULL), 0);
    assert_int_equal(count(fixture, "images/blobs"), 0);
    assert_int_equal(count(fixture, "tmp"), 0);
    assert_int_equal(store_put_blob(store, &digest, content, CONTENT_LENGTH, NULL), 0);
    store_close(store);
}

/* What a file system without O_TMPFILE has in tmp/: the files of the dead go, those of the living stay. */
static void opening_sweeps_what_the_dead_left(void **state)
{
    struct fixture *fixture = *state;
    char path[TEMP_DIR_PATH_MAX + 256];
    write_file(fixture, "tmp/tmp.dead", "half");
    write_file(fixture, "tmp/tmp.alive", "half");
    write_file(fixture, "tmp/other", "not ours");
    (void)snprintf(path, sizeof path, "%s/tmp/tmp.alive", fixture->path);
    int alive = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(alive >= 0);
    assert_int_equal(flock(alive, LOCK_EX), 0);

    struct store *store;
    assert_int_equal(store_open(&store, fixture->path, NULL), 0);
    store_close(store);
    assert_int_equal(count(fixture, "tmp"), 2);
    assert_int_equal(access(path, F_OK), 0);

    close(alive);
    assert_int_equal(store_open(&store, fixture->path, NULL), 0);
    store_close(store);
    assert_int_equal(count(fixture, "tmp"), 1);
}

enum { RIVALS = 4, ROUNDS = 20 };

/* Runs work(fixture, rival) in RIVALS processes at once; every one must succeed. */
static void run_rivals(const struct fixture *fixture, int (*work)(struct store *store, int rival))
{
    pid_t children[RIVALS];
    for (int i = 0; i < RIVALS; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            struct store *store;
            int rc = store_open(&store, fixture->path, NULL);
            if (rc == 0)
                rc = work(store, i);
            _exit(rc == 0 ? 0 : 1);
        }
    }
    for (int i = 0; i < RIVALS; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}

static int put_same_blobs(struct store *store, int rival)
{
    (void)rival;
    for (int i = 0; i < ROUNDS; i++) {
        char text[32];
        struct digest digest;
        struct blob_writer *writer;
        int length = snprintf(text, sizeof text, "blob %d", i);
        int rc = digest_of(&digest, DIGEST_SHA256, text, (size_t)length, NULL);
        if (rc < 0 || (rc = blob_writer_new(&writer, store, &digest, (uint64_t)length, NULL)) < 0)
            return rc;
        rc = blob_writer_write(writer, text, (size_t)length, NULL);
        if (rc == 0)
            rc = blob_writer_commit(writer, NULL);
        blob_writer_free(writer);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void rivals_put_the_same_blobs(void **state)
{
    struct fixture *fixture = *state;
    run_rivals(fixture, put_same_blobs);
    assert_int_equal(count(fixture, "images/blobs"), ROUNDS);
    assert_int_equal(count(fixture, "tmp"), 0);
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

static struct reference reference_of(const char *text)
{
    struct reference reference;
    struct error err = {0};
    if (reference_parse(&reference, text, &err) != 0)
        fail_msg("%s", err.text);
    return reference;
}

static struct descriptor manifest_of(const char *text)
{
    return (struct descriptor){.media_type = MEDIA_TYPE_OCI_MANIFEST,
                               .digest = digest_of_text(text),
                               .size = strlen(text),
                               .platform = {.os = "linux", .architecture = "arm64", .variant = "v8"}};
}

static void assert_descriptor_equal(const struct descriptor *a, const struct descriptor *b)
{
    assert_string_equal(a->media_type, b->media_type);
    assert_true(digest_equal(&a->digest, &b->digest));
    assert_int_equal(a->size, b->size);
    assert_int_equal(platform_distance(&a->platform, &b->platform), 0);
}

static int tag_many(struct store *store, int rival)
{
    struct descriptor manifest = {.media_type = MEDIA_TYPE_OCI_MANIFEST};
    if (digest_of(&manifest.digest, DIGEST_SHA256, "m", 1, NULL) < 0)
        return -EIO;
    for (int i = 0; i < ROUNDS; i++) {
        char text[64];
        struct reference reference;
        (void)snprintf(text, sizeof text, "localhost/app:%d-%d", rival, i);
        int rc = reference_parse(&reference, text, NULL);
        if (rc == 0)
            rc = store_tag(store, &reference, &manifest, NULL);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void rivals_lose_no_name(void **state)
{
    struct fixture *fixture = *state;
    run_rivals(fixture, tag_many);
    struct store_entry *entries;
    size_t length;
    assert_int_equal(store_list(fixture->store, &entries, &length, NULL), 0);
    assert_int_equal(length, RIVALS * ROUNDS);
    free(entries);
    assert_int_equal(count(fixture, "tmp"), 0);
}

static void a_name_finds_its_manifest(void **state)
{
    struct fixture *fixture = *state;
    struct reference reference = reference_of("localhost:5000/app:1");
    struct descriptor first = manifest_of("first");
    struct descriptor second = manifest_of("second");
    struct descriptor found;
    struct error err = {0};

    assert_int_equal(store_resolve(fixture->store, &reference, &found, &err), -ENOENT);
    assert_non_null(strstr(err.text, "no image 'localhost:5000/app:1' on this machine"));
    assert_int_equal(store_tag(fixture->store, &reference, &first, &err), 0);
    assert_int_equal(store_resolve(fixture->store, &reference, &found, &err), 0);
    assert_descriptor_equal(&found, &first);

    /* A name moves. */
    assert_int_equal(store_tag(fixture->store, &reference, &second, &err), 0);
    assert_int_equal(store_resolve(fixture->store, &reference, &found, &err), 0);
    assert_descriptor_equal(&found, &second);
    struct store_entry *entries;
    size_t length;
    assert_int_equal(store_list(fixture->store, &entries, &length, &err), 0);
    assert_int_equal(length, 1);
    assert_string_equal(entries[0].reference.repository, "app");
    assert_string_equal(entries[0].reference.tag, "1");
    assert_descriptor_equal(&entries[0].manifest, &second);
    free(entries);
}

static void a_digest_finds_what_a_tag_names(void **state)
{
    struct fixture *fixture = *state;
    struct reference tagged = reference_of("localhost:5000/app:1");
    struct descriptor manifest = manifest_of("manifest");
    struct descriptor found;
    assert_int_equal(store_tag(fixture->store, &tagged, &manifest, NULL), 0);

    char digest[DIGEST_TEXT_MAX];
    char text[REFERENCE_TEXT_MAX];
    digest_format(&manifest.digest, digest);
    static const struct {
        const char *name;
        int rc;
    } cases[] = {{"localhost:5000/app", 0},
                 {"localhost:5000/app:other", 0},
                 {"localhost:5000/else", -ENOENT},
                 {"localhost:5001/app", -ENOENT}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        (void)snprintf(text, sizeof text, "%s@%s", cases[i].name, digest);
        struct reference reference = reference_of(text);
        assert_int_equal(store_resolve(fixture->store, &reference, &found, NULL), cases[i].rc);
    }
}

static void foreign_entries_survive(void **state)
{
    struct fixture *fixture = *state;
    struct reference reference = reference_of("localhost/app:1");
    struct descriptor manifest = manifest_of("m");
    struct store_entry *entries;
    size_t length;
    char text[4096];
    write_file(fixture, "images/index.json",
               "{\"schemaVersion\":2,\"annotations\":{\"who\":\"else\"},\"manifests\":["
               "{\"mediaType\":\"x/y\",\"digest\":\"sha256:00\",\"size\":1,\"odd\":[1]},"
               "{\"annotations\":{\"org.opencontainers.image.ref.name\":\"latest\"}}, 7]}");
    assert_int_equal(store_list(fixture->store, &entries, &length, NULL), 0);
    assert_int_equal(length, 0);
    free(entries);

    assert_int_equal(store_tag(fixture->store, &reference, &manifest, NULL), 0);
    read_file(fixture, "images/index.json", text, sizeof text);
    assert_non_null(strstr(text, "\"who\": \"else\""));
    assert_non_null(strstr(text, "\"odd\""));
    assert_int_equal(store_list(fixture->store, &entries, &length, NULL), 0);
    assert_int_equal(length, 1);
    free(entries);
}

static void a_damaged_index_is_an_error(void **state)
{
    struct fixture *fixture = *state;
    struct reference reference = reference_of("localhost/app:1");
    struct descriptor manifest = manifest_of("m");
    static const char *const damages[] = {
        "", "{", "[]", "null", "{}", "{\"manifests\":{}}", "{\"manifests\":[],\"manifests\":[]}"};
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        struct descriptor found;
        struct error err = {0};
        char text[256];
        write_file(fixture, "images/index.json", damages[i]);
        if (store_resolve(fixture->store, &reference, &found, &err) != -EBADMSG)
            fail_msg("damage %zu: %s", i, err.text);
        assert_non_null(strstr(err.text, "index.json' is damaged"));
        assert_int_equal(store_tag(fixture->store, &reference, &manifest, &err), -EBADMSG);
        read_file(fixture, "images/index.json", text, sizeof text);
        assert_string_equal(text, damages[i]);
    }
}

#define store_test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(a_new_store_is_an_image_layout),
        store_test(the_root_is_chosen_by_the_environment),
        store_test(a_root_that_can_not_be_is_named),
        store_test(a_blob_comes_back),
        store_test(an_empty_blob_is_a_blob),
        store_test(what_is_not_promised_leaves_nothing),
        store_test(a_damaged_blob_is_noticed_and_mended),
        store_test(only_regular_files_are_blobs),
        store_test(a_killed_writer_leaves_nothing),
        store_test(opening_sweeps_what_the_dead_left),
        store_test(rivals_put_the_same_blobs),
        store_test(rivals_lose_no_name),
        store_test(a_name_finds_its_manifest),
        store_test(a_digest_finds_what_a_tag_names),
        store_test(foreign_entries_survive),
        store_test(a_damaged_index_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
