#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# `hull pull` and `hull images` against Debian's docker-registry: images put there by skopeo, the store read back by
# skopeo, root file systems checked by e2fsck, damage in the registry, pulls that are killed.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

# The whole script runs again inside, with $REGISTRY set.
[[ -n ${REGISTRY:-} ]] || exec tests/support/registry run -- "$0"

readonly hull=build/bin/hull
work=$(mktemp -d "${TMPDIR:-/tmp}/hull-pull-XXXXXX")
trap 'rm -rf "$work"' EXIT
export HULL_ROOT=$work/root
readonly images=$HULL_ROOT/images

# ---- the images -----------------------------------------------------------------------------------------------------

# A tar of a directory, and next to it what its files hold.
make_tar() {
    local tree=$1 tar=$2
    tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@1700000000 -C "$tree" -cf "$tar" .
}

# Unless told otherwise skopeo would pack uncompressed layers anew.
push() {
    skopeo copy -q --insecure-policy --dest-tls-verify=false "${3:---preserve-digests}" "oci:$1:latest" \
        "docker://$REGISTRY/$2"
}

prepare() {
    mkdir -p "$work"/{one,two,big}/etc
    echo 'from the first layer' >"$work/one/etc/first"
    head -c 3000000 /dev/urandom >"$work/one/data"
    echo 'from the second layer' >"$work/two/etc/second"
    head -c 16000000 /dev/urandom >"$work/big/data"
    local name
    for name in one two big; do
        make_tar "$work/$name" "$work/$name.tar" || return
    done
    tests/support/pack-oci "$work/gzip" "gzip:$work/one.tar" "gzip:$work/two.tar" &&
        tests/support/pack-oci "$work/zstd" "zstd:$work/one.tar" "zstd:$work/two.tar" &&
        tests/support/pack-oci "$work/plain" "tar:$work/two.tar" &&
        tests/support/pack-oci "$work/large" "tar:$work/big.tar" &&
        push "$work/gzip" team/app:gzip && push "$work/zstd" team/app:zstd && push "$work/plain" team/app:plain &&
        push "$work/gzip" team/app:docker --format=v2s2 && push "$work/large" team/large:1
}

