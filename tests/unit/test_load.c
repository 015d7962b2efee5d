/* SPDX-License-Identifier: Apache-2.0 */
/* Archives in: what they may look like, and what is refused. Out and in again: the same bytes, the same images. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/fd.h"
#include "image/image.h"
#include "image/import.h"
#include "image/load.h"
#include "image/save.h"
#include "image/store.h"
#include "tests/support/tar_builder.h"
#include "tests/support/temp_dir.h"

enum { NAMES_MAX = 4, JSON_MAX = 2048 };

struct fixture {
    char path[TEMP_DIR_PATH_MAX];
    struct store *store;
    struct error err;
    struct buffer layer; /* a tar file with the file "greeting" */
    char diff_id[DIGEST_TEXT_MAX];
    char config[JSON_MAX];
    char names[NAMES_MAX][REFERENCE_TEXT_MAX]; /* of what was loaded */
    struct digest manifests[NAMES_MAX];
    size_t loaded;
};

static void text_digest(char text[static DIGEST_TEXT_MAX], const void *bytes, size_t length)
{
    struct digest digest;
    assert_int_equal(digest_of(&digest, DIGEST_SHA256, bytes, length, NULL), 0);
    digest_format(&digest, text);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    assert_int_equal(temp_dir_new(fixture->path), 0);
    assert_int_equal(store_open(&fixture->store, fixture->path, NULL), 0);
    fixture->layer = TAR_BUILDER_INIT;
    TAR_ADD(&fixture->layer, .name = "greeting", .content = "hello\n");
    tar_end(&fixture->layer);
    text_digest(fixture->diff_id, fixture->layer.bytes, fixture->layer.length);
    (void)snprintf(
        fixture->config, sizeof fixture->config,
        "{\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\"]}}",
        fixture->diff_id);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    buffer_done(&fixture->layer);
    store_close(fixture->store);
    temp_dir_remove(fixture->path);
    free(fixture);
    return 0;
}

static int memory_file(const struct buffer *content)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    assert_true(fd >= 0);
    if (content)
        assert_int_equal(fd_pwrite_full(fd, content->bytes, content->length, 0), 0);
    return fd;
}

static void note(void *context, const struct reference *reference, const struct digest *manifest)
{
    struct fixture *fixture = context;
    assert_true(fixture->loaded < NAMES_MAX);
    fixture->manifests[fixture->loaded] = *manifest;
    reference_format_familiar(reference, fixture->names[fixture->loaded++]);
}

static int load_fd(struct fixture *fixture, int fd, struct load_options options)
{
    options.done = note;
    options.context = fixture;
    fixture->loaded = 0;
    fixture->err = (struct error){0};
    return image_load(fixture->store, fd, &options, &fixture->err);
}

/* Loads a tar file and releases it. */
static int load_tar(struct fixture *fixture, struct buffer *tar, struct load_options options)
{
    tar_end(tar);
    int fd = memory_file(tar);
    int rc = load_fd(fixture, fd, options);
    close(fd);
    buffer_done(tar);
    return rc;
}

static void expect(const struct fixture *fixture, int rc, int wanted, const char *words)
{
    if (rc != wanted || (words && !strstr(fixture->err.text, words)))
        fail_msg("%d instead of %d ('%s'): %s", rc, wanted, words ? words : "", fixture->err.text);
}

static void expect_image(const struct fixture *fixture, const char *name)
{
    struct reference reference;
    struct image image = IMAGE_NONE;
    struct error err = {0};
    assert_int_equal(reference_parse(&reference, name, NULL), 0);
    if (image_open(fixture->store, &reference, &image, &err) != 0)
        fail_msg("%s", err.text);
    image_done(&image);
}

static void expect_nothing(const struct fixture *fixture)
{
    struct store_entry *entries;
    size_t count;
    assert_int_equal(store_list(fixture->store, &entries, &count, NULL), 0);
    assert_int_equal(count, 0);
    free(entries);
}

/* ---- docker's ---------------------------------------------------------------------------------------------------- */

#define MANIFEST(config, tags, layers) "[{\"Config\":\"" config "\",\"RepoTags\":" tags ",\"Layers\":[\"" layers "\"]}]"

static void add_layer(struct fixture *fixture, struct buffer *tar, const char *name)
{
    TAR_ADD(tar, .name = name, .content = (const char *)fixture->layer.bytes, .length = fixture->layer.length);
}

