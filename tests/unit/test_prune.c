/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept, what goes, and when: pruning, untagging, removing by id. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "image/image.h"
#include "image/prune.h"
#include "image/remove.h"
#include "image/rootfs_cache.h"
#include "image/store.h"
#include "tests/support/temp_dir.h"

#define DAY 86400

struct fixture {
    char path[TEMP_DIR_PATH_MAX];
    struct store *store;
    struct prune_report report;
    int removed;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    assert_int_equal(temp_dir_new(fixture->path), 0);
    assert_int_equal(store_open(&fixture->store, fixture->path, NULL), 0);
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

static struct descriptor put(const struct fixture *fixture, const char *media_type, const char *text)
{
    struct descriptor descriptor = {.size = strlen(text)};
    (void)snprintf(descriptor.media_type, sizeof descriptor.media_type, "%s", media_type);
    assert_int_equal(digest_of(&descriptor.digest, DIGEST_SHA256, text, strlen(text), NULL), 0);
    assert_int_equal(store_put_blob(fixture->store, &descriptor.digest, text, strlen(text), NULL), 0);
    return descriptor;
}

static const char *json_of(const struct descriptor *descriptor, char text[static 512])
{
    char digest[DIGEST_TEXT_MAX];
    digest_format(&descriptor->digest, digest);
    (void)snprintf(text, 512, "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%d}", descriptor->media_type, digest,
                   (int)descriptor->size);
    return text;
}

/* Puts an image of one layer and gives its manifest: three blobs, of which the first two are its own. */
static struct descriptor put_image(const struct fixture *fixture, const char *layer_text, const char *created)
{
    char text[4096];
    char digest[DIGEST_TEXT_MAX];
    char config_json[512];
    char layer_json[512];
    struct descriptor layer = put(fixture, "application/vnd.oci.image.layer.v1.tar", layer_text);
    digest_format(&layer.digest, digest);
    (void)snprintf(text, sizeof text,
                   "{\"created\":\"%s\",\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{\"type\":\"layers\","
                   "\"diff_ids\":[\"%s\"]}}",
                   created, digest);
    struct descriptor config = put(fixture, MEDIA_TYPE_OCI_CONFIG, text);
    (void)snprintf(text, sizeof text, "{\"schemaVersion\":2,\"config\":%s,\"layers\":[%s]}",
                   json_of(&config, config_json), json_of(&layer, layer_json));
    return put(fixture, MEDIA_TYPE_OCI_MANIFEST, text);
}

static void tag(const struct fixture *fixture, const char *name, const struct descriptor *manifest)
{
    struct reference reference;
    assert_int_equal(reference_parse(&reference, name, NULL), 0);
    assert_int_equal(store_tag(fixture->store, &reference, manifest, NULL), 0);
}

static int untag(const struct fixture *fixture, const char *name)
{
    struct reference reference;
    assert_int_equal(reference_parse(&reference, name, NULL), 0);
    return store_untag(fixture->store, &reference, NULL);
}

static void prune(struct fixture *fixture, struct prune_options options)
{
    struct error err = {0};
    if (store_prune(fixture->store, &options, &fixture->report, &err) != 0)
        fail_msg("%s", err.text);
}

static uint64_t removed(const struct fixture *fixture, enum prune_kind kind)
{
    return fixture->report.kinds[kind].removed.files;
}

static void file(const struct fixture *fixture, const char *name, char path[static TEMP_DIR_PATH_MAX * 2])
{
    (void)snprintf(path, TEMP_DIR_PATH_MAX * 2, "%s/%s", fixture->path, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_full(fd, "x", 1), 0);
    close(fd);
}

static void age(const char *path, time_t seconds)
{
    struct timespec times[2] = {{.tv_sec = time(NULL) - seconds}, {.tv_sec = time(NULL) - seconds}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* The file of the rootfs cache for put_image()'s configuration, made up. */
static void make_rootfs(const struct fixture *fixture, const struct descriptor *layer, char *path)
{
    struct image_config config = {.diff_ids = (struct digest[]){layer->digest}, .diff_id_count = 1};
    struct digest key;
    char hex[DIGEST_TEXT_MAX];
    char name[DIGEST_TEXT_MAX + 16];
    assert_int_equal(rootfs_cache_key(&key, &config, NULL), 0);
    digest_format_hex(&key, hex);
    (void)snprintf(name, sizeof name, "rootfs/%s.ext4", hex);
    file(fixture, name, path);
}

/* ---- what is needed ---------------------------------------------------------------------------------------------- */

static void what_a_name_leads_to_stays(void **state)
{
    struct fixture *fixture = *state;
    struct descriptor one = put_image(fixture, "layer one", "2020-01-01T00:00:00Z");
    tag(fixture, "one", &one);
    tag(fixture, "also-one", &one);
    (void)put(fixture, "", "nobody's");
    prune(fixture, (struct prune_options){0});
    assert_int_equal(fixture->report.kinds[PRUNE_BLOBS].all.files, 4);
    assert_int_equal(removed(fixture, PRUNE_BLOBS), 1);
    assert_false(fixture->report.leased);

    assert_int_equal(untag(fixture, "one"), 0);
    prune(fixture, (struct prune_options){0});
    assert_int_equal(removed(fixture, PRUNE_BLOBS), 0);

    assert_int_equal(untag(fixture, "also-one"), 0);
    assert_int_equal(untag(fixture, "also-one"), -ENOENT);
    prune(fixture, (struct prune_options){.count_only = true});
    assert_int_equal(fixture->report.kinds[PRUNE_BLOBS].unneeded.files, 3);
    assert_int_equal(removed(fixture, PRUNE_BLOBS), 0);
    prune(fixture, (struct prune_options){0});
    assert_int_equal(removed(fixture, PRUNE_BLOBS), 3);
}

static void shared_layers_stay_as_long_as_one_image_has_them(void **state)
{
    struct fixture *fixture = *state;
    struct descriptor one = put_image(fixture, "shared", "2020-01-01T00:00:00Z");
    struct descriptor two = put_image(fixture, "shared", "2021-01-01T00:00:00Z");
    tag(fixture, "one", &one);
    tag(fixture, "two", &two);
    assert_int_equal(untag(fixture, "one"), 0);
    prune(fixture, (struct prune_options){0});
    assert_int_equal(removed(fixture, PRUNE_BLOBS), 2);
    assert_int_equal(fixture->report.kinds[PRUNE_BLOBS].all.files, 5);
}

static void indexes_and_subjects_are_followed(void **state)
{
    struct fixture *fixture = *state;
    char text[4096];
    char json[2][512];
    struct descriptor image = put_image(fixture, "in an index", "2020-01-01T00:00:00Z");
    struct descriptor gone = {.media_type = MEDIA_TYPE_OCI_MANIFEST, .size = 4};
    assert_int_equal(digest_of(&gone.digest, DIGEST_SHA256, "gone", 4, NULL), 0);
    (void)snprintf(text, sizeof text, "{\"schemaVersion\":2,\"manifests\":[%s,%s]}", json_of(&gone, json[0]),
                   json_of(&image, json[1]));
    struct descriptor inner = put(fixture, MEDIA_TYPE_OCI_INDEX, text);
    struct descriptor odd = put(fixture, "application/x-odd", "an odd layer");
    (void)snprintf(text, sizeof text, "{\"schemaVersion\":2,\"layers\":[%s],\"subject\":%s}", json_of(&odd, json[0]),
                   json_of(&inner, json[1]));
    struct descriptor artifact = put(fixture, MEDIA_TYPE_OCI_MANIFEST, text);
    tag(fixture, "artifact", &artifact);
    prune(fixture, (struct prune_options){0});
    assert_int_equal(fixture->report.kinds[PRUNE_BLOBS].all.files, 6);
    assert_int_equal(fixture->report.kinds[PRUNE_BLOBS].unneeded.files, 0);
}

static void a_damaged_document_stops_everything(void **state)
{
    struct fixture *fixture = *state;
    struct error err = {0};
    struct descriptor broken = put(fixture, MEDIA_TYPE_OCI_MANIFEST, "not JSON");
    tag(fixture, "broken", &broken);
    (void)put(fixture, "", "nobody's, as far as one can tell");
    assert_int_equal(store_prune(fixture->store, &(struct prune_options){0}, &fixture->report, &err), -EBADMSG);
    assert_non_null(strstr(err.text, "cannot tell what manifest sha256:"));
    assert_int_equal(untag(fixture, "broken"), 0);
    prune(fixture, (struct prune_options){0});
    assert_int_equal(removed(fixture, PRUNE_BLOBS), 2);
}

static void files_of_others_are_left_alone(void **state)
{
    struct fixture *fixture = *state;
    char path[TEMP_DIR_PATH_MAX * 2];
    file(fixture, "images/blobs/sha256/README", path);
    file(fixture, "rootfs/notes.ext4", path);
    file(fixture, "tmp/other", path);
    prune(fixture, (struct prune_options){.partials = true});
    for (int kind = 0; kind < PRUNE_KINDS; kind++)
        assert_int_equal(fixture->report.kinds[kind].all.files, 0);
    assert_int_equal(access(path, F_OK), 0);
}

/* ---- root file systems ------------------------------------------------------------------------------------------- */

static void a_rootfs_goes_with_its_last_image(void **state)
{
    struct fixture *fixture = *state;
    char path[TEMP_DIR_PATH_MAX * 2];
    struct descriptor one = put_image(fixture, "layer", "2020-01-01T00:00:00Z");
    struct descriptor layer = put(fixture, "", "layer");
    tag(fixture, "one", &one);
    make_rootfs(fixture, &layer, path);
    int running = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(running >= 0);

    prune(fixture, (struct prune_options){0});
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(untag(fixture, "one"), 0);
    prune(fixture, (struct prune_options){0});
    assert_int_equal(removed(fixture, PRUNE_ROOTFS), 1);
    assert_int_equal(access(path, F_OK), -1);

    char byte; /* who has it open goes on */
    assert_int_equal(fd_read_full(running, &byte, 1), 1);
    close(running);
}

static void count_removed(void *context, const struct reference *reference)
{
    struct fixture *fixture = context;
    assert_true(reference->repository[0] != 0);
    fixture->removed++;
}

static void unused_are_images_without_running_machine(void **state)
{
    struct fixture *fixture = *state;
    char path[TEMP_DIR_PATH_MAX * 2];
    struct descriptor running = put_image(fixture, "running", "2020-01-01T00:00:00Z");
    struct descriptor layer = put(fixture, "", "running");
    struct descriptor idle = put_image(fixture, "idle", "2020-01-01T00:00:00Z");
    struct descriptor young = put_image(fixture, "young", "2025-01-01T00:00:00Z");
    tag(fixture, "running", &running);
    tag(fixture, "idle", &idle);
    tag(fixture, "young", &young);
    make_rootfs(fixture, &layer, path);

    /* What hull-vmm does to its read-only disks. */
    int disk = open(path, O_RDONLY | O_CLOEXEC);
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    assert_int_equal(fcntl(disk, F_OFD_SETLK, &lock), 0);

    assert_int_equal(image_remove_unused(fixture->store, 1700000000, count_removed, fixture, NULL), 0);
    assert_int_equal(fixture->removed, 1);
    assert_int_equal(untag(fixture, "idle"), -ENOENT);
    close(disk);
    assert_int_equal(image_remove_unused(fixture->store, INT64_MAX, count_removed, fixture, NULL), 0);
    assert_int_equal(fixture->removed, 3);
}

/* ---- time and rivals --------------------------------------------------------------------------------------------- */

static void blob_path(const struct fixture *fixture, const struct descriptor *blob, char path[static 512])
{
    char hex[DIGEST_TEXT_MAX];
    digest_format_hex(&blob->digest, hex);
    (void)snprintf(path, 512, "%s/images/blobs/sha256/%s", fixture->path, hex);
}

static void under_a_lease_only_the_old_goes(void **state)
{
    struct fixture *fixture = *state;
    char path[512];
    struct descriptor old = put(fixture, "", "old");
    struct descriptor used = put(fixture, "", "old, but wanted again");
    (void)put(fixture, "", "young");
    blob_path(fixture, &old, path);
    age(path, 2 * DAY);
    blob_path(fixture, &used, path);
    age(path, 2 * DAY);

    int lease = store_lease(fixture->store, NULL);
    assert_true(lease >= 0);
    assert_true(store_use_blob(fixture->store, &used.digest, used.size));
    prune(fixture, (struct prune_options){.grace = DAY});
    assert_true(fixture->report.leased);
    assert_int_equal(removed(fixture, PRUNE_BLOBS), 1);
    assert_false(store_has_blob(fixture->store, &old.digest, old.size));
    close(lease);
    prune(fixture, (struct prune_options){.grace = DAY});
    assert_int_equal(removed(fixture, PRUNE_BLOBS), 2);
}

static void least_age_spares_the_young(void **state)
{
    struct fixture *fixture = *state;
    char path[512];
    struct descriptor old = put(fixture, "", "old");
    (void)put(fixture, "", "young");
    blob_path(fixture, &old, path);
    age(path, 3600);
    prune(fixture, (struct prune_options){.least_age = 1800});
    assert_int_equal(removed(fixture, PRUNE_BLOBS), 1);
    assert_int_equal(fixture->report.kinds[PRUNE_BLOBS].unneeded.files, 2);
}

static void no_name_leads_to_what_was_pruned(void **state)
{
    struct fixture *fixture = *state;
    struct error err = {0};
    struct reference reference;
    struct descriptor layer = put(fixture, "application/vnd.oci.image.layer.v1.tar", "layer");
    struct descriptor config = put(fixture, MEDIA_TYPE_OCI_CONFIG, "config");
    struct descriptor image = put(fixture, MEDIA_TYPE_OCI_MANIFEST, "manifest");
    struct manifest manifest = {.config = config, .layers = &layer, .layer_count = 1};
    assert_int_equal(reference_parse(&reference, "x", NULL), 0);
    char path[512];
    blob_path(fixture, &layer, path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(store_publish(fixture->store, &reference, &image, &manifest, &err), -EAGAIN);
    assert_int_equal(untag(fixture, "x"), -ENOENT);
    (void)put(fixture, "", "layer");
    assert_int_equal(store_publish(fixture->store, &reference, &image, &manifest, &err), 0);
    assert_int_equal(untag(fixture, "x"), 0);
}

static void partial_downloads_go_when_old_or_asked_for(void **state)
{
    struct fixture *fixture = *state;
    char path[TEMP_DIR_PATH_MAX * 2];
    struct blob_writer *writer;
    struct digest digest;
    assert_int_equal(digest_of(&digest, DIGEST_SHA256, "running", 7, NULL), 0);
    assert_int_equal(blob_writer_resume(&writer, fixture->store, &digest, 7, false, NULL), 0);
    file(fixture, "partial/sha256.young", path);
    file(fixture, "partial/sha256.old", path);
    age(path, 2 * DAY);

    prune(fixture, (struct prune_options){.grace = DAY});
    assert_int_equal(fixture->report.kinds[PRUNE_PARTIAL].all.files, 3);
    assert_int_equal(fixture->report.kinds[PRUNE_PARTIAL].unneeded.files, 2);
    assert_int_equal(removed(fixture, PRUNE_PARTIAL), 1);
    prune(fixture, (struct prune_options){.grace = DAY, .partials = true});
    assert_int_equal(removed(fixture, PRUNE_PARTIAL), 1);
    assert_int_equal(blob_writer_write(writer, "running", 7, NULL), 0);
    assert_int_equal(blob_writer_commit(writer, NULL), 0);
    blob_writer_free(writer);
}

static void temporaries_of_the_dead_go(void **state)
{
    struct fixture *fixture = *state;
    char path[TEMP_DIR_PATH_MAX * 2];
    file(fixture, "tmp/tmp.dead", path);
    prune(fixture, (struct prune_options){0});
    assert_int_equal(removed(fixture, PRUNE_TEMPORARY), 1);
    assert_int_equal(access(path, F_OK), -1);
}

/* ---- by id ------------------------------------------------------------------------------------------------------- */

static void an_id_means_its_image(void **state)
{
    struct fixture *fixture = *state;
    struct error err = {0};
    cleanup_free struct image_summary *list = NULL;
    size_t count;
    char id[DIGEST_TEXT_MAX];
    struct descriptor one = put_image(fixture, "layer one", "2020-01-01T00:00:00Z");
    tag(fixture, "one", &one);
    tag(fixture, "also-one", &one);
    assert_int_equal(image_list(fixture->store, &list, &count, NULL), 0);
    assert_int_equal(count, 2);
    digest_format_hex(&list[0].id, id);
    id[12] = '\0';
    assert_int_equal(image_remove(fixture->store, id, false, count_removed, fixture, &err), -EBUSY);
    assert_non_null(strstr(err.text, "has 2 names"));
    assert_int_equal(image_remove(fixture->store, "one", false, count_removed, fixture, NULL), 0);
    assert_int_equal(image_remove(fixture->store, id, false, count_removed, fixture, NULL), 0);
    assert_int_equal(fixture->removed, 2);
    assert_int_equal(image_remove(fixture->store, id, true, count_removed, fixture, &err), -ENOENT);
    assert_int_equal(image_remove(fixture->store, "nobody", true, count_removed, fixture, &err), -ENOENT);
    assert_int_equal(image_remove(fixture->store, "No", true, count_removed, fixture, &err), -EINVAL);
}

int main(void)
{
#define prune_test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        prune_test(what_a_name_leads_to_stays),
        prune_test(shared_layers_stay_as_long_as_one_image_has_them),
        prune_test(indexes_and_subjects_are_followed),
        prune_test(a_damaged_document_stops_everything),
        prune_test(files_of_others_are_left_alone),
        prune_test(a_rootfs_goes_with_its_last_image),
        prune_test(unused_are_images_without_running_machine),
        prune_test(under_a_lease_only_the_old_goes),
        prune_test(least_age_spares_the_young),
        prune_test(no_name_leads_to_what_was_pruned),
        prune_test(partial_downloads_go_when_old_or_asked_for),
        prune_test(temporaries_of_the_dead_go),
        prune_test(an_id_means_its_image),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