# Puts an index: an attestation, an image for another machine, and team/app:gzip as one for the given architecture.
push_index() {
    local tag=$1 architecture=$2 layout=$work/index-$1 index
    cp -r "$work/gzip" "$layout" && cp "$work"/plain/blobs/sha256/* "$layout/blobs/sha256" || return
    jq -s --arg architecture "$architecture" '
        def on($os; $architecture): del(.annotations) + {platform: {os: $os, architecture: $architecture}};
        . as [$gzip, $plain] |
        {schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests: [
            ($gzip.manifests[0] | on("unknown"; "unknown")),
            ($plain.manifests[0] | on("linux"; "s390x")),
            ($gzip.manifests[0] | on("linux"; $architecture))]}' \
        "$work"/{gzip,plain}/index.json >"$work/index" || return
    index=$(sha256sum <"$work/index" | cut -d ' ' -f 1)
    cp "$work/index" "$layout/blobs/sha256/$index"
    jq -n --arg digest "sha256:$index" --argjson size "$(stat -c %s "$work/index")" '
        {schemaVersion: 2, manifests: [{mediaType: "application/vnd.oci.image.index.v1+json", digest: $digest,
            size: $size, annotations: {"org.opencontainers.image.ref.name": "latest"}}]}' >"$layout/index.json"
    push "$layout" "team/app:$tag" --multi-arch=all
}

# ---- asking ---------------------------------------------------------------------------------------------------------

digest_there() {
    skopeo inspect --tls-verify=false "docker://$REGISTRY/$1" | jq -r .Digest
}

pull() {
    "$hull" pull "$REGISTRY/$1" >"$work/out" 2>"$work/err"
}

# Fails with one line that says so, and leaves no file but whole blobs.
refuses() {
    local name=$1 words=$2
    if pull "$name"; then
        echo "# $name was pulled"
        return 1
    fi
    [[ $(wc -l <"$work/err") -eq 1 ]] && grep -qF -- "$words" "$work/err" && store_whole
}

# Every blob is what its name says; nothing half is anywhere.
store_whole() {
    local blob
    [[ -z $(ls -A "$HULL_ROOT/tmp") ]] || { echo "# left in tmp: $(ls "$HULL_ROOT/tmp")"; return 1; }
    for blob in "$images"/blobs/sha256/*; do
        [[ ! -e $blob || $(sha256sum <"$blob") == "${blob##*/}  -" ]] || { echo "# damaged: $blob"; return 1; }
    done
    for blob in "$HULL_ROOT"/rootfs/*; do
        [[ ! -e $blob ]] || e2fsck -fn "$blob" >"$work/fsck" 2>&1 || { cat "$work/fsck"; return 1; }
    done
}

fresh_store() {
    rm -rf "$HULL_ROOT"
}

# The file of the newest root file system.
newest_rootfs() {
    find "$HULL_ROOT/rootfs" -type f -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d ' ' -f 2
}

file_in_rootfs() {
    debugfs -R "cat $1" "$(newest_rootfs)" 2>/dev/null
}

# ---- the tests ------------------------------------------------------------------------------------------------------

pulls_gzip() {
    fresh_store
    pull team/app:gzip && store_whole && grep -qF "$(digest_there team/app:gzip)" "$work/out" &&
        [[ $(file_in_rootfs /etc/first) == 'from the first layer' ]] &&
        [[ $(file_in_rootfs /etc/second) == 'from the second layer' ]] &&
        cmp <(file_in_rootfs /data) "$work/one/data"
}

store_is_read_by_skopeo() {
    local there
    there=$(digest_there team/app:gzip)
    [[ $(skopeo inspect "oci:$images:$REGISTRY/team/app:gzip" | jq -r .Digest) == "$there" ]] &&
        skopeo copy -q --insecure-policy "oci:$images:$REGISTRY/team/app:gzip" "dir:$work/copied" &&
        [[ sha256:$(sha256sum <"$work/copied/manifest.json" | cut -d ' ' -f 1) == "$there" ]]
}

second_pull_fetches_nothing() {
    find "$images/blobs" "$HULL_ROOT/rootfs" -type f -printf '%p %i %s\n' | sort >"$work/before"
    pull team/app:gzip && ! grep -q fetch "$work/out" &&
        find "$images/blobs" "$HULL_ROOT/rootfs" -type f -size +8k -printf '%p %i %s\n' | sort |
        while read -r line; do grep -qxF "$line" "$work/before" || exit 1; done
}

pulls_zstd() {
    pull team/app:zstd && store_whole &&
        # The same layers, packed otherwise, are the same root file system.
        [[ $(find "$HULL_ROOT/rootfs" -type f | wc -l) -eq 1 ]] &&
        fresh_store && pull team/app:zstd && store_whole && cmp <(file_in_rootfs /data) "$work/one/data"
}

pulls_uncompressed() {
    pull team/app:plain && store_whole && [[ $(file_in_rootfs /etc/second) == 'from the second layer' ]]
}

pulls_docker_schema2() {
    fresh_store
    pull team/app:docker && store_whole && [[ $(file_in_rootfs /etc/first) == 'from the first layer' ]] &&
        grep -qF "$(digest_there team/app:docker)" "$work/out" &&
        grep -qF application/vnd.docker.distribution.manifest.v2+json "$images/index.json"
}

pulls_by_digest() {
    fresh_store
    local digest
    digest=$(digest_there team/app:gzip)
    pull "team/app@$digest" && store_whole && grep -qF "$digest" "$work/out"
}

chooses_the_platform() {
    fresh_store
    push_index many "$(dpkg --print-architecture)" && pull team/app:many && store_whole &&
        grep -qF "$(digest_there team/app:gzip)" "$work/out" &&
        push_index foreign s390x && refuses team/app:foreign 'there is: linux/s390x'
}

knows_other_platforms() {
    local host
    host=linux/$(dpkg --print-architecture)
    fresh_store
    "$hull" pull --platform "$host" "$REGISTRY/team/app:many" >"$work/out" 2>"$work/err" &&
        ! "$hull" pull --platform linux/riscv64 "$REGISTRY/team/app:many" 2>"$work/err" &&
        grep -qF 'no image for linux/riscv64; there is: linux/s390x' "$work/err" &&
        ! "$hull" pull --platform nonsense "$REGISTRY/team/app:many" 2>"$work/err" &&
        grep -qF -- '--platform' "$work/err" &&
        "$hull" import --platform linux/s390x "$work/two.tar" foreign:1 >"$work/out" 2>"$work/err" || return
    "$hull" run --pull never foreign:1 true 2>"$work/err"
    [[ $? -eq 125 ]] && grep -qF 'is for linux/s390x' "$work/err" || return
    "$hull" run --platform linux/s390x foreign:1 true 2>"$work/err"
    [[ $? -eq 125 ]] && grep -qF "this machine runs $host, not 'linux/s390x'" "$work/err"
}

lists_images() {
    fresh_store
    pull team/app:gzip && pull team/app:plain && "$hull" images >"$work/out" 2>"$work/err" &&
        grep -qE "^$REGISTRY/team/app +gzip " "$work/out" && grep -qE "^$REGISTRY/team/app +plain " "$work/out" &&
        [[ $(wc -l <"$work/out") -eq 3 ]]
}

says_what_is_wrong() {
    fresh_store
    "$hull" images >/dev/null
    refuses team/app:none 'check the name and the tag' && refuses nowhere 'check the name and the tag' &&
        REGISTRY=127.0.0.1:1 refuses x 'connection refused' && refuses 'Team/App' 'lower-case'
}

# 0.0.0.0 leads to this machine and is no loopback address by name: TLS is wanted there, unless told otherwise.
speaks_plain_http_only_where_told() {
    local host=0.0.0.0:${REGISTRY#*:}
    fresh_store
    "$hull" images >/dev/null
    REGISTRY=$host refuses team/app:plain HULL_INSECURE_REGISTRIES &&
        HULL_INSECURE_REGISTRIES=other:1,$host REGISTRY=$host pull team/app:plain && store_whole
}

# Changes a blob in the registry's storage, pulls, and puts it back.
with_spoiled_layer() {
    local how=$1 words=$2 layer file status=0
    layer=$(skopeo inspect --raw --tls-verify=false "docker://$REGISTRY/team/app:plain" | jq -r '.layers[0].digest')
    file=$(find "$REGISTRY_STORAGE" -path "*/${layer#sha256:}/data")
    [[ -f $file ]] || { echo "# no blob $layer in $REGISTRY_STORAGE"; return 1; }
    cp "$file" "$work/saved"
    "$how" "$file"
    fresh_store
    refuses team/app:plain "$words" || status=1
    [[ -z $(find "$HULL_ROOT/rootfs" -type f) ]] || status=1
    cp "$work/saved" "$file"
    pull team/app:plain && store_whole && return "$status"
}

