#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
#
# The root file system that hull writes from layers, entry by entry against an independent unpack of the same layers
# (umoci; tar for images of one zstd layer, which umoci does not read): type, mode, owner, size, modification time to
# the nanosecond, link count, device number, symbolic link's target, extended attributes, contents.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

readonly names='whiteouts opaque replaced hardlinks parents attributes names sparse many busybox debian-minbase'
work=$(mktemp -d "${TMPDIR:-/tmp}/hull-rootfs-XXXXXX")
mnt=$work/mnt
mkdir "$mnt"
trap 'umount "$mnt" 2>/dev/null; rm -rf --one-file-system "$work"' EXIT

set -- $names
echo "1..$#"

skip_all() {
    local n=0 name
    for name in $names; do
        echo "ok $((++n)) - $name # SKIP $1"
    done
    exit 0
}

((EUID == 0)) || skip_all "needs root: owners, devices, mounting"
make build/tests/rootfs_from_layers >"$work/make.log" 2>&1 || { cat "$work/make.log"; exit 1; }
readonly writer=build/tests/rootfs_from_layers
"$writer" "$work/probe.ext4" && mount -o loop,ro "$work/probe.ext4" "$mnt" 2>"$work/probe.log" ||
    skip_all "no loop mounts here: $(tail -n 1 "$work/probe.log")"
umount "$mnt"

# ---- making layers --------------------------------------------------------------------------------------------------
# A case is a function that is called in an empty directory and calls `layer NAME...` when what it has made so far is to
# become a layer: those names, in that order, without what is below them.

layers=()

