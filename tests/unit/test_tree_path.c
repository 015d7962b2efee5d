/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "image/tree_path.h"

static struct tree_inode *add(struct tree *tree, struct tree_inode *directory, const char *name, uint16_t mode)
{
    struct tree_inode *inode = tree_inode_new(mode);
    assert_int_equal(tree_add(tree, directory, name, strlen(name), inode, 0, NULL, NULL), 0);
    tree_inode_put(tree, inode);
    return inode;
}

static void add_symlink(struct tree *tree, struct tree_inode *directory, const char *name, const char *target)
{
    struct tree_inode *inode = add(tree, directory, name, S_IFLNK | 0777);
    inode->target = strdup(target);
    inode->size = strlen(target);
}

/* /usr/bin, /usr/lib, a file /usr/file and links of all kinds. */
static int set_up(void **state)
{
    struct tree *tree;
    if (tree_new(&tree, NULL, NULL, NULL) < 0)
        return -1;
    struct tree_inode *usr = add(tree, tree_root(tree), "usr", S_IFDIR);
    add(tree, usr, "bin", S_IFDIR);
    add(tree, usr, "lib", S_IFDIR);
    add(tree, usr, "file", S_IFREG);
    add_symlink(tree, tree_root(tree), "bin", "usr/bin");
    add_symlink(tree, tree_root(tree), "lib", "/usr//./lib/");
    add_symlink(tree, tree_root(tree), "escape", "../../../usr/../usr/bin");
    add_symlink(tree, tree_root(tree), "dangling", "no/where");
    add_symlink(tree, tree_root(tree), "loop", "loop");
    add_symlink(tree, tree_root(tree), "ping", "pong");
    add_symlink(tree, tree_root(tree), "pong", "ping");
    add_symlink(tree, usr, "up", "../bin");
    *state = tree;
    return 0;
}

static int tear_down(void **state)
{
    tree_free(*state);
    return 0;
}

enum { TEXT_MAX = 8192 };

/* The path of a directory from the root, with a slash in front of each name. @return its length */
static size_t directory_path(const struct tree_inode *directory, char text[TEXT_MAX])
{
    text[0] = '\0';
    if (!directory->directory.self)
        return 0;
    size_t above = directory_path(directory->directory.self->parent, text);
    return above + (size_t)snprintf(text + above, TEXT_MAX - above, "/%s", directory->directory.self->name);
}

static void assert_leads(struct tree *tree, enum tree_path_mode mode, const char *path, const char *directory,
                         const char *name)
{
    struct tree_location location;
    struct error err = {0};
    char text[TEXT_MAX];
    if (tree_path_locate(tree, path, 3, mode, &location, &err) < 0)
        fail_msg("'%s': %s", path, err.text);
    directory_path(location.directory, text);
    assert_string_equal(text, directory);
    assert_string_equal(location.name, name);
    assert_int_equal(location.name_length, strlen(name));
}

static void test_plain_paths(void **state)
{
    assert_leads(*state, TREE_PATH_FIND, "usr/bin/sh", "/usr/bin", "sh");
    assert_leads(*state, TREE_PATH_FIND, "/usr/bin/sh", "/usr/bin", "sh");
    assert_leads(*state, TREE_PATH_FIND, "./usr//./bin///sh/", "/usr/bin", "sh");
    assert_leads(*state, TREE_PATH_FIND, "top", "", "top");
    static const char *const roots[] = {"", "/", ".", "./", "///./."};
    for (size_t i = 0; i < sizeof roots / sizeof roots[0]; i++)
        assert_leads(*state, TREE_PATH_FIND, roots[i], "", "");
}

static void test_symlinks_on_the_way(void **state)
{
    assert_leads(*state, TREE_PATH_FIND, "bin/sh", "/usr/bin", "sh");
    assert_leads(*state, TREE_PATH_FIND, "lib/x", "/usr/lib", "x");
    assert_leads(*state, TREE_PATH_FIND, "escape/sh", "/usr/bin", "sh");
    assert_leads(*state, TREE_PATH_FIND, "usr/up/sh", "/usr/bin", "sh");
    assert_leads(*state, TREE_PATH_FIND, "bin", "", "bin"); /* the last component is not followed */
}

