#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 900
#
# The store under hard treatment: pulls that are killed, downloads that are shared and continued, images removed and
# pruned beside pulls. Archives are in archives.sh.
#
#   HULL_TEST_KILLS=500   how many pulls are killed; 60 unless told
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

# The whole script runs again inside, with $REGISTRY set.
[[ -n ${REGISTRY:-} ]] || exec tests/support/registry run -- "$0"
# shellcheck source=tests/support/tap.sh
source tests/support/tap.sh

readonly hull=build/bin/hull kills=${HULL_TEST_KILLS:-60}
work=$(mktemp -d "${TMPDIR:-/tmp}/hull-store-XXXXXX")
trap 'rm -rf "$work"' EXIT
export HULL_ROOT=$work/root
readonly images=$HULL_ROOT/images

# An image of layers of random bytes: push_random NAME BYTES...
push_random() {
    local name=$1 layers=() bytes
    shift
    for bytes; do
        rm -rf "$work/tree"
        mkdir -p "$work/tree"
        head -c "$bytes" /dev/urandom >"$work/tree/$name-$bytes"
        tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@1700000000 -C "$work/tree" -cf \
            "$work/$name-$bytes.tar" . || return
        layers+=("tar:$work/$name-$bytes.tar")
    done
    tests/support/pack-oci "$work/$name" "${layers[@]}" &&
        skopeo copy -q --insecure-policy --dest-tls-verify=false --preserve-digests "oci:$work/$name:latest" \
            "docker://$REGISTRY/$name"
}

prepare() {
    push_random large 9000000 7000000 && push_random small 100000 &&
        tests/support/pack-oci "$work/shared2" "tar:$work/small-100000.tar" "tar:$work/large-7000000.tar" &&
        skopeo copy -q --insecure-policy --dest-tls-verify=false --preserve-digests "oci:$work/shared2:latest" \
            "docker://$REGISTRY/shared"
}

