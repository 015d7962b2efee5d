/* SPDX-License-Identifier: Apache-2.0 */
/* The fake registry: one thread, one connection at a time, keep-alive until a rule says otherwise. */
#include "tests/support/fake_registry.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

struct fake_registry {
    int listener;
    int stop; /* eventfd */
    char host[32];
    pthread_t thread;

    pthread_mutex_t lock; /* of all below */
    struct fake_rule rules[FAKE_RULES_MAX];
    unsigned used[FAKE_RULES_MAX];
    size_t rule_count;
    struct fake_request requests[FAKE_REQUESTS_MAX];
    size_t request_count;
};

enum { HEAD_MAX = 16 << 10 };

static const char not_found[] = "{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\",\"message\":\"manifest unknown\"}]}";

static const char out_of_range[] = "HTTP/1.1 416 status\r\nContent-Length: 0\r\n\r\n";

static bool send_all(int fd, const void *bytes, size_t length)
{
    for (const char *next = bytes; length > 0;) {
        ssize_t sent = send(fd, next, length, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        next += sent;
        length -= (size_t)sent;
    }
    return true;
}

/* Waits for bytes, or for the end of the test. */
static bool readable(const struct fake_registry *registry, int fd)
{
    struct pollfd waits[] = {{.fd = fd, .events = POLLIN}, {.fd = registry->stop, .events = POLLIN}};
    return poll(waits, 2, -1) > 0 && !waits[1].revents;
}

/* Reads one request's head, and perhaps the beginning of its body. @return how much; 0 = there is no more request */
static size_t read_head(const struct fake_registry *registry, int fd, char head[static HEAD_MAX])
{
    size_t length = 0;
    head[0] = '\0';
    while (!strstr(head, "\r\n\r\n")) {
        if (length + 1 == HEAD_MAX || !readable(registry, fd))
            return 0;
        ssize_t got = recv(fd, head + length, HEAD_MAX - 1 - length, 0);
        if (got <= 0)
            return 0;
        length += (size_t)got;
        head[length] = '\0';
    }
    return length;
}

static void take_header(char value[static FAKE_TEXT_MAX], const char *head, const char *name)
{
    size_t name_length = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line && line[2]; line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, name_length) != 0 || line[2 + name_length] != ':')
            continue;
        const char *text = line + 2 + name_length + 1;
        text += strspn(text, " ");
        (void)snprintf(value, FAKE_TEXT_MAX, "%.*s", (int)strcspn(text, "\r"), text);
        return;
    }
    value[0] = '\0';
}

static bool parse_request(struct fake_request *request, const char *head)
{
    char length[FAKE_TEXT_MAX];
    size_t method = strcspn(head, " \r");
    if (method >= sizeof request->method || head[method] != ' ')
        return false;
    *request = (struct fake_request){0};
    memcpy(request->method, head, method);
    const char *target = head + method + 1;
    (void)snprintf(request->target, sizeof request->target, "%.*s", (int)strcspn(target, " \r"), target);
    take_header(request->content_type, head, "content-type");
    take_header(request->content_range, head, "content-range");
    take_header(length, head, "content-length");
    request->body_length = strtoull(length, NULL, 10);
    take_header(request->accept, head, "accept");
    take_header(request->authorization, head, "authorization");
    take_header(request->range, head, "range");
    return true;
}

static void keep_body(struct fake_request *request, uint64_t at, const char *bytes, size_t length)
{
    if (at < FAKE_BODY_MAX)
        memcpy(request->body + at, bytes, length < FAKE_BODY_MAX - at ? length : (size_t)(FAKE_BODY_MAX - at));
}

/* Takes the body, of which @p early bytes came with the head. */
static bool read_body(const struct fake_registry *registry, int fd, const char *head, size_t early,
                      struct fake_request *request)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    char expect[FAKE_TEXT_MAX];
    char piece[HEAD_MAX];
    uint64_t got = early < request->body_length ? early : request->body_length;
    keep_body(request, 0, strstr(head, "\r\n\r\n") + 4, (size_t)got);
    take_header(expect, head, "expect");
    if (expect[0] && !send_all(fd, go_on, sizeof go_on - 1))
        return false;
    while (got < request->body_length) {
        uint64_t left = request->body_length - got;
        if (!readable(registry, fd))
            return false;
        ssize_t more = recv(fd, piece, left < sizeof piece ? (size_t)left : sizeof piece, 0);
        if (more <= 0)
            return false;
        keep_body(request, got, piece, (size_t)more);
        got += (uint64_t)more;
    }
    return true;
}

/* Writes the request down and finds the rule that answers it. */
static bool choose_rule(struct fake_registry *registry, const struct fake_request *request, struct fake_rule *rule)
{
    bool found = false;
    size_t path = strcspn(request->target, "?");
    pthread_mutex_lock(&registry->lock);
    if (registry->request_count < FAKE_REQUESTS_MAX)
        registry->requests[registry->request_count++] = *request;
    for (size_t i = 0; !found && i < registry->rule_count; i++) {
        const struct fake_rule *candidate = &registry->rules[i];
        if (strlen(candidate->path) != path || strncmp(candidate->path, request->target, path) != 0 ||
            (candidate->method && strcmp(candidate->method, request->method) != 0) ||
            (candidate->authorization && strcmp(candidate->authorization, request->authorization) != 0) ||
            (candidate->times && registry->used[i] == candidate->times))
            continue;
        registry->used[i]++;
        *rule = *candidate;
        found = true;
    }
    pthread_mutex_unlock(&registry->lock);
    return found;
}

