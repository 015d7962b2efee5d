#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# `hull save`, `hull load` and `hull import` against skopeo (and podman and umoci where they are): each reads what the
# other wrote, and the digests stay.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
# shellcheck source=tests/support/tap.sh
source tests/support/tap.sh

readonly hull=$PWD/build/bin/hull
work=$(mktemp -d "${TMPDIR:-/tmp}/hull-archives-XXXXXX")
trap 'rm -rf "$work"' EXIT
export HULL_ROOT=$work/root
export SOURCE_DATE_EPOCH=1700000000
readonly full_name=docker.io/library/app:1

copy() {
    skopeo copy -q --insecure-policy "$@"
}

fresh_store() {
    rm -rf "$HULL_ROOT"
}

hull() {
    "$hull" "$@" >"$work/out" 2>"$work/err" || { sed 's/^/# /' "$work/err"; return 1; }
}

# Fails with one line that says so, and gives nothing a name.
refuses() {
    local words=$1
    shift
    if "$hull" "$@" >"$work/out" 2>"$work/err"; then
        echo "# hull $* succeeded"
        return 1
    fi
    tap_is "$(wc -l <"$work/err")" 1 && tap_contains "$(cat "$work/err")" "$words" && tap_is "$(image_count)" 0
}

image_count() {
    "$hull" images -q | wc -l
}

# The digest and the id of the image under that name, as hull has them.
digest_of() {
    jq -r --arg name "$1" '.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] == $name) | .digest' \
        "$HULL_ROOT/images/index.json"
}
id_of() {
    local digest
    digest=$(digest_of "$1")
    jq -r .config.digest "$HULL_ROOT/images/blobs/sha256/${digest#sha256:}"
}

file_in_rootfs() {
    debugfs -R "cat $1" "$(find "$HULL_ROOT/rootfs" -type f | head -n 1)" 2>/dev/null
}

make_tar() {
    tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@1700000000 -C "$1" -cf "$2" .
}

# An image of a gzip, a zstd and a bare layer, and one whose layers are all gzip: docker-archives know no zstd.
prepare() {
    mkdir -p "$work"/{one,two,three}/etc
    echo one >"$work/one/etc/one"
    head -c 300000 /dev/urandom >"$work/one/data"
    echo two >"$work/two/etc/two"
    touch "$work/three/etc/.wh.one"
    local layer
    for layer in one two three; do
        make_tar "$work/$layer" "$work/$layer.tar" || return
    done
    tests/support/pack-oci "$work/layout" "gzip:$work/one.tar" "zstd:$work/two.tar" "tar:$work/three.tar" &&
        tests/support/pack-oci "$work/gzip" "gzip:$work/one.tar" "gzip:$work/two.tar" "gzip:$work/three.tar" &&
        digest=$(jq -r '.manifests[0].digest' "$work/layout/index.json") &&
        id=$(jq -r .config.digest "$work/layout/blobs/sha256/${digest#sha256:}")
}

holds_the_image() {
    tap_is "$(id_of "$full_name")" "$id" && tap_is "$(file_in_rootfs /etc/two)" two &&
        tap_is "$(file_in_rootfs /etc/one)" '' && cmp <(file_in_rootfs /data) "$work/one/data"
}

# ---- skopeo's and others' into hull ---------------------------------------------------------------------------------

loads_a_layout() {
    fresh_store
    hull load -i "$work/layout" --name app:1 && tap_is "$(digest_of "$full_name")" "$digest" && holds_the_image &&
        fresh_store && hull load -i "oci:$work/layout:latest" --name app:1 && holds_the_image
}

loads_skopeos_oci_archive() {
    copy --preserve-digests "oci:$work/layout:latest" "oci-archive:$work/skopeo-oci.tar:$full_name" || return
    fresh_store
    hull load -i "$work/skopeo-oci.tar" && tap_is "$(digest_of "$full_name")" "$digest" && holds_the_image &&
        fresh_store && hull load -i "oci-archive:$work/skopeo-oci.tar:app:1" && holds_the_image
}

loads_skopeos_docker_archive() {
    copy "oci:$work/gzip:latest" "docker-archive:$work/skopeo-docker.tar:app:1" || return
    fresh_store
    hull load -i "docker-archive:$work/skopeo-docker.tar" && holds_the_image
}

