/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>
#include <cmocka.h>

#include "base/error.h"
#include "base/fd.h"
#include "image/image.h"
#include "image/pull.h"
#include "image/store.h"
#include "tests/support/fake_registry.h"
#include "tests/support/temp_dir.h"

#define OCI_LAYER "application/vnd.oci.image.layer.v1.tar"

enum { EVENTS_MAX = 64, LAYER_MAX = 16 << 10, JSON_MAX = 4096, PATHS_MAX = 16 };

/** An image of one layer as texts, to be served or spoiled. */
struct fake_image {
    char layer[LAYER_MAX];
    size_t layer_length;
    char config[JSON_MAX];
    char manifest[JSON_MAX];
};

struct fixture {
    char root[TEMP_DIR_PATH_MAX];
    struct fake_registry *server;
    struct store *store;
    struct reference reference;
    struct fake_image image;
    struct pull_event events[EVENTS_MAX];
    size_t event_count;
    struct digest pulled;
    struct error err;
    char paths[PATHS_MAX][256]; /* of rules */
    size_t path_count;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    char name[REFERENCE_TEXT_MAX];
    assert_non_null(fixture);
    assert_int_equal(temp_dir_new(fixture->root), 0);
    fixture->server = fake_registry_new();
    assert_non_null(fixture->server);
    assert_int_equal(store_open(&fixture->store, fixture->root, NULL), 0);
    (void)snprintf(name, sizeof name, "%s/app:1", fake_registry_host(fixture->server));
    assert_int_equal(reference_parse(&fixture->reference, name, NULL), 0);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    fake_registry_free(fixture->server);
    store_close(fixture->store);
    temp_dir_remove(fixture->root);
    free(fixture);
    return 0;
}

/* ---- images to serve ----------------------------------------------------------------------------------------------
 */

static void text_digest(char text[static DIGEST_TEXT_MAX], const void *bytes, size_t length)
{
    struct digest digest;
    assert_int_equal(digest_of(&digest, DIGEST_SHA256, bytes, length, NULL), 0);
    digest_format(&digest, text);
}

/* A tar archive that holds the one file /greeting. */
static void make_layer(struct fake_image *image)
{
    static const char text[] = "hello\n";
    struct archive *archive = archive_write_new();
    struct archive_entry *entry = archive_entry_new();
    assert_non_null(archive);
    assert_non_null(entry);
    archive_write_set_format_ustar(archive);
    archive_write_set_bytes_per_block(archive, 0);
    assert_int_equal(archive_write_open_memory(archive, image->layer, sizeof image->layer, &image->layer_length),
                     ARCHIVE_OK);
    archive_entry_set_pathname(entry, "greeting");
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, sizeof text - 1);
    assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
    assert_int_equal(archive_write_data(archive, text, sizeof text - 1), sizeof text - 1);
    archive_entry_free(entry);
    assert_int_equal(archive_write_free(archive), ARCHIVE_OK);
}

static void make_config(struct fake_image *image, const char *architecture, const char *diff_ids)
{
    (void)snprintf(image->config, sizeof image->config,
                   "{\"created\":\"2001-02-03T04:05:06.789+01:00\",\"os\":\"linux\",\"architecture\":\"%s\","
                   "\"config\":{\"Cmd\":[\"/greeting\"]},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[%s]}}",
                   architecture, diff_ids);
}

static void make_manifest(struct fake_image *image, const char *layer_type)
{
    char config[DIGEST_TEXT_MAX];
    char layer[DIGEST_TEXT_MAX];
    text_digest(config, image->config, strlen(image->config));
    text_digest(layer, image->layer, image->layer_length);
    (void)snprintf(image->manifest, sizeof image->manifest,
                   "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"" MEDIA_TYPE_OCI_CONFIG
                   "\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[{\"mediaType\":\"%s\",\"digest\":\"%s\","
                   "\"size\":%zu}]}",
                   config, strlen(image->config), layer_type, layer, image->layer_length);
}

/* An image without fault. */
static void make_image(struct fake_image *image)
{
    char layer[DIGEST_TEXT_MAX];
    char diff_ids[DIGEST_TEXT_MAX + 2];
    make_layer(image);
    text_digest(layer, image->layer, image->layer_length);
    (void)snprintf(diff_ids, sizeof diff_ids, "\"%s\"", layer);
    make_config(image, "amd64", diff_ids);
    make_manifest(image, OCI_LAYER);
}

