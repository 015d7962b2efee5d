/* SPDX-License-Identifier: Apache-2.0 */
/* Running a helper: what it is told lies in a memory file, so nothing waits for it to read; its answer is bounded. */
#include "image/credential_helper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "image/json.h"

enum { PROGRAM_MAX = 128, WORDS_MAX = 160 };

/* A user name by which helpers mark that the secret is an identity token. */
static const char token_user[] = "<token>";

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits for a descriptor. @return false at the deadline */
static bool wait_for(int fd, int64_t deadline)
{
    for (;;) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        int64_t left = deadline - now_ms();
        int ready = left > 0 ? poll(&wait, 1, (int)left) : 0;
        if (ready >= 0 || errno != EINTR)
            return ready > 0;
    }
}

/* A file in memory that holds @p text, to be read from its start. */
static int text_as_file(const char *text, struct error *err)
{
    cleanup_fd int fd = memfd_create("credential", MFD_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot make a file in memory");
    int rc = fd_write_full(fd, text, strlen(text));
    if (rc < 0 || lseek(fd, 0, SEEK_SET) < 0)
        return error_set_errno(err, rc < 0 ? -rc : errno, "cannot write a file in memory");
    return steal_fd(&fd);
}

static int spawn(const char *program, const char *action, int in, int out, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    char *const argv[] = {(char *)(uintptr_t)program, (char *)(uintptr_t)action, NULL};
    int code = posix_spawn_file_actions_init(&actions);
    if (code)
        return -code;
    if (!(code = posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO)) &&
        !(code = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO)))
        code = posix_spawnp(pid, program, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return -code;
}

/* Takes all that it says. @return 0, -ETIMEDOUT, or -EBADMSG when it says too much */
static int take_answer(int fd, struct buffer *answer, int64_t deadline)
{
    for (;;) {
        char piece[4096];
        if (!wait_for(fd, deadline))
            return -ETIMEDOUT;
        ssize_t got = read(fd, piece, sizeof piece);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return 0;
        buffer_append(answer, piece, (size_t)got);
        explicit_bzero(piece, (size_t)got);
        if (answer->failed)
            return -EBADMSG;
    }
}

/* Waits for its end, or makes one. @return its wait status, or -ETIMEDOUT */
static int reap(pid_t pid, bool at_once, int64_t deadline)
{
    int status = 0;
    cleanup_fd int handle = pidfd_open(pid, 0);
    bool over = !at_once && handle >= 0 && wait_for(handle, deadline);
    if (!over)
        (void)kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return over ? status : -ETIMEDOUT;
}

/* Runs an action. @param status  set to the wait status @return 0 when it ran to its end, or -errno */
static int run(const char *program, const char *action, const char *input, struct buffer *answer, int *status,
               struct error *err)
{
    int64_t deadline = now_ms() + CREDENTIAL_HELPER_SECONDS_MAX * INT64_C(1000);
    int ends[2];
    cleanup_fd int in = text_as_file(input, err);
    if (in < 0)
        return in;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_set_errno(err, errno, "cannot make a pipe");
    cleanup_fd int from = ends[0];
    pid_t pid = -1;
    int rc = spawn(program, action, in, ends[1], &pid);
    close(ends[1]);
    if (rc < 0)
        return error_set_errno(err, -rc, "the credential helper '%s' cannot be started", program);

    rc = take_answer(from, answer, deadline);
    int end = reap(pid, rc < 0, deadline);
    if (rc == -EBADMSG)
        return error_set(err, EBADMSG, "the credential helper '%s' says more than %d bytes", program,
                         CREDENTIAL_HELPER_ANSWER_MAX);
    if (rc < 0 || end < 0)
        return error_set(err, ETIMEDOUT, "the credential helper '%s' did not end within %d seconds", program,
                         CREDENTIAL_HELPER_SECONDS_MAX);
    *status = end;
    return 0;
}