loads_from_a_pipe() {
    fresh_store
    # shellcheck disable=SC2002 # a pipe is what is tested
    cat "$work/skopeo-docker.tar" | hull load && holds_the_image
}

loads_umocis_layout() {
    rm -rf "$work/umoci" && umoci init --layout "$work/umoci" >/dev/null && umoci new --image "$work/umoci:v" &&
        cp "$work/one.tar" "$work/umoci.tar" &&
        umoci raw add-layer --image "$work/umoci:v" "$work/umoci.tar" >/dev/null 2>&1 || return
    fresh_store
    hull load -i "oci:$work/umoci:v" --name app:1 && tap_is "$(file_in_rootfs /etc/one)" one
}

# ---- hull's into others ---------------------------------------------------------------------------------------------

skopeo_reads_the_oci_archive() {
    fresh_store
    hull load -i "$work/layout" --name app:1 && hull save -o "$work/hull-oci.tar" app:1 || return
    tap_is "$(skopeo inspect "oci-archive:$work/hull-oci.tar" | jq -r .Digest)" "$digest" || return
    rm -rf "$work/back" && copy --preserve-digests "oci-archive:$work/hull-oci.tar:$full_name" "oci:$work/back:latest" &&
        tap_is "$(jq -r '.manifests[0].digest' "$work/back/index.json")" "$digest" &&
        diff -r "$work/layout/blobs" "$work/back/blobs"
}

skopeo_reads_the_docker_archive() {
    hull save --format docker-archive -o "$work/hull-docker.tar" app:1 || return
    rm -rf "$work/back" && copy "docker-archive:$work/hull-docker.tar:app:1" "dir:$work/back" &&
        tap_is "$(jq -r .config.digest "$work/back/manifest.json")" "$id"
}

podman_loads_both() {
    local archive root=$work/podman
    for archive in hull-oci hull-docker; do
        podman --root "$root" --runroot "$root.run" --storage-driver vfs load -q -i "$work/$archive.tar" || return
        tap_is "sha256:$(podman --root "$root" --runroot "$root.run" --storage-driver vfs image inspect --format \
            '{{.Id}}' app:1)" "$id" || return
    done
}

# What hull saved, whichever way, hull loads; saved once more it is the same file.
comes_back_the_same() {
    local format
    for format in oci-archive docker-archive; do
        fresh_store
        hull load -i "$work/layout" --name app:1 && hull save --format "$format" -o "$work/first.tar" app:1 &&
            "$hull" save --format "$format" app:1 >"$work/piped.tar" && cmp "$work/first.tar" "$work/piped.tar" &&
            fresh_store && hull load -i "$work/first.tar" && holds_the_image &&
            hull save --format "$format" -o "$work/second.tar" app:1 && cmp "$work/first.tar" "$work/second.tar" ||
            return
    done
}

saves_several_images_once() {
    fresh_store
    hull load -i "$work/layout" --name app:1 && hull load -i "$work/layout" --name app:2 &&
        hull load -i "$work/gzip" --name other:1 && hull save -o "$work/many.tar" app:1 app:2 other:1 || return
    tap_is "$(tar -tf "$work/many.tar" | sort | uniq -d)" '' && fresh_store && hull load -i "$work/many.tar" &&
        tap_is "$(image_count)" 3 && hull save --format docker-archive -o "$work/many.tar" app:1 app:2 other:1 &&
        tap_is "$(tar -tf "$work/many.tar" | sort | uniq -d)" '' && fresh_store &&
        hull load -i "docker-archive:$work/many.tar:app:2" && tap_is "$(image_count)" 1
}

# ---- import ---------------------------------------------------------------------------------------------------------

imports_tar_files() {
    local first
    fresh_store
    hull import "$work/one.tar" mine:1 && first=$(cat "$work/out") &&
        tap_is "$(file_in_rootfs /etc/one)" one && hull import - mine:2 <"$work/one.tar" &&
        tap_is "$(cat "$work/out")" "$first" && hull import - mine:3 < <(gzip -c "$work/one.tar") &&
        hull import - mine:4 < <(zstd -qc "$work/one.tar") && tap_is "$(image_count)" 4 &&
        tap_is "$(find "$HULL_ROOT/rootfs" -type f | wc -l)" 1 &&
        tap_is "$(skopeo inspect "oci:$HULL_ROOT/images:docker.io/library/mine:4" | jq -r .Os)" linux
}