/* The path of a document or blob by the digest of its true bytes. */
static const char *path_of(struct fixture *fixture, const char *kind, const void *bytes, size_t length)
{
    char digest[DIGEST_TEXT_MAX];
    assert_true(fixture->path_count < PATHS_MAX);
    char *path = fixture->paths[fixture->path_count++];
    text_digest(digest, bytes, length);
    (void)snprintf(path, sizeof fixture->paths[0], "/v2/app/%s/%s", kind, digest);
    return path;
}

static struct fake_rule config_rule(struct fixture *fixture)
{
    const char *config = fixture->image.config;
    return (struct fake_rule){
        .path = path_of(fixture, "blobs", config, strlen(config)), .body = config, .length = strlen(config)};
}

static struct fake_rule layer_rule(struct fixture *fixture)
{
    const struct fake_image *image = &fixture->image;
    return (struct fake_rule){.path = path_of(fixture, "blobs", image->layer, image->layer_length),
                              .body = image->layer,
                              .length = image->layer_length};
}

static struct fake_rule manifest_rule(struct fixture *fixture)
{
    return (struct fake_rule){.path = "/v2/app/manifests/1",
                              .body = fixture->image.manifest,
                              .length = strlen(fixture->image.manifest),
                              .headers = "Content-Type: " MEDIA_TYPE_OCI_MANIFEST "\r\n"};
}

static void serve(struct fixture *fixture)
{
    fake_registry_add(fixture->server, manifest_rule(fixture));
    fake_registry_add(fixture->server, config_rule(fixture));
    fake_registry_add(fixture->server, layer_rule(fixture));
}

/* ---- pulling and looking ------------------------------------------------------------------------------------------
 */

static void keep_event(void *context, const struct pull_event *event)
{
    struct fixture *fixture = context;
    assert_true(fixture->event_count < EVENTS_MAX);
    fixture->events[fixture->event_count++] = *event;
}

static int pull(struct fixture *fixture)
{
    struct pull_options options = {.progress = keep_event, .context = fixture};
    assert_int_equal(platform_parse(&options.platform, "linux/amd64", NULL), 0);
    fixture->event_count = 0;
    fixture->err = (struct error){0};
    return image_pull(fixture->store, &fixture->reference, &options, &fixture->pulled, &fixture->err);
}

static void expect(const struct fixture *fixture, int rc, int wanted, const char *words)
{
    if (rc != wanted || (words && !strstr(fixture->err.text, words)))
        fail_msg("%d instead of %d ('%s'): %s", rc, wanted, words ? words : "", fixture->err.text);
}

static int count(const struct fixture *fixture, const char *below)
{
    char path[TEMP_DIR_PATH_MAX + 32];
    (void)snprintf(path, sizeof path, "%s/%s", fixture->root, below);
    return temp_dir_count_files(path);
}

/* Fails for a reason, and leaves that many blobs, all of them whole, and nothing else. */
static void expect_failure(struct fixture *fixture, int wanted, const char *words, int blobs)
{
    struct image image = IMAGE_NONE;
    expect(fixture, pull(fixture), wanted, words);
    expect(fixture, -1, -1, "cannot pull '");
    assert_int_equal(count(fixture, "images/blobs"), blobs);
    assert_int_equal(count(fixture, "rootfs"), 0);
    assert_int_equal(count(fixture, "tmp"), 0);
    assert_int_equal(image_open(fixture->store, &fixture->reference, &image, NULL), -ENOENT);
}

/* ---- what goes well -----------------------------------------------------------------------------------------------
 */

