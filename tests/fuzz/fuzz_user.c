/* SPDX-License-Identifier: Apache-2.0 */
/* vminitd's parser of an image's /etc/passwd and /etc/group. The input: user text, zero byte, passwd, zero byte, group.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "initd/user.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy that ends where the sanitizer looks. */
static char *copy(const uint8_t *data, size_t size)
{
    char *bytes = malloc(size + 1);
    if (!bytes)
        abort();
    if (size)
        memcpy(bytes, data, size);
    bytes[size] = 0;
    return realloc(bytes, size + 1);
}

static size_t cut(const uint8_t *data, size_t size)
{
    const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
    return zero ? (size_t)(zero - data) : size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t text_size = cut(data, size);
    char *text = copy(data, text_size);
    size_t skipped = text_size < size ? text_size + 1 : size;
    data += skipped;
    size -= skipped;
    size_t passwd_size = cut(data, size);
    char *passwd = copy(data, passwd_size);
    skipped = passwd_size < size ? passwd_size + 1 : size;
    char *group = copy(data + skipped, size - skipped);

    static struct user user;
    if (user_resolve(&user, text, (struct user_database){passwd, passwd_size},
                     (struct user_database){group, size - skipped}, NULL) == 0) {
        if (user.uid > USER_ID_MAX || user.gid > USER_ID_MAX || user.group_count > USER_GROUPS_MAX || !user.home[0] ||
            strnlen(user.home, USER_HOME_MAX) == USER_HOME_MAX)
            abort();
    }
    free(text);
    free(passwd);
    free(group);
    return 0;
}
