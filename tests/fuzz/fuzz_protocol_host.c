/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor's side of the wire protocol: the input is what a guest sends on its control connection. */
#include "tests/fuzz/fuzz_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_protocol(data, size, PROTOCOL_RECEIVER_HOST);
    return 0;
}