static void an_image_is_pulled_and_opened(void **state)
{
    struct fixture *fixture = *state;
    char digest[DIGEST_TEXT_MAX];
    char expected[DIGEST_TEXT_MAX];
    make_image(&fixture->image);
    serve(fixture);
    expect(fixture, pull(fixture), 0, NULL);
    digest_format(&fixture->pulled, digest);
    text_digest(expected, fixture->image.manifest, strlen(fixture->image.manifest));
    assert_string_equal(digest, expected);
    assert_int_equal(count(fixture, "images/blobs"), 3);
    assert_int_equal(count(fixture, "rootfs"), 1);
    assert_int_equal(count(fixture, "tmp"), 0);

    static const enum pull_phase phases[] = {PULL_RESOLVED,      PULL_LAYER_FETCH,  PULL_LAYER_FETCH,
                                             PULL_LAYER_FETCHED, PULL_LAYER_FETCH,  PULL_LAYER_FETCH,
                                             PULL_LAYER_FETCHED, PULL_ROOTFS_BEGIN, PULL_ROOTFS_READY};
    assert_int_equal(fixture->event_count, sizeof phases / sizeof phases[0]);
    for (size_t i = 0; i < fixture->event_count; i++)
        assert_int_equal(fixture->events[i].phase, phases[i]);
    assert_int_equal(fixture->events[0].total, fixture->image.layer_length + strlen(fixture->image.config));
    assert_int_equal(fixture->events[6].done, fixture->image.layer_length);

    struct image image = IMAGE_NONE;
    struct stat status;
    expect(fixture, image_open(fixture->store, &fixture->reference, &image, &fixture->err), 0, NULL);
    assert_true(digest_equal(&image.digest, &fixture->pulled));
    assert_string_equal(image.config.cmd.items[0], "/greeting");
    assert_int_equal(fstat(image.rootfs_fd, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0444);
    assert_true(status.st_size > 0);
    assert_int_equal(fcntl(image.rootfs_fd, F_GETFL) & O_ACCMODE, O_RDONLY);
    image_done(&image);
    assert_int_equal(image.rootfs_fd, -1);
}

static void a_second_pull_fetches_nothing(void **state)
{
    struct fixture *fixture = *state;
    make_image(&fixture->image);
    serve(fixture);
    expect(fixture, pull(fixture), 0, NULL);
    fake_registry_clear(fixture->server);
    fake_registry_add(fixture->server, manifest_rule(fixture));
    expect(fixture, pull(fixture), 0, NULL);
    assert_int_equal(fake_registry_count(fixture->server), 1);
    for (size_t i = 0; i < fixture->event_count; i++)
        assert_true(fixture->events[i].phase == PULL_RESOLVED || fixture->events[i].phase == PULL_LAYER_EXISTS ||
                    fixture->events[i].phase == PULL_ROOTFS_READY);
}

static void a_pull_goes_on_where_the_last_broke_off(void **state)
{
    enum { CUT = 500 };
    struct fixture *fixture = *state;
    make_image(&fixture->image);
    fake_registry_add(fixture->server, manifest_rule(fixture));
    fake_registry_add(fixture->server, config_rule(fixture));
    struct fake_rule cut = layer_rule(fixture);
    cut.cut_at = CUT;
    fake_registry_add(fixture->server, cut);
    assert_true(pull(fixture) < 0);
    assert_int_equal(count(fixture, "partial"), 1);
    assert_int_equal(count(fixture, "images/blobs"), 1);

    fake_registry_clear(fixture->server);
    serve(fixture);
    expect(fixture, pull(fixture), 0, NULL);
    assert_int_equal(count(fixture, "partial"), 0);
    assert_int_equal(fake_registry_count(fixture->server), 2);
    assert_string_equal(fake_registry_request(fixture->server, 1).range, "bytes=500-");
}

/* After a power cut: the length of a beginning, but not its bytes. */
static void a_beginning_that_is_none_is_fetched_anew(void **state)
{
    struct fixture *fixture = *state;
    char digest[DIGEST_TEXT_MAX];
    char path[TEMP_DIR_PATH_MAX + DIGEST_TEXT_MAX + 32];
    make_image(&fixture->image);
    serve(fixture);
    text_digest(digest, fixture->image.layer, fixture->image.layer_length);
    (void)snprintf(path, sizeof path, "%s/partial/sha256.%s", fixture->root, digest + strlen("sha256:"));
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_full(fd, "\0\0\0\0\0\0\0\0", 8), 0);
    close(fd);
    expect(fixture, pull(fixture), 0, NULL);
    assert_int_equal(count(fixture, "partial"), 0);
    assert_int_equal(fake_registry_count(fixture->server), 4);
    assert_string_equal(fake_registry_request(fixture->server, 2).range, "bytes=8-");
    assert_string_equal(fake_registry_request(fixture->server, 3).range, "");
}

