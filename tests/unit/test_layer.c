/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
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

/* Every tree that a test leaves behind has to become a file system. */
static int tear_down(void **state)
{
    (void)state;
    bool clean = layers_finish(&layers);
    layers_done(&layers);
    buffer_done(&tar);
    return clean ? 0 : -1;
}

/* For trees of refused layers. */
static int tear_down_refused(void **state)
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

static void assert_tree(const char *expected)
{
    char *text = layers_describe(&layers);
    assert_string_equal(text, expected);
    free(text);
}

/* Applies and expects a refusal that names the entry and the reason. */
static void assert_refused(const char *entry, const char *reason)
{
    assert_int_equal(layers_apply(&layers, &tar), -74);
    assert_int_equal(layers.err.code, 74);
    if (!strstr(layers.err.text, entry) || !strstr(layers.err.text, reason))
        fail_msg("'%s' should name '%s' and '%s'", layers.err.text, entry, reason);
}

/* ---- one layer --------------------------------------------------------------------------------------------------- */

static void test_all_types(void **state)
{
    (void)state;
    ADD(.name = "./", .type = '5', .mode = 0711, .uid = 7);
    ADD(.name = "dir/", .type = '5', .mode = 02750);
    ADD(.name = "dir/file", .content = "hello", .mode = 04755, .uid = 4000000000, .gid = 3000000000,
        .mtime = 1234567890);
    ADD(.name = "/absolute", .content = "x");
    ADD(.name = "link", .type = '2', .link = "dir/file");
    ADD(.name = "hard", .type = '1', .link = "./dir//file");
    ADD(.name = "null", .type = '3', .major = 1, .minor = 3);
    ADD(.name = "disk", .type = '4', .major = 259, .minor = 70000);
    ADD(.name = "pipe", .type = '6');
    ADD(.name = "empty");
    apply();
    assert_tree("dir/;dir/file(2)=hello;absolute=x;link->dir/file;hard(2)=hello;null c1:3;disk b259:70000;pipe "
                "p;empty=;");
    const struct tree_inode *file = layers_find(&layers, "dir/file")->inode;
    assert_int_equal(file->mode, S_IFREG | 04755);
    assert_int_equal(file->uid, 4000000000);
    assert_int_equal(file->gid, 3000000000);
    assert_int_equal(file->mtime, 1234567890);
    assert_int_equal(tree_root(layers.tree)->mode, S_IFDIR | 0711);
    assert_int_equal(tree_root(layers.tree)->uid, 7);
}

static void test_an_empty_layer(void **state)
{
    (void)state;
    apply();
    assert_tree("");
}

static void test_implied_parents(void **state)
{
    (void)state;
    ADD(.name = "a/b/c", .content = "1");
    apply();
    assert_tree("a/;a/b/;a/b/c=1;");
    assert_int_equal(layers_find(&layers, "a/b")->inode->mode, S_IFDIR | 0755);
    ADD(.name = "a/b", .type = '5', .mode = 0700);
    apply();
    assert_int_equal(layers_find(&layers, "a/b")->inode->mode, S_IFDIR | 0700);
    assert_tree("a/;a/b/;a/b/c=1;");
}

static void test_the_last_of_several_wins(void **state)
{
    (void)state;
    ADD(.name = "x", .content = "first");
    ADD(.name = "x", .content = "second");
    ADD(.name = "y", .type = '5');
    ADD(.name = "y/in", .content = "1");
    ADD(.name = "y", .type = '5', .mode = 0700);
    ADD(.name = "z", .type = '5');
    ADD(.name = "z/in", .content = "1");
    ADD(.name = "z", .content = "file");
    apply();
    assert_tree("x=second;y/;y/in=1;z=file;");
}

