#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# tests/integration/golden.sh [--update]: see tests/golden/README.md.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
# shellcheck source=tests/support/tap.sh
source tests/support/tap.sh

readonly hull=build/bin/hull
work=$(mktemp -d "${TMPDIR:-/tmp}/hull-golden-XXXXXX")
trap 'rm -rf "$work"' EXIT
export TZ=UTC LC_ALL=C

# The groups' lines are left out where there are many of them.
dump() {
    local image=$1 requests=$2 request
    sha256sum <"$image"
    dumpe2fs "$image" 2>/dev/null | head -n 120
    while read -r request; do
        echo "--- $request"
        debugfs -R "$request" "$image" 2>/dev/null | head -n 60
    done <"$requests"
}

check_golden() {
    local case=$1 options=()
    [[ ! -e $case/options ]] || read -ra options <"$case/options"
    "$case/make" >"$work/tar" && "$hull" image mkfs "${options[@]}" "$work/tar" "$work/ext4" || return
    e2fsck -fn "$work/ext4" >"$work/fsck" 2>&1 || { sed 's/^/# /' "$work/fsck"; return 1; }
    "$hull" image check "$work/ext4" >/dev/null || return
    dump "$work/ext4" "$case/requests" >"$work/dump"
    ((update == 0)) || cp "$work/dump" "$case/expected"
    diff "$case/expected" "$work/dump" >"$work/differences" || { head -n 40 "$work/differences" | sed 's/^/# /'; return 1; }
}

update=0
[[ ${1:-} != --update ]] || update=1
for case in tests/golden/*/; do
    [[ -e ${case}make ]] || continue
    tap_check "$(basename "$case")" check_golden "${case%/}"
done
tap_done