static void test_missing_directories(void **state)
{
    struct tree *tree = *state;
    struct tree_location location;
    assert_int_equal(tree_path_locate(tree, "a/b", 3, TREE_PATH_FIND, &location, NULL), -2);
    assert_int_equal(tree_path_locate(tree, "dangling/x", 3, TREE_PATH_FIND, &location, NULL), -2);
    assert_leads(tree, TREE_PATH_CREATE, "a/b/c", "/a/b", "c");
    const struct tree_entry *a = tree_lookup(tree, tree_root(tree), "a", 1, false);
    assert_int_equal(a->inode->mode, S_IFDIR | 0755);
    assert_int_equal(a->layer, 3);
    assert_leads(tree, TREE_PATH_CREATE, "dangling/x", "/no/where", "x");
    assert_leads(tree, TREE_PATH_FIND, "no/where/x", "/no/where", "x");
}

static void assert_refused(struct tree *tree, const char *path, const char *reason)
{
    struct tree_location location;
    struct error err = {0};
    assert_int_equal(tree_path_locate(tree, path, 3, TREE_PATH_CREATE, &location, &err), -74);
    assert_non_null(strstr(err.text, reason));
}

static void test_refused_paths(void **state)
{
    assert_refused(*state, "..", "'..'");
    assert_refused(*state, "usr/../etc/passwd", "'..'");
    assert_refused(*state, "/../x", "'..'");
    assert_refused(*state, "usr/file/x", "'file' on the way is no directory");
    assert_refused(*state, "loop/x", "40 symbolic links");
    assert_refused(*state, "ping/x", "40 symbolic links");
}

static void test_lengths(void **state)
{
    char path[TREE_PATH_MAX + 2];
    memset(path, 'n', sizeof path);
    path[TREE_NAME_MAX] = '\0';
    assert_leads(*state, TREE_PATH_CREATE, path, "", path);
    path[TREE_NAME_MAX] = 'n';
    path[TREE_NAME_MAX + 1] = '\0';
    assert_refused(*state, path, "a name has 256 bytes, 255 are possible");
    path[TREE_NAME_MAX + 1] = '/';
    path[TREE_NAME_MAX + 2] = 'x';
    path[TREE_NAME_MAX + 3] = '\0';
    assert_refused(*state, path, "a name has 256 bytes, 255 are possible");

    for (size_t i = 0; i < sizeof path; i++)
        path[i] = i % 2 ? '/' : 'd';
    path[TREE_PATH_MAX + 1] = '\0';
    assert_refused(*state, path, "4097 bytes");
    path[TREE_PATH_MAX] = '\0';
    struct tree_location location;
    assert_int_equal(tree_path_locate(*state, path, 3, TREE_PATH_CREATE, &location, NULL), -7); /* deeper than 1024 */
}

/* A few long targets that lead through each other again and again. */
static void test_the_work_per_path_is_bounded(void **state)
{
    struct tree *tree = *state;
    char target[TREE_SYMLINK_MAX + 1];
    size_t length = 0;
    while (length + 10 < sizeof target)
        length += (size_t)snprintf(target + length, sizeof target - length, "usr/../");
    snprintf(target + length, sizeof target - length, "usr");
    for (int i = 0; i < 10; i++) {
        char name[16];
        snprintf(name, sizeof name, "far%d", i);
        add_symlink(tree, tree_root(tree), name, target);
    }
    assert_refused(tree, "far0/../x", "'..'");
    add_symlink(tree, tree_root(tree), "start", "far0/../far1/../far2/../far3/../far4/../far5/../far6/../far7/../far8");
    assert_refused(tree, "start/x", "4096 directories");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_plain_paths, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_symlinks_on_the_way, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_missing_directories, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused_paths, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lengths, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_work_per_path_is_bounded, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
