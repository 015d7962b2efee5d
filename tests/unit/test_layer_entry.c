/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "image/tree.h"
#include "tests/support/e2fs.h"
#include "tests/support/layers.h"
#include "tests/support/tar_builder.h"

static struct layers layers;
static struct buffer tar = TAR_BUILDER_INIT;

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
    buffer_done(&tar);
    return 0;
}

#define ADD(...) TAR_ADD(&tar, __VA_ARGS__)

static void apply(void)
{
    if (layers_apply(&layers, &tar) < 0)
        fail_msg("%s", layers.err.text);
}

static const struct tree_inode *inode_of(const char *path)
{
    const struct tree_entry *entry = layers_find(&layers, path);
    assert_non_null(entry);
    return entry->inode;
}

/* As the kernel makes them, whatever the archive says. */
static void test_symbolic_links_have_all_permissions(void **state)
{
    (void)state;
    ADD(.name = "s", .type = '2', .link = "t", .mode = 0600);
    apply();
    assert_int_equal(inode_of("s")->mode, S_IFLNK | 0777);
}

/* They are comments of archivers; the other tools for layers apply none of their records either. */
static void test_global_headers_change_nothing(void **state)
{
    (void)state;
    static const char records[] =
        "52 comment=0123456789012345678901234567890123456789\n17 uid=123456789\n12 path=all\n";
    ADD(.name = "pax_global_header", .type = 'g', .content = records);
    ADD(.name = "f", .content = "x", .uid = 5);
    ADD(.name = "pax_global_header", .type = 'g', .content = records);
    ADD(.name = "g", .uid = 6);
    apply();
    assert_int_equal(tree_entry_count(layers.tree), 2);
    assert_int_equal(inode_of("f")->uid, 5);
    assert_int_equal(inode_of("g")->uid, 6);
}

static void test_permissions_of_all_bits(void **state)
{
    (void)state;
    ADD(.name = "f", .mode = 07777);
    ADD(.name = "g", .mode = 0100644);
    ADD(.name = "p", .type = '6', .mode = 0620);
    apply();
    assert_int_equal(inode_of("f")->mode, S_IFREG | 07777);
    assert_int_equal(inode_of("g")->mode, S_IFREG | 0644);
    assert_int_equal(inode_of("p")->mode, S_IFIFO | 0620);
}

/* Version 2, then tag, permissions, id of each: owner rw, user 1000 r, group r, mask r, others none. */
static const char acl[] = "\x02\0\0\0"
                          "\x01\0\x06\0\xff\xff\xff\xff"
                          "\x02\0\x04\0\xe8\x03\0\0"
                          "\x04\0\x04\0\xff\xff\xff\xff"
                          "\x10\0\x04\0\xff\xff\xff\xff"
                          "\x20\0\0\0\xff\xff\xff\xff";

static void test_acls(void **state)
{
    (void)state;
    struct tar_record access = {"SCHILY.xattr.system.posix_acl_access", acl, sizeof acl - 1};
    struct tar_record standard = {"SCHILY.xattr.system.posix_acl_default", acl, sizeof acl - 1};
    ADD(.name = "f", .content = "x", .mode = 0640, .records = {access});
    ADD(.name = "d", .type = '5', .records = {access, standard});
    apply();
    const struct tree_xattr *xattr = inode_of("f")->xattrs;
    assert_string_equal(xattr->bytes, "system.posix_acl_access");
    assert_int_equal(xattr->value_length, sizeof acl - 1);
    assert_memory_equal(tree_xattr_value(xattr), acl, sizeof acl - 1);
    assert_true(layers_finish(&layers));
    assert_true(e2fs_says(layers.fd, "ea_list /d", "system.posix_acl_default (28)"));
}

/* Binary values in base 64, and names with percent signs for what they cannot hold. */
static void test_attributes_of_libarchive(void **state)
{
    (void)state;
    ADD(.name = "f", .records = {{.key = "LIBARCHIVE.xattr.user.zeros", .value = "AAAA/w=="},
                                 {.key = "LIBARCHIVE.xattr.user.a%3Db", .value = "eA=="},
                                 {.key = "SCHILY.xattr.user.empty", .value = ""}});
    apply();
    const struct tree_xattr *xattr = inode_of("f")->xattrs;
    assert_string_equal(xattr->bytes, "user.a=b");
    xattr = xattr->next;
    assert_string_equal(xattr->bytes, "user.empty");
    assert_int_equal(xattr->value_length, 0);
    xattr = xattr->next;
    assert_string_equal(xattr->bytes, "user.zeros");
    assert_int_equal(xattr->value_length, 4);
    assert_memory_equal(tree_xattr_value(xattr), "\0\0\0\xff", 4);
    assert_null(xattr->next);
}

static void test_numbers_in_base_256(void **state)
{
    (void)state;
    ADD(.name = "f", .uid = 0xfffffffe, .gid = 3000000000, .mtime = 1ULL << 33);
    apply();
    assert_int_equal(inode_of("f")->uid, 0xfffffffe);
    assert_int_equal(inode_of("f")->gid, 3000000000);
    assert_int_equal(inode_of("f")->mtime, 1LL << 33);
}

/* A map without runs: nothing of the file is in the archive. */
static void test_a_file_that_is_one_hole(void **state)
{
    (void)state;
    static const char map[512] = "0\n";
    ADD(.name = "GNUSparseFile.0/h", .content = map, .length = sizeof map,
        .records = {{.key = "GNU.sparse.major", .value = "1"},
                    {.key = "GNU.sparse.minor", .value = "0"},
                    {.key = "GNU.sparse.name", .value = "h"},
                    {.key = "GNU.sparse.realsize", .value = "1099511627776"}});
    apply();
    assert_int_equal(inode_of("h")->size, 1ULL << 40);
    assert_int_equal(inode_of("h")->extents.count, 0);
    assert_true(layers_finish(&layers));
}

static void test_the_longest_names(void **state)
{
    (void)state;
    char path[2 * TREE_NAME_MAX + 2];
    memset(path, 'n', sizeof path);
    path[TREE_NAME_MAX] = '/';
    path[sizeof path - 1] = '\0';
    ADD(.name = path, .content = "x");
    apply();
    assert_int_equal(inode_of(path)->size, 1);
    assert_true(layers_finish(&layers));
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_symbolic_links_have_all_permissions),
        CASE(test_global_headers_change_nothing),
        CASE(test_permissions_of_all_bits),
        CASE(test_acls),
        CASE(test_attributes_of_libarchive),
        CASE(test_numbers_in_base_256),
        CASE(test_a_file_that_is_one_hole),
        CASE(test_the_longest_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
