/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an image configuration. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "image/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void check_list(const struct string_list *list)
{
    if (!list->items || list->count > IMAGE_CONFIG_LIST_MAX || list->items[list->count])
        abort();
    for (size_t i = 0; i < list->count; i++)
        if (strlen(list->items[i]) > IMAGE_CONFIG_TEXT_MAX)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct image_config config;
    struct error err = {0};
    int rc = image_config_parse(&config, (const char *)bytes, length, &err);
    if (rc == 0) {
        check_list(&config.env);
        check_list(&config.entrypoint);
        check_list(&config.cmd);
        check_list(&config.ports);
        check_list(&config.volumes);
        if (!config.user || !config.working_dir || !config.stop_signal || !config.created || config.diff_id_count == 0)
            abort();
        image_config_done(&config);
    } else if (err.code != -rc || !err.text[0]) {
        abort();
    }
    return 0;
}
