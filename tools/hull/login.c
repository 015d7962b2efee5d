/* SPDX-License-Identifier: Apache-2.0 */
/* hull login: asks for a login, tries it, keeps it where docker and podman look too. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "image/credentials.h"
#include "image/registry.h"
#include "tools/hull/command.h"
#include "tools/hull/registry_host.h"

enum { LINE_BYTES_MAX = 64 << 10, WHERE_MAX = 4200 };

struct values {
    const char *user;
    const char *password;
    bool password_stdin;
};

static const struct option options[] = {
    {.name = "username",
     .letter = 'u',
     .kind = OPTION_TEXT,
     .argument = "NAME",
     .help = "User name; asked for on a terminal if it is not given",
     .offset = offsetof(struct values, user)},
    {.name = "password",
     .letter = 'p',
     .kind = OPTION_TEXT,
     .argument = "PASSWORD",
     .help = "Password or access token; others of the machine can see it while the command runs",
     .offset = offsetof(struct values, password)},
    {.name = "password-stdin",
     .kind = OPTION_FLAG,
     .help = "Read it from standard input",
     .offset = offsetof(struct values, password_stdin)},
    OPTION_END,
};

/* Everything up to the end of standard input, or up to the end of the line on a terminal; allocated. */
static int read_text(char **text, struct error *err)
{
    char *bytes = calloc(1, LINE_BYTES_MAX + 1);
    if (!bytes)
        return error_set(err, ENOMEM, "out of memory");
    size_t length = 0;
    bool line = isatty(STDIN_FILENO);
    while (length < LINE_BYTES_MAX && !(line && memchr(bytes, '\n', length))) {
        ssize_t got = read(STDIN_FILENO, bytes + length, LINE_BYTES_MAX - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        length += (size_t)got;
    }
    while (length > 0 && (bytes[length - 1] == '\n' || bytes[length - 1] == '\r'))
        bytes[--length] = '\0';
    if (length == 0 || length == LINE_BYTES_MAX || strlen(bytes) != length || strpbrk(bytes, "\r\n\003")) {
        explicit_bzero(bytes, LINE_BYTES_MAX);
        free(bytes);
        return error_set(err, EINVAL, "one line of text was expected on standard input");
    }
    *text = bytes;
    return 0;
}

/* Asks on the terminal. A secret is not shown; no key interrupts meanwhile, which would leave the terminal mute. */
static int prompt(const char *question, bool secret, char **text, struct error *err)
{
    struct termios shown;
    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &shown) < 0)
        return error_set(err, EINVAL, "standard input is no terminal to ask on: give --username and --password-stdin");
    fprintf(stderr, "%s", question);
    if (secret) {
        struct termios hidden = shown;
        hidden.c_lflag &= (tcflag_t) ~(ECHO | ISIG);
        if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden) < 0)
            return error_set_errno(err, errno, "cannot hide what is typed");
    }
    int rc = read_text(text, err);
    if (secret) {
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
        fputc('\n', stderr);
    }
    return rc;
}

static int copy_text(const char *text, char **copy, struct error *err)
{
    *copy = strdup(text);
    return *copy ? 0 : error_set(err, ENOMEM, "out of memory");
}

static int take_login(const struct values *asked, struct credentials *login, struct error *err)
{
    if (asked->password && asked->password_stdin)
        return error_set(err, EINVAL, "--password and --password-stdin exclude each other");
    if (!asked->user && asked->password_stdin)
        return error_set(err, EINVAL, "--password-stdin wants --username too");
    int rc = asked->user ? copy_text(asked->user, &login->user, err) : prompt("Username: ", false, &login->user, err);
    if (rc < 0)
        return rc;
    if (!login->user[0] || strchr(login->user, ':'))
        return error_set(err, EINVAL, "a user name is not empty and holds no colon");
    if (asked->password)
        return copy_text(asked->password, &login->password, err);
    return asked->password_stdin ? read_text(&login->password, err) : prompt("Password: ", true, &login->password, err);
}

static int try_login(const struct reference *reference, const struct credentials *login, struct error *err)
{
    struct registry *registry;
    int rc = registry_new(&registry, reference, err);
    if (rc < 0)
        return rc;
    rc = registry_check_login(registry, login, err);
    registry_free(registry);
    return rc < 0 ? error_context(err, rc, "cannot log in to '%s'", reference->host) : rc;
}

static int run(void *values, char **operands, int count, struct error *err)
{
    struct reference reference;
    struct credentials login = {0};
    char where[WHERE_MAX];
    int checked = 0;
    int rc = registry_host_parse(count ? operands[0] : NULL, &reference, err);
    if (rc == 0)
        rc = take_login(values, &login, err);
    if (rc == 0)
        rc = checked = try_login(&reference, &login, err);
    if (rc >= 0)
        rc = credentials_store(reference.host, &login, where, sizeof where, err);
    credentials_done(&login);
    if (rc < 0)
        return rc;
    printf("%s '%s'; kept in %s\n",
           checked ? "Logged in to" : "Not checked, since anybody is let in there: the login to", reference.host,
           where);
    return STATUS_OK;
}

const struct command command_login = {
    .name = "login",
    .summary = "Log in to a registry",
    .operands = "[REGISTRY]",
    .description =
        "The login is tried and then kept in docker's config.json (or in podman's auth.json if that knows the\n"
        "registry, or by the credential helper that the file names), where docker and podman find it too.\n"
        "Without REGISTRY it is Docker Hub.",
    .example = "  hull login -u me --password-stdin registry.example.com < token",
    .options = options,
    .operands_max = 1,
    .failure_status = STATUS_FAILED,
    .values_size = sizeof(struct values),
    .run = run,
};
