/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/x86/boot.h"

#include <asm/bootparam.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/error.h"
#include "vmm/loader.h"
#include "vmm/memory.h"
#include "vmm/x86/layout.h"

enum {
    BOOT_FLAG = 0xaa55,
    BOOT_HEADER_MAGIC = 0x53726448, /* "HdrS" */
    BOOT_PROTOCOL = 0x20f,          /* 2.15, Linux 5.12 and later */
    BOOT_LOADER_UNDEFINED = 0xff,
    E820_RAM = 1,
};

_Static_assert(sizeof(struct boot_params) == LAYOUT_PAGE_SIZE, "the zero page is one page");
_Static_assert(offsetof(struct boot_params, hdr) == 0x1f1, "zero-page.rst");
_Static_assert(offsetof(struct boot_params, e820_table) == 0x2d0, "zero-page.rst");

static void add_ram(struct boot_params *params, uint64_t start, uint64_t end)
{
    params->e820_table[params->e820_entries++] =
        (struct boot_e820_entry){.addr = start, .size = end - start, .type = E820_RAM};
}

/* RAM without the hole between the MP table and 1 MiB; what is not listed is not touched by the kernel. */
static void fill_memory_map(struct boot_params *params, const struct guest_memory *guest)
{
    for (unsigned i = 0; i < guest->count; i++) {
        const struct guest_region *region = &guest->regions[i];
        uint64_t end = region->guest_address + region->size;
        if (region->guest_address == 0) {
            add_ram(params, 0, LAYOUT_MPTABLE);
            add_ram(params, LAYOUT_HIGH_MEMORY, end);
        } else {
            add_ram(params, region->guest_address, end);
        }
    }
}

static void fill_header(struct setup_header *header, const struct initramfs *initramfs, bool seeded)
{
    header->boot_flag = BOOT_FLAG;
    header->header = BOOT_HEADER_MAGIC;
    header->version = BOOT_PROTOCOL;
    header->type_of_loader = BOOT_LOADER_UNDEFINED;
    header->loadflags = LOADED_HIGH;
    header->cmd_line_ptr = (uint32_t)LAYOUT_CMDLINE;
    header->cmdline_size = LAYOUT_CMDLINE_SIZE - 1;
    header->ramdisk_image = (uint32_t)initramfs->address;
    header->ramdisk_size = (uint32_t)initramfs->size;
    header->setup_data = seeded ? LAYOUT_SETUP_DATA : 0;
}

static int write_cmdline(const struct memory *memory, const char *cmdline, struct error *err)
{
    size_t length = strnlen(cmdline, LAYOUT_CMDLINE_SIZE);
    if (length == LAYOUT_CMDLINE_SIZE)
        return error_set(err, E2BIG, "the kernel command line is too long: at most %d bytes", LAYOUT_CMDLINE_SIZE - 1);
    char *target = guest_memory_at(&memory->guest, LAYOUT_CMDLINE, LAYOUT_CMDLINE_SIZE);
    memcpy(target, cmdline, length);
    target[length] = '\0';
    return 0;
}

static bool write_seed(const struct memory *memory, const uint8_t *seed)
{
    static const uint8_t none[BOOT_SEED_SIZE];
    if (memcmp(seed, none, sizeof none) == 0)
        return false;
    struct setup_data *data = guest_memory_at(&memory->guest, LAYOUT_SETUP_DATA, sizeof *data + BOOT_SEED_SIZE);
    *data = (struct setup_data){.next = 0, .type = SETUP_RNG_SEED, .len = BOOT_SEED_SIZE};
    memcpy(data->data, seed, BOOT_SEED_SIZE);
    return true;
}

int boot_write(const struct memory *memory, const struct boot_settings *settings, struct error *err)
{
    int rc = write_cmdline(memory, settings->cmdline, err);
    if (rc < 0)
        return rc;
    struct boot_params *params = guest_memory_at(&memory->guest, LAYOUT_ZERO_PAGE, sizeof *params);
    memset(params, 0, sizeof *params);
    fill_header(&params->hdr, settings->initramfs, write_seed(memory, settings->seed));
    fill_memory_map(params, &memory->guest);
    return 0;
}
