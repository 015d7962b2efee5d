#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# The archives by which other readers of tar are tested (Go's archive/tar, Python's tarfile), each as a layer: it
# becomes a file system that e2fsck finds clean and that holds what GNU tar unpacks, or it is refused with the reason
# given here.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
. tests/support/tap.sh

readonly go=/usr/share/go-1.19/src/archive/tar/testdata python=/usr/lib/python3.11/test
work=$(mktemp -d "${TMPDIR:-/tmp}/hull-corpora-XXXXXX")
mnt=$work/mnt
mkdir "$mnt"
trap 'umount "$mnt" 2>/dev/null; rm -rf --one-file-system "$work"' EXIT

# What is refused, and a part of the reason.
declare -A refused=(
    [go/issue10968]='Unrecognized archive format'            # numbers that are none
    [go/issue11169]='is damaged at byte 512'                 # a sparse map that is none
    [go/issue12435]='Unrecognized archive format'            # a field of garbage
    [go/neg-size]='Unrecognized archive format'              # a size below zero
    [go/nil-uid]='its contents end after 14 of 2176 bytes'   # rubbish where GNU's headers have a sparse file's size
    [go/pax-bad-hdr-file]='malformed pax'                    # a record without a length
    [go/pax-multi-hdrs]='malformed pax'                      # two extended headers for one file
    [go/pax-nul-xattrs]='Invalid pax'                        # an attribute's name with a NUL in it
    [go/pax-path-hdr]='Damaged tar archive'                  # an extended header and nothing behind it
    [go/writer-big]='Truncated tar archive'                  # 16 GiB announced and not there
    [go/writer-big-long]='Truncated tar archive'             # the same
    [python/recursion]='is damaged at byte'                  # an extended header that is its own
    [python/testtar]="'gnu/regtype-gnu-uid': its owner 4294967295:4294967295 is out of range"
    [testtar/22]="'gnu/regtype-gnu-uid': its owner 4294967295:4294967295 is out of range"
)

# Of what GNU tar reads otherwise: global records (as containerd, umoci and podman do, a layer's are not applied).
readonly not_compared=' go/pax-global-records '

# Directories that no entry describes have the time of the unpacking, and the size of every one is the file system's own.
describe() {
    (
        cd "$1" || exit 1
        find . -mindepth 1 -type d -printf '%P\t%y %m %U:%G\n' -o -mindepth 1 -printf '%P\t%y %m %U:%G %T@ %n %s %l\n' |
            LC_ALL=C sort
        find . \( -type b -o -type c \) -exec stat -c '%n %t:%T' {} + | LC_ALL=C sort
        find . -type f -size -100M -print0 | LC_ALL=C sort -z | xargs -0r sha256sum
    )
}

mounts=0

compare() {
    local image=$1 archive=$2
    rm -rf "$work/tree" && mkdir "$work/tree"
    tar --numeric-owner --same-owner --same-permissions --delay-directory-restore -C "$work/tree" -xf "$archive" \
        2>/dev/null || return 0 # what GNU tar does not take says nothing about us
    mount -o loop,ro "$image" "$mnt" || return 1
    describe "$mnt" >"$work/ours"
    umount "$mnt"
    describe "$work/tree" >"$work/theirs"
    diff "$work/theirs" "$work/ours" >"$work/diff" || { head -n 20 "$work/diff" | sed 's/^/# /'; return 1; }
}

check_archive() {
    local name=$1 archive=$2 image=$work/image.ext4
    rm -f "$image"
    timeout 60 "$writer" "$image" tar "sha256:$(sha256sum "$archive" | cut -d ' ' -f 1)" "$archive" 2>"$work/said"
    local status=$?
    if [[ -n ${refused[$name]:-} ]]; then
        tap_is $status 1 && tap_contains "$(<"$work/said")" "${refused[$name]}"
        return
    fi
    ((status == 0)) || { sed 's/^/# /' "$work/said"; return 1; }
    e2fsck -fn "$image" >"$work/fsck.log" 2>&1 || { sed 's/^/# /' "$work/fsck.log"; return 1; }
    ((mounts == 0)) || [[ $not_compared == *" $name "* ]] || compare "$image" "$archive"
}

check_all() {
    local prefix=$1 archive
    shift
    if [[ ! -e $1 ]]; then
        tap_skip "$prefix" "$1 is not there: tools/install-deps tests"
        return
    fi
    for archive; do
        tap_check "$prefix/$(basename "$archive" .tar)" check_archive "$prefix/$(basename "$archive" .tar)" "$archive"
    done
}

# With the sanitizers if they are built: these inputs are meant to hurt.
writer=build/tests/rootfs_from_layers
[[ ! -x build/san/tests/rootfs_from_layers ]] || writer=build/san/tests/rootfs_from_layers
[[ -x $writer ]] || make "$writer" >"$work/make.log" 2>&1 || { cat "$work/make.log"; exit 1; }

if "$writer" "$work/probe.ext4" && mount -o loop,ro "$work/probe.ext4" "$mnt" 2>/dev/null; then
    umount "$mnt"
    mounts=1
else
    tap_skip 'comparing with GNU tar' 'needs root and loop mounts'
fi

check_all go "$go"/*.tar
check_all python "$python"/testtar.tar "$python"/recursion.tar
mkdir "$work/pieces"
if [[ -e $python/testtar.tar ]] && python3 tests/support/cut-tar "$python/testtar.tar" "$work/pieces"; then
    check_all testtar "$work/pieces"/*.tar
else
    tap_skip 'testtar, each member' "$python/testtar.tar is not there: tools/install-deps tests"
fi
tap_done
