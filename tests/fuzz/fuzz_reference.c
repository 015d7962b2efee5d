/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as an image reference: what is taken has one full form, and both forms lead back to it. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "image/reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void expect_same(const struct reference *reference, const char *text)
{
    struct reference again;
    if (reference_parse(&again, text, NULL) != 0 || strcmp(again.host, reference->host) != 0 ||
        strcmp(again.repository, reference->repository) != 0 || strcmp(again.tag, reference->tag) != 0 ||
        !digest_equal(&again.digest, &reference->digest))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    char *text = malloc(length + 1);
    if (!text)
        return 0;
    memcpy(text, bytes, length);
    text[length] = '\0';

    struct reference reference;
    struct error err = {0};
    int rc = reference_parse(&reference, text, &err);
    if (rc == 0) {
        char form[REFERENCE_TEXT_MAX];
        reference_format(&reference, form);
        expect_same(&reference, form);
        reference_format_familiar(&reference, form);
        expect_same(&reference, form);
    } else if (err.code != -rc || !err.text[0]) {
        abort();
    }
    free(text);
    return 0;
}
