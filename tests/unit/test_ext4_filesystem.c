/* SPDX-License-Identifier: Apache-2.0 */
/* Whole file systems, judged by e2fsck(8) and debugfs(8): every concept of the format at its edges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/error.h"
#include "image/ext4/content.h"
#include "image/ext4/xattr.h"
#include "image/tree.h"
#include "tests/support/e2fs.h"
#include "tests/support/layers.h"

static struct layers layers;

static int set_up(void **state)
{
    (void)state;
    layers_init(&layers);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    layers_done(&layers);
    return 0;
}

static struct tree_inode *add(struct tree_inode *directory, const char *name, uint16_t mode)
{
    struct tree_inode *inode = tree_inode_new(mode);
    assert_non_null(inode);
    assert_int_equal(tree_add(layers.tree, directory, name, strlen(name), inode, 0, NULL, NULL), 0);
    tree_inode_put(layers.tree, inode);
    return inode;
}

static struct tree_inode *add_top(const char *name, uint16_t mode)
{
    return add(tree_root(layers.tree), name, mode);
}

static void write_at(struct tree_inode *inode, uint64_t offset, const void *bytes, size_t length)
{
    struct ext4_content content;
    ext4_content_begin(&content, &layers.fs, inode, length);
    assert_int_equal(ext4_content_write(&content, offset, bytes, length, NULL), 0);
    assert_int_equal(ext4_content_end(&content, NULL), 0);
}

static struct tree_inode *add_file(const char *name, const void *bytes, size_t length)
{
    struct tree_inode *inode = add_top(name, S_IFREG | 0644);
    inode->size = length;
    write_at(inode, 0, bytes, length);
    return inode;
}

static void finish(void)
{
    if (!layers_finish(&layers))
        fail_msg("the file system is not clean");
}

static void assert_says(const char *request, const char *expected)
{
    assert_true(e2fs_says(layers.fd, request, expected));
}

/* ---- sizes and features ------------------------------------------------------------------------------------------ */

static void test_nothing_at_all(void **state)
{
    (void)state;
    finish();
    assert_says("stats", "Inode count:              16");
    assert_says("stats",
                "Filesystem features:      ext_attr dir_index sparse_super2 filetype extent 64bit flex_bg sparse_super "
                "large_file huge_file dir_nlink extra_isize metadata_csum");
    assert_says("stats", "Filesystem UUID:          74686972-7479-8d74-b76f-206279746573");
    assert_says("stats", "Free blocks:              0");
    assert_says("stat /", "Links: 2 ");
}

static void test_file_sizes(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 8192, 100000, 131072, 200000, 3000000};
    static uint8_t bytes[3000000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 31 + i / 4096);
    char name[16];
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        snprintf(name, sizeof name, "f%zu", i);
        add_file(name, bytes, sizes[i]);
    }
    finish();
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        snprintf(name, sizeof name, "/f%zu", i);
        assert_true(e2fs_holds(layers.fd, name, bytes, sizes[i]));
    }
}

/* The rest of a file's last block is zeros, whatever passed through the writer before. */
static void test_nothing_leaks_behind_the_end(void **state)
{
    (void)state;
    char ones[EXT4_BLOCK_SIZE];
    memset(ones, 1, sizeof ones);
    add_file("full", ones, sizeof ones);
    struct tree_inode *inode = add_file("short", "x", 1);
    finish();
    char block[EXT4_BLOCK_SIZE], expected[EXT4_BLOCK_SIZE] = "x";
    uint64_t place = extents_runs(&inode->extents)[0].physical * EXT4_BLOCK_SIZE;
    assert_int_equal(pread(layers.fd, block, sizeof block, (off_t)place), EXT4_BLOCK_SIZE);
    assert_memory_equal(block, expected, sizeof block);
}

static void test_many_inodes_need_many_groups(void **state)
{
    (void)state;
    char name[16];
    for (int i = 0; i < 70000; i++) {
        snprintf(name, sizeof name, "%d", i);
        add_top(name, S_IFIFO);
    }
    finish();
    assert_says("stats", "Group  2:");
    assert_says("stat /69999", "Type: FIFO");
}