# ---- what images say of themselves ----------------------------------------------------------------------------------

inspects_as_skopeo_does() {
    fresh_store
    hull load -i "$work/layout" --name app:1 && hull load -i "$work/layout" --name app:2 &&
        hull image inspect app:1 || return
    tap_is "$(jq -r '.[0].Id' "$work/out")" "$id" &&
        tap_is "$(jq -c '.[0].RepoTags' "$work/out")" '["app:1","app:2"]' &&
        tap_is "$(jq -c '.[0].RepoDigests' "$work/out")" "[\"app@$digest\"]" &&
        tap_is "$(jq -S '.[0] | [.Config, .RootFS.Layers, .Os, .Architecture]' "$work/out")" \
            "$(skopeo inspect --config --raw "oci:$work/layout:latest" |
                jq -S '[.config, .rootfs.diff_ids, .os, .architecture]')" &&
        tap_is "$(jq '[.[0].History[].Size] | add' "$work/out")" \
            "$(skopeo inspect --raw "oci:$work/layout:latest" | jq '[.layers[].size] | add')" &&
        hull image history app:1 && tap_is "$(grep -c tests/support/pack-oci "$work/out")" 3
}

# ---- what goes wrong ------------------------------------------------------------------------------------------------

says_what_is_wrong() {
    fresh_store
    head -c 200000 "$work/skopeo-docker.tar" >"$work/cut.tar"
    refuses 'no OCI layout' load -i "$work/one" && refuses 'no index.json' load -i "$work/one.tar" &&
        refuses 'tar file' load -i "$work/cut.tar" && refuses 'tar file' load -i "$work/layout/index.json" &&
        refuses '--name' load -i "$work/layout" && refuses "no image 'x'" load -i "oci:$work/layout:x" &&
        refuses 'No such file' load -i "$work/none" && refuses 'no image' save -o "$work/x.tar" none:1 &&
        refuses 'neither' save --format tar none:1 && refuses 'cannot import' import "$work/layout/index.json" x &&
        [[ ! -e $work/x.tar ]]
}

# A failed load leaves nothing that takes space.
cleans_up_after_failures() {
    tap_is "$(find "$HULL_ROOT"/{images/blobs,rootfs,tmp,partial} -type f | wc -l)" 0
}

notices_changed_blobs() {
    local layer
    rm -rf "$work/bad" && cp -r "$work/layout" "$work/bad" || return
    layer=$(jq -r '.layers[0].digest' "$work/bad/blobs/sha256/${digest#sha256:}")
    printf '\377' | dd of="$work/bad/blobs/sha256/${layer#sha256:}" bs=1 seek=700 conv=notrunc status=none
    fresh_store
    refuses 'another digest' load -i "$work/bad" --name app:1 && tar -C "$work/bad" -cf "$work/bad.tar" . &&
        refuses 'another digest' load -i "$work/bad.tar" --name app:1
}

prepare >"$work/log" 2>&1 || { sed 's/^/# /' "$work/log"; echo '1..0 # cannot prepare'; exit 1; }
tap_check 'a layout is loaded' loads_a_layout
tap_check "skopeo's oci-archive is loaded" loads_skopeos_oci_archive
tap_check "skopeo's docker-archive is loaded" loads_skopeos_docker_archive
tap_check 'an archive comes through a pipe' loads_from_a_pipe
tap_check "umoci's layout is loaded" loads_umocis_layout
tap_check 'skopeo reads an oci-archive, digests stay' skopeo_reads_the_oci_archive
tap_check 'skopeo reads a docker-archive, the id stays' skopeo_reads_the_docker_archive
if command -v podman >/dev/null; then
    tap_check 'podman loads both' podman_loads_both
else
    tap_skip 'podman loads both' 'podman is not installed'
fi
tap_check 'what was saved comes back the same' comes_back_the_same
tap_check 'several images go into one archive, each file once' saves_several_images_once
tap_check 'tar files are imported' imports_tar_files
tap_check 'inspect and history say what skopeo says' inspects_as_skopeo_does
tap_check 'what is wrong is said in one line' says_what_is_wrong
tap_check 'failures leave nothing' cleans_up_after_failures
tap_check 'changed blobs are noticed' notices_changed_blobs
tap_done
