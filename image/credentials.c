/* SPDX-License-Identifier: Apache-2.0 */
/* The files that keep logins: found, read, and changed in one step. */
#include "image/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "image/base64.h"
#include "image/credential_helper.h"
#include "image/credentials_internal.h"
#include "image/json.h"
#include "image/temp_file.h"

enum { FILE_MODE = 0600, DIRECTORY_MODE = 0700 };

static const char hub_url[] = "https://index.docker.io/v1/";

void credentials_wipe(char **text)
{
    if (*text)
        explicit_bzero(*text, strlen(*text));
    free(*text);
    *text = NULL;
}

void credentials_done(struct credentials *credentials)
{
    credentials_wipe(&credentials->user);
    credentials_wipe(&credentials->password);
    credentials_wipe(&credentials->identity_token);
    credentials_wipe(&credentials->registry_token);
}

const char *credentials_server_name(const char *host)
{
    return strcmp(host, "docker.io") == 0 ? hub_url : host;
}

/* ---- where the files are ----------------------------------------------------------------------------------------- */

struct auth_file {
    char path[PATH_MAX];
    bool docker; /* docker's own: its hub goes by a URL there */
};

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] ? value : NULL;
}

/* Adds a path to the list; a base that is not there adds nothing. */
static void add_file(struct auth_file *files, size_t *count, const char *base, const char *rest, bool docker)
{
    struct auth_file *file = &files[*count];
    if (!base)
        return;
    int length = snprintf(file->path, sizeof file->path, "%s%s", base, rest);
    if (length < 0 || (size_t)length >= sizeof file->path)
        return;
    file->docker = docker;
    (*count)++;
}

static size_t list_files(struct auth_file files[static CREDENTIALS_PATHS_MAX])
{
    static const char podman[] = "/containers/auth.json";
    const char *home = variable("HOME");
    size_t count = 0;
    if (variable("REGISTRY_AUTH_FILE")) {
        add_file(files, &count, variable("REGISTRY_AUTH_FILE"), "", false);
        return count;
    }
    add_file(files, &count, variable("XDG_RUNTIME_DIR"), podman, false);
    if (variable("XDG_CONFIG_HOME"))
        add_file(files, &count, variable("XDG_CONFIG_HOME"), podman, false);
    else
        add_file(files, &count, home, "/.config/containers/auth.json", false);
    if (variable("DOCKER_CONFIG"))
        add_file(files, &count, variable("DOCKER_CONFIG"), "/config.json", true);
    else
        add_file(files, &count, home, "/.docker/config.json", true);
    return count;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* @return 0 with *object owned, NULL when there is no such file; or -errno */
static int read_file(const char *path, json_t **object, struct error *err)
{
    *object = NULL;
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0)
        return error_set_errno(err, errno, "cannot open '%s'", path);
    if (!S_ISREG(status.st_mode) || status.st_size > CREDENTIALS_FILE_BYTES_MAX)
        return error_set(err, EBADMSG, "'%s' is no regular file of at most %d bytes", path, CREDENTIALS_FILE_BYTES_MAX);
    if (status.st_size == 0)
        return 0;
    size_t size = (size_t)status.st_size;
    char *text = malloc(size);
    if (!text)
        return error_set(err, ENOMEM, "out of memory for '%s'", path);
    ssize_t got = fd_read_full(fd, text, size);
    int rc =
        got < 0 ? error_set_errno(err, (int)-got, "cannot read") : credentials_parse(object, text, (size_t)got, err);
    explicit_bzero(text, size);
    free(text);
    return rc < 0 ? error_context(err, rc, "'%s'", path) : 0;
}

/* What one file has. */
static int find_in(const json_t *object, const char *host, const char *repository, struct credentials *credentials,
                   struct error *err)
{
    struct credentials_entry entry;
    if (!credentials_look_up(object, host, repository, &entry))
        return 0;
    int rc = 0;
    if (entry.helper)
        rc = credential_helper_get(entry.helper, credentials_server_name(host), credentials, err);
    if (rc == 0 && !credentials_any(credentials) && entry.auths)
        rc = credentials_from_json(credentials, entry.auths, err);
    return rc;
}