static void what_docker_saves(void **state)
{
    struct fixture *fixture = *state;
    struct buffer tar = TAR_BUILDER_INIT;
    add_layer(fixture, &tar, "abc/layer.tar");
    TAR_ADD(&tar, .name = "abc/VERSION", .content = "1.0");
    TAR_ADD(&tar, .name = "def/layer.tar", .type = '2', .link = "../abc/layer.tar");
    TAR_ADD(&tar, .name = "config.json", .content = fixture->config);
    TAR_ADD(&tar, .name = "manifest.json",
            .content = MANIFEST("config.json", "[\"app:1\",\"localhost/app:2\"]", "def/layer.tar"));
    expect(fixture, load_tar(fixture, &tar, (struct load_options){0}), 0, NULL);
    assert_int_equal(fixture->loaded, 2);
    assert_string_equal(fixture->names[0], "app:1");
    assert_string_equal(fixture->names[1], "localhost/app:2");
    expect_image(fixture, "app:1");
    expect_image(fixture, "localhost/app:2");
}

static void one_of_several_under_another_name(void **state)
{
    struct fixture *fixture = *state;
    struct reference name;
    assert_int_equal(reference_parse(&name, "other", NULL), 0);
    for (int selects = 0; selects <= 1; selects++) {
        struct buffer tar = TAR_BUILDER_INIT;
        add_layer(fixture, &tar, "./layer.tar");
        TAR_ADD(&tar, .name = "./config.json", .content = fixture->config);
        TAR_ADD(&tar, .name = "./manifest.json",
                .content = "[{\"Config\":\"config.json\",\"RepoTags\":[\"app:1\"],\"Layers\":[\"layer.tar\"]},"
                           "{\"Config\":\"config.json\",\"RepoTags\":null,\"Layers\":[\"layer.tar\"]}]");
        struct load_options options = {.name = &name, .select = selects ? "docker.io/library/app:1" : NULL};
        expect(fixture, load_tar(fixture, &tar, options), selects ? 0 : -EINVAL, selects ? NULL : "2 images");
    }
    assert_int_equal(fixture->loaded, 1);
    assert_string_equal(fixture->names[0], "other:latest");
}

static void docker_archives_that_are_refused(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *manifest;
        int code;
        const char *says;
    } cases[] = {
        {"", -EBADMSG, "no index.json and no manifest.json"},
        {"{}", -EBADMSG, "no array"},
        {"[[]]", -EBADMSG, "no object"},
        {"[]", -ENOENT, "no image"},
        {"[{\"RepoTags\":7}]", -EBADMSG, "'RepoTags'"},
        {MANIFEST("gone", "[\"a\"]", "layer.tar"), -EBADMSG, "'gone' is not in the archive"},
        {MANIFEST("config.json", "[\"a\"]", "gone"), -EBADMSG, "'gone' is not in the archive"},
        {MANIFEST("config.json", "[\"a\"]", "../../etc/passwd"), -EBADMSG, "is not in the archive"},
        {MANIFEST("config.json", "[\"a\"]", "loop"), -EBADMSG, "'loop' is not in the archive"},
        {MANIFEST("config.json", "[\"a\"]", "other.tar"), -EBADMSG, "tar stream"},
        {MANIFEST("layer.tar", "[\"a\"]", "layer.tar"), -EBADMSG, "configuration"},
        {MANIFEST("config.json", "[\"A B\"]", "layer.tar"), -EBADMSG, "--name"},
        {MANIFEST("config.json", "[7]", "layer.tar"), -EBADMSG, "--name"},
        {MANIFEST("config.json", "[]", "layer.tar"), -EINVAL, "has no name"},
        {"[{\"Config\":\"config.json\",\"RepoTags\":[\"a\"],\"Layers\":[]}]", -ENOTSUP, "no layers"},
        {"[{\"Config\":\"config.json\",\"RepoTags\":[\"a\"],\"Layers\":[\"layer.tar\",\"layer.tar\"]}]", -EBADMSG,
         "layers"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer tar = TAR_BUILDER_INIT;
        add_layer(fixture, &tar, "layer.tar");
        TAR_ADD(&tar, .name = "other.tar", .content = "", .length = 0);
        TAR_ADD(&tar, .name = "loop", .type = '2', .link = "pool");
        TAR_ADD(&tar, .name = "pool", .type = '2', .link = "loop");
        TAR_ADD(&tar, .name = "config.json", .content = fixture->config);
        TAR_ADD(&tar, .name = "manifest.json", .content = cases[i].manifest);
        expect(fixture, load_tar(fixture, &tar, (struct load_options){0}), cases[i].code, cases[i].says);
        expect_nothing(fixture);
    }
}

/* ---- tar files that no tool makes -------------------------------------------------------------------------------- */

