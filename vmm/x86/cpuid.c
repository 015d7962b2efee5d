/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/x86/cpuid.h"

#include <errno.h>
#include <stddef.h>
#include <sys/ioctl.h>

#include "base/error.h"

_Static_assert(offsetof(struct cpuid_table, entries) == sizeof(struct kvm_cpuid2), "the kernel's struct with room");

enum {
    LEAF_MAX = 0x0,
    LEAF_FEATURES = 0x1,
    LEAF_CACHES = 0x4,
    LEAF_MONITOR = 0x5,
    LEAF_POWER = 0x6,
    LEAF_COUNTERS = 0xa,
    LEAF_TOPOLOGY = 0xb,
    LEAF_TOPOLOGY_V2 = 0x1f,
};
#define LEAF_AMD_FEATURES 0x80000001u
#define LEAF_AMD_SIZES    0x80000008u
#define LEAF_AMD_SVM      0x8000000au
#define LEAF_AMD_CACHES   0x8000001du
#define LEAF_AMD_TOPOLOGY 0x8000001eu
#define LEAF_AMD_COUNTERS 0x80000022u

#define BIT(n) (UINT32_C(1) << (n))

/* Bits of LEAF_FEATURES. */
#define ECX_MONITOR      BIT(3)
#define ECX_VMX          BIT(5)
#define ECX_PDCM         BIT(15)
#define ECX_TSC_DEADLINE BIT(24)
#define ECX_HYPERVISOR   BIT(31)
#define EDX_HTT          BIT(28)
/* Bits of LEAF_AMD_FEATURES. */
#define AMD_ECX_CMP_LEGACY   BIT(1)
#define AMD_ECX_SVM          BIT(2)
#define AMD_ECX_PERFCTR_CORE BIT(23)
#define AMD_ECX_PERFCTR_NB   BIT(24)
#define AMD_ECX_PERFCTR_LLC  BIT(28)
/* Bit of LEAF_POWER: the LAPIC timer never stops. */
#define EAX_ARAT BIT(2)

enum { CACHE_LEVEL_SHARED = 3 };

struct machine_shape {
    unsigned cpus;
    unsigned id_bits; /* of an APIC id */
    bool tsc_deadline;
};

/* ---- one function per leaf that is not handed on as it is -------------------------------------------------------- */

static void adapt_max(struct kvm_cpuid_entry2 *entry, const struct machine_shape *shape)
{
    (void)shape;
    if (entry->eax < LEAF_TOPOLOGY)
        entry->eax = LEAF_TOPOLOGY;
}

static void adapt_features(struct kvm_cpuid_entry2 *entry, const struct machine_shape *shape)
{
    entry->ecx &= ~(ECX_MONITOR | ECX_VMX | ECX_PDCM);
    entry->ecx |= ECX_HYPERVISOR | (shape->tsc_deadline ? ECX_TSC_DEADLINE : 0);
    entry->ebx = (entry->ebx & 0xffff) | BIT(shape->id_bits) << 16;
    entry->edx = (entry->edx & ~EDX_HTT) | (shape->cpus > 1 ? EDX_HTT : 0);
}

/* How many processors share a cache; in leaf 4 and in its AMD counterpart at the same place. */
static void adapt_cache_sharing(struct kvm_cpuid_entry2 *entry, const struct machine_shape *shape)
{
    uint32_t level = entry->eax >> 5 & 0x7;
    uint32_t sharing = level >= CACHE_LEVEL_SHARED ? BIT(shape->id_bits) - 1 : 0;
    entry->eax = (entry->eax & ~(0xfffu << 14)) | sharing << 14;
}

static void adapt_caches(struct kvm_cpuid_entry2 *entry, const struct machine_shape *shape)
{
    if ((entry->eax & 0x1f) == 0)
        return;
    adapt_cache_sharing(entry, shape);
    entry->eax = (entry->eax & ~(0x3fu << 26)) | (BIT(shape->id_bits) - 1) << 26;
}

static void adapt_amd_caches(struct kvm_cpuid_entry2 *entry, const struct machine_shape *shape)
{
    if (entry->eax & 0x1f)
        adapt_cache_sharing(entry, shape);
}

static void adapt_power(struct kvm_cpuid_entry2 *entry, const struct machine_shape *shape)
{
    (void)shape;
    entry->eax = EAX_ARAT;
    entry->ebx = entry->ecx = entry->edx = 0;
}

static void adapt_amd_features(struct kvm_cpuid_entry2 *entry, const struct machine_shape *shape)
{
    entry->ecx &= ~(AMD_ECX_CMP_LEGACY | AMD_ECX_SVM | AMD_ECX_PERFCTR_CORE | AMD_ECX_PERFCTR_NB | AMD_ECX_PERFCTR_LLC);
    entry->ecx |= shape->cpus > 1 ? AMD_ECX_CMP_LEGACY : 0;
}

static void adapt_amd_sizes(struct kvm_cpuid_entry2 *entry, const struct machine_shape *shape)
{
    entry->ecx = shape->id_bits << 12 | (shape->cpus - 1);
}