static void a_rootfs_is_made_again_from_what_is_stored(void **state)
{
    struct fixture *fixture = *state;
    char path[TEMP_DIR_PATH_MAX + 16];
    make_image(&fixture->image);
    serve(fixture);
    expect(fixture, pull(fixture), 0, NULL);
    (void)snprintf(path, sizeof path, "%s/rootfs", fixture->root);
    temp_dir_remove(path);
    assert_int_equal(mkdir(path, 0700), 0);

    struct store *store;
    struct image image = IMAGE_NONE;
    assert_int_equal(store_open(&store, fixture->root, NULL), 0);
    expect(fixture, image_open(store, &fixture->reference, &image, &fixture->err), 0, NULL);
    assert_int_equal(count(fixture, "rootfs"), 1);
    image_done(&image);
    store_close(store);
}

/* Damages the stored layer without changing its size. */
static void damage_stored_layer(const struct fixture *fixture)
{
    char hex[DIGEST_TEXT_MAX];
    char path[TEMP_DIR_PATH_MAX + 256];
    text_digest(hex, fixture->image.layer, fixture->image.layer_length);
    (void)snprintf(path, sizeof path, "%s/images/blobs/sha256/%s", fixture->root, strchr(hex, ':') + 1);
    assert_int_equal(chmod(path, 0644), 0);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fd_pwrite_full(fd, "J", 1, 512), 0);
    close(fd);
}

static void a_damaged_layer_is_fetched_anew(void **state)
{
    struct fixture *fixture = *state;
    make_image(&fixture->image);
    serve(fixture);
    /* The pull that stored the layer did not get to the root file system. */
    struct digest digest;
    assert_int_equal(digest_of(&digest, DIGEST_SHA256, fixture->image.layer, fixture->image.layer_length, NULL), 0);
    assert_int_equal(store_put_blob(fixture->store, &digest, fixture->image.layer, fixture->image.layer_length, NULL),
                     0);
    damage_stored_layer(fixture);

    expect_failure(fixture, -EBADMSG, "was damaged on disk and is removed", 1);
    expect(fixture, pull(fixture), 0, NULL);
}

static void images_are_listed(void **state)
{
    struct fixture *fixture = *state;
    struct image_summary *list;
    size_t length;
    assert_int_equal(image_list(fixture->store, &list, &length, NULL), 0);
    assert_int_equal(length, 0);
    free(list);

    make_image(&fixture->image);
    serve(fixture);
    expect(fixture, pull(fixture), 0, NULL);
    struct descriptor nowhere = {.media_type = MEDIA_TYPE_OCI_MANIFEST, .size = 1};
    struct reference other = fixture->reference;
    assert_int_equal(digest_of(&nowhere.digest, DIGEST_SHA256, "?", 1, NULL), 0);
    (void)snprintf(other.tag, sizeof other.tag, "gone");
    assert_int_equal(store_tag(fixture->store, &other, &nowhere, NULL), 0);

    assert_int_equal(image_list(fixture->store, &list, &length, NULL), 0);
    assert_int_equal(length, 2);
    assert_string_equal(list[0].reference.tag, "1");
    assert_true(digest_equal(&list[0].digest, &fixture->pulled));
    assert_int_equal(list[0].id.algorithm, DIGEST_SHA256);
    assert_int_equal(list[0].size, fixture->image.layer_length + strlen(fixture->image.config));
    assert_int_equal(list[0].created, 981169506); /* 2001-02-03T03:05:06Z */
    assert_string_equal(list[0].platform.architecture, "amd64");
    assert_string_equal(list[1].reference.tag, "gone");
    assert_int_equal(list[1].id.algorithm, 0);
    free(list);

    struct image image = IMAGE_NONE;
    int rc = image_open(fixture->store, &other, &image, &fixture->err);
    expect(fixture, rc, -EBADMSG, "the image is incomplete, pull it again");
}

/* ---- indexes ------------------------------------------------------------------------------------------------------
 */