/* More than 64 groups: descriptors by meta_bg. The blocks are taken but not written, so this costs no room. */
static void test_more_than_64_groups(void **state)
{
    (void)state;
    struct tree_inode *inode = add_top("large", S_IFREG | 0644);
    uint64_t blocks = 130 * (uint64_t)EXT4_BLOCKS_PER_GROUP;
    inode->size = blocks * EXT4_BLOCK_SIZE;
    for (uint64_t done = 0; done < blocks;) {
        struct ext4_run run;
        assert_int_equal(ext4_allocator_take(&layers.fs.allocator, blocks - done, &run, NULL), 0);
        struct extent extent = {.logical = (uint32_t)done, .count = (uint32_t)run.count, .physical = run.start};
        assert_int_equal(extents_append(&inode->extents, extent), 0);
        done += run.count;
    }
    add_file("behind", "here", 4);
    finish();
    assert_says("stats", "meta_bg");
    assert_true(e2fs_holds(layers.fd, "/behind", "here", 4));
}

static void test_the_same_tree_gives_the_same_bytes(void **state)
{
    (void)state;
    static char first[1 << 20], second[1 << 20];
    for (int round = 0; round < 2; round++) {
        struct tree_inode *directory = add_top("d", S_IFDIR | 0755);
        char name[16];
        for (int i = 0; i < 1000; i++) {
            snprintf(name, sizeof name, "%d", i * 7919 % 1000);
            add(directory, name, S_IFREG | 0644);
        }
        add_file("f", "contents", 8);
        finish();
        ssize_t length = pread(layers.fd, round ? second : first, sizeof first, 0);
        assert_true(length > 300000 && (size_t)length < sizeof first);
        tear_down(state);
        set_up(state);
    }
    assert_memory_equal(first, second, sizeof first);
}

/* ---- inodes ------------------------------------------------------------------------------------------------------ */

static void test_times(void **state)
{
    (void)state;
    static const struct {
        int64_t seconds;
        uint32_t nsec;
        const char *expected;
    } times[] = {
        {0, 0, "mtime: 0x00000000:00000000"},
        {1234567890, 123456789, "mtime: 0x499602d2:1d6f3454"},
        {-1, 999999999, "mtime: 0xffffffff:ee6b27fc"},
        {-0x80000000LL, 0, "mtime: 0x80000000:00000000"},
        {0x80000000LL, 0, "mtime: 0x80000000:00000001"},
        {0x17fffffffLL, 1, "mtime: 0x7fffffff:00000005"},
        {0x180000000LL, 0, "mtime: 0x80000000:00000002"},
        {0x37fffffffLL, 0, "mtime: 0x7fffffff:00000003"},
        {INT64_MAX, 0, "mtime: 0x7fffffff:00000003"}, /* out of range: the nearest there is */
        {INT64_MIN, 0, "mtime: 0x80000000:00000000"},
    };
    char name[16];
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        snprintf(name, sizeof name, "t%zu", i);
        struct tree_inode *inode = add_top(name, S_IFREG);
        inode->mtime = times[i].seconds;
        inode->mtime_nsec = times[i].nsec;
    }
    finish();
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        snprintf(name, sizeof name, "stat /t%zu", i);
        assert_says(name, times[i].expected);
    }
}

static void test_owners_and_modes(void **state)
{
    (void)state;
    struct tree_inode *inode = add_top("f", S_IFREG | 06751);
    inode->uid = 4294967294;
    inode->gid = 65536;
    finish();
    assert_says("stat /f", "Mode:  06751");
    assert_says("stat /f", "User:    -2   Group: 65536");
}

static void test_symlinks(void **state)
{
    (void)state;
    static const size_t lengths[] = {1, 59, 60, 61, 4095};
    char name[16], target[TREE_SYMLINK_MAX + 1];
    memset(target, 't', sizeof target);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        snprintf(name, sizeof name, "s%zu", i);
        struct tree_inode *inode = add_top(name, S_IFLNK | 0777);
        inode->target = strndup(target, lengths[i]);
        inode->size = lengths[i];
    }
    finish();
    assert_says("stat /s1", "Fast link dest: \"ttttt");
    assert_says("stat /s2", "EXTENTS:");
    for (size_t i = 2; i < sizeof lengths / sizeof lengths[0]; i++) {
        snprintf(name, sizeof name, "/s%zu", i);
        assert_true(e2fs_holds(layers.fd, name, target, lengths[i]));
    }
}

