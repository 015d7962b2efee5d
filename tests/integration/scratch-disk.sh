#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# The writable disk of a container, as the kernel sees it: mounted, filled, grown full, unmounted, checked. And an overlay
# of it over a root file system that hull wrote, which is what a container runs on.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

readonly tests=(
    'an empty disk mounts and is clean after use'
    'a small disk can be filled to the last block'
    'many files use groups that were never written'
    'a 64 GiB disk costs at most 64 KiB'
    'overlay of a disk over a root file system'
    'a disk whose machine died while writing is mended, and keeps what was synced'
)
echo "1..${#tests[@]}"

work=$(mktemp -d "${TMPDIR:-/tmp}/hull-scratch-XXXXXX")
cleanup() {
    umount "$work/merged" "$work/mnt" "$work/lower" 2>/dev/null
    rm -rf --one-file-system "$work"
}
trap cleanup EXIT
mkdir "$work"/{mnt,lower,merged}

skip_all() {
    local i
    for i in "${!tests[@]}"; do
        echo "ok $((i + 1)) - ${tests[i]} # SKIP $1"
    done
    exit 0
}

((EUID == 0)) || skip_all 'needs root to mount'
make build/tests/rootfs_from_layers >"$work/make.log" 2>&1 || { cat "$work/make.log"; exit 1; }
readonly writer=build/tests/rootfs_from_layers
"$writer" --scratch "$work/probe" 1048576 || exit 1
mount -o loop "$work/probe" "$work/mnt" 2>"$work/probe.log" || skip_all "no loop mounts here: $(tail -n 1 "$work/probe.log")"
umount "$work/mnt"

n=0
report() {
    local status=$?
    ((n++))
    if ((status == 0)); then
        echo "ok $n - ${tests[n - 1]}"
    else
        echo "not ok $n - ${tests[n - 1]}"
        failed=1
    fi
}

# After the kernel has written, e2fsck has only its passes and the summary to say.
check_clean() {
    e2fsck -fn "$1" >"$work/fsck.log" 2>&1 &&
        ! grep -vE '^(e2fsck |Pass [1-5]:|.*: [0-9]+/[0-9]+ files)' "$work/fsck.log" | sed 's/^/# /' | grep .
}

new_disk() {
    rm -f "$work/disk"
    "$writer" --scratch "$work/disk" "$1" && mount -o loop "$work/disk" "$work/mnt"
}

use_empty() {
    new_disk $((1 << 30)) || return
    [[ $(find "$work/mnt" -mindepth 1 -printf '%f %y %m %U:%G\n' | sort | tr '\n' ,) == 'upper d 755 0:0,work d 755 0:0,' ]] || return
    echo data >"$work/mnt/upper/file" && setfattr -n trusted.overlay.opaque -v y "$work/mnt/upper" || return
    mkdir -p "$work/mnt/upper/a/b/c" && mv "$work/mnt/upper/file" "$work/mnt/upper/a/b/c/" || return
    umount "$work/mnt" && check_clean "$work/disk" || return
    mount -o loop,ro "$work/disk" "$work/mnt" && [[ $(<"$work/mnt/upper/a/b/c/file") == data ]] && umount "$work/mnt"
}
use_empty
report

fill() {
    new_disk $((4 << 20)) || return
    head -c 8M /dev/zero | tr '\0' x >"$work/mnt/upper/all" 2>/dev/null
    (($(stat -c %s "$work/mnt/upper/all") > 3500000)) || return
    umount "$work/mnt" && check_clean "$work/disk" && mount -o loop "$work/disk" "$work/mnt" || return
    rm "$work/mnt/upper/all" && echo again >"$work/mnt/upper/again" && umount "$work/mnt" && check_clean "$work/disk"
}
fill
report

many() {
    local i
    new_disk $((2 << 30)) || return
    for i in {1..40}; do
        mkdir "$work/mnt/upper/$i" && (cd "$work/mnt/upper/$i" && seq 300 | xargs touch) || return
        head -c 10M /dev/zero | tr '\0' "$((i % 10))" >"$work/mnt/upper/$i/data" || return
    done
    umount "$work/mnt" && check_clean "$work/disk"
}
many
report

large() {
    rm -f "$work/disk"
    "$writer" --scratch "$work/disk" $((64 << 30)) || return
    local used
    used=$(($(stat -c '%b * %B' "$work/disk")))
    echo "# 64 GiB: $used bytes allocated"
    ((used <= 65536)) && check_clean "$work/disk"
}
large
report

overlay() {
    local layer=$work/layer.tar
    mkdir -p "$work/tree/etc" "$work/tree/gone" && echo lower >"$work/tree/etc/file" && echo x >"$work/tree/gone/x" || return
    tar -C "$work/tree" -cf "$layer" . || return
    "$writer" "$work/root.ext4" tar "sha256:$(sha256sum "$layer" | cut -d ' ' -f 1)" "$layer" || return
    mount -o loop,ro "$work/root.ext4" "$work/lower" && new_disk $((256 << 20)) || return
    mount -t overlay overlay -o "lowerdir=$work/lower,upperdir=$work/mnt/upper,workdir=$work/mnt/work" "$work/merged" || return
    echo upper >"$work/merged/etc/file" && rm -r "$work/merged/gone" && mkdir "$work/merged/gone" || return
    [[ $(<"$work/merged/etc/file") == upper && $(<"$work/lower/etc/file") == lower && -z $(ls "$work/merged/gone") ]] || return
    umount "$work/merged" && umount "$work/mnt" && umount "$work/lower" && check_clean "$work/disk" && check_clean "$work/root.ext4"
}
overlay
report

# What lies on the disk at any moment is what a machine that dies then leaves behind: there is no journal to help.
died() {
    local image=$1 status
    e2fsck -fy "$image" >"$work/mend.log" 2>&1
    status=$?
    ((status <= 1)) && check_clean "$image" || { sed 's/^/# /' "$work/mend.log"; return 1; }
    mount -o loop "$image" "$work/lower" || return
    [[ $(<"$work/lower/upper/synced") == 'safe' ]] && echo on >"$work/lower/upper/on" || return
    umount "$work/lower" && check_clean "$image"
}

die() {
    local writing i
    new_disk $((1 << 30)) || return
    echo safe >"$work/mnt/upper/synced" && sync -f "$work/mnt" || return
    (
        for i in {1..4000}; do
            [[ ! -e $work/enough ]] || break
            mkdir -p "$work/mnt/upper/$((i % 50))" && head -c $((i * 37 % 90000)) /dev/zero >"$work/mnt/upper/$((i % 50))/$i"
            ((i % 7)) || rm "$work/mnt/upper/$((i % 50))/$i"
            ((i % 40)) || sync -f "$work/mnt"
        done
    ) 2>/dev/null &
    writing=$!
    for i in 1 2 3; do
        sleep 0.7
        cp --sparse=always "$work/disk" "$work/died.$i" || break
    done
    # Not killed: a command of it could still hold the mount.
    touch "$work/enough"
    wait $writing
    umount "$work/mnt" || return
    for i in 1 2 3; do
        died "$work/died.$i" || return
    done
    check_clean "$work/disk"
}
die
report

exit "${failed:-0}"
