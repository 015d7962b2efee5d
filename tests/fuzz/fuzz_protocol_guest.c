/* SPDX-License-Identifier: Apache-2.0 */
/* vminitd's side of the wire protocol. */
#include "tests/fuzz/fuzz_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_protocol(data, size, PROTOCOL_RECEIVER_GUEST);
    return 0;
}