static void test_devices(void **state)
{
    (void)state;
    static const struct {
        const char *name, *expected;
        uint16_t type;
        uint32_t major, minor;
    } devices[] = {
        {"null", "Device major/minor number: 01:03", S_IFCHR, 1, 3},
        {"most", "Device major/minor number: 255:255", S_IFBLK, 255, 255},
        {"new", "(New-style) Device major/minor number: 256:00", S_IFBLK, 256, 0},
        {"last", "(New-style) Device major/minor number: 4095:1048575", S_IFCHR, 4095, 1048575},
    };
    for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++) {
        struct tree_inode *inode = add_top(devices[i].name, devices[i].type | 0600);
        inode->device.major = devices[i].major;
        inode->device.minor = devices[i].minor;
    }
    finish();
    for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++) {
        char request[32];
        snprintf(request, sizeof request, "stat /%s", devices[i].name);
        assert_says(request, devices[i].expected);
    }
}

/* ---- extents ----------------------------------------------------------------------------------------------------- */

/* Every second block of a file, so that each is a run of its own. */
static struct tree_inode *add_fragmented(const char *name, uint32_t runs)
{
    struct tree_inode *inode = add_top(name, S_IFREG | 0644);
    inode->size = 2ULL * runs * EXT4_BLOCK_SIZE;
    struct ext4_content content;
    ext4_content_begin(&content, &layers.fs, inode, 0);
    for (uint32_t i = 0; i < runs; i++)
        assert_int_equal(ext4_content_write(&content, 2ULL * i * EXT4_BLOCK_SIZE, &i, sizeof i, NULL), 0);
    assert_int_equal(ext4_content_end(&content, NULL), 0);
    return inode;
}

static void assert_fragmented(const char *path, uint32_t runs)
{
    size_t length = 2 * (size_t)runs * EXT4_BLOCK_SIZE;
    uint8_t *expected = calloc(1, length);
    assert_non_null(expected);
    for (uint32_t i = 0; i < runs; i++)
        store_le32(expected + 2 * (size_t)i * EXT4_BLOCK_SIZE, i);
    assert_true(e2fs_holds(layers.fd, path, expected, length));
    free(expected);
}

static void test_extent_trees_of_every_depth(void **state)
{
    (void)state;
    static const uint32_t counts[] = {1, 4, 5, 340, 341, 1360, 1361, 3000};
    char name[16];
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        snprintf(name, sizeof name, "f%u", counts[i]);
        add_fragmented(name, counts[i]);
    }
    finish();
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        snprintf(name, sizeof name, "/f%u", counts[i]);
        assert_fragmented(name, counts[i]);
    }
    assert_says("dump_extents /f4", "0/ 0");
    assert_says("dump_extents /f1360", "1/ 1");
    assert_says("dump_extents /f3000", "2/ 2");
}

static void test_holes(void **state)
{
    (void)state;
    struct tree_inode *inode = add_top("sparse", S_IFREG | 0644);
    inode->size = EXT4_FILE_SIZE_MAX;
    struct ext4_content content;
    ext4_content_begin(&content, &layers.fs, inode, 0);
    assert_int_equal(ext4_content_write(&content, 5000, "abc", 3, NULL), 0);
    assert_int_equal(ext4_content_write(&content, 5003, "def", 3, NULL), 0);
    assert_int_equal(ext4_content_write(&content, EXT4_FILE_SIZE_MAX - 1, "z", 1, NULL), 0);
    assert_int_equal(ext4_content_end(&content, NULL), 0);
    finish();
    assert_says("dump_extents /sparse", "4294967294");
    assert_says("stat /sparse", "Blockcount: 16");
}

/* A file that turns out shorter than expected leaves no gap behind. */
static void test_blocks_that_are_not_needed_go_back(void **state)
{
    (void)state;
    struct tree_inode *inode = add_top("f", S_IFREG);
    inode->size = 100 * EXT4_BLOCK_SIZE;
    uint64_t next = layers.fs.allocator.next;
    struct ext4_content content;
    ext4_content_begin(&content, &layers.fs, inode, inode->size);
    assert_int_equal(ext4_content_write(&content, 0, "x", 1, NULL), 0);
    assert_int_equal(ext4_content_end(&content, NULL), 0);
    assert_int_equal(layers.fs.allocator.next, next + 1);
    finish();
}