int credentials_find(const char *host, const char *repository, struct credentials *credentials, struct error *err)
{
    struct auth_file files[CREDENTIALS_PATHS_MAX];
    size_t count = list_files(files);
    struct credentials found = {0};
    for (size_t i = 0; i < count && !credentials_any(&found); i++) {
        cleanup_json json_t *object = NULL;
        int rc = read_file(files[i].path, &object, err);
        if (rc < 0)
            return rc;
        rc = object ? find_in(object, host, repository, &found, err) : 0;
        if (rc < 0)
            return error_context(err, rc, "'%s'", files[i].path);
    }
    *credentials = found;
    return 0;
}

/* ---- changing ---------------------------------------------------------------------------------------------------- */

/* Makes the directories above a file. */
static int make_parents(char *path, struct error *err)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int failed = mkdir(path, DIRECTORY_MODE) < 0 && errno != EEXIST ? errno : 0;
        if (failed)
            return error_set_errno(err, failed, "cannot make directory '%s'", path);
        *slash = '/';
    }
    return 0;
}

/* An auth file while it is changed: nobody else of us changes it. */
struct edit {
    char path[PATH_MAX]; /* with symbolic links followed, so that a linked file stays linked */
    int dir;             /* locked */
    json_t *object;
};

static void edit_done(struct edit *edit)
{
    fd_close(&edit->dir);
    json_decref(edit->object);
}