# Every blob is what its name says; every root file system is one; no temporary is left.
store_whole() {
    local blob
    [[ -z $(ls -A "$HULL_ROOT/tmp") ]] || { echo "# left in tmp: $(ls "$HULL_ROOT/tmp")"; return 1; }
    for blob in "$images"/blobs/sha256/*; do
        [[ ! -e $blob || $(sha256sum <"$blob") == "${blob##*/}  -" ]] || { echo "# damaged: $blob"; return 1; }
    done
    for blob in "$HULL_ROOT"/rootfs/*; do
        [[ ! -e $blob ]] || e2fsck -fn "$blob" >"$work/fsck" 2>&1 || { sed 's/^/# /' "$work/fsck"; return 1; }
    done
    skopeo inspect --raw "oci:$images" >/dev/null 2>"$work/err" || ! grep -qi 'invalid\|parse' "$work/err"
}

pull() {
    "$hull" pull "$REGISTRY/$1" >"$work/out" 2>"$work/err" || { sed 's/^/# /' "$work/err"; return 1; }
}

files_in() {
    find "$HULL_ROOT/$1" -type f | wc -l
}

fresh_store() {
    rm -rf "$HULL_ROOT"
}

# A number from 0 to 999999999 that is as random as any.
random_billionth() {
    echo $(((RANDOM << 15 | RANDOM) % 1000000000))
}

# Kills pulls at random moments, most of them on what the last one left.
survives_random_kills() {
    local i killed=0 started whole status
    fresh_store
    started=$(date +%s%N)
    pull large || return
    whole=$(($(date +%s%N) - started))
    fresh_store
    for ((i = 0; i < kills; i++)); do
        ((RANDOM % 4)) || fresh_store
        "$hull" pull "$REGISTRY/large" >"$work/out" 2>&1 &
        sleep "$(printf '0.%09d' $(($(random_billionth) * (whole / 1000000) / 1000 % 1000000000)))"
        kill -KILL $! 2>/dev/null
        wait $! 2>/dev/null
        status=$?
        ((status == 137)) && killed=$((killed + 1))
        "$hull" images >/dev/null && store_whole || { echo "# after kill $i"; return 1; }
    done 2>/dev/null
    echo "# $killed of $i pulls died"
    ((killed * 5 >= i)) || return
    pull large && store_whole && "$hull" images | grep -q "/large " && tap_is "$(files_in partial)" 0
}

# What a killed pull had is not fetched again: the partial's inode becomes the blob's.
continues_a_killed_download() {
    local layer partial before
    layer=$(jq -r '.layers[0].digest' "$work/large/blobs/sha256/$(jq -r '.manifests[0].digest' \
        "$work/large/index.json" | cut -d : -f 2)")
    layer=${layer#sha256:}
    fresh_store
    "$hull" images >/dev/null
    partial=$HULL_ROOT/partial/sha256.$layer
    # Half of the layer as a killed pull leaves it.
    head -c 4000000 "$work/large/blobs/sha256/$layer" >"$partial"
    before=$(stat -c %i "$partial")
    pull large && tap_is "$(stat -c %i "$images/blobs/sha256/$layer")" "$before" && store_whole
}

# Several pulls of one image: each blob is downloaded by one of them.
one_downloads_for_all() {
    local pids=() i pid fetched
    fresh_store
    for ((i = 0; i < 4; i++)); do
        "$hull" pull "$REGISTRY/large" >"$work/out.$i" 2>&1 &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do
        wait "$pid" || { sed 's/^/# /' "$work"/out.*; return 1; }
    done
    # Two layers and a configuration.
    fetched=$(cat "$work"/out.? | grep -c 'fetched, verified')
    tap_is "$fetched" 3 && store_whole && tap_is "$(files_in partial)" 0
}

removes_an_image_and_what_only_it_needs() {
    fresh_store
    pull small && pull shared || return
    local before
    before=$(files_in images/blobs)
    "$hull" rmi "$REGISTRY/small" >"$work/out" || return
    tap_contains "$(cat "$work/out")" "Untagged: $REGISTRY/small:latest" &&
        tap_is "$(files_in images/blobs)" $((before - 2)) && tap_is "$(files_in rootfs)" 1 && store_whole &&
        "$hull" rmi "$("$hull" images -q)" >"$work/out" && tap_is "$(files_in images/blobs)" 0 &&
        tap_is "$(files_in rootfs)" 0 && tap_is "$("$hull" images | wc -l)" 1
}

rmi_says_what_is_not_there() {
    local status=0
    "$hull" rmi none:1 2>"$work/err" || status=$?
    tap_is "$status" 1 && tap_contains "$(cat "$work/err")" "no image 'none:1'" && "$hull" rmi -f none:1 >/dev/null
}

prunes_unused_images() {
    fresh_store
    pull small && pull large && "$hull" image prune >"$work/out" || return
    tap_is "$("$hull" images | wc -l)" 3 && "$hull" image prune -a --filter until=2001-01-01 >"$work/out" || return
    tap_is "$("$hull" images | wc -l)" 3 || return
    echo half >"$HULL_ROOT/partial/sha256.$(printf '%064d' 0)"
    "$hull" image prune -a >"$work/out" || return
    tap_is "$("$hull" images | wc -l)" 1 && tap_is "$(files_in images/blobs)" 0 && tap_is "$(files_in partial)" 1 &&
        "$hull" system prune >"$work/out" && tap_is "$(files_in partial)" 0
}

shows_what_it_takes() {
    fresh_store
    pull large && "$hull" system df --format json >"$work/out" || return
    tap_is "$(jq -r 'select(.Type == "Images") | .TotalCount' "$work/out")" 1 &&
        tap_is "$(jq -r 'select(.Type == "Root file systems") | .Active' "$work/out")" 1 &&
        tap_is "$(jq -s 'map(.Reclaimable) | add' "$work/out")" 0 &&
        (($(jq -r 'select(.Type == "Images") | .Size' "$work/out") > 16000000)) &&
        "$hull" rmi --no-prune "$REGISTRY/large" >/dev/null && "$hull" system df --format json >"$work/out" &&
        (($(jq -s 'map(.Reclaimable) | add' "$work/out") > 32000000)) && "$hull" system df | grep -q '^TYPE'
}

# Pulls and prunes without pause, with no grace at all: a pull succeeds or says that its blobs were pruned; no name ever
# leads to a blob that is not there.
prunes_beside_pulls() {
    local i pruner failed=0
    fresh_store
    "$hull" images >/dev/null
    touch "$work/pruning"
    while [[ -e $work/pruning ]]; do
        "$hull" system prune -a --grace 0 >/dev/null 2>>"$work/prune-err"
    done &
    pruner=$!
    for ((i = 0; i < 15; i++)); do
        if ! "$hull" pull "$REGISTRY/small" >"$work/out" 2>"$work/err"; then
            grep -qE 'removed from the store|is not in the store' "$work/err" ||
                { sed 's/^/# /' "$work/err"; rm "$work/pruning"; wait "$pruner"; return 1; }
            failed=$((failed + 1))
        fi
    done
    rm "$work/pruning"
    wait "$pruner"
    echo "# $failed of $i pulls lost blobs to a prune without grace"
    [[ ! -s $work/prune-err ]] || { sed 's/^/# /' "$work/prune-err"; return 1; }
    pull small && store_whole && "$hull" images | grep -q /small
}

grace_protects_pulls() {
    local i pruner
    fresh_store
    "$hull" images >/dev/null
    touch "$work/pruning"
    while [[ -e $work/pruning ]]; do
        "$hull" image prune -a >/dev/null 2>>"$work/prune-err"
    done &
    pruner=$!
    for ((i = 0; i < 15; i++)); do
        pull small || break
    done
    rm "$work/pruning"
    wait "$pruner"
    tap_is "$i" 15 && store_whole
}

prepare >"$work/log" 2>&1 || { sed 's/^/# /' "$work/log"; echo '1..0 # cannot prepare'; exit 1; }
tap_check "$kills pulls killed at random leave a whole store" survives_random_kills
tap_check 'a killed download is continued' continues_a_killed_download
tap_check 'of several pulls of one blob one downloads' one_downloads_for_all
tap_check 'rmi frees what no other image needs' removes_an_image_and_what_only_it_needs
tap_check 'rmi says what is not there' rmi_says_what_is_not_there
tap_check 'prune frees unused images, by age too' prunes_unused_images
tap_check 'system df counts' shows_what_it_takes
tap_check 'no name leads to pruned blobs, even without grace' prunes_beside_pulls
tap_check 'with grace pulls never notice prunes' grace_protects_pulls
tap_done