static void test_contents_out_of_order_are_refused(void **state)
{
    (void)state;
    struct tree_inode *inode = add_top("f", S_IFREG);
    inode->size = 100;
    struct ext4_content content;
    ext4_content_begin(&content, &layers.fs, inode, 100);
    assert_int_equal(ext4_content_write(&content, 50, "x", 1, NULL), 0);
    assert_int_equal(ext4_content_write(&content, 50, "x", 1, NULL), -22);
    assert_int_equal(ext4_content_write(&content, 99, "xx", 2, NULL), -22);
    assert_int_equal(ext4_content_write(&content, UINT64_MAX, "xx", 2, NULL), -22);
    assert_int_equal(ext4_content_end(&content, NULL), 0);
    finish();
}

/* ---- directories ------------------------------------------------------------------------------------------------- */

static void fill(struct tree_inode *directory, int count, const char *format)
{
    char name[TREE_NAME_MAX + 1];
    for (int i = 0; i < count; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(name, sizeof name, format, i);
#pragma GCC diagnostic pop
        add(directory, name, S_IFREG | 0644);
    }
}

static void test_directories_of_every_size(void **state)
{
    (void)state;
    static const int counts[] = {0, 1, 200, 340, 341, 400, 5000};
    char name[32];
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        snprintf(name, sizeof name, "d%d", counts[i]);
        fill(add_top(name, S_IFDIR | 0755), counts[i], "%d");
    }
    finish();
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        if (!counts[i])
            continue;
        snprintf(name, sizeof name, "stat /d%d/%d", counts[i], counts[i] - 1);
        assert_says(name, "Type: regular");
    }
    assert_says("stat /d200", "Flags: 0x80000");
    assert_says("stat /d5000", "Flags: 0x81000");
    assert_says("htree /d5000", "Indirect levels: 0");
}

static void test_two_levels_of_index(void **state)
{
    (void)state;
    /* 250 bytes each: 15 to a leaf, so 520 leaves and more, where one level holds 507. */
    char format[256];
    memset(format, 'n', sizeof format);
    snprintf(format + 245, sizeof format - 245, "%%05d");
    fill(add_top("d", S_IFDIR | 0755), 8500, format);
    finish();
    assert_says("htree /d", "Indirect levels: 1");
    char request[300];
    snprintf(request, sizeof request, "stat /d/%.245s08499", format);
    assert_says(request, "Type: regular");
}

static void test_link_counts(void **state)
{
    (void)state;
    struct tree_inode *many = add_top("many", S_IFDIR | 0755);
    char name[16];
    for (int i = 0; i < 65000; i++) {
        snprintf(name, sizeof name, "%d", i);
        add(many, name, S_IFDIR | 0755);
    }
    struct tree_inode *file = add(many, "file", S_IFREG | 0644);
    assert_int_equal(tree_add(layers.tree, tree_root(layers.tree), "link", 4, file, 0, NULL, NULL), 0);
    finish();
    assert_says("stat /", "Links: 3 ");
    assert_says("stat /many", "Links: 1 "); /* more than can be counted */
    assert_says("stat /link", "Links: 2 ");
}

static void test_names_of_all_bytes(void **state)
{
    (void)state;
    char name[3] = "";
    for (int i = 1; i < 256; i++) {
        if (i == '/' || i == '.')
            continue;
        name[0] = (char)i;
        name[1] = (char)i;
        add(tree_root(layers.tree), name, S_IFREG);
    }
    fill(tree_root(layers.tree), 300, "\xc3\xa9\xff-%d"); /* and an index over them */
    finish();
}

/* ---- extended attributes ----------------------------------------------------------------------------------------- */

static void set(struct tree_inode *inode, const char *name, const void *value, size_t length)
{
    struct error err = {0};
    if (tree_set_xattr(inode, name, value, length, &err) < 0)
        fail_msg("%s", err.text);
}

