/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who we are to a registry: the files in which docker and podman keep logins, and the helper programs that they name
 * (github.com/docker/docker-credential-helpers).
 *
 * Read, the first file that knows the registry deciding: $REGISTRY_AUTH_FILE alone if it is set, else
 *     $XDG_RUNTIME_DIR/containers/auth.json
 *     ${XDG_CONFIG_HOME:-~/.config}/containers/auth.json
 *     ${DOCKER_CONFIG:-~/.docker}/config.json          <- where a login is written, unless one of the others has it
 *
 * Inside a file the most specific key wins ("host/team/app", "host/team", "host"); for one key a helper of credHelpers
 * goes before `auths`, and for the host credsStore stands between the two.
 */
#ifndef IMAGE_CREDENTIALS_H
#define IMAGE_CREDENTIALS_H

#include <stdbool.h>
#include <stddef.h>

struct error;
struct json_t;

enum {
    CREDENTIALS_FILE_BYTES_MAX = 1 << 20,
    CREDENTIALS_SECRET_MAX = 64 << 10, /**< of a password or token; of a user name a part of it */
    CREDENTIALS_PATHS_MAX = 3
};

/** One login. Owned texts, NULL = not there; release with credentials_done(). */
struct credentials {
    char *user;
    char *password;
    char *identity_token; /**< an OAuth2 refresh token, in place of a password */
    char *registry_token; /**< to be sent as it is, as a bearer token */
};

/** Whether there is anything in it. */
static inline bool credentials_any(const struct credentials *credentials)
{
    return credentials->user || credentials->identity_token || credentials->registry_token;
}

/** Wipes and releases; nothing is there afterwards. */
void credentials_done(struct credentials *credentials);

/**
 * Looks up the login for a repository.
 *
 * @param host         as in a reference, "docker.io", "localhost:5000"
 * @param repository   "library/busybox"; "" = only what is there for the host
 * @param credentials  set; all NULL when there is none, which is no failure
 * @return 0; -EBADMSG for a damaged file; -EACCES when a helper fails or is not there; or -errno
 */
int credentials_find(const char *host, const char *repository, struct credentials *credentials, struct error *err);

/**
 * Keeps a login for a host: through the file's helper if it names one, else in the file, which others of the machine
 * cannot read and which is replaced in one step.
 * @param where  set to what to tell the user, "file '...'" or "helper '...'"; @p size bytes
 */
int credentials_store(const char *host, const struct credentials *credentials, char *where, size_t size,
                      struct error *err);

/** Forgets a host's logins in all files and their helpers. @return how many there were, or -errno */
int credentials_erase(const char *host, struct error *err);

/* ---- for the parser's tests -------------------------------------------------------------------------------------- */

/** What a file says of a repository. */
struct credentials_entry {
    const char *helper; /**< "docker-credential-" and this is the program to ask; NULL = none; borrowed */
    const struct json_t
        *auths; /**< the entry of `auths` to take when there is no helper or it knows nothing; borrowed */
};

/** Parses a file. @return 0 with *file owned by the caller (json_decref()); -EBADMSG; -ENOMEM */
int credentials_parse(struct json_t **file, const char *text, size_t length, struct error *err);

/** Looks into a parsed file. @return whether it has anything for the repository */
bool credentials_look_up(const struct json_t *file, const char *host, const char *repository,
                         struct credentials_entry *entry);

/** Takes a login out of an entry of `auths`. @return 0; -EBADMSG, -ENOMEM, all being NULL then as for an empty entry */
int credentials_from_json(struct credentials *credentials, const struct json_t *auths, struct error *err);

/** Whether a helper's name may become part of a program's: letters, digits, '.', '_' and '-'. */
bool credentials_helper_name_valid(const char *name);

#endif