static int edit_begin(struct edit *edit, const char *path, struct error *err)
{
    *edit = (struct edit){.dir = -1};
    if (!realpath(path, edit->path) && snprintf(edit->path, sizeof edit->path, "%s", path) >= PATH_MAX)
        return error_set(err, ENAMETOOLONG, "'%s' is too long a path", path);
    int rc = make_parents(edit->path, err);
    if (rc < 0)
        return rc;
    char directory[PATH_MAX];
    const char *slash = strrchr(edit->path, '/');
    size_t length = slash ? (size_t)(slash - edit->path) + 1 : 0;
    (void)snprintf(directory, sizeof directory, "%.*s", (int)length, edit->path);
    edit->dir = open(length ? directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (edit->dir < 0 || flock(edit->dir, LOCK_EX) < 0)
        rc = error_set_errno(err, errno, "cannot open directory '%s'", directory);
    if (rc == 0)
        rc = read_file(edit->path, &edit->object, err);
    if (rc == 0 && !edit->object && !(edit->object = json_object()))
        rc = error_set(err, ENOMEM, "out of memory for '%s'", path);
    if (rc < 0)
        edit_done(edit);
    return rc;
}

static int edit_commit(struct edit *edit, struct error *err)
{
    char *text = json_print(edit->object, JSON_INDENT(4));
    if (!text)
        return error_set(err, ENOMEM, "out of memory for '%s'", edit->path);
    struct temp_file file = TEMP_FILE_NONE;
    int rc = temp_file_new(&file, edit->dir, err);
    if (rc == 0 &&
        ((rc = fd_write_full(file.fd, text, strlen(text))) < 0 || (rc = fd_write_full(file.fd, "\n", 1)) < 0))
        rc = error_set_errno(err, -rc, "cannot write '%s'", edit->path);
    const char *slash = strrchr(edit->path, '/');
    if (rc == 0)
        rc = temp_file_publish(&file, edit->dir, slash ? slash + 1 : edit->path, FILE_MODE, TEMP_FILE_REPLACE, err);
    temp_file_done(&file);
    explicit_bzero(text, strlen(text));
    free(text);
    return rc;
}

/* Removes all spellings of a host from `auths`. @return how many there were */
static int remove_host(json_t *object, const char *host)
{
    json_t *auths = json_object_get(object, "auths");
    const char *key;
    json_t *value;
    void *next;
    int removed = 0;
    json_object_foreach_safe(auths, next, key, value)
    {
        if (!credentials_key_is(key, host))
            continue;
        removed++;
        json_object_del(auths, key);
    }
    return removed;
}

static int put_host(json_t *object, const char *key, const struct credentials *credentials, struct error *err)
{
    char *pair = NULL;
    json_t *auths = json_object_get(object, "auths");
    if (!auths && json_object_set_new(object, "auths", auths = json_object()) < 0)
        return error_set(err, ENOMEM, "out of memory for a login");
    if (asprintf(&pair, "%s:%s", credentials->user ? credentials->user : "",
                 credentials->password && !credentials->identity_token ? credentials->password : "") < 0)
        return error_set(err, ENOMEM, "out of memory for a login");
    char *encoded = base64_encode(pair, strlen(pair));
    credentials_wipe(&pair);
    json_t *entry = encoded ? json_pack("{s:s}", "auth", encoded) : NULL;
    int rc = !entry || (credentials->identity_token &&
                        json_object_set_new(entry, "identitytoken", json_string(credentials->identity_token)) < 0);
    credentials_wipe(&encoded);
    if (rc)
        json_decref(entry);
    else
        rc = json_object_set_new(auths, key, entry);
    return rc ? error_set(err, ENOMEM, "out of memory for a login") : 0;
}

/* The file that has something for the host itself, else docker's, else the last. */
static int choose_file(const struct auth_file *files, size_t count, const char *host, const struct auth_file **chosen,
                       struct error *err)
{
    *chosen = &files[count - 1];
    for (size_t i = 0; i < count; i++) {
        cleanup_json json_t *object = NULL;
        struct credentials_entry entry;
        int rc = read_file(files[i].path, &object, err);
        if (rc < 0)
            return rc;
        if (object && credentials_look_up(object, host, "", &entry)) {
            *chosen = &files[i];
            return 0;
        }
    }
    return 0;
}

static int store_in(struct edit *edit, const struct auth_file *file, const char *host,
                    const struct credentials *credentials, char *where, size_t size, struct error *err)
{
    struct credentials_entry entry = {0};
    if (credentials_look_up(edit->object, host, "", &entry) && entry.helper) {
        (void)snprintf(where, size, "helper 'docker-credential-%s'", entry.helper);
        return credential_helper_store(entry.helper, credentials_server_name(host), credentials, err);
    }
    (void)remove_host(edit->object, host);
    int rc = put_host(edit->object, file->docker ? credentials_server_name(host) : host, credentials, err);
    (void)snprintf(where, size, "file '%s'", edit->path);
    return rc < 0 ? rc : edit_commit(edit, err);
}

int credentials_store(const char *host, const struct credentials *credentials, char *where, size_t size,
                      struct error *err)
{
    struct auth_file files[CREDENTIALS_PATHS_MAX];
    const struct auth_file *file;
    struct edit edit;
    size_t count = list_files(files);
    if (count == 0)
        return error_set(err, ENOENT, "no place to keep a login: HOME is not set");
    int rc = choose_file(files, count, host, &file, err);
    if (rc == 0)
        rc = edit_begin(&edit, file->path, err);
    if (rc < 0)
        return rc;
    rc = store_in(&edit, file, host, credentials, where, size, err);
    edit_done(&edit);
    return rc;
}

/* @return how many logins there were, or -errno */
static int erase_in(struct edit *edit, const char *host, struct error *err)
{
    struct credentials_entry entry = {0};
    int erased = 0;
    if (credentials_look_up(edit->object, host, "", &entry) && entry.helper) {
        struct credentials known = {0};
        int rc = credential_helper_get(entry.helper, credentials_server_name(host), &known, err);
        if (rc == 0 && credentials_any(&known)) {
            rc = credential_helper_erase(entry.helper, credentials_server_name(host), err);
            erased = 1;
        }
        credentials_done(&known);
        if (rc < 0)
            return rc;
    }
    int removed = remove_host(edit->object, host);
    int rc = removed ? edit_commit(edit, err) : 0;
    return rc < 0 ? rc : erased + removed;
}

int credentials_erase(const char *host, struct error *err)
{
    struct auth_file files[CREDENTIALS_PATHS_MAX];
    size_t count = list_files(files);
    int erased = 0;
    for (size_t i = 0; i < count; i++) {
        struct edit edit;
        if (access(files[i].path, F_OK) < 0)
            continue;
        int rc = edit_begin(&edit, files[i].path, err);
        if (rc < 0)
            return rc;
        rc = erase_in(&edit, host, err);
        edit_done(&edit);
        if (rc < 0)
            return rc;
        erased += rc;
    }
    return erased;
}