/* Writes an index of one entry, the given document. */
static void wrap(char index[static JSON_MAX], const char *document, const char *media_type, const char *architecture)
{
    char digest[DIGEST_TEXT_MAX];
    text_digest(digest, document, strlen(document));
    (void)snprintf(index, JSON_MAX,
                   "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu,"
                   "\"platform\":{\"os\":\"linux\",\"architecture\":\"%s\"}}]}",
                   media_type, digest, strlen(document), architecture);
}

static struct fake_rule document_rule(struct fixture *fixture, const char *document)
{
    return (struct fake_rule){.path = path_of(fixture, "manifests", document, strlen(document)),
                              .body = document,
                              .length = strlen(document)};
}

static void an_index_leads_to_a_manifest(void **state)
{
    struct fixture *fixture = *state;
    char index[JSON_MAX];
    make_image(&fixture->image);
    wrap(index, fixture->image.manifest, MEDIA_TYPE_OCI_MANIFEST, "amd64");
    fake_registry_add(fixture->server,
                      (struct fake_rule){.path = "/v2/app/manifests/1", .body = index, .length = strlen(index)});
    fake_registry_add(fixture->server, document_rule(fixture, fixture->image.manifest));
    serve(fixture);
    expect(fixture, pull(fixture), 0, NULL);

    struct descriptor found;
    char digest[DIGEST_TEXT_MAX];
    char expected[DIGEST_TEXT_MAX];
    assert_int_equal(store_resolve(fixture->store, &fixture->reference, &found, NULL), 0);
    digest_format(&found.digest, digest);
    text_digest(expected, fixture->image.manifest, strlen(fixture->image.manifest));
    assert_string_equal(digest, expected);
    assert_string_equal(found.platform.architecture, "amd64");
}

static void indexes_end_somewhere(void **state)
{
    struct fixture *fixture = *state;
    static char chain[INDEX_DEPTH_MAX + 1][JSON_MAX];
    make_image(&fixture->image);
    wrap(chain[0], fixture->image.manifest, MEDIA_TYPE_OCI_MANIFEST, "amd64");
    fake_registry_add(fixture->server, document_rule(fixture, fixture->image.manifest));
    for (int i = 1; i <= INDEX_DEPTH_MAX; i++) {
        wrap(chain[i], chain[i - 1], MEDIA_TYPE_OCI_INDEX, "amd64");
        fake_registry_add(fixture->server, document_rule(fixture, chain[i - 1]));
    }
    const char *too_deep = chain[INDEX_DEPTH_MAX];
    const char *deepest = chain[INDEX_DEPTH_MAX - 1];
    fake_registry_add(
        fixture->server,
        (struct fake_rule){.path = "/v2/app/manifests/1", .body = too_deep, .length = strlen(too_deep), .times = 1});
    fake_registry_add(fixture->server,
                      (struct fake_rule){.path = "/v2/app/manifests/1", .body = deepest, .length = strlen(deepest)});
    serve(fixture);
    expect_failure(fixture, -EBADMSG, "indexes inside indexes", 0);
    expect(fixture, pull(fixture), 0, NULL);
}

static void an_index_is_held_to_its_word(void **state)
{
    struct fixture *fixture = *state;
    char index[JSON_MAX];
    make_image(&fixture->image);

    wrap(index, fixture->image.manifest, MEDIA_TYPE_OCI_MANIFEST, "arm64");
    fake_registry_add(fixture->server,
                      (struct fake_rule){.path = "/v2/app/manifests/1", .body = index, .length = strlen(index)});
    expect_failure(fixture, -ENOENT, "no image for linux/amd64; there is: linux/arm64", 0);

    /* Another size than the document's. */
    wrap(index, fixture->image.manifest, MEDIA_TYPE_OCI_MANIFEST, "amd64");
    char *size = strstr(index, "\"size\":");
    assert_non_null(size);
    size[7] = size[7] == '9' ? '8' : '9';
    fake_registry_clear(fixture->server);
    fake_registry_add(fixture->server,
                      (struct fake_rule){.path = "/v2/app/manifests/1", .body = index, .length = strlen(index)});
    fake_registry_add(fixture->server, document_rule(fixture, fixture->image.manifest));
    expect_failure(fixture, -EBADMSG, "bytes instead of", 0);
}

/* ---- what goes wrong ----------------------------------------------------------------------------------------------
 */

