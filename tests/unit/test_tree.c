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
#include "image/tree.h"

static unsigned released;

static void count_release(void *context, const struct tree_inode *inode)
{
    (void)context;
    (void)inode;
    released++;
}

static struct tree *new_tree(void)
{
    struct tree *tree = NULL;
    released = 0;
    assert_int_equal(tree_new(&tree, count_release, NULL, NULL), 0);
    return tree;
}

static struct tree_entry *add(struct tree *tree, struct tree_inode *directory, const char *name, uint16_t mode,
                              uint32_t layer)
{
    struct tree_entry *entry = NULL;
    struct tree_inode *inode = tree_inode_new(mode);
    assert_non_null(inode);
    assert_int_equal(tree_add(tree, directory, name, strlen(name), inode, layer, &entry, NULL), 0);
    tree_inode_put(tree, inode);
    return entry;
}

static struct tree_entry *find(struct tree *tree, struct tree_inode *directory, const char *name)
{
    return tree_lookup(tree, directory, name, strlen(name), false);
}

/* The names of a walk, each followed by a space. */
static void assert_walk(struct tree *tree, const char *expected)
{
    char text[512] = "";
    int length = 0;
    for (struct tree_entry *entry = tree_walk(tree, NULL); entry; entry = tree_walk(tree, entry))
        length += snprintf(text + length, sizeof text - (size_t)length, "%s ", entry->name);
    assert_string_equal(text, expected);
}

static void test_names_are_found(void **state)
{
    (void)state;
    struct tree *tree = new_tree();
    struct tree_inode *root = tree_root(tree);
    struct tree_entry *a = add(tree, root, "a", S_IFDIR | 0755, 0);
    struct tree_entry *in_a = add(tree, a->inode, "a", S_IFREG | 0644, 0);
    assert_ptr_equal(find(tree, root, "a"), a);
    assert_ptr_equal(find(tree, a->inode, "a"), in_a);
    assert_null(find(tree, root, "b"));
    assert_null(find(tree, root, ""));
    assert_int_equal(root->directory.subdirectories, 1);
    assert_int_equal(a->inode->directory.depth, 1);
    assert_int_equal(tree_entry_count(tree), 2);
    tree_free(tree);
    assert_int_equal(released, 0);
}

static void test_many_names(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    struct tree *tree = new_tree();
    struct tree_inode *root = tree_root(tree);
    char name[16];
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "%d", i);
        add(tree, root, name, S_IFREG, 0);
    }
    for (int i = 0; i < COUNT; i += 2) {
        snprintf(name, sizeof name, "%d", i);
        tree_remove(tree, find(tree, root, name));
    }
    assert_int_equal(released, COUNT / 2);
    int next = 1;
    for (struct tree_entry *entry = tree_walk(tree, NULL); entry; entry = tree_walk(tree, entry), next += 2)
        assert_int_equal(strtol(entry->name, NULL, 10), next);
    assert_int_equal(next, COUNT + 1);
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "%d", i);
        assert_int_equal(find(tree, root, name) != NULL, i % 2);
    }
    tree_free(tree);
}

static void test_walk_is_depth_first_in_order(void **state)
{
    (void)state;
    struct tree *tree = new_tree();
    struct tree_inode *root = tree_root(tree);
    assert_walk(tree, "");
    struct tree_inode *b = add(tree, root, "b", S_IFDIR, 0)->inode;
    add(tree, root, "a", S_IFREG, 0);
    struct tree_inode *c = add(tree, b, "c", S_IFDIR, 0)->inode;
    add(tree, c, "d", S_IFREG, 0);
    add(tree, b, "e", S_IFDIR, 0);
    assert_walk(tree, "b c d e a ");
    tree_remove(tree, find(tree, root, "b"));
    assert_walk(tree, "a ");
    assert_int_equal(released, 4);
    assert_int_equal(root->directory.subdirectories, 0);
    tree_free(tree);
}

static void test_hard_links_share_an_inode(void **state)
{
    (void)state;
    struct tree *tree = new_tree();
    struct tree_inode *root = tree_root(tree);
    struct tree_inode *inode = add(tree, root, "one", S_IFREG, 0)->inode;
    assert_int_equal(tree_add(tree, root, "two", 3, inode, 0, NULL, NULL), 0);
    assert_int_equal(inode->links, 2);
    tree_remove(tree, find(tree, root, "one"));
    assert_int_equal(released, 0);
    assert_ptr_equal(find(tree, root, "two")->inode, inode);
    tree_remove(tree, find(tree, root, "two"));
    assert_int_equal(released, 1);
    tree_free(tree);
}