static void test_xattrs_in_inodes_and_blocks(void **state)
{
    (void)state;
    static const char big[3000];
    static const uint8_t capability[20] = {1, 0, 0, 2, 0, 4};
    struct tree_inode *inode = add_top("small", S_IFREG);
    set(inode, "security.capability", capability, sizeof capability);
    inode = add_top("block", S_IFREG);
    set(inode, "user.big", big, sizeof big);
    set(inode, "user.one", "1", 1);
    set(inode, "trusted.overlay.opaque", "y", 1);
    set(inode, "security.selinux", "system_u:object_r:bin_t:s0", 27);
    set(inode, "user.empty", "", 0);
    inode = add_top("link", S_IFLNK);
    inode->target = strdup("block");
    inode->size = 5;
    set(inode, "trusted.big", big, 200);
    inode = add_top("dir", S_IFDIR);
    set(inode, "user.\xc3\xa9", "non-ASCII names are hashed as unsigned bytes", 44);
    set(inode, "user.padding", big, 100);
    finish();
    assert_says("ea_get -x /small security.capability", "01 00 00 02 00 04 00 00");
    assert_says("ea_get /block trusted.overlay.opaque", "y");
    assert_says("ea_get /block user.one", "1");
    assert_says("ea_list /block", "user.big (3000)");
    assert_says("ea_list /block", "user.empty (0)");
    assert_says("ea_list /link", "trusted.big (200)");
    assert_says("stat /small", "File ACL: 0");
}

/* The kernel stops searching a block where the name would have to be. */
static void test_xattrs_in_blocks_are_in_order(void **state)
{
    (void)state;
    static const char value[100];
    static const char *const sorted[] = {"user.c", "user.bb", "user.aaa", "user.aab", "trusted.y", "security.z"};
    struct tree_inode *inode = add_top("f", S_IFREG);
    for (size_t i = 0; i < sizeof sorted / sizeof sorted[0]; i++)
        set(inode, sorted[i], value, sizeof value);
    finish();
    char *listed = e2fs_debug(layers.fd, "ea_list /f"), *place = listed;
    for (size_t i = 0; i < sizeof sorted / sizeof sorted[0]; i++) {
        place = strstr(place, sorted[i]);
        assert_non_null(place);
    }
    free(listed);
}

static void test_acls(void **state)
{
    (void)state;
    static const uint8_t acl[] = {2, 0,   0,   0,   1,   0,   6,  0, 255, 255, 255, 255, 2,   0,  7,
                                  0, 232, 3,   0,   0,   4,   0,  4, 0,   255, 255, 255, 255, 16, 0,
                                  7, 0,   255, 255, 255, 255, 32, 0, 4,   0,   255, 255, 255, 255};
    struct tree_inode *inode = add_top("d", S_IFDIR | 0755);
    set(inode, "system.posix_acl_access", acl, sizeof acl);
    set(inode, "system.posix_acl_default", acl, sizeof acl);
    finish();
    /* debugfs turns it back into the form that was given, with zeros for ids that mean nothing. */
    assert_says("ea_get -x /d system.posix_acl_access",
                "02 00 00 00 01 00 06 00 00 00 00 00 02 00 07 00 e8 03 00 00 04 00 04 00 00 00 00 00 10 00 07 00 00 00 "
                "00 00 20 00 04 00 00 00 00 00");
    assert_says("ea_list /d", "system.posix_acl_default (28)");
}

static void test_as_many_xattrs_as_fit(void **state)
{
    (void)state;
    struct tree_inode *inode = add_top("f", S_IFREG);
    struct ext4_xattr_plan plan;
    struct error err = {0};
    char name[32];
    int count = 0;
    for (; ext4_xattr_plan(&plan, inode, &err) == 0; count++) {
        ext4_xattr_plan_done(&plan);
        snprintf(name, sizeof name, "user.%03d", count);
        set(inode, name, "v", 1);
    }
    assert_non_null(strstr(err.text, "do not fit"));
    assert_int_equal(count,
                     3 + 169 + 1); /* 24 bytes each, in 88 of the inode and in 4060 of a block; and one too many */

    tree_clear_xattrs(inode);
    for (int i = 0; i < count - 1; i++) {
        snprintf(name, sizeof name, "user.%03d", i);
        set(inode, name, "v", 1);
    }
    finish();
    assert_says("ea_list /f", "user.171 (1)");
}