flip_bit() {
    printf '\377' | dd of="$1" bs=1 seek=700 conv=notrunc status=none
}
truncate_end() {
    truncate -s -100 "$1"
}
append_bytes() {
    echo more >>"$1"
}

notices_damage() {
    with_spoiled_layer flip_bit 'damaged or forged'
}
notices_truncation() {
    with_spoiled_layer truncate_end 'bytes'
}
notices_excess() {
    with_spoiled_layer append_bytes 'bytes'
}

# Kills pulls at moments spread over the whole of one.
survives_kills() {
    local i killed=0 started whole
    fresh_store
    started=$(date +%s%N)
    pull team/large:1 || return
    whole=$(($(date +%s%N) - started))
    for ((i = 0; i < 20; i++)); do
        # Half of them from nothing, half on what the last one left.
        ((i % 2)) || fresh_store
        "$hull" pull "$REGISTRY/team/large:1" >"$work/out" 2>&1 &
        sleep "$(printf '0.%09d' $((whole * i / 20 % 1000000000)))"
        kill -KILL $! 2>/dev/null
        wait $! 2>/dev/null
        (($? == 137)) && killed=$((killed + 1))
        # Opening the store sweeps what the dead left where files have names while they are written.
        "$hull" images >/dev/null && store_whole || return
    done 2>/dev/null
    echo "# $killed of $i pulls died"
    ((killed >= 3)) || return
    pull team/large:1 && store_whole && cmp <(file_in_rootfs /data) "$work/big/data"
}

pulls_side_by_side() {
    local pids=() i pid
    fresh_store
    for ((i = 0; i < 4; i++)); do
        "$hull" pull "$REGISTRY/team/app:gzip" >"$work/out.$i" 2>&1 &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do
        wait "$pid" || { cat "$work"/out.*; return 1; }
    done
    store_whole && [[ $(find "$HULL_ROOT/rootfs" -type f | wc -l) -eq 1 ]] &&
        [[ $("$hull" images | wc -l) -eq 2 ]]
}

readonly tests=(pulls_gzip store_is_read_by_skopeo second_pull_fetches_nothing pulls_zstd pulls_uncompressed
    pulls_docker_schema2 pulls_by_digest chooses_the_platform knows_other_platforms lists_images says_what_is_wrong
    speaks_plain_http_only_where_told notices_damage notices_truncation notices_excess survives_kills pulls_side_by_side)

echo "1..${#tests[@]}"
prepare >"$work/log" 2>&1 || { sed 's/^/# /' "$work/log"; exit 1; }
number=0
for test in "${tests[@]}"; do
    number=$((number + 1))
    if "$test" >"$work/log" 2>&1; then
        grep '^#' "$work/log"
        echo "ok $number - $test"
    else
        echo "not ok $number - $test"
        for file in log out err; do
            [[ ! -s $work/$file ]] || sed "s/^/# $file: /" "$work/$file"
        done
    fi
done
