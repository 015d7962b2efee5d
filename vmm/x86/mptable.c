/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/x86/mptable.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "vmm/x86/layout.h"

enum { MP_SPEC_1_4 = 4, LAPIC_VERSION = 0x14, IOAPIC_VERSION = 0x11, BUS_ISA = 0, ALL_LAPICS = 0xff };

enum mp_entry_type { MP_PROCESSOR, MP_BUS, MP_IOAPIC, MP_IO_INTERRUPT, MP_LOCAL_INTERRUPT };
enum mp_interrupt_type { MP_INT, MP_NMI, MP_SMI, MP_EXTINT };
enum { MP_ENABLED = 1, MP_BOOT_PROCESSOR = 2 };
enum { MP_ACTIVE_HIGH = 1, MP_EDGE = 1 << 2 };

struct mp_floating {
    char signature[4];
    le32 table;
    uint8_t length; /* in units of 16 bytes */
    uint8_t specification;
    uint8_t checksum;
    uint8_t features[5]; /* [0] = 0: a configuration table follows; [1] = 0: virtual wire mode */
};

struct mp_header {
    char signature[4];
    le16 length;
    uint8_t specification;
    uint8_t checksum;
    char oem[8];
    char product[12];
    le32 oem_table;
    le16 oem_table_size;
    le16 entries;
    le32 lapic_address;
    le16 extended_length;
    uint8_t extended_checksum;
    uint8_t reserved;
};

struct mp_processor {
    uint8_t type;
    uint8_t apic_id;
    uint8_t apic_version;
    uint8_t flags;
    le32 signature;
    le32 features;
    uint8_t reserved[8];
};

struct mp_bus {
    uint8_t type;
    uint8_t id;
    char name[6];
};

struct mp_ioapic {
    uint8_t type;
    uint8_t id;
    uint8_t version;
    uint8_t flags;
    le32 address;
};

struct mp_interrupt {
    uint8_t type;
    uint8_t kind;
    le16 flags;
    uint8_t source_bus;
    uint8_t source_line;
    uint8_t apic_id;
    uint8_t apic_input;
};

_Static_assert(sizeof(struct mp_floating) == 16 && sizeof(struct mp_header) == 44, "MP 1.4, 4.1 and 4.2");
_Static_assert(sizeof(struct mp_processor) == 20 && sizeof(struct mp_bus) == 8 && sizeof(struct mp_ioapic) == 8 &&
                   sizeof(struct mp_interrupt) == 8,
               "MP 1.4, 4.3");

/* What has been written so far; `full` when an entry did not fit. */
struct writer {
    uint8_t *bytes;
    size_t room;
    size_t used;
    unsigned entries;
    bool full;
};

static void append(struct writer *writer, const void *entry, size_t size)
{
    if (size > writer->room - writer->used) {
        writer->full = true;
        return;
    }
    memcpy(writer->bytes + writer->used, entry, size);
    writer->used += size;
    writer->entries++;
}

static uint8_t checksum(const void *bytes, size_t length)
{
    uint8_t sum = 0;
    for (size_t i = 0; i < length; i++)
        sum = (uint8_t)(sum + ((const uint8_t *)bytes)[i]);
    return (uint8_t)-sum;
}

static void append_processors(struct writer *writer, unsigned cpus)
{
    for (unsigned i = 0; i < cpus; i++) {
        struct mp_processor entry = {
            .type = MP_PROCESSOR,
            .apic_id = (uint8_t)i,
            .apic_version = LAPIC_VERSION,
            .flags = (uint8_t)(MP_ENABLED | (i == 0 ? MP_BOOT_PROCESSOR : 0)),
        };
        append(writer, &entry, sizeof entry);
    }
}

static void append_interrupts(struct writer *writer, unsigned ioapic_id, uint32_t interrupts)
{
    for (unsigned line = 0; line < LAYOUT_IRQ_COUNT; line++) {
        if (!(interrupts & (UINT32_C(1) << line)))
            continue;
        struct mp_interrupt entry = {
            .type = MP_IO_INTERRUPT,
            .kind = MP_INT,
            .flags = le16_from(MP_ACTIVE_HIGH | MP_EDGE),
            .source_bus = BUS_ISA,
            .source_line = (uint8_t)line,
            .apic_id = (uint8_t)ioapic_id,
            .apic_input = (uint8_t)line,
        };
        append(writer, &entry, sizeof entry);
    }
}

static void append_local_interrupts(struct writer *writer)
{
    struct mp_interrupt lint0 = {.type = MP_LOCAL_INTERRUPT, .kind = MP_EXTINT, .apic_id = 0, .apic_input = 0};
    struct mp_interrupt lint1 = {.type = MP_LOCAL_INTERRUPT, .kind = MP_NMI, .apic_id = ALL_LAPICS, .apic_input = 1};
    append(writer, &lint0, sizeof lint0);
    append(writer, &lint1, sizeof lint1);
}

static void append_entries(struct writer *writer, unsigned cpus, uint32_t interrupts)
{
    struct mp_bus bus = {.type = MP_BUS, .id = BUS_ISA, .name = {'I', 'S', 'A', ' ', ' ', ' '}};
    /* Linux wants an I/O APIC id that no processor has. */
    struct mp_ioapic ioapic = {.type = MP_IOAPIC,
                               .id = (uint8_t)cpus,
                               .version = IOAPIC_VERSION,
                               .flags = MP_ENABLED,
                               .address = le32_from((uint32_t)LAYOUT_IOAPIC)};
    append_processors(writer, cpus);
    append(writer, &bus, sizeof bus);
    append(writer, &ioapic, sizeof ioapic);
    append_interrupts(writer, cpus, interrupts);
    append_local_interrupts(writer);
}

int mptable_write(void *bytes, size_t room, uint64_t address, unsigned cpus, uint32_t interrupts, struct error *err)
{
    struct mp_floating floating = {.signature = {'_', 'M', 'P', '_'},
                                   .table = le32_from((uint32_t)address + (uint32_t)sizeof floating),
                                   .length = 1,
                                   .specification = MP_SPEC_1_4};
    struct mp_header header = {.signature = {'P', 'C', 'M', 'P'},
                               .specification = MP_SPEC_1_4,
                               .oem = {'H', 'U', 'L', 'L', ' ', ' ', ' ', ' '},
                               .product = {'V', 'M', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' '},
                               .lapic_address = le32_from((uint32_t)LAYOUT_LAPIC)};
    size_t fixed = sizeof floating + sizeof header;
    if (room < fixed)
        return error_set(err, E2BIG, "no room for the MP table");
    struct writer writer = {.bytes = bytes, .room = room, .used = fixed};
    /* Without any interrupt entry Linux makes up the lines of a PC of 1995. */
    append_entries(&writer, cpus, interrupts ? interrupts : UINT32_C(1) << LAYOUT_IRQ_SERIAL);
    if (writer.full)
        return error_set(err, E2BIG, "the MP table of %u CPUs does not fit", cpus);

    uint8_t *table = writer.bytes + sizeof floating;
    size_t length = writer.used - sizeof floating;
    header.length = le16_from((uint16_t)length);
    header.entries = le16_from((uint16_t)writer.entries);
    memcpy(table, &header, sizeof header);
    table[offsetof(struct mp_header, checksum)] = checksum(table, length);
    floating.checksum = checksum(&floating, sizeof floating);
    memcpy(writer.bytes, &floating, sizeof floating);
    return 0;
}
