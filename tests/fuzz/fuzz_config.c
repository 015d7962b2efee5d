/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations: whatever the text, it is refused with words or makes a machine whose numbers are in range. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/error.h"
#include "vmm/config.h"
#include "vmm/memory.h"
#include "vmm/x86/layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct machine_config config;
    struct error err = {0};
    machine_config_init(&config);
    int rc = machine_config_parse(&config, (const char *)data, size, &err);
    require((rc < 0) == (err.code > 0));
    if (rc == 0 && machine_config_check(&config, &err) == 0) {
        require(config.cpus >= 1 && config.cpus <= LAYOUT_VCPUS_MAX);
        require(config.memory >= MEMORY_SIZE_MIN && config.memory <= MEMORY_SIZE_MAX);
        require(config.disk_count <= CONFIG_DISKS_MAX);
        require(resource_given(&config.kernel));
    }
    machine_config_done(&config);
    return 0;
}
