/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/x86/cpuid.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"

/* A host that has everything: every bit set in the leaves that matter. */
static struct cpuid_table *generous_host(void)
{
    static const struct {
        uint32_t leaf, index;
    } leaves[] = {
        {0, 0},          {1, 0},          {4, 0},          {4, 1},          {4, 3},          {5, 0},
        {6, 0},          {7, 0},          {0xa, 0},        {0xb, 0},        {0xb, 1},        {0xd, 0},
        {0x1f, 0},       {0x40000000, 0}, {0x40000001, 0}, {0x80000001, 0}, {0x80000008, 0}, {0x8000000a, 0},
        {0x8000001d, 0}, {0x8000001e, 0}, {0x80000022, 0},
    };
    struct cpuid_table *table = calloc(1, sizeof *table);
    for (size_t i = 0; i < sizeof leaves / sizeof leaves[0]; i++)
        table->entries[table->count++] = (struct kvm_cpuid_entry2){.function = leaves[i].leaf,
                                                                   .index = leaves[i].index,
                                                                   .eax = 0xffffffff,
                                                                   .ebx = 0xffffffff,
                                                                   .ecx = 0xffffffff,
                                                                   .edx = 0xffffffff};
    table->entries[0].eax = 7; /* the highest basic leaf: too low for the topology */
    return table;
}

static const struct kvm_cpuid_entry2 *find(const struct cpuid_table *table, uint32_t leaf, uint32_t index)
{
    const struct kvm_cpuid_entry2 *found = NULL;
    for (uint32_t i = 0; i < table->count; i++)
        if (table->entries[i].function == leaf && table->entries[i].index == index) {
            assert_null(found); /* each leaf once */
            found = &table->entries[i];
        }
    assert_non_null(found);
    return found;
}

static void what_guests_do_not_need_is_hidden(void **state)
{
    (void)state;
    struct cpuid_table *table = generous_host();
    struct error err = {0};
    assert_int_equal(cpuid_adapt(table, 1, true, &err), 0);
    const struct kvm_cpuid_entry2 *features = find(table, 1, 0);
    assert_int_equal(features->ecx & (1u << 3 | 1u << 5 | 1u << 15), 0); /* MONITOR, VMX, PDCM */
    assert_int_equal(features->ecx >> 31, 1);                            /* a hypervisor is there */
    assert_int_equal(features->ecx >> 24 & 1, 1);                        /* TSC deadline */
    assert_int_equal(features->edx >> 28 & 1, 0);                        /* HTT */
    assert_int_equal(find(table, 0x80000001, 0)->ecx & (1u << 2 | 1u << 23 | 1u << 24 | 1u << 28), 0);
    static const uint32_t empty[] = {5, 0xa, 0x8000000a, 0x80000022};
    for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++) {
        const struct kvm_cpuid_entry2 *entry = find(table, empty[i], 0);
        assert_int_equal(entry->eax | entry->ebx | entry->ecx | entry->edx, 0);
    }
    assert_int_equal(find(table, 6, 0)->eax, 4);
    assert_int_equal(find(table, 7, 0)->ebx, 0xffffffff); /* handed on */
    assert_int_equal(find(table, 0x40000001, 0)->eax, 0xffffffff);
    free(table);
}

static void tsc_deadline_is_what_kvm_says(void **state)
{
    (void)state;
    struct cpuid_table *table = calloc(1, sizeof *table);
    struct error err = {0};
    table->entries[table->count++] = (struct kvm_cpuid_entry2){.function = 1};
    assert_int_equal(cpuid_adapt(table, 1, false, &err), 0);
    assert_int_equal(find(table, 1, 0)->ecx, 1u << 31);
    table->count = 1;
    assert_int_equal(cpuid_adapt(table, 1, true, &err), 0);
    assert_int_equal(find(table, 1, 0)->ecx, 1u << 31 | 1u << 24);
    free(table);
}