static void test_pax_records(void **state)
{
    (void)state;
    static const char value[] = {'b', 0, '\n', 'v', '=', (char)0xff};
    char name[301];
    memset(name, 'd', sizeof name);
    name[150] = '/';
    name[300] = '\0';
    ADD(.name = name, .content = "long", .records = {{.key = "mtime", .value = "4102444800.123456789"}});
    ADD(.name = "old", .records = {{.key = "mtime", .value = "-1.25"}, {.key = "uid", .value = "4294967294"}});
    ADD(.name = "attributes", .records = {{.key = "SCHILY.xattr.user.binary", .value = value, .length = sizeof value},
                                          {.key = "SCHILY.xattr.trusted.t", .value = "1"},
                                          {.key = "SCHILY.xattr.com.apple.provenance", .value = "x"},
                                          {.key = "LIBARCHIVE.xattr.user.lib", .value = "aGVsbG8="}});
    apply();
    const struct tree_inode *inode = layers_find(&layers, name)->inode;
    assert_int_equal(inode->mtime, 4102444800);
    assert_int_equal(inode->mtime_nsec, 123456789);
    inode = layers_find(&layers, "old")->inode;
    assert_int_equal(inode->mtime, -2);
    assert_int_equal(inode->mtime_nsec, 750000000);
    assert_int_equal(inode->uid, 4294967294);
    const struct tree_xattr *xattr = layers_find(&layers, "attributes")->inode->xattrs;
    assert_string_equal(xattr->bytes, "trusted.t");
    xattr = xattr->next;
    assert_string_equal(xattr->bytes, "user.binary");
    assert_int_equal(xattr->value_length, sizeof value);
    assert_memory_equal(tree_xattr_value(xattr), value, sizeof value);
    xattr = xattr->next;
    assert_string_equal(xattr->bytes, "user.lib");
    assert_memory_equal(tree_xattr_value(xattr), "hello", 5);
    assert_null(xattr->next); /* what Linux has no place for is left out */
}

static void test_attributes_of_directories_are_replaced(void **state)
{
    (void)state;
    ADD(.name = "d", .type = '5', .uid = 7, .records = {{.key = "SCHILY.xattr.user.old", .value = "1"}});
    ADD(.name = "d/f", .content = "x");
    apply();
    ADD(.name = "d", .type = '5', .mtime = 9, .records = {{.key = "SCHILY.xattr.user.new", .value = "2"}});
    apply();
    assert_tree("d/;d/f=x;");
    const struct tree_inode *inode = layers_find(&layers, "d")->inode;
    assert_int_equal(inode->uid, 0);
    assert_int_equal(inode->mtime, 9);
    assert_string_equal(inode->xattrs->bytes, "user.new");
    assert_null(inode->xattrs->next);
}

static void test_names_are_bytes(void **state)
{
    (void)state;
    static const char *const names[] = {"\xff\xfe", "e\xcc\x81", "\xc3\xa9", "new\nline", "back\\slash", ".wh", "..."};
    char expected[256] = "";
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        /* Once as the header has it and once as PAX, which means UTF-8. */
        ADD(.name = names[i]);
        ADD(.name = "pax", .records = {{.key = "path", .value = names[i]}});
        sprintf(expected + strlen(expected), "%s=;", names[i]);
    }
    apply();
    assert_tree(expected);
}

static void test_gnu_long_names(void **state)
{
    (void)state;
    char name[201], link[151];
    memset(name, 'n', sizeof name);
    memset(link, 'l', sizeof link);
    name[100] = '/';
    name[200] = link[150] = '\0';
    ADD(.name = "././@LongLink", .type = 'L', .content = name, .length = sizeof name);
    ADD(.name = "././@LongLink", .type = 'K', .content = link, .length = sizeof link);
    ADD(.name = "short", .type = '2', .link = "short");
    apply();
    assert_string_equal(layers_find(&layers, name)->inode->target, link);
}

static void test_sparse_files(void **state)
{
    (void)state;
    /* PAX sparse 1.0: the map stands in front of the data, padded to a block. */
    static char map[512 + 1024] = "2\n8192\n512\n1048064\n512\n";
    memset(map + 512, 'a', 512);
    memset(map + 1024, 'b', 512);
    ADD(.name = "GNUSparseFile.0/s", .content = map, .length = sizeof map,
        .records = {{.key = "GNU.sparse.major", .value = "1"},
                    {.key = "GNU.sparse.minor", .value = "0"},
                    {.key = "GNU.sparse.name", .value = "s"},
                    {.key = "GNU.sparse.realsize", .value = "2097152"}});
    apply();
    const struct tree_inode *inode = layers_find(&layers, "s")->inode;
    assert_int_equal(inode->size, 2097152);
    assert_int_equal(extents_blocks(&inode->extents), 2);
    assert_int_equal(extents_runs(&inode->extents)[0].logical, 2);
    assert_int_equal(extents_runs(&inode->extents)[1].logical, 255);
    char *expected = calloc(1, 2097152);
    memset(expected + 8192, 'a', 512);
    memset(expected + 1048064, 'b', 512);
    assert_true(layers_finish(&layers));
    assert_true(e2fs_holds(layers.fd, "/s", expected, 2097152));
    free(expected);
    layers_done(&layers);
    layers_init(&layers);
}