/* @return whether the connection lives on */
static bool answer(int fd, const struct fake_rule *rule, const struct fake_request *request)
{
    if (rule->raw) {
        (void)send_all(fd, rule->raw, strlen(rule->raw));
        return false;
    }

    char range[128] = "";
    bool partial = rule->status < 300 && !rule->ignores_range && strncmp(request->range, "bytes=", 6) == 0;
    uint64_t from = partial ? strtoull(request->range + 6, NULL, 10) : 0;
    int status = rule->status ? rule->status : 200;
    if (partial && from >= rule->length)
        return send_all(fd, out_of_range, sizeof out_of_range - 1);
    if (partial) {
        status = rule->status ? rule->status : 206;
        (void)snprintf(range, sizeof range, "Content-Range: bytes %" PRIu64 "-%zu/%zu\r\n", from, rule->length - 1,
                       rule->length);
    }

    char head[HEAD_MAX];
    int length = snprintf(head, sizeof head, "HTTP/1.1 %d status\r\nContent-Length: %" PRId64 "\r\n%s%s\r\n", status,
                          (int64_t)(rule->length - from) + rule->length_error,
                          rule->headers && strcasestr(rule->headers, "content-range:") ? "" : range,
                          rule->headers ? rule->headers : "");
    if (length < 0 || (size_t)length >= sizeof head || !send_all(fd, head, (size_t)length))
        return false;

    bool cut = rule->cut_at && rule->cut_at < rule->length;
    size_t until = cut ? rule->cut_at : rule->length;
    const char *body = rule->body;
    bool bare = strcmp(request->method, "HEAD") == 0;
    if (!bare && until > from && !send_all(fd, body + from, until - from))
        return false;
    return !cut && rule->length_error == 0;
}

static void serve(struct fake_registry *registry, int fd)
{
    char head[HEAD_MAX];
    struct fake_request request;
    size_t length;
    while ((length = read_head(registry, fd, head)) > 0 && parse_request(&request, head)) {
        size_t early = length - (size_t)(strstr(head, "\r\n\r\n") + 4 - head);
        if (!read_body(registry, fd, head, early, &request))
            break;
        struct fake_rule rule = {.status = 404, .body = not_found, .length = sizeof not_found - 1};
        (void)choose_rule(registry, &request, &rule);
        if (!answer(fd, &rule, &request))
            break;
    }
    /* A close with bytes unread would reset the connection and could eat the end of what was sent. */
    (void)shutdown(fd, SHUT_WR);
}

static void *run(void *context)
{
    struct fake_registry *registry = context;
    while (readable(registry, registry->listener)) {
        int fd = accept4(registry->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            break;
        serve(registry, fd);
        close(fd);
    }
    return NULL;
}

static bool listen_on_loopback(struct fake_registry *registry)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (registry->listener < 0 || bind(registry->listener, (const struct sockaddr *)&address, size) < 0 ||
        listen(registry->listener, 8) < 0 || getsockname(registry->listener, (struct sockaddr *)&address, &size) < 0)
        return false;
    (void)snprintf(registry->host, sizeof registry->host, "127.0.0.1:%u", ntohs(address.sin_port));
    return true;
}

static void release(struct fake_registry *registry)
{
    if (registry->listener >= 0)
        close(registry->listener);
    if (registry->stop >= 0)
        close(registry->stop);
    pthread_mutex_destroy(&registry->lock);
    free(registry);
}

struct fake_registry *fake_registry_new(void)
{
    struct fake_registry *registry = calloc(1, sizeof *registry);
    if (!registry)
        return NULL;
    pthread_mutex_init(&registry->lock, NULL);
    registry->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    registry->stop = eventfd(0, EFD_CLOEXEC);
    if (registry->stop < 0 || !listen_on_loopback(registry) ||
        pthread_create(&registry->thread, NULL, run, registry) != 0) {
        release(registry);
        return NULL;
    }
    return registry;
}

void fake_registry_free(struct fake_registry *registry)
{
    if (!registry)
        return;
    (void)eventfd_write(registry->stop, 1);
    pthread_join(registry->thread, NULL);
    release(registry);
}

const char *fake_registry_host(const struct fake_registry *registry)
{
    return registry->host;
}

void fake_registry_add(struct fake_registry *registry, struct fake_rule rule)
{
    pthread_mutex_lock(&registry->lock);
    if (registry->rule_count < FAKE_RULES_MAX)
        registry->rules[registry->rule_count++] = rule;
    pthread_mutex_unlock(&registry->lock);
}

void fake_registry_clear(struct fake_registry *registry)
{
    pthread_mutex_lock(&registry->lock);
    registry->rule_count = 0;
    registry->request_count = 0;
    memset(registry->used, 0, sizeof registry->used);
    pthread_mutex_unlock(&registry->lock);
}

size_t fake_registry_count(struct fake_registry *registry)
{
    pthread_mutex_lock(&registry->lock);
    size_t count = registry->request_count;
    pthread_mutex_unlock(&registry->lock);
    return count;
}

struct fake_request fake_registry_request(struct fake_registry *registry, size_t index)
{
    struct fake_request request = {.target = "(no such request)"};
    pthread_mutex_lock(&registry->lock);
    if (index < registry->request_count)
        request = registry->requests[index];
    pthread_mutex_unlock(&registry->lock);
    return request;
}
