/* SPDX-License-Identifier: Apache-2.0 */
/* What e2fsck(8) does not look at in hash trees, but lookups of the kernel need. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "image/ext4/directory_hash.h"
#include "image/tree.h"
#include "tests/support/e2fs.h"
#include "tests/support/layers.h"

/* Names of 8 bytes make records of 16, of which a leaf of 4096 bytes less its checksum holds 255. */
enum { NAMES = 200000, NAME_SIZE = 9, PER_LEAF = 255 };

struct candidate {
    struct ext4_directory_hash hash;
    char name[NAME_SIZE];
};

static int compare_candidates(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    if (a->hash.major != b->hash.major)
        return a->hash.major < b->hash.major ? -1 : 1;
    return a->hash.minor < b->hash.minor ? -1 : a->hash.minor > b->hash.minor;
}

/* The index of a name whose hash the next one shares, with enough others before and behind it. */
static size_t find_collision(const struct candidate *sorted)
{
    for (size_t i = PER_LEAF; i + PER_LEAF < NAMES; i++)
        if (sorted[i].hash.major == sorted[i + 1].hash.major)
            return i;
    fail_msg("no two of %d names have the same hash", NAMES);
    return 0;
}

static void add_name(struct layers *layers, struct tree_inode *directory, const char *name)
{
    struct tree_inode *inode = tree_inode_new(S_IFREG | 0644);
    assert_non_null(inode);
    assert_int_equal(tree_add(layers->tree, directory, name, strlen(name), inode, 0, NULL, NULL), 0);
    tree_inode_put(layers->tree, inode);
}

/*
 * Two names of one hash, the first the last of its leaf, the second the first of the next. The index says so with the
 * lowest bit; without it the kernel would look for the first in the second leaf only.
 */
static void test_a_hash_on_both_sides_of_a_boundary(void **state)
{
    (void)state;
    struct layers layers;
    layers_init(&layers);
    struct candidate *candidates = calloc(NAMES, sizeof *candidates);
    assert_non_null(candidates);
    for (size_t i = 0; i < NAMES; i++) {
        snprintf(candidates[i].name, NAME_SIZE, "n%07zu", i);
        candidates[i].hash = ext4_directory_hash(layers.fs.identity.hash_seed, candidates[i].name, NAME_SIZE - 1);
    }
    qsort(candidates, NAMES, sizeof *candidates, compare_candidates);
    size_t last = find_collision(candidates);

    struct tree_inode *directory = tree_inode_new(S_IFDIR | 0755);
    assert_int_equal(tree_add(layers.tree, tree_root(layers.tree), "d", 1, directory, 0, NULL, NULL), 0);
    tree_inode_put(layers.tree, directory);
    for (size_t i = last + 1 - PER_LEAF; i < last + PER_LEAF; i++)
        add_name(&layers, directory, candidates[i].name);
    assert_true(layers_finish(&layers));

    char expected[64];
    snprintf(expected, sizeof expected, "Entry #1: Hash 0x%08x", candidates[last].hash.major | 1);
    assert_true(e2fs_says(layers.fd, "htree /d", expected));
    snprintf(expected, sizeof expected, "stat /d/%s", candidates[last + 1].name);
    assert_true(e2fs_says(layers.fd, expected, "Type: regular"));
    free(candidates);
    layers_done(&layers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_hash_on_both_sides_of_a_boundary)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