/* ---- layers over each other -------------------------------------------------------------------------------------- */

static void add_lower(void)
{
    ADD(.name = "d/", .type = '5');
    ADD(.name = "d/a", .content = "a");
    ADD(.name = "d/b", .content = "b");
    ADD(.name = "d/sub/", .type = '5');
    ADD(.name = "d/sub/c", .content = "c");
    ADD(.name = "e", .content = "e");
    apply();
}

static void test_whiteouts(void **state)
{
    (void)state;
    add_lower();
    ADD(.name = "d/.wh.a");
    ADD(.name = "d/.wh.sub");
    ADD(.name = "d/.wh.never");
    ADD(.name = "no/.wh.where");
    apply();
    assert_tree("d/;d/b=b;e=e;no/;");
}

static void test_whiteouts_spare_their_own_layer(void **state)
{
    (void)state;
    add_lower();
    ADD(.name = "d/a", .content = "new");
    ADD(.name = "d/.wh.a");
    ADD(.name = "d/sub/n", .content = "n");
    ADD(.name = "d/.wh.sub");
    ADD(.name = ".wh.e");
    ADD(.name = "e", .content = "after");
    apply();
    assert_tree("d/;d/b=b;d/sub/;d/sub/n=n;d/a=new;e=after;");
}

static void test_opaque_in_any_order(void **state)
{
    (void)state;
    for (int first = 0; first < 2; first++) {
        add_lower();
        if (first)
            ADD(.name = "d/.wh..wh..opq");
        ADD(.name = "d/", .type = '5', .mode = 0700);
        ADD(.name = "d/b", .content = "B");
        ADD(.name = "d/n", .content = "n");
        if (!first)
            ADD(.name = "d/.wh..wh..opq");
        apply();
        assert_tree("d/;d/b=B;d/n=n;e=e;");
        assert_int_equal(layers_find(&layers, "d")->inode->mode, S_IFDIR | 0700);
        if (!first) {
            ADD(.name = ".wh.d");
            apply();
        }
    }
}

static void test_an_opaque_root(void **state)
{
    (void)state;
    add_lower();
    ADD(.name = "n", .content = "n");
    ADD(.name = ".wh..wh..opq");
    apply();
    assert_tree("n=n;");
}

static void test_a_name_can_come_back(void **state)
{
    (void)state;
    add_lower();
    ADD(.name = ".wh.d");
    apply();
    ADD(.name = "d", .type = '2', .link = "e");
    apply();
    assert_tree("e=e;d->e;");
}

static void test_bookkeeping_is_ignored(void **state)
{
    (void)state;
    ADD(.name = ".wh..wh.plnk/", .type = '5');
    ADD(.name = ".wh..wh.aufs", .content = "x");
    ADD(.name = "f");
    apply();
    assert_tree("f=;");
}

static void test_types_replace_each_other(void **state)
{
    (void)state;
    ADD(.name = "dir/in", .content = "x");
    ADD(.name = "file", .content = "x");
    ADD(.name = "link", .type = '2', .link = "dir");
    ADD(.name = "dirlink", .type = '2', .link = "dir");
    apply();
    ADD(.name = "dir", .content = "now a file");
    ADD(.name = "file", .type = '5');
    ADD(.name = "file/in", .content = "y");
    ADD(.name = "link", .content = "z");
    ADD(.name = "dirlink", .type = '5');
    ADD(.name = "dirlink/own", .content = "o");
    apply();
    assert_tree("dir=now a file;file/;file/in=y;link=z;dirlink/;dirlink/own=o;");
}

static void test_parents_through_symlinks(void **state)
{
    (void)state;
    ADD(.name = "usr/bin/", .type = '5');
    ADD(.name = "bin", .type = '2', .link = "usr/bin");
    apply();
    ADD(.name = "bin/sh", .content = "shell");
    apply();
    ADD(.name = "bin/.wh.sh");
    ADD(.name = "bin/ash", .content = "new");
    apply();
    assert_tree("usr/;usr/bin/;usr/bin/ash=new;bin->usr/bin;");
}