/* Runs "docker-credential-NAME ACTION". @return 0; -ENODATA when it has no such login; or -errno */
static int ask(const char *name, const char *action, const char *input, struct buffer *answer, struct error *err)
{
    char program[PROGRAM_MAX];
    int status = 0;
    if (!credentials_helper_name_valid(name))
        return error_set(err, EBADMSG, "'%.64s' cannot be the name of a credential helper", name);
    (void)snprintf(program, sizeof program, "docker-credential-%s", name);
    int rc = run(program, action, input, answer, &status, err);
    if (rc < 0 || status == 0)
        return rc;

    char words[WORDS_MAX];
    (void)snprintf(words, sizeof words, "%.*s", (int)(answer->length < WORDS_MAX ? answer->length : WORDS_MAX - 1),
                   answer->bytes ? (const char *)answer->bytes : "");
    words[strcspn(words, "\r\n")] = '\0';
    /* The one failure that has a text of its own in the protocol. */
    if (strcasestr(words, "credentials not found"))
        return error_set(err, ENODATA, "the credential helper '%s' has no such login", program);
    return error_set(err, EACCES, "the credential helper '%s' failed: %s", program,
                     words[0] ? words : "it does not say why");
}

static int take_login(struct credentials *credentials, const struct buffer *answer, struct error *err)
{
    cleanup_json json_t *object = NULL;
    const char *user = "";
    const char *secret = "";
    int rc = json_parse_object(&object, (const char *)answer->bytes, answer->length, err);
    if (rc == 0)
        rc = json_member_text(object, "Username", CREDENTIALS_SECRET_MAX, &user, err);
    if (rc == 0)
        rc = json_member_text(object, "Secret", CREDENTIALS_SECRET_MAX, &secret, err);
    if (rc < 0 || !secret[0])
        return rc;

    struct credentials taken = {0};
    bool is_token = strcmp(user, token_user) == 0 || !user[0];
    if (is_token) {
        taken.identity_token = strdup(secret);
    } else {
        taken.user = strdup(user);
        taken.password = strdup(secret);
    }
    if (is_token ? !taken.identity_token : !taken.user || !taken.password) {
        credentials_done(&taken);
        return error_set(err, ENOMEM, "out of memory for a login");
    }
    *credentials = taken;
    return 0;
}

static void wipe(struct buffer *buffer)
{
    if (buffer->bytes)
        explicit_bzero(buffer->bytes, buffer->capacity);
    buffer_done(buffer);
}

int credential_helper_get(const char *name, const char *server, struct credentials *credentials, struct error *err)
{
    struct buffer answer = BUFFER_INIT(CREDENTIAL_HELPER_ANSWER_MAX);
    *credentials = (struct credentials){0};
    int rc = ask(name, "get", server, &answer, err);
    if (rc == 0) {
        rc = take_login(credentials, &answer, err);
        if (rc < 0)
            rc = error_context(err, rc, "the credential helper 'docker-credential-%s'", name);
    }
    wipe(&answer);
    return rc == -ENODATA ? 0 : rc;
}

int credential_helper_store(const char *name, const char *server, const struct credentials *credentials,
                            struct error *err)
{
    bool is_token = credentials->identity_token != NULL;
    cleanup_json json_t *object =
        json_pack("{s:s, s:s, s:s}", "ServerURL", server, "Username", is_token ? token_user : credentials->user,
                  "Secret", is_token ? credentials->identity_token : credentials->password);
    char *input = object ? json_print(object, JSON_COMPACT) : NULL;
    if (!input)
        return error_set(err, EINVAL, "a login that is no valid UTF-8 cannot be kept");
    struct buffer answer = BUFFER_INIT(CREDENTIAL_HELPER_ANSWER_MAX);
    int rc = ask(name, "store", input, &answer, err);
    explicit_bzero(input, strlen(input));
    free(input);
    wipe(&answer);
    return rc;
}

int credential_helper_erase(const char *name, const char *server, struct error *err)
{
    struct buffer answer = BUFFER_INIT(CREDENTIAL_HELPER_ANSWER_MAX);
    int rc = ask(name, "erase", server, &answer, err);
    wipe(&answer);
    return rc == -ENODATA ? 0 : rc;
}
