#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# `hull image mkfs` of directories and tar files, judged by e2fsck and by what the kernel mounts; and what
# `hull image ls`, `cat` and `check` read back.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
# shellcheck source=tests/support/tap.sh
source tests/support/tap.sh

readonly hull=$PWD/build/bin/hull
work=$(mktemp -d "${TMPDIR:-/tmp}/hull-mkfs-XXXXXX")
mnt=$work/mnt
trap 'umount "$mnt" 2>/dev/null; rm -rf --one-file-system "$work"' EXIT
mkdir "$mnt" "$work/root"
export HULL_ROOT=$work/store
cd "$work" || exit 1

make_root() {
    (
        cd root || exit 1
        mkdir -p etc usr/bin many 'spa ce' && echo 'NAME=hull' >etc/os-release && ln -s usr/bin bin
        echo '#!/bin/sh' >usr/bin/tool && chmod 4755 usr/bin/tool && ln usr/bin/tool usr/bin/twin && ln -s nowhere broken
        mkfifo pipe && chmod 1777 'spa ce' && truncate -s 50M holes && printf end | dd of=holes bs=1 seek=30000001 conv=notrunc status=none
        for i in {1..500}; do echo "$i" >"many/a-file-with-some-name-$i"; done
        setfattr -n user.text -v hello etc 2>/dev/null
        setfattr -n user.text -v world etc/os-release 2>/dev/null
        ((EUID != 0)) || { mknod null c 1 3 && chown 1000:2000 etc/os-release; }
        find . -exec touch -h -d '2101-02-03 04:05:06.123456789' {} +
    )
}

describe() {
    (
        cd "$1" || exit 1
        find . -type d -printf '%P\t%y %m %U:%G %T@\n' -o -printf '%P\t%y %m %U:%G %T@ %n %s %l\n' | LC_ALL=C sort
        find . \( -type b -o -type c \) -exec stat -c '%n %t:%T' {} + | LC_ALL=C sort
        find . -type f -print0 | LC_ALL=C sort -z | xargs -0r sha256sum
        find . -print0 | LC_ALL=C sort -z | xargs -0r getfattr -h -d -m '^user\.' -e hex --
    )
}

is_clean() {
    e2fsck -fn "$1" >fsck.log 2>&1 && "$hull" image check "$PWD/$1" >check.log 2>&1 || { sed 's/^/# /' fsck.log check.log; return 1; }
}

holds_root() {
    is_clean "$1" || return
    mount -o loop,ro "$1" "$mnt" || return
    describe "$mnt" >ours
    umount "$mnt"
    describe root >theirs
    diff theirs ours >differences || { head -n 20 differences | sed 's/^/# /'; return 1; }
}

of_directory() { "$hull" image mkfs root d.ext4 && holds_root d.ext4; }
of_tar() { tar --format=pax --xattrs --sparse -C root -cf r.tar . && "$hull" image mkfs r.tar t.ext4 && holds_root t.ext4; }
of_packed_tar() { gzip -k r.tar && zstd -q r.tar && "$hull" image mkfs r.tar.gz g.ext4 && "$hull" image mkfs r.tar.zst z.ext4 && cmp t.ext4 g.ext4 && cmp t.ext4 z.ext4; }
deterministic() { cp -a root again && "$hull" image mkfs again/ d2.ext4 && cmp d.ext4 d2.ext4; }
keeps_holes() { (($(stat -c '%b' d.ext4) * 512 < 8 << 20)); }

# Room, and few blocks written for it; then a mount writes into the room.
sized() {
    "$hull" image mkfs --size 12g root s.ext4 && tap_is "$(stat -c %s s.ext4)" $((12 << 30)) && holds_root s.ext4 &&
        (($(stat -c '%b' s.ext4) * 512 < 16 << 20)) && mount -o loop s.ext4 "$mnt" &&
        head -c 200M /dev/zero | tr '\0' x >"$mnt/new" && mkdir "$mnt/dir" && rm "$mnt/holes" && umount "$mnt" &&
        is_clean s.ext4
}

too_small() {
    head -c 3M /dev/urandom >root/filler
    "$hull" image mkfs --size 2m root small.ext4 2>said
    local status=$?
    rm root/filler
    tap_is $status 1 && tap_contains "$(<said)" 'blocks of 4 KiB are needed, the file system is to have 512' && [[ ! -e small.ext4 ]]
}

refuses() {
    local reason=$1
    shift
    "$hull" image "$@" 2>said
    tap_is $? 1 && tap_contains "$(<said)" "$reason"
}

reads_back() {
    local listed
    listed=$("$hull" image ls "$PWD/d.ext4" /) || return
    tap_contains "$listed" '2101-02-03 04:05:06 bin -> usr/bin' && tap_contains "$listed" 'spa ce' || return
    tap_contains "$("$hull" image ls "$PWD/d.ext4" /usr/bin/tool)" '-rwsr-xr-x    2 ' &&
        tap_is "$("$hull" image ls "$PWD/d.ext4" many | wc -l)" 500 &&
        tap_is "$("$hull" image cat "$PWD/d.ext4" etc/os-release bin/tool)" $'NAME=hull\n#!/bin/sh' &&
        "$hull" image cat "$PWD/d.ext4" holes | cmp - root/holes
}

of_the_store() {
    "$hull" import r.tar test:1 >/dev/null && tap_is "$("$hull" image cat test:1 /etc/os-release)" 'NAME=hull' &&
        tap_contains "$("$hull" image ls test:1)" ' bin -> usr/bin' && tap_contains "$("$hull" image check test:1)" 'whole'
}

finds_damage() {
    cp d.ext4 bad.ext4 && printf '\377' | dd of=bad.ext4 bs=1 seek=1100 conv=notrunc status=none
    refuses 'the superblock is damaged' check "$PWD/bad.ext4"
}

make_root
if ((EUID != 0)) || ! { "$hull" image mkfs root probe.ext4 && mount -o loop,ro probe.ext4 "$mnt" 2>/dev/null; }; then
    tap_skip 'all' 'needs root and loop mounts'
    tap_done
    exit
fi
umount "$mnt"

tap_check 'a directory' of_directory
tap_check 'holes stay holes' keeps_holes
tap_check 'the same directory elsewhere gives the same bytes' deterministic
tap_check 'a tar file' of_tar
tap_check 'packed tar files give the same bytes' of_packed_tar
tap_check 'a size with room for growth' sized
tap_check 'a size that is too small' too_small
tap_check 'a size out of range' refuses '1 MiB to 16 TiB' mkfs --size 1k root no.ext4
tap_check 'a source that is not there' refuses "cannot open 'nothing'" mkfs nothing no.ext4
tap_check 'a device as the source' refuses 'neither a directory nor a tar file' mkfs /dev/null no.ext4
tap_check 'ls and cat' reads_back
tap_check 'a path that is not there' refuses "there is no 'nothing'" cat "$PWD/d.ext4" usr/nothing
tap_check 'a directory is not printed' refuses "'usr' is a directory" cat "$PWD/d.ext4" usr
tap_check 'what is no file system' refuses 'no EXT4 file system' ls "$PWD/r.tar"
tap_check 'an image of the store' of_the_store
tap_check 'damage is found' finds_damage
tap_done