static void a_flipped_bit_is_noticed(void **state)
{
    struct fixture *fixture = *state;
    char spoiled[LAYER_MAX];
    make_image(&fixture->image);
    memcpy(spoiled, fixture->image.layer, fixture->image.layer_length);
    spoiled[515] ^= 0x10;
    struct fake_rule rule = layer_rule(fixture);
    rule.body = spoiled;
    fake_registry_add(fixture->server, rule);
    serve(fixture);
    expect_failure(fixture, -EBADMSG, "damaged or forged", 1);
}

static void a_truncated_layer_is_noticed(void **state)
{
    struct fixture *fixture = *state;
    make_image(&fixture->image);
    struct fake_rule rule = layer_rule(fixture);
    rule.length -= 512;
    fake_registry_add(fixture->server, rule);
    serve(fixture);
    expect_failure(fixture, -EBADMSG, "the registry sends only", 1);
}

static void a_connection_that_keeps_breaking_is_given_up(void **state)
{
    struct fixture *fixture = *state;
    make_image(&fixture->image);
    struct fake_rule rule = layer_rule(fixture);
    rule.cut_at = 512;
    fake_registry_add(fixture->server, rule);
    serve(fixture);
    expect_failure(fixture, -ECONNRESET, "closed the connection", 1);
}

static void an_overlong_layer_is_noticed(void **state)
{
    struct fixture *fixture = *state;
    char longer[LAYER_MAX + 1] = "";
    make_image(&fixture->image);
    memcpy(longer, fixture->image.layer, fixture->image.layer_length);
    struct fake_rule rule = layer_rule(fixture);
    rule.body = longer;
    rule.length++;
    fake_registry_add(fixture->server, rule);
    serve(fixture);
    expect_failure(fixture, -EBADMSG, "sends more than", 1);
}

static void a_layer_must_be_what_its_diff_id_says(void **state)
{
    struct fixture *fixture = *state;
    char digest[DIGEST_TEXT_MAX];
    char diff_ids[DIGEST_TEXT_MAX + 2];
    make_image(&fixture->image);
    text_digest(digest, "another layer", 13);
    (void)snprintf(diff_ids, sizeof diff_ids, "\"%s\"", digest);
    make_config(&fixture->image, "amd64", diff_ids);
    make_manifest(&fixture->image, OCI_LAYER);
    serve(fixture);
    expect_failure(fixture, -EBADMSG, "cannot make the root file system", 2);
}

static void layers_and_diff_ids_must_be_as_many(void **state)
{
    struct fixture *fixture = *state;
    char digest[DIGEST_TEXT_MAX];
    char diff_ids[2 * (DIGEST_TEXT_MAX + 3)];
    make_image(&fixture->image);
    text_digest(digest, fixture->image.layer, fixture->image.layer_length);
    (void)snprintf(diff_ids, sizeof diff_ids, "\"%s\",\"%s\"", digest, digest);
    make_config(&fixture->image, "amd64", diff_ids);
    make_manifest(&fixture->image, OCI_LAYER);
    serve(fixture);
    expect_failure(fixture, -EBADMSG, "the manifest lists 1 layers, the configuration 2", 1);
}

static void an_image_for_another_machine_is_not_fetched(void **state)
{
    struct fixture *fixture = *state;
    char digest[DIGEST_TEXT_MAX];
    char diff_ids[DIGEST_TEXT_MAX + 2];
    make_image(&fixture->image);
    text_digest(digest, fixture->image.layer, fixture->image.layer_length);
    (void)snprintf(diff_ids, sizeof diff_ids, "\"%s\"", digest);
    make_config(&fixture->image, "riscv64", diff_ids);
    make_manifest(&fixture->image, OCI_LAYER);
    serve(fixture);
    expect_failure(fixture, -ENOENT, "no image for linux/amd64; there is: linux/riscv64", 1);
}

static void a_configuration_must_be_one(void **state)
{
    struct fixture *fixture = *state;
    make_image(&fixture->image);
    (void)snprintf(fixture->image.config, sizeof fixture->image.config, "<html>");
    make_manifest(&fixture->image, OCI_LAYER);
    serve(fixture);
    expect_failure(fixture, -EBADMSG, "image configuration: not JSON", 1);
}