layer() {
    local tar=$work/case/$((${#layers[@]} + 1)).tar
    touch -h -d '2021-03-04 05:06:07.123456789' -- "$@"
    tar --format=pax --numeric-owner --no-recursion --xattrs --xattrs-include='*' --sparse -cf "$tar" -- "$@"
    layers+=("$tar")
    find . -mindepth 1 -delete
}

case_whiteouts() {
    mkdir -p keep gone/deep/er etc
    echo a >keep/a && echo b >keep/b && echo c >gone/deep/c && echo d >gone/deep/er/d && echo conf >etc/conf
    ln -s keep/a gone/link
    layer keep keep/a keep/b gone gone/deep gone/deep/c gone/deep/er gone/deep/er/d gone/link etc etc/conf
    mkdir -p keep
    touch .wh.gone keep/.wh.b keep/.wh.never-there
    layer .wh.gone keep/.wh.b keep/.wh.never-there
    mkdir -p gone keep etc
    echo again >gone/new && echo b2 >keep/b && touch etc/.wh.conf
    layer gone gone/new keep/b etc/.wh.conf
}

case_opaque() {
    mkdir -p top/sub/dir other
    echo 1 >top/one && echo 2 >top/sub/two && echo 3 >top/sub/dir/three && echo o >other/o
    layer top top/one top/sub top/sub/two top/sub/dir top/sub/dir/three other other/o
    mkdir -p top/sub
    echo fresh >top/fresh && echo 2b >top/sub/two && touch top/.wh..wh..opq
    layer top top/.wh..wh..opq top/fresh top/sub top/sub/two
    mkdir -p other && touch other/.wh..wh..opq
    layer other other/.wh..wh..opq
}

case_replaced() {
    mkdir -p d1/x d2 && echo f >f1 && echo f >f2 && echo in >d1/x/in && ln -s f1 l1 && ln -s d2 l2 && echo z >d2/z
    layer d1 d1/x d1/x/in d2 d2/z f1 f2 l1 l2
    mkdir f1 && echo now >f1/now && echo file >d1 && ln -s elsewhere f2 && echo wasalink >l1 && mkdir l2 && mkfifo d2
    layer f1 f1/now d1 f2 l1 l2 d2
    rmdir f1 2>/dev/null
    ln -s f1 d1 && mkdir -m 2770 f2 && mknod l1 c 1 3 && chmod 4755 l1
    layer d1 f2 l1
}

case_hardlinks() {
    mkdir a && echo shared >a/one && ln a/one a/two && ln a/one three && ln -s target sym && ln sym symtwin
    layer a a/one a/two three sym symtwin
    mkdir a && touch a/.wh.one && echo changed >three
    layer a a/.wh.one three
    mkdir -p a && echo more >extra && ln extra a/extra && ln extra a/twin
    layer extra a/extra a/twin
}

case_parents() {
    mkdir -p usr/bin usr/lib var/real && ln -s usr/bin bin && ln -s /usr/lib lib && ln -s ../var/real usr/indirect
    echo sh >usr/bin/sh && ln -s ../../../../usr/lib usr/up
    layer usr usr/bin usr/bin/sh usr/lib bin lib var var/real usr/indirect usr/up
    mkdir -p bin lib usr/indirect usr/up usr/bin
    echo new >bin/sh && echo tool >bin/tool && echo so >lib/so && echo r >usr/indirect/r && echo u >usr/up/u
    layer bin/sh bin/tool lib/so usr/indirect/r usr/up/u
    mkdir -p bin && touch bin/.wh.tool
    layer bin/.wh.tool
}

case_attributes() {
    local capability=0x0100000200040000000000000000000000000000
    mkdir d && echo x >d/cap && echo y >d/user && echo z >d/big && mknod d/null c 1 3 && mknod d/far b 259 70000
    mkfifo -m 600 d/pipe && echo s >d/setuid && chmod 4711 d/setuid && chmod 1777 d
    setfattr -n security.capability -v $capability d/cap
    setfattr -n user.text -v hello d/user && setfattr -n user.binary -v 0x00ff00 d/user
    setfattr -n trusted.secret -v t d/user && setfattr -n trusted.dir -v d d
    setfattr -n user.big -v "$(head -c 2000 /dev/zero | tr '\0' b)" d/big && setfattr -n user.small -v s d/big
    chown 4000000000:3000000000 d/user && chown -h 12:34 d/pipe
    touch -d '1955-11-05 06:15:00.3' d/cap && touch -d '2100-01-01 00:00:00.999999999' d/big
    tar --format=pax --numeric-owner --xattrs --xattrs-include='*' -cf "$work/case/1.tar" d
    layers+=("$work/case/1.tar")
    find . -mindepth 1 -delete
    mkdir d && setfattr -n user.only -v o d && chmod 700 d
    layer d
}

case_names() {
    local long
    long=$(printf 'n%.0s' {1..255})
    mkdir -p "$long/$long/$long" && echo deep >"$long/$long/$long/$long"
    printf 'x' >$'new\nline' && printf 'x' >'spa ce' && printf 'x' >$'\xff\xfe' && printf 'x' >'é' && printf 'x' >$'e\xcc\x81'
    printf 'x' >'back\slash' && ln -s "$(printf 't%.0s' {1..59})" fast && ln -s "$(printf 't%.0s' {1..60})" slow
    ln -s "$(printf 'p%.0s' {1..4000})" slower && printf 'x' >.hidden && printf 'x' >'-dash' && printf 'x' >'..x'
    layer "$long" "$long/$long" "$long/$long/$long" "$long/$long/$long/$long" $'new\nline' 'spa ce' $'\xff\xfe' 'é' \
        $'e\xcc\x81' 'back\slash' fast slow slower .hidden ./-dash ..x
    touch $'.wh.new\nline'
    layer $'.wh.new\nline'
}

case_sparse() {
    truncate -s 100M hole && truncate -s 300M some && printf 'middle' | dd of=some bs=1 seek=100000001 conv=notrunc status=none
    printf 'end' | dd of=some bs=1 seek=314572797 conv=notrunc status=none
    printf 'start' | dd of=some bs=1 conv=notrunc status=none && : >empty && head -c 4096 /dev/urandom >block
    head -c 4097 /dev/urandom >over && head -c 3000000 /dev/urandom >large
    layer hole some empty block over large
    head -c 100 /dev/urandom >large
    layer large
}

# Directories of more than one block, and of more than one level of index.
case_many() {
    local i
    mkdir hundreds thousands
    (cd hundreds && for i in {1..400}; do echo "$i" >"file-number-$i"; done)
    (cd thousands && seq -f 'a-rather-long-name-so-that-few-fit-into-one-block-of-the-directory-%.0f' 30000 | xargs touch)
    tar --format=pax --numeric-owner -cf "$work/case/1.tar" hundreds thousands
    layers+=("$work/case/1.tar")
    find . -mindepth 1 -delete
    mkdir hundreds && (cd hundreds && for i in {1..400..2}; do echo >".wh.file-number-$i"; done)
    tar --format=pax --numeric-owner -cf "$work/case/2.tar" hundreds
    layers+=("$work/case/2.tar")
}

# ---- comparing ------------------------------------------------------------------------------------------------------

# Of directories size and link count are the file system's own business; lost+found is not made by layers.
describe() {
    (
        cd "$1" || exit 1
        find . -printf '%P\t%y %m %U:%G %T@ %l' \
            \( -type d -printf '\n' -o -type b -printf ' %n\n' -o -type c -printf ' %n\n' -o -printf ' %n %s\n' \) |
            LC_ALL=C sort
        find . \( -type b -o -type c \) -exec stat -c '%n %t:%T' {} + | LC_ALL=C sort
        find . -type f -print0 | LC_ALL=C sort -z | xargs -0r sha256sum
        find . -print0 | LC_ALL=C sort -z | xargs -0r getfattr -h -d -m - -e hex --
    )
}

check_clean() {
    e2fsck -fn "$1" >"$work/fsck.log" 2>&1 || return 1
    # Five passes and the summary, and nothing between them.
    ! grep -vE '^(e2fsck |Pass [1-5]:|.*: [0-9]+/[0-9]+ files)' "$work/fsck.log"
}

compare() {
    local image=$1 reference=$2
    check_clean "$image" || { echo "# e2fsck:"; sed 's/^/# /' "$work/fsck.log"; return 1; }
    mount -o loop,ro "$image" "$mnt" || return 1
    describe "$mnt" >"$work/ours"
    umount "$mnt"
    describe "$reference" >"$work/theirs"
    [[ -s $work/theirs ]] || return 1
    diff "$work/theirs" "$work/ours" >"$work/diff" || { head -n 40 "$work/diff" | sed 's/^/# /'; return 1; }
}

# Layers go through every compression in turn, and through gzip twice in one blob (members one behind the other).
write_case() {
    local image=$1 i=0 tar arguments=()
    for tar in "${layers[@]}"; do
        case $((i++ % 4)) in
        0) zstd -q -1 <"$tar" >"$tar.blob" && arguments+=(zstd) ;;
        1) { head -c 700 "$tar" | gzip -n; tail -c +701 "$tar" | gzip -n; } >"$tar.blob" && arguments+=(gzip) ;;
        2) { head -c 700 "$tar" | zstd -q; tail -c +701 "$tar" | zstd -q; } >"$tar.blob" && arguments+=(zstd) ;;
        3) cp "$tar" "$tar.blob" && arguments+=(tar) ;;
        esac
        arguments+=("sha256:$(sha256sum "$tar" | cut -d ' ' -f 1)" "$tar.blob")
    done
    "$writer" "$image" "${arguments[@]}"
}