/* ---- hard links -------------------------------------------------------------------------------------------------- */

static void test_links_to_lower_layers(void **state)
{
    (void)state;
    add_lower();
    ADD(.name = "l", .type = '1', .link = "d/a");
    apply();
    assert_tree("d/;d/a(2)=a;d/b=b;d/sub/;d/sub/c=c;e=e;l(2)=a;");
    ADD(.name = "d/a", .content = "changed");
    apply();
    assert_tree("d/;d/b=b;d/sub/;d/sub/c=c;d/a=changed;e=e;l=a;");
}

static void test_links_to_symlinks(void **state)
{
    (void)state;
    ADD(.name = "s", .type = '2', .link = "nowhere");
    ADD(.name = "twin", .type = '1', .link = "s");
    apply();
    assert_tree("s(2)->nowhere;twin(2)->nowhere;");
}

static void test_links_to_what_comes_later(void **state)
{
    (void)state;
    ADD(.name = "l1", .content = "an earlier entry");
    ADD(.name = "l1", .type = '1', .link = "l2");
    ADD(.name = "l2", .type = '1', .link = "target");
    ADD(.name = "taken", .type = '1', .link = "target");
    ADD(.name = "taken", .content = "later entry");
    ADD(.name = "target", .content = "t");
    apply();
    assert_tree("taken=later entry;target(3)=t;l2(3)=t;l1(3)=t;");
}

static void test_links_to_what_is_whited_out(void **state)
{
    (void)state;
    add_lower();
    ADD(.name = "before", .type = '1', .link = "d/a");
    ADD(.name = "d/.wh.a");
    ADD(.name = ".wh.e");
    ADD(.name = "after", .type = '1', .link = "e");
    ADD(.name = "d/.wh.sub");
    ADD(.name = "inside", .type = '1', .link = "d/sub/c");
    apply();
    assert_tree("d/;d/b=b;before=a;after=e;inside=c;");
    assert_int_equal(layers_find(&layers, "after")->inode->links, 1);
}

static void test_links_to_what_is_replaced(void **state)
{
    (void)state;
    ADD(.name = "t", .content = "old");
    ADD(.name = "l", .type = '1', .link = "t");
    ADD(.name = "t", .content = "new");
    ADD(.name = "m", .type = '1', .link = "t");
    ADD(.name = "m", .type = '1', .link = "m");
    apply();
    assert_tree("l=old;t(2)=new;m(2)=new;");
}

/* ---- space ------------------------------------------------------------------------------------------------------- */

static void test_replaced_blocks_are_used_again(void **state)
{
    (void)state;
    static char content[10 * EXT4_BLOCK_SIZE];
    for (int layer = 'a'; layer < 'f'; layer++) {
        memset(content, layer, sizeof content);
        ADD(.name = "big", .content = content, .length = sizeof content);
        apply();
    }
    assert_true(layers.fs.allocator.next <= 2 + 3 * 10);
    assert_true(layers_finish(&layers));
    assert_true(e2fs_holds(layers.fd, "/big", content, sizeof content));
    layers_done(&layers);
    layers_init(&layers);
}

/* ---- refused ----------------------------------------------------------------------------------------------------- */

static void test_refused_paths(void **state)
{
    (void)state;
    ADD(.name = "../escape", .content = "x");
    assert_refused("../escape", "'..'");
    ADD(.name = "a/../../b", .content = "x");
    assert_refused("a/../../b", "'..'");
    ADD(.name = "f", .content = "x");
    ADD(.name = "f/below", .content = "x");
    assert_refused("f/below", "is no directory");
    ADD(.name = "loop", .type = '2', .link = "loop");
    ADD(.name = "loop/below", .content = "x");
    assert_refused("loop/below", "symbolic links");
    ADD(.name = ".", .content = "a file as the root");
    assert_refused("'.'", "root");
    ADD(.name = "./", .type = '1', .link = "f");
    assert_refused("'./'", "root");
    ADD(.name = ".wh.");
    assert_refused(".wh.", "without a name");
    ADD(.name = ".wh...");
    assert_refused(".wh...", "without a name");
    char name[257];
    memset(name, 'n', 256);
    name[256] = '\0';
    ADD(.name = name);
    assert_refused("nnn", "a name has 256 bytes, 255 are possible");
}