static void adapt_amd_topology(struct kvm_cpuid_entry2 *entry, const struct machine_shape *shape)
{
    (void)shape;
    entry->ecx = entry->edx = 0; /* one node; eax and ebx are the processor's */
}

static void adapt_absent(struct kvm_cpuid_entry2 *entry, const struct machine_shape *shape)
{
    (void)shape;
    entry->eax = entry->ebx = entry->ecx = entry->edx = 0;
}

static const struct {
    uint32_t leaf;
    void (*adapt)(struct kvm_cpuid_entry2 *entry, const struct machine_shape *shape);
} adapted_leaves[] = {
    {LEAF_MAX, adapt_max},
    {LEAF_FEATURES, adapt_features},
    {LEAF_CACHES, adapt_caches},
    {LEAF_MONITOR, adapt_absent},
    {LEAF_POWER, adapt_power},
    {LEAF_COUNTERS, adapt_absent},
    {LEAF_AMD_FEATURES, adapt_amd_features},
    {LEAF_AMD_SIZES, adapt_amd_sizes},
    {LEAF_AMD_SVM, adapt_absent},
    {LEAF_AMD_CACHES, adapt_amd_caches},
    {LEAF_AMD_TOPOLOGY, adapt_amd_topology},
    {LEAF_AMD_COUNTERS, adapt_absent},
};

/* ---- topology: leaf 0xb, made from nothing ----------------------------------------------------------------------- */

enum { TOPOLOGY_LEVEL_THREAD = 1, TOPOLOGY_LEVEL_CORE = 2 };

static void drop_leaf(struct cpuid_table *table, uint32_t leaf)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < table->count; i++)
        if (table->entries[i].function != leaf)
            table->entries[kept++] = table->entries[i];
    table->count = kept;
}

static int add_topology(struct cpuid_table *table, const struct machine_shape *shape, struct error *err)
{
    const struct kvm_cpuid_entry2 levels[] = {
        {.index = 0, .eax = 0, .ebx = 1, .ecx = TOPOLOGY_LEVEL_THREAD << 8 | 0},
        {.index = 1, .eax = shape->id_bits, .ebx = shape->cpus, .ecx = TOPOLOGY_LEVEL_CORE << 8 | 1},
        {.index = 2, .ecx = 2},
    };
    enum { LEVELS = sizeof levels / sizeof levels[0] };
    if (table->count + LEVELS > CPUID_ENTRIES_MAX)
        return error_set(err, E2BIG, "KVM's CPUID table leaves no room for the topology");
    for (unsigned i = 0; i < LEVELS; i++) {
        struct kvm_cpuid_entry2 *entry = &table->entries[table->count++];
        *entry = levels[i];
        entry->function = LEAF_TOPOLOGY;
        entry->flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------------------------------ */

int cpuid_read_supported(struct cpuid_table *table, int system_fd, struct error *err)
{
    table->count = CPUID_ENTRIES_MAX;
    table->padding = 0;
    if (ioctl(system_fd, KVM_GET_SUPPORTED_CPUID, table) < 0)
        return error_set_errno(err, errno, "cannot read which CPUID leaves KVM supports");
    return 0;
}

static unsigned bits_for(unsigned cpus)
{
    unsigned bits = 0;
    while ((1u << bits) < cpus)
        bits++;
    return bits;
}

int cpuid_adapt(struct cpuid_table *table, unsigned cpus, bool tsc_deadline, struct error *err)
{
    struct machine_shape shape = {.cpus = cpus, .id_bits = bits_for(cpus), .tsc_deadline = tsc_deadline};
    drop_leaf(table, LEAF_TOPOLOGY);
    drop_leaf(table, LEAF_TOPOLOGY_V2);
    for (uint32_t i = 0; i < table->count; i++)
        for (unsigned j = 0; j < sizeof adapted_leaves / sizeof adapted_leaves[0]; j++)
            if (adapted_leaves[j].leaf == table->entries[i].function)
                adapted_leaves[j].adapt(&table->entries[i], &shape);
    return add_topology(table, &shape, err);
}

void cpuid_set_processor(struct cpuid_table *table, unsigned index)
{
    for (uint32_t i = 0; i < table->count; i++) {
        struct kvm_cpuid_entry2 *entry = &table->entries[i];
        switch (entry->function) {
        case LEAF_FEATURES:
            entry->ebx = (entry->ebx & 0x00ffffff) | index << 24;
            break;
        case LEAF_TOPOLOGY:
            entry->edx = index;
            break;
        case LEAF_AMD_TOPOLOGY:
            entry->eax = index;
            entry->ebx = index; /* core id; one thread per core */
            break;
        default:
            break;
        }
    }
}

int cpuid_set(int vcpu_fd, const struct cpuid_table *table, struct error *err)
{
    if (ioctl(vcpu_fd, KVM_SET_CPUID2, table) < 0)
        return error_set_errno(err, errno, "cannot set a vCPU's CPUID table");
    return 0;
}