static void test_too_many_links_are_refused(void **state)
{
    (void)state;
    struct tree *tree = new_tree();
    struct tree_inode *root = tree_root(tree);
    struct tree_inode *inode = add(tree, root, "first", S_IFREG, 0)->inode;
    char name[16];
    for (int i = 1; i < TREE_LINKS_MAX; i++) {
        snprintf(name, sizeof name, "%d", i);
        assert_int_equal(tree_add(tree, root, name, strlen(name), inode, 0, NULL, NULL), 0);
    }
    struct error err = {0};
    assert_int_equal(tree_add(tree, root, "last", 4, inode, 0, NULL, &err), -31);
    assert_non_null(strstr(err.text, "65000"));
    assert_int_equal(inode->links, TREE_LINKS_MAX);
    tree_free(tree);
}

static void test_too_deep_directories_are_refused(void **state)
{
    (void)state;
    struct tree *tree = new_tree();
    struct tree_inode *directory = tree_root(tree);
    for (int i = 0; i < TREE_DEPTH_MAX; i++)
        directory = add(tree, directory, "d", S_IFDIR, 0)->inode;
    struct tree_inode *inode = tree_inode_new(S_IFDIR);
    assert_int_equal(tree_add(tree, directory, "d", 1, inode, 0, NULL, NULL), -7);
    tree_inode_put(tree, inode);
    add(tree, directory, "file", S_IFREG, 0);
    tree_free(tree);
}

static void test_whiteout_removes_lower_files(void **state)
{
    (void)state;
    struct tree *tree = new_tree();
    struct tree_inode *root = tree_root(tree);
    add(tree, root, "lower", S_IFREG, 0);
    add(tree, root, "same", S_IFREG, 1);
    tree_whiteout(tree, find(tree, root, "lower"), 1);
    tree_whiteout(tree, find(tree, root, "same"), 1);
    assert_walk(tree, "same ");
    assert_null(find(tree, root, "lower"));
    assert_int_equal(released, 0); /* its contents may still be linked to */
    assert_non_null(tree_lookup(tree, root, "lower", 5, true));
    tree_forget_removed(tree);
    assert_int_equal(released, 1);
    assert_null(tree_lookup(tree, root, "lower", 5, true));
    tree_free(tree);
}

static void test_a_live_name_hides_a_removed_one(void **state)
{
    (void)state;
    struct tree *tree = new_tree();
    struct tree_inode *root = tree_root(tree);
    add(tree, root, "x", S_IFREG, 0);
    tree_whiteout(tree, find(tree, root, "x"), 1);
    struct tree_entry *again = add(tree, root, "x", S_IFREG, 1);
    assert_ptr_equal(tree_lookup(tree, root, "x", 1, true), again);
    tree_forget_removed(tree);
    assert_ptr_equal(find(tree, root, "x"), again);
    tree_free(tree);
}

/* d (0) holds low (0), high (1) and sub (0) holding deep (1) and gone (0). */
static struct tree_inode *build_mixed(struct tree *tree)
{
    struct tree_inode *root = tree_root(tree);
    struct tree_inode *d = add(tree, root, "d", S_IFDIR | 0700, 0)->inode;
    d->uid = 5;
    d->mtime = 77;
    assert_int_equal(tree_set_xattr(d, "user.a", "b", 1, NULL), 0);
    add(tree, d, "low", S_IFREG, 0);
    add(tree, d, "high", S_IFREG, 1);
    struct tree_inode *sub = add(tree, d, "sub", S_IFDIR | 0700, 0)->inode;
    add(tree, sub, "gone", S_IFREG, 0);
    add(tree, sub, "deep", S_IFREG, 1);
    add(tree, d, "empty", S_IFDIR, 0);
    return d;
}