static void entries_that_are_refused(void **state)
{
    struct fixture *fixture = *state;
    char long_name[1200];
    memset(long_name, 'n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    const struct {
        struct tar_spec entry;
        const char *says;
    } cases[] = {
        {{.name = "../up", .content = "x"}, "no usable name"},
        {{.name = "a/../../up", .content = "x"}, "no usable name"},
        {{.name = long_name, .content = "x"}, "no usable name"},
        {{.name = "link", .type = '2', .link = "../../up"}, "no usable name"},
        {{.name = "device", .type = '3'}, "neither a file nor a link"},
        {{.name = "blobs/sha256/abc", .content = "x"}, "no name of a blob"},
        {{.name = "blobs/x", .content = "x"}, "no name of a blob"},
        {{.name = "blobs/sha256/0000000000000000000000000000000000000000000000000000000000000000", .content = "x"},
         "another digest"},
        {{.name = "sparse",
          .content = "1\n0\n1\n",
          .records = {{.key = "GNU.sparse.major", .value = "1"},
                      {.key = "GNU.sparse.minor", .value = "0"},
                      {.key = "GNU.sparse.realsize", .value = "1000000000000"}}},
         "sparse"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer tar = TAR_BUILDER_INIT;
        tar_add(&tar, &cases[i].entry);
        TAR_ADD(&tar, .name = "manifest.json", .content = "[]");
        int rc = load_tar(fixture, &tar, (struct load_options){0});
        /* What libarchive itself refuses is refused as well. */
        expect(fixture, rc, -EBADMSG, strstr(fixture->err.text, "no sound tar file") ? NULL : cases[i].says);
    }
    expect_nothing(fixture);
}

static void what_is_no_tar_file(void **state)
{
    struct fixture *fixture = *state;
    struct buffer text = BUFFER_INIT(4096);
    buffer_append_format(&text, "%s", "neither tar nor anything else, but long enough to be looked at");
    int fd = memory_file(&text);
    expect(fixture, load_fd(fixture, fd, (struct load_options){0}), -EBADMSG, "no sound tar file");
    close(fd);
    buffer_done(&text);
}

static void a_truncated_archive_leaves_no_name(void **state)
{
    struct fixture *fixture = *state;
    struct buffer tar = TAR_BUILDER_INIT;
    TAR_ADD(&tar, .name = "manifest.json", .content = MANIFEST("config.json", "[\"a\"]", "layer.tar"));
    TAR_ADD(&tar, .name = "config.json", .content = fixture->config);
    add_layer(fixture, &tar, "layer.tar");
    tar.length -= 700;
    int fd = memory_file(&tar);
    expect(fixture, load_fd(fixture, fd, (struct load_options){0}), -EBADMSG, NULL);
    expect_nothing(fixture);
    close(fd);
    buffer_done(&tar);
}

/* ---- OCI's ------------------------------------------------------------------------------------------------------- */

static void oci_indexes_that_are_refused(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *index;
        int code;
        const char *says;
    } cases[] = {
        {"[]", -EBADMSG, "no object"},
        {"{\"manifests\":7}", -EBADMSG, "'manifests'"},
        {"{\"manifests\":[]}", -ENOENT, "no image"},
        {"{\"manifests\":[7]}", -EINVAL, "--name"},
        {"{\"manifests\":[{\"annotations\":{\"org.opencontainers.image.ref.name\":\"latest\"}}]}", -EINVAL,
         "called 'latest'"},
        {"{\"manifests\":[{\"annotations\":{\"org.opencontainers.image.ref.name\":\"a:1\"}}]}", -EBADMSG, NULL},
        {"{\"manifests\":[{\"annotations\":{\"org.opencontainers.image.ref.name\":\"a:1\"},\"mediaType\":"
         "\"application/vnd.oci.image.manifest.v1+json\",\"size\":3,\"digest\":\"sha256:"
         "0000000000000000000000000000000000000000000000000000000000000000\"}]}",
         -EBADMSG, "lacks blob"},
        {"{\"manifests\":[{\"annotations\":{\"org.opencontainers.image.ref.name\":\"a:1\"},\"mediaType\":"
         "\"application/vnd.oci.image.manifest.v1+json\",\"size\":99999999,\"digest\":\"sha256:"
         "0000000000000000000000000000000000000000000000000000000000000000\"}]}",
         -EBADMSG, "more than"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer tar = TAR_BUILDER_INIT;
        TAR_ADD(&tar, .name = "index.json", .content = cases[i].index);
        expect(fixture, load_tar(fixture, &tar, (struct load_options){0}), cases[i].code, cases[i].says);
        expect_nothing(fixture);
    }
}

static void import_layer(struct fixture *fixture, const char *name, struct digest *manifest)
{
    struct reference reference;
    const struct import_options options = {.created = 1700000000, .comment = "a test"};
    int fd = memory_file(&fixture->layer);
    assert_int_equal(reference_parse(&reference, name, NULL), 0);
    expect(fixture, image_import(fixture->store, fd, &reference, &options, manifest, &fixture->err), 0, NULL);
    close(fd);
}

static int save(struct fixture *fixture, enum save_format format)
{
    struct reference references[2];
    assert_int_equal(reference_parse(&references[0], "one:1", NULL), 0);
    assert_int_equal(reference_parse(&references[1], "two:2", NULL), 0);
    int fd = memory_file(NULL);
    expect(fixture, image_save(fixture->store, references, 2, format, fd, &fixture->err), 0, NULL);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static void assert_same_bytes(int a, int b)
{
    struct digest digests[2];
    int fds[2] = {a, b};
    for (int i = 0; i < 2; i++) {
        struct stat status;
        assert_int_equal(fstat(fds[i], &status), 0);
        size_t length = (size_t)status.st_size;
        void *bytes = malloc(length);
        assert_non_null(bytes);
        assert_int_equal(fd_pread_full(fds[i], bytes, length, 0), length);
        assert_int_equal(digest_of(&digests[i], DIGEST_SHA256, bytes, length, NULL), 0);
        free(bytes);
    }
    assert_true(digest_equal(&digests[0], &digests[1]));
}

static void what_is_saved_comes_back(void **state)
{
    struct fixture *fixture = *state;
    for (enum save_format format = SAVE_OCI; format <= SAVE_DOCKER; format++) {
        struct digest manifest;
        import_layer(fixture, "one:1", &manifest);
        import_layer(fixture, "two:2", &manifest);
        int archive = save(fixture, format);
        int again = save(fixture, format);
        assert_same_bytes(archive, again);
        close(again);

        temp_dir_remove(fixture->path);
        assert_int_equal(mkdir(fixture->path, 0700), 0);
        store_close(fixture->store);
        assert_int_equal(store_open(&fixture->store, fixture->path, NULL), 0);
        expect(fixture, load_fd(fixture, archive, (struct load_options){0}), 0, NULL);
        close(archive);
        assert_int_equal(fixture->loaded, 2);
        assert_string_equal(fixture->names[0], "one:1");
        assert_string_equal(fixture->names[1], "two:2");
        expect_image(fixture, "one:1");
        expect_image(fixture, "two:2");
        assert_true(digest_equal(&fixture->manifests[0], &manifest));
    }
}

static void damage_is_not_saved(void **state)
{
    struct fixture *fixture = *state;
    struct digest manifest;
    struct reference reference;
    char path[TEMP_DIR_PATH_MAX + DIGEST_TEXT_MAX + 32];
    import_layer(fixture, "one:1", &manifest);
    (void)snprintf(path, sizeof path, "%s/images/blobs/sha256/%s", fixture->path, fixture->diff_id + strlen("sha256:"));
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(truncate(path, 100), 0);
    assert_int_equal(truncate(path, (off_t)fixture->layer.length), 0);
    assert_int_equal(reference_parse(&reference, "one:1", NULL), 0);
    for (enum save_format format = SAVE_OCI; format <= SAVE_DOCKER; format++) {
        int fd = memory_file(NULL);
        expect(fixture, image_save(fixture->store, &reference, 1, format, fd, &fixture->err), -EBADMSG, NULL);
        close(fd);
    }
}

static void what_is_no_layer_is_not_imported(void **state)
{
    struct fixture *fixture = *state;
    struct reference reference;
    struct digest manifest;
    const struct import_options options = {.created = 0};
    static const char *const texts[] = {"", "no tar file at all, whatever one may think of it", "\x1f\x8bno gzip"};
    assert_int_equal(reference_parse(&reference, "x", NULL), 0);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct buffer content = BUFFER_INIT(4096);
        buffer_append(&content, texts[i], strlen(texts[i]));
        int fd = memory_file(&content);
        expect(fixture, image_import(fixture->store, fd, &reference, &options, &manifest, &fixture->err), -EBADMSG,
               "cannot import");
        close(fd);
        buffer_done(&content);
    }
    expect_nothing(fixture);
}

int main(void)
{
#define load_test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        load_test(what_docker_saves),
        load_test(one_of_several_under_another_name),
        load_test(docker_archives_that_are_refused),
        load_test(entries_that_are_refused),
        load_test(what_is_no_tar_file),
        load_test(a_truncated_archive_leaves_no_name),
        load_test(oci_indexes_that_are_refused),
        load_test(what_is_saved_comes_back),
        load_test(damage_is_not_saved),
        load_test(what_is_no_layer_is_not_imported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