static void the_topology_is_cores_of_one_package(void **state)
{
    (void)state;
    static const struct {
        unsigned cpus, bits;
    } cases[] = {{1, 0}, {2, 1}, {3, 2}, {4, 2}, {8, 3}, {9, 4}, {31, 5}, {32, 5}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cpuid_table *table = generous_host();
        struct error err = {0};
        unsigned cpus = cases[i].cpus, bits = cases[i].bits;
        assert_int_equal(cpuid_adapt(table, cpus, true, &err), 0);
        assert_true(find(table, 0, 0)->eax >= 0xb);
        assert_int_equal(find(table, 0xb, 0)->eax, 0);
        assert_int_equal(find(table, 0xb, 0)->ebx, 1);
        assert_int_equal(find(table, 0xb, 0)->ecx, 1 << 8);
        assert_int_equal(find(table, 0xb, 1)->eax, bits);
        assert_int_equal(find(table, 0xb, 1)->ebx, cpus);
        assert_int_equal(find(table, 0xb, 1)->ecx, 2 << 8 | 1);
        assert_int_equal(find(table, 0xb, 2)->ebx, 0);
        assert_int_equal(find(table, 1, 0)->ebx >> 16 & 0xff, 1u << bits);
        assert_int_equal(find(table, 1, 0)->edx >> 28 & 1, cpus > 1);
        assert_int_equal(find(table, 0x80000001, 0)->ecx >> 1 & 1, cpus > 1);
        assert_int_equal(find(table, 0x80000008, 0)->ecx, bits << 12 | (cpus - 1));
        for (unsigned cpu = 0; cpu < cpus; cpu++) {
            cpuid_set_processor(table, cpu);
            assert_int_equal(find(table, 1, 0)->ebx >> 24, cpu);
            for (unsigned level = 0; level < 3; level++)
                assert_int_equal(find(table, 0xb, level)->edx, cpu);
            assert_int_equal(find(table, 0x8000001e, 0)->eax, cpu);
            assert_int_equal(find(table, 0x8000001e, 0)->ebx, cpu);
        }
        free(table);
    }
}

static void the_last_level_cache_is_shared(void **state)
{
    (void)state;
    struct cpuid_table *table = generous_host();
    struct error err = {0};
    for (uint32_t i = 0; i < table->count; i++) {
        if (table->entries[i].function == 4 || table->entries[i].function == 0x8000001d)
            table->entries[i].eax = 1 | (table->entries[i].index == 3 ? 3u : 1u) << 5;
        if (table->entries[i].function == 4 && table->entries[i].index == 1)
            table->entries[i].eax = 0; /* no cache */
    }
    assert_int_equal(cpuid_adapt(table, 6, true, &err), 0);
    assert_int_equal(find(table, 4, 0)->eax, 1u | 1u << 5 | 7u << 26);
    assert_int_equal(find(table, 4, 1)->eax, 0);
    assert_int_equal(find(table, 4, 3)->eax, 1u | 3u << 5 | 7u << 14 | 7u << 26);
    assert_int_equal(find(table, 0x8000001d, 0)->eax, 1u | 1u << 5);
    free(table);
}

static void a_full_table_is_told(void **state)
{
    (void)state;
    struct cpuid_table *table = calloc(1, sizeof *table);
    struct error err = {0};
    for (table->count = 0; table->count < CPUID_ENTRIES_MAX - 2; table->count++)
        table->entries[table->count].function = 0xd;
    assert_int_equal(cpuid_adapt(table, 1, true, &err), -E2BIG);
    table->count--;
    assert_int_equal(cpuid_adapt(table, 1, true, &err), 0);
    assert_int_equal(table->count, CPUID_ENTRIES_MAX);
    free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_guests_do_not_need_is_hidden),
        cmocka_unit_test(tsc_deadline_is_what_kvm_says),
        cmocka_unit_test(the_topology_is_cores_of_one_package),
        cmocka_unit_test(the_last_level_cache_is_shared),
        cmocka_unit_test(a_full_table_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