static void test_refused_links(void **state)
{
    (void)state;
    ADD(.name = "l", .type = '1', .link = "nowhere");
    assert_refused("'l'", "the target 'nowhere' of the hard link does not exist");
    ADD(.name = "d/", .type = '5');
    ADD(.name = "l", .type = '1', .link = "d");
    assert_refused("'l'", "a hard link to a directory");
    ADD(.name = "l", .type = '1', .link = "/");
    assert_refused("'l'", "a hard link to a directory");
    ADD(.name = "l", .type = '1', .link = "../../etc/passwd");
    assert_refused("'l'", "'..'");
    ADD(.name = "a", .type = '1', .link = "b");
    ADD(.name = "b", .type = '1', .link = "a");
    assert_refused("'a'", "does not exist");
}

static void test_refused_values(void **state)
{
    (void)state;
    ADD(.name = "s", .type = '2', .link = "");
    assert_refused("'s'", "is empty");
    char target[TREE_SYMLINK_MAX + 2];
    memset(target, 't', sizeof target);
    target[TREE_SYMLINK_MAX + 1] = '\0';
    ADD(.name = "s", .type = '2', .link = target);
    assert_refused("'s'", "4096 bytes, 4095 are possible");
    ADD(.name = "u", .uid = 0xffffffff);
    assert_refused("'u'", "owner");
    ADD(.name = "c", .type = '3', .major = 4096);
    assert_refused("'c'", "device number 4096:0");
    static char value[TREE_XATTR_VALUE_MAX + 1];
    memset(value, 'v', sizeof value);
    ADD(.name = "x", .records = {{.key = "SCHILY.xattr.user.big", .value = value, .length = sizeof value}});
    assert_refused("'x'", "'user.big' is too large");
    ADD(.name = "acl", .records = {{.key = "SCHILY.xattr.system.posix_acl_access", .value = "nonsense"}});
    assert_refused("'acl'", "ACL is malformed");
}

static void test_damaged_archives(void **state)
{
    (void)state;
    ADD(.name = "f", .content = "contents");
    tar.bytes[3] ^= 1;
    assert_refused("tar archive is damaged", "");
    ADD(.name = "f", .content = "contents");
    tar.length = 512 + 3;     /* then only zeros follow: the end of the archive in the middle of a file */
    tar.bytes[124 + 9] = '7'; /* its size */
    assert_refused("damaged", "");
    ADD(.name = "pax", .type = 'x', .content = "no record");
    ADD(.name = "f");
    assert_refused("'f'", "damaged: Ignoring malformed pax");
    buffer_append_format(&tar, "no tar at all, but text that is long enough to be looked at %0600d", 1);
    assert_refused("damaged", "");
}

int main(void)
{
#define PASSING(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define REFUSED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down_refused)
    const struct CMUnitTest tests[] = {
        PASSING(test_all_types),
        PASSING(test_an_empty_layer),
        PASSING(test_implied_parents),
        PASSING(test_the_last_of_several_wins),
        PASSING(test_pax_records),
        PASSING(test_attributes_of_directories_are_replaced),
        PASSING(test_names_are_bytes),
        PASSING(test_gnu_long_names),
        PASSING(test_sparse_files),
        PASSING(test_whiteouts),
        PASSING(test_whiteouts_spare_their_own_layer),
        PASSING(test_opaque_in_any_order),
        PASSING(test_an_opaque_root),
        PASSING(test_a_name_can_come_back),
        PASSING(test_bookkeeping_is_ignored),
        PASSING(test_types_replace_each_other),
        PASSING(test_parents_through_symlinks),
        PASSING(test_links_to_lower_layers),
        PASSING(test_links_to_symlinks),
        PASSING(test_links_to_what_comes_later),
        PASSING(test_links_to_what_is_whited_out),
        PASSING(test_links_to_what_is_replaced),
        PASSING(test_replaced_blocks_are_used_again),
        REFUSED(test_refused_paths),
        REFUSED(test_refused_links),
        REFUSED(test_refused_values),
        REFUSED(test_damaged_archives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
