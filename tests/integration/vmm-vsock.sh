#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# virtio-vsock against the guest kernel's own driver: tests/guests/streams.c in the guest, tests/programs/vsock_host.c
# on the host.
# timeout: 300
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

if [[ ${1:-} != --inside ]]; then
    make -s guests build/tests/vsock_host >&2
    exec tools/lab/lab auto -- tests/integration/vmm-vsock.sh --inside
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

attempt() {
    timeout 90 build/tests/vsock_host "$work/socket" -- build/bin/hull-vmm --kernel build/bin/vmlinux \
        --initramfs build/guests/streams.cpio --vsock "$work/socket" --memory 256M \
        --cmdline 'quiet reboot=k panic=-1' </dev/null >"$work/tap" 2>"$work/stderr"
}

# A guest that hangs is tried once more, and that is told: emulated hosts lose one now and then.
attempt
status=$?
if [[ $status -eq 124 || $status -eq 142 ]]; then
    echo '# attempt 1 did not end'
    rm -f "$work/socket"
    attempt
    status=$?
fi
sed 's/^/# /' "$work/stderr"
cat "$work/tap"
exit "$status"