/* Values that fit nowhere else have inodes of their own; short ones stay. */
static void test_large_xattrs(void **state)
{
    (void)state;
    static char large[TREE_XATTR_VALUE_MAX];
    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (char)(' ' + i % 90);
    struct tree_inode *inode = add_top("f", S_IFREG | 0644);
    set(inode, "user.largest", large, sizeof large);
    set(inode, "user.small", "s", 1);
    for (int i = 0; i < 12; i++) {
        char name[16];
        snprintf(name, sizeof name, "user.many%d", i);
        set(inode, name, large + i, 700);
    }
    inode = add_top("dir", S_IFDIR | 0755);
    set(inode, "user.lone", large, 5000);
    finish();
    assert_says("stats", "ea_inode");
    assert_says("ea_list /f", "user.largest (65536)");
    assert_says("ea_list /f", "user.many11 (700)");
    assert_says("ea_get /f user.many11", "+,-./0123456789");
    assert_says("ea_get /f user.small", "s");
    assert_says("ea_list /dir", "user.lone (5000)");
    assert_says("stat /dir", "File ACL: 0"); /* the entry alone fits the inode */
    char *value = e2fs_debug(layers.fd, "ea_get /f user.largest");
    assert_non_null(strstr(value, "IJKLMNO"));
    free(value);
}

/* ---- an output that fails ---------------------------------------------------------------------------------------- */

static int write_everything(struct e2fs_faulty *faulty, struct error *err)
{
    static const uint8_t seed[32];
    static char large[300000];
    struct ext4_identity identity = ext4_identity_from(seed);
    struct ext4_filesystem fs;
    struct tree *tree;
    struct ext4_content content;
    assert_int_equal(ext4_filesystem_init(&fs, e2fs_faulty_io(faulty), &identity, err), 0);
    assert_int_equal(tree_new(&tree, NULL, NULL, err), 0);
    int rc = 0;
    for (size_t i = 0; i < 40 && rc == 0; i++) {
        char name[16];
        snprintf(name, sizeof name, "f%zu", i);
        struct tree_inode *inode = tree_inode_new(S_IFREG | 0644);
        inode->size = sizeof large;
        set(inode, "user.x", large, i % 4 == 0 ? 5000 : 200);
        assert_int_equal(tree_add(tree, tree_root(tree), name, strlen(name), inode, 0, NULL, err), 0);
        tree_inode_put(tree, inode);
        ext4_content_begin(&content, &fs, inode, i % 2 ? sizeof large : 0);
        rc = ext4_content_write(&content, i * 100, large, sizeof large - i * 100, err);
        int end_rc = ext4_content_end(&content, err);
        rc = rc < 0 ? rc : end_rc;
    }
    if (rc == 0) {
        struct tree_entry *gone = tree_lookup(tree, tree_root(tree), "f7", 2, false);
        ext4_filesystem_release(&fs, gone->inode);
        tree_remove(tree, gone);
        rc = ext4_filesystem_finish(&fs, tree, err);
    }
    tree_free(tree);
    ext4_filesystem_done(&fs);
    return rc;
}

static void test_every_operation_may_fail(void **state)
{
    (void)state;
    static const int codes[] = {28, 5}; /* ENOSPC, EIO */
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        unsigned fail_at = 0;
        int rc;
        do {
            struct e2fs_faulty faulty = {.fd = e2fs_new_file(), .fail_at = fail_at, .code = codes[i]};
            struct error err = {0};
            rc = write_everything(&faulty, &err);
            if (rc < 0) {
                assert_int_equal(rc, -codes[i]);
                assert_non_null(strstr(err.text, "cannot write the file system"));
            } else {
                assert_true(e2fs_is_clean(faulty.fd));
                assert_int_equal(faulty.operations, fail_at);
            }
            close(faulty.fd);
            fail_at++;
        } while (rc < 0);
        assert_true(fail_at > 60);
    }
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_nothing_at_all),
        CASE(test_file_sizes),
        CASE(test_nothing_leaks_behind_the_end),
        CASE(test_many_inodes_need_many_groups),
        CASE(test_more_than_64_groups),
        CASE(test_the_same_tree_gives_the_same_bytes),
        CASE(test_times),
        CASE(test_owners_and_modes),
        CASE(test_symlinks),
        CASE(test_devices),
        CASE(test_extent_trees_of_every_depth),
        CASE(test_holes),
        CASE(test_blocks_that_are_not_needed_go_back),
        CASE(test_contents_out_of_order_are_refused),
        CASE(test_directories_of_every_size),
        CASE(test_two_levels_of_index),
        CASE(test_link_counts),
        CASE(test_names_of_all_bytes),
        CASE(test_xattrs_in_inodes_and_blocks),
        CASE(test_xattrs_in_blocks_are_in_order),
        CASE(test_acls),
        CASE(test_as_many_xattrs_as_fit),
        CASE(test_large_xattrs),
        cmocka_unit_test(test_every_operation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