run_case() {
    local name=$1
    rm -rf "$work/case" && mkdir "$work/case" "$work/case/tree" && layers=()
    local home=$PWD
    cd "$work/case/tree" && "case_$name" || return 1
    cd "$home" || return 1
    write_case "$work/case/image.ext4" || return 1
    tests/support/pack-oci "$work/case/layout" "${layers[@]/#/gzip:}" || return 1
    umoci unpack --image "$work/case/layout:latest" "$work/case/bundle" >"$work/umoci.log" 2>&1 ||
        { sed 's/^/# /' "$work/umoci.log"; return 1; }
    compare "$work/case/image.ext4" "$work/case/bundle/rootfs"
}

# An image of tests/support/make-images: one layer.
run_image() {
    local layout=$1 manifest config blob diff_id media_type
    rm -rf "$work/case" && mkdir -p "$work/case/root"
    manifest=$layout/blobs/$(jq -r '.manifests[0].digest' "$layout/index.json" | tr : /)
    config=$layout/blobs/$(jq -r .config.digest "$manifest" | tr : /)
    diff_id=$(jq -r '.rootfs.diff_ids[0]' "$config")
    blob=$layout/blobs/$(jq -r '.layers[0].digest' "$manifest" | tr : /)
    media_type=$(jq -r '.layers[0].mediaType' "$manifest")
    "$writer" "$work/case/image.ext4" "${media_type##*+}" "$diff_id" "$blob" || return 1
    local -A unpack=([gzip]='gzip -dc' [zstd]='zstd -dc -q')
    ${unpack[${media_type##*+}]} <"$blob" |
        tar --numeric-owner --same-owner --same-permissions --xattrs --xattrs-include='*' -C "$work/case/root" -xf - ||
        return 1
    compare "$work/case/image.ext4" "$work/case/root"
}

# ---- running --------------------------------------------------------------------------------------------------------

n=0
for name in $names; do
    ((n++))
    if [[ $name == busybox || $name == debian-minbase ]]; then
        if ! layout=$(tests/support/make-images "$name" 2>"$work/images.log"); then
            echo "ok $n - $name # SKIP $(tail -n 1 "$work/images.log")"
            continue
        fi
        run_image "$layout" && verdict=ok || verdict='not ok'
    else
        run_case "$name" && verdict=ok || verdict='not ok'
    fi
    echo "$verdict $n - $name"
    [[ $verdict == ok ]] || failed=1
done
exit "${failed:-0}"