static void test_whiteout_keeps_what_its_own_layer_wrote(void **state)
{
    (void)state;
    struct tree *tree = new_tree();
    struct tree_inode *d = build_mixed(tree);
    tree_whiteout(tree, find(tree, tree_root(tree), "d"), 1);
    assert_walk(tree, "d high sub deep ");
    /* Nothing of the lower directory is left but its name. */
    assert_int_equal(d->mode, S_IFDIR | 0755);
    assert_int_equal(d->uid, 0);
    assert_int_equal(d->mtime, 0);
    assert_null(d->xattrs);
    tree_forget_removed(tree);
    assert_walk(tree, "d high sub deep ");
    assert_int_equal(d->directory.subdirectories, 1);
    tree_free(tree);
}

static void test_opaque_keeps_the_directory(void **state)
{
    (void)state;
    struct tree *tree = new_tree();
    struct tree_inode *d = build_mixed(tree);
    tree_make_opaque(tree, d, 1);
    assert_walk(tree, "d high sub deep ");
    assert_int_equal(d->uid, 5);
    tree_make_opaque(tree, d, 2);
    assert_walk(tree, "d ");
    tree_make_opaque(tree, tree_root(tree), 2);
    assert_walk(tree, "");
    tree_forget_removed(tree);
    tree_free(tree);
}

static void test_a_tree_with_removed_names_can_be_freed(void **state)
{
    (void)state;
    struct tree *tree = new_tree();
    build_mixed(tree);
    tree_whiteout(tree, find(tree, tree_root(tree), "d"), 2);
    assert_walk(tree, "");
    tree_free(tree);
}

static void test_xattrs_are_sorted_and_replaced(void **state)
{
    (void)state;
    struct tree *tree = new_tree();
    struct tree_inode *root = tree_root(tree);
    assert_int_equal(tree_set_xattr(root, "user.b", "1", 1, NULL), 0);
    assert_int_equal(tree_set_xattr(root, "user.a", "\0x", 2, NULL), 0);
    assert_int_equal(tree_set_xattr(root, "user.c", NULL, 0, NULL), 0);
    assert_int_equal(tree_set_xattr(root, "user.b", "22", 2, NULL), 0);
    const struct tree_xattr *xattr = root->xattrs;
    assert_string_equal(xattr->bytes, "user.a");
    assert_memory_equal(tree_xattr_value(xattr), "\0x", 2);
    assert_string_equal(xattr->next->bytes, "user.b");
    assert_int_equal(xattr->next->value_length, 2);
    assert_memory_equal(tree_xattr_value(xattr->next), "22", 2);
    assert_string_equal(xattr->next->next->bytes, "user.c");
    assert_int_equal(xattr->next->next->value_length, 0);
    assert_null(xattr->next->next->next);
    tree_free(tree);
}

static void test_xattr_maxima(void **state)
{
    (void)state;
    struct tree *tree = new_tree();
    struct tree_inode *root = tree_root(tree);
    char *big = calloc(1, TREE_XATTR_VALUE_MAX + 1);
    char name[TREE_XATTR_NAME_MAX + 2];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    assert_int_equal(tree_set_xattr(root, name, "", 0, NULL), -7);
    name[sizeof name - 2] = '\0';
    assert_int_equal(tree_set_xattr(root, name, big, TREE_XATTR_VALUE_MAX, NULL), 0);
    assert_int_equal(tree_set_xattr(root, "user.x", big, TREE_XATTR_VALUE_MAX + 1, NULL), -7);
    assert_int_equal(tree_set_xattr(root, "", big, 1, NULL), -7);
    free(big);
    tree_free(tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_found),
        cmocka_unit_test(test_many_names),
        cmocka_unit_test(test_walk_is_depth_first_in_order),
        cmocka_unit_test(test_hard_links_share_an_inode),
        cmocka_unit_test(test_too_many_links_are_refused),
        cmocka_unit_test(test_too_deep_directories_are_refused),
        cmocka_unit_test(test_whiteout_removes_lower_files),
        cmocka_unit_test(test_a_live_name_hides_a_removed_one),
        cmocka_unit_test(test_whiteout_keeps_what_its_own_layer_wrote),
        cmocka_unit_test(test_opaque_keeps_the_directory),
        cmocka_unit_test(test_a_tree_with_removed_names_can_be_freed),
        cmocka_unit_test(test_xattrs_are_sorted_and_replaced),
        cmocka_unit_test(test_xattr_maxima),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
