/* SPDX-License-Identifier: Apache-2.0 */
/* What the writer has written, read back; and damaged at every byte that means something. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/fd.h"
#include "image/ext4/check.h"
#include "image/ext4/reader.h"
#include "image/rootfs.h"
#include "image/tree.h"
#include "tests/support/e2fs.h"
#include "tests/support/layers.h"
#include "tests/support/tar_builder.h"

static struct layers layers;
static struct buffer tar = TAR_BUILDER_INIT;
static struct ext4_reader reader;
static char large[TREE_XATTR_VALUE_MAX];

#define ADD(...) TAR_ADD(&tar, __VA_ARGS__)

static void open_reader(int fd)
{
    static int borrowed;
    struct error err = {0};
    struct ext4_source source;
    borrowed = fd;
    assert_int_equal(ext4_source_file(&source, &borrowed, &err), 0);
    if (ext4_reader_open(&reader, source, &err) < 0)
        fail_msg("%s", err.text);
}

static int set_up(void **state)
{
    (void)state;
    layers_init(&layers);
    memset(large, 'v', sizeof large);
    ADD(.name = "usr/bin/", .type = '5', .mode = 0711);
    ADD(.name = "usr/bin/sh", .content = "shell", .mode = 04755, .uid = 3000000000, .mtime = 5000000000);
    ADD(.name = "bin", .type = '2', .link = "usr/bin");
    ADD(.name = "usr/sh", .type = '2', .link = "/bin/../bin/./sh");
    ADD(.name = "loop", .type = '2', .link = "loop");
    ADD(.name = "hard", .type = '1', .link = "usr/bin/sh");
    ADD(.name = "null", .type = '3', .major = 1, .minor = 3);
    ADD(.name = "disk", .type = '4', .major = 259, .minor = 70000);
    ADD(.name = "pipe", .type = '6');
    ADD(.name = "empty");
    ADD(.name = "xattrs", .records = {{.key = "SCHILY.xattr.user.block", .value = large, .length = 300},
                                      {.key = "SCHILY.xattr.user.inode", .value = large, .length = sizeof large}});
    for (int i = 0; i < 400; i++) {
        char name[64];
        snprintf(name, sizeof name, "many/a-name-of-some-length-%d", i);
        ADD(.name = name);
    }
    if (layers_apply(&layers, &tar) < 0)
        fail_msg("%s", layers.err.text);
    /* A file of many runs with holes between them. */
    struct tree_inode *inode = tree_inode_new(S_IFREG | 0600);
    assert_int_equal(tree_add(layers.tree, tree_root(layers.tree), "holes", 5, inode, 0, NULL, NULL), 0);
    inode->size = 2000 * 8192;
    for (uint32_t i = 0; i < 2000; i++)
        assert_int_equal(ext4_filesystem_put_block(&layers.fs, inode, 2 * i + 1, (const uint8_t *)large, NULL), 0);
    tree_inode_put(layers.tree, inode);
    assert_true(layers_finish(&layers));
    open_reader(layers.fd);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    layers_done(&layers);
    buffer_done(&tar);
    return 0;
}

static int append(void *context, const void *bytes, size_t length, struct error *err)
{
    (void)err;
    buffer_append(context, bytes, length);
    return 0;
}

static void assert_contents(const char *path, const void *bytes, size_t length)
{
    struct ext4_file file;
    struct buffer contents = BUFFER_INIT(32 << 20);
    assert_int_equal(ext4_reader_find(&reader, path, true, &file, NULL), 0);
    assert_int_equal(ext4_reader_contents(&reader, &file, append, &contents, NULL), 0);
    assert_int_equal(contents.length, length);
    if (length)
        assert_memory_equal(contents.bytes, bytes, length);
    buffer_done(&contents);
}

static void assert_not_found(const char *path, int code, const char *reason)
{
    struct ext4_file file;
    struct error err = {0};
    assert_int_equal(ext4_reader_find(&reader, path, true, &file, &err), -code);
    if (!strstr(err.text, reason))
        fail_msg("'%s' should say '%s'", err.text, reason);
}

static void test_paths(void **state)
{
    (void)state;
    struct ext4_file file;
    char target[4096];
    assert_contents("/usr/bin/sh", "shell", 5);
    assert_contents("bin/sh", "shell", 5);
    assert_contents("//usr/./sh/", "shell", 5);
    assert_contents("hard", "shell", 5);
    assert_contents("empty", "", 0);
    assert_int_equal(ext4_reader_find(&reader, "usr/sh", false, &file, NULL), 0);
    assert_int_equal(file.mode, S_IFLNK | 0777);
    assert_int_equal(ext4_reader_target(&reader, &file, target, NULL), 0);
    assert_string_equal(target, "/bin/../bin/./sh");
    assert_not_found("usr/nothing", ENOENT, "there is no 'nothing'");
    assert_not_found("empty/x", ENOTDIR, "no directory");
    assert_not_found("loop", ELOOP, "more than 40 symbolic links");
}

