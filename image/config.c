/* SPDX-License-Identifier: Apache-2.0 */
/* The image configuration: a table of members, each taken by its kind. */
#include "image/config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "image/json.h"

#ifdef STATIC_ANALYSIS
/* gcc 12 loses what is stored at an index that it does not know, and calls it leaked. */
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

static int out_of_memory(struct error *err)
{
    return error_set(err, ENOMEM, "out of memory for an image configuration");
}

static bool copy_text(char **out, const char *text)
{
    *out = strdup(text);
    return *out != NULL;
}

static int take_string(char **out, const json_t *object, const char *name, struct error *err)
{
    const char *text;
    int rc = json_member_text(object, name, IMAGE_CONFIG_TEXT_MAX, &text, err);
    if (rc < 0)
        return rc;
    return copy_text(out, text) ? 0 : out_of_memory(err);
}

static void string_list_done(struct string_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct string_list){0};
}

/* Room for @p count strings and the NULL behind them. */
static int string_list_reserve(struct string_list *list, size_t count, const char *name, struct error *err)
{
    if (count > IMAGE_CONFIG_LIST_MAX)
        return error_set(err, EBADMSG, "'%s' has more than %d items", name, IMAGE_CONFIG_LIST_MAX);
    list->items = calloc(count + 1, sizeof *list->items);
    return list->items ? 0 : out_of_memory(err);
}

static int string_list_append(struct string_list *list, const char *text, const char *name, struct error *err)
{
    if (strlen(text) > IMAGE_CONFIG_TEXT_MAX)
        return error_set(err, EBADMSG, "an item of '%s' is longer than %d bytes", name, IMAGE_CONFIG_TEXT_MAX);
    if (!copy_text(&list->items[list->count], text))
        return out_of_memory(err);
    list->count++;
    return 0;
}

/* An array of strings. */
static int take_list(struct string_list *list, const json_t *object, const char *name, struct error *err)
{
    json_t *array;
    int rc = json_member(object, name, JSON_ARRAY, &array, err);
    if (rc == 0)
        rc = string_list_reserve(list, json_array_size(array), name, err);
    for (size_t i = 0; rc == 0 && i < json_array_size(array); i++) {
        const char *text = json_string_value(json_array_get(array, i));
        if (!text)
            return error_set(err, EBADMSG, "an item of '%s' is no string", name);
        rc = string_list_append(list, text, name, err);
    }
    return rc;
}

/* An object whose names are the set's members, as Go writes a map[string]struct{}. */
static int take_set(struct string_list *list, json_t *object, const char *name, struct error *err)
{
    json_t *set;
    int rc = json_member(object, name, JSON_OBJECT, &set, err);
    if (rc == 0)
        rc = string_list_reserve(list, json_object_size(set), name, err);
    for (void *i = json_object_iter(set); rc == 0 && i; i = json_object_iter_next(set, i))
        rc = string_list_append(list, json_object_iter_key(i), name, err);
    return rc;
}

static int take_labels(struct image_config *config, json_t *object, struct error *err)
{
    json_t *labels;
    int rc = json_member(object, "Labels", JSON_OBJECT, &labels, err);
    size_t count = json_object_size(labels);
    if (rc < 0 || count == 0)
        return rc;
    if (count > IMAGE_CONFIG_LIST_MAX)
        return error_set(err, EBADMSG, "'Labels' has more than %d items", IMAGE_CONFIG_LIST_MAX);
    config->labels = calloc(count, sizeof *config->labels);
    if (!config->labels)
        return out_of_memory(err);

    for (void *i = json_object_iter(labels); i; i = json_object_iter_next(labels, i)) {
        const char *value = json_string_value(json_object_iter_value(i));
        if (!value)
            return error_set(err, EBADMSG, "a value of 'Labels' is no string");
        struct image_label *label = &config->labels[config->label_count++];
        if (!copy_text(&label->name, json_object_iter_key(i)) || !copy_text(&label->value, value))
            return out_of_memory(err);
    }
    return 0;
}

static int take_diff_ids(struct image_config *config, const json_t *document, struct error *err)
{
    json_t *rootfs;
    json_t *array = NULL;
    int rc = json_member(document, "rootfs", JSON_OBJECT, &rootfs, err);
    if (rc == 0 && rootfs)
        rc = json_member(rootfs, "diff_ids", JSON_ARRAY, &array, err);
    if (rc < 0)
        return rc;

    size_t count = json_array_size(array);
    if (count == 0 || count > IMAGE_LAYERS_MAX)
        return error_set(err, EBADMSG, "'rootfs.diff_ids' names %zu layers; 1 to %d are possible", count,
                         IMAGE_LAYERS_MAX);
    config->diff_ids = calloc(count, sizeof *config->diff_ids);
    if (!config->diff_ids)
        return out_of_memory(err);
    for (size_t i = 0; i < count; i++) {
        const char *text = json_string_value(json_array_get(array, i));
        if (digest_parse(&config->diff_ids[i], text ? text : "", err) < 0)
            return error_context(err, -EBADMSG, "'rootfs.diff_ids'");
        config->diff_id_count++;
    }
    return 0;
}

/* The member "config": what Docker calls the container's configuration. */
static int take_execution(struct image_config *config, const json_t *document, struct error *err)
{
    json_t *object;
    int rc = json_member(document, "config", JSON_OBJECT, &object, err);
    if (rc < 0)
        return rc;

    /* Without it everything is at its default, which taking from nothing gives. */
    if ((rc = take_string(&config->user, object, "User", err)) < 0 ||
        (rc = take_string(&config->working_dir, object, "WorkingDir", err)) < 0 ||
        (rc = take_string(&config->stop_signal, object, "StopSignal", err)) < 0 ||
        (rc = take_list(&config->env, object, "Env", err)) < 0 ||
        (rc = take_list(&config->entrypoint, object, "Entrypoint", err)) < 0 ||
        (rc = take_list(&config->cmd, object, "Cmd", err)) < 0 ||
        (rc = take_set(&config->ports, object, "ExposedPorts", err)) < 0 ||
        (rc = take_set(&config->volumes, object, "Volumes", err)) < 0)
        return rc;
    return take_labels(config, object, err);
}

int image_config_parse(struct image_config *config, const char *json, size_t length, struct error *err)
{
    if (length > IMAGE_CONFIG_BYTES_MAX)
        return error_set(err, EBADMSG, "image configuration: more than %d bytes", IMAGE_CONFIG_BYTES_MAX);

    cleanup_json json_t *document = NULL;
    int rc = json_parse_object(&document, json, length, err);
    if (rc < 0)
        return error_context(err, rc, "image configuration");

    struct image_config parsed = {0};
    if ((rc = platform_from_json(&parsed.platform, document, err)) < 0 ||
        (rc = take_string(&parsed.created, document, "created", err)) < 0 ||
        (rc = take_execution(&parsed, document, err)) < 0 || (rc = take_diff_ids(&parsed, document, err)) < 0) {
        image_config_done(&parsed);
        return error_context(err, rc, "image configuration");
    }
    *config = parsed;
    return 0;
}

void image_config_done(struct image_config *config)
{
    free(config->created);
    free(config->user);
    free(config->working_dir);
    free(config->stop_signal);
    string_list_done(&config->env);
    string_list_done(&config->entrypoint);
    string_list_done(&config->cmd);
    string_list_done(&config->ports);
    string_list_done(&config->volumes);
    for (size_t i = 0; i < config->label_count; i++) {
        free(config->labels[i].name);
        free(config->labels[i].value);
    }
    free(config->labels);
    free(config->diff_ids);
    *config = (struct image_config){0};
}
