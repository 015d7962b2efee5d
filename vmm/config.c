/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/config.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/fd.h"
#include "devices/virtio/vsock.h"
#include "vmm/memory.h"
#include "vmm/x86/layout.h"

enum { DEFAULT_CPUS = 1, DEFAULT_CID = VSOCK_CID_GUEST_MIN };
#define DEFAULT_MEMORY (UINT64_C(512) << 20)

void machine_config_init(struct machine_config *config)
{
    *config = (struct machine_config){
        .cpus = DEFAULT_CPUS,
        .memory = DEFAULT_MEMORY,
        .kvm = RESOURCE_NONE,
        .kernel = RESOURCE_NONE,
        .initramfs = RESOURCE_NONE,
        .vsock = {.cid = DEFAULT_CID, .socket = RESOURCE_NONE},
        .rng = true,
        .serial = RESOURCE_NONE,
    };
    for (unsigned i = 0; i < CONFIG_DISKS_MAX; i++)
        config->disks[i].image = RESOURCE_NONE;
}

bool resource_given(const struct resource *resource)
{
    return resource->path || resource->inherited >= 0;
}

unsigned machine_config_resources(struct machine_config *config, struct resource *list[CONFIG_RESOURCES_MAX])
{
    unsigned count = 0;
    list[count++] = &config->kvm;
    list[count++] = &config->kernel;
    list[count++] = &config->initramfs;
    list[count++] = &config->vsock.socket;
    list[count++] = &config->serial;
    for (unsigned i = 0; i < CONFIG_DISKS_MAX; i++)
        list[count++] = &config->disks[i].image;
    return count;
}

struct disk_config *machine_config_next_disk(struct machine_config *config)
{
    return config->disk_count < CONFIG_DISKS_MAX ? &config->disks[config->disk_count] : NULL;
}

static void resource_done(struct resource *resource)
{
    free(resource->path);
    fd_close(&resource->fd);
    *resource = RESOURCE_NONE;
}

void machine_config_done(struct machine_config *config)
{
    struct resource *resources[CONFIG_RESOURCES_MAX];
    unsigned count = machine_config_resources(config, resources);
    for (unsigned i = 0; i < count; i++)
        resource_done(resources[i]);
    for (unsigned i = 0; i < CONFIG_DISKS_MAX; i++)
        free(config->disks[i].id);
    free(config->cmdline);
    machine_config_init(config);
}

static int check_disk(const struct disk_config *disk, unsigned index, struct error *err)
{
    if (!resource_given(&disk->image))
        return error_set(err, EINVAL, "disk %u has neither a path nor a descriptor", index);
    if (!disk->id)
        return 0;
    if (strlen(disk->id) > CONFIG_DISK_ID_MAX)
        return error_set(err, EINVAL, "the id of disk %u is longer than %d bytes", index, CONFIG_DISK_ID_MAX);
    for (const char *c = disk->id; *c; c++)
        if (!isprint((unsigned char)*c))
            return error_set(err, EINVAL, "the id of disk %u has unprintable characters", index);
    return 0;
}

int machine_config_check(const struct machine_config *config, struct error *err)
{
    if (!resource_given(&config->kernel))
        return error_set(err, EINVAL, "no kernel is given");
    if (config->cpus < 1 || config->cpus > LAYOUT_VCPUS_MAX)
        return error_set(err, EINVAL, "a machine has 1 to %d CPUs, not %u", LAYOUT_VCPUS_MAX, config->cpus);
    int rc = memory_check_size(config->memory, err);
    if (rc < 0)
        return rc;
    if (config->cmdline && strlen(config->cmdline) >= LAYOUT_CMDLINE_SIZE)
        return error_set(err, EINVAL, "the kernel command line is too long: at most %d bytes", LAYOUT_CMDLINE_SIZE - 1);
    for (unsigned i = 0; i < config->disk_count; i++) {
        rc = check_disk(&config->disks[i], i, err);
        if (rc < 0)
            return rc;
    }
    if (config->vsock.present && !resource_given(&config->vsock.socket))
        return error_set(err, EINVAL, "vsock has neither a path nor a descriptor");
    if (config->vsock.present && (config->vsock.cid < VSOCK_CID_GUEST_MIN || config->vsock.cid == UINT32_MAX))
        return error_set(err, EINVAL, "vsock's cid must be %d to 4294967294, not %u", VSOCK_CID_GUEST_MIN,
                         config->vsock.cid);
    return 0;
}