static void test_attributes(void **state)
{
    (void)state;
    struct ext4_file file;
    assert_int_equal(ext4_reader_find(&reader, "hard", true, &file, NULL), 0);
    assert_int_equal(file.mode, S_IFREG | 04755);
    assert_int_equal(file.uid, 3000000000);
    assert_int_equal(file.mtime, 5000000000);
    assert_int_equal(file.links, 2);
    assert_int_equal(ext4_reader_find(&reader, "disk", true, &file, NULL), 0);
    assert_int_equal(file.major, 259);
    assert_int_equal(file.minor, 70000);
    assert_int_equal(ext4_reader_find(&reader, "null", true, &file, NULL), 0);
    assert_int_equal(file.major, 1);
    assert_int_equal(file.minor, 3);
}

static void test_holes_are_zeros(void **state)
{
    (void)state;
    char *expected = calloc(2000, 8192);
    for (size_t i = 0; i < 2000; i++)
        memset(expected + i * 8192 + 4096, 'v', 4096);
    assert_contents("holes", expected, (size_t)2000 * 8192);
    free(expected);
}

static int count_names(void *context, const struct ext4_name *name, struct error *err)
{
    (void)name;
    (void)err;
    ++*(unsigned *)context;
    return 0;
}

static void test_large_directories(void **state)
{
    (void)state;
    struct ext4_file file;
    unsigned count = 0;
    assert_int_equal(ext4_reader_find(&reader, "many", true, &file, NULL), 0);
    assert_true(file.flags & EXT4_FILE_INDEXED);
    assert_int_equal(ext4_reader_list(&reader, &file, count_names, &count, NULL), 0);
    assert_int_equal(count, 402);
}

static void test_what_is_written_is_whole(void **state)
{
    (void)state;
    struct ext4_check_summary summary;
    struct error err = {0};
    if (ext4_check(&reader, &summary, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(summary.directories, 4);
    assert_int_equal(summary.files, 410);
    int fd = e2fs_new_file();
    assert_int_equal(rootfs_write_scratch(fd, 9ULL << 30, &err), 0);
    open_reader(fd);
    if (ext4_check(&reader, &summary, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(summary.directories, 3);
    close(fd);
}

/* The blocks that are not a file's contents, in an array that the caller frees. */
static uint8_t *find_contents(uint64_t *blocks)
{
    uint8_t *is_content = calloc(reader.geometry.blocks, 1);
    *blocks = reader.geometry.blocks;
    for (struct tree_entry *entry = tree_walk(layers.tree, NULL); entry; entry = tree_walk(layers.tree, entry)) {
        const struct tree_inode *inode = entry->inode;
        for (uint32_t i = 0; S_ISREG(inode->mode) && i < inode->extents.count; i++)
            memset(is_content + extents_runs(&inode->extents)[i].physical, 1, extents_runs(&inode->extents)[i].count);
    }
    /* The value that has an inode of its own. */
    for (uint32_t i = layers.fs.tree_inode_count; i < layers.fs.inode_count; i++)
        memset(is_content + extents_runs(&layers.fs.inodes[i]->extents)[0].physical, 1, sizeof large / 4096);
    return is_content;
}

/* A bit flipped anywhere in the metadata is noticed, except where nothing is stored. */
static void test_damage_is_noticed(void **state)
{
    (void)state;
    uint64_t blocks;
    uint8_t *is_content = find_contents(&blocks);
    size_t tried = 0;
    struct ext4_reader whole = reader;
    for (uint64_t block = 0; block < blocks; block++) {
        for (size_t at = block ? 0 : 1024; at < 4096 && !is_content[block]; at += 61) {
            struct ext4_check_summary summary;
            struct error err = {0};
            uint8_t byte;
            uint64_t offset = block * 4096 + at;
            assert_int_equal(fd_pread_full(layers.fd, &byte, 1, offset), 1);
            if (byte == 0)
                continue;
            uint8_t changed = byte ^ 0x10;
            assert_int_equal(fd_pwrite_full(layers.fd, &changed, 1, offset), 0);
            int rc = ext4_reader_open(&reader, whole.source, &err);
            if (rc == 0)
                rc = ext4_check(&reader, &summary, &err);
            if ((rc != -EBADMSG && rc != -ENOTSUP) || !err.text[0])
                fail_msg("byte %zu of block %llu: %d", at, (unsigned long long)block, rc);
            assert_int_equal(fd_pwrite_full(layers.fd, &byte, 1, offset), 0);
            tried++;
        }
    }
    assert_true(tried > 100);
    reader = whole;
    free(is_content);
}

static void test_what_is_no_file_system_is_refused(void **state)
{
    (void)state;
    struct error err = {0};
    struct ext4_source source = reader.source;
    source.size = 1000;
    assert_int_equal(ext4_reader_open(&reader, source, &err), -ENOTSUP);
    source.size = 1 << 20;
    assert_int_equal(ext4_reader_open(&reader, source, &err), -EBADMSG);
    assert_non_null(strstr(err.text, "the file ends after 256"));
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_paths),
        CASE(test_attributes),
        CASE(test_holes_are_zeros),
        CASE(test_large_directories),
        CASE(test_what_is_written_is_whole),
        CASE(test_damage_is_noticed),
        CASE(test_what_is_no_file_system_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