static void what_is_no_file_system_is_refused(void **state)
{
    struct fixture *fixture = *state;
    make_image(&fixture->image);
    make_manifest(&fixture->image, "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
    serve(fixture);
    expect_failure(fixture, -ENOTSUP, "foreign layer", 0);
}

/* A layer that says gzip and is not: refused when the root file system is made. */
static void a_layer_must_be_packed_as_it_says(void **state)
{
    struct fixture *fixture = *state;
    make_image(&fixture->image);
    make_manifest(&fixture->image, OCI_LAYER "+gzip");
    serve(fixture);
    expect_failure(fixture, -EBADMSG, "layer 1", 2);
}

static void an_unknown_image_is_said(void **state)
{
    struct fixture *fixture = *state;
    expect_failure(fixture, -ENOENT, "the registry does not have it", 0);
}

/* ---- mirrors ------------------------------------------------------------------------------------------------------
 */

static void pull_by_mirrors(struct fixture *fixture, const char *list, int wanted, const char *words)
{
    setenv("HULL_REGISTRY_MIRRORS", list, 1);
    int rc = pull(fixture);
    unsetenv("HULL_REGISTRY_MIRRORS");
    expect(fixture, rc, wanted, words);
}

static void a_mirror_is_asked_first(void **state)
{
    struct fixture *fixture = *state;
    struct image image = IMAGE_NONE;
    char list[256];
    make_image(&fixture->image);
    serve(fixture);
    /* The registry of the name is none; the first mirror does not answer. */
    assert_int_equal(reference_parse(&fixture->reference, "127.0.0.1:1/app:1", NULL), 0);
    (void)snprintf(list, sizeof list, "127.0.0.1:1=127.0.0.2:1,127.0.0.1:1=%s", fake_registry_host(fixture->server));
    pull_by_mirrors(fixture, list, 0, NULL);
    assert_int_equal(image_open(fixture->store, &fixture->reference, &image, NULL), 0);
    image_done(&image);
}

static void a_failing_mirror_is_passed_over(void **state)
{
    struct fixture *fixture = *state;
    const char *host = fake_registry_host(fixture->server);
    char list[256];
    make_image(&fixture->image);
    struct fake_rule mirrored = manifest_rule(fixture);
    mirrored.path = "/v2/mirror/app/manifests/1"; /* which has none of the blobs */
    fake_registry_add(fixture->server, mirrored);
    serve(fixture);
    (void)snprintf(list, sizeof list, "%s=%s/mirror", host, host);
    pull_by_mirrors(fixture, list, 0, NULL);
    assert_int_equal(fake_registry_count(fixture->server), 5);
    assert_string_equal(fake_registry_request(fixture->server, 0).target, mirrored.path);

    pull_by_mirrors(fixture, "nonsense", -EINVAL, "is not REGISTRY=MIRROR");
}

#define pull_test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    setenv("REGISTRY_AUTH_FILE", "/nonexistent/auth.json", 1);
    const struct CMUnitTest tests[] = {
        pull_test(an_image_is_pulled_and_opened),
        pull_test(a_second_pull_fetches_nothing),
        pull_test(a_pull_goes_on_where_the_last_broke_off),
        pull_test(a_beginning_that_is_none_is_fetched_anew),
        pull_test(a_rootfs_is_made_again_from_what_is_stored),
        pull_test(a_damaged_layer_is_fetched_anew),
        pull_test(images_are_listed),
        pull_test(an_index_leads_to_a_manifest),
        pull_test(indexes_end_somewhere),
        pull_test(an_index_is_held_to_its_word),
        pull_test(a_flipped_bit_is_noticed),
        pull_test(a_truncated_layer_is_noticed),
        pull_test(a_connection_that_keeps_breaking_is_given_up),
        pull_test(an_overlong_layer_is_noticed),
        pull_test(a_layer_must_be_what_its_diff_id_says),
        pull_test(layers_and_diff_ids_must_be_as_many),
        pull_test(an_image_for_another_machine_is_not_fetched),
        pull_test(a_configuration_must_be_one),
        pull_test(what_is_no_file_system_is_refused),
        pull_test(a_layer_must_be_packed_as_it_says),
        pull_test(an_unknown_image_is_said),
        pull_test(a_mirror_is_asked_first),
        pull_test(a_failing_mirror_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
