#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# `hull push`, `hull tag`, `hull login` and `hull logout` against Debian's docker-registry: plain, with TLS and a login,
# and with tokens from a server of the tests. What arrives is read back by skopeo.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

[[ -n ${REGISTRY:-} ]] || exec tests/support/registry run -- "$0"

readonly hull=build/bin/hull
work=$(mktemp -d "${TMPDIR:-/tmp}/hull-push-XXXXXX")
token_server='' proxy_pid=''
finish() {
    tests/support/registry stop "$work/secure"
    tests/support/registry stop "$work/tokens"
    [[ -z $token_server ]] || kill "$token_server" 2>/dev/null
    [[ -z $proxy_pid ]] || kill "$proxy_pid" 2>/dev/null
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 143' TERM INT HUP
export HULL_ROOT=$work/root HOME=$work/home
unset REGISTRY_AUTH_FILE XDG_RUNTIME_DIR XDG_CONFIG_HOME DOCKER_CONFIG SSL_CERT_FILE SSL_CERT_DIR CURL_CA_BUNDLE
mkdir -p "$HOME"

# ---- registries and an image ------------------------------------------------------------------------------------------

make_ca() {
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=hull-tests-ca -keyout "$work/ca.key" \
        -out "$work/ca.crt" -addext basicConstraints=critical,CA:true &&
        openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout "$work/server.key" -out "$work/server.csr" &&
        openssl x509 -req -days 2 -in "$work/server.csr" -CA "$work/ca.crt" -CAkey "$work/ca.key" -CAcreateserial \
            -extfile <(echo subjectAltName=DNS:localhost,IP:127.0.0.1) -out "$work/server.crt"
}

# The first line that a server in the background writes: its address.
first_line() {
    local i
    for ((i = 0; i < 200; i++)); do
        [[ ! -s $1 ]] || break
        sleep 0.05
    done
    head -n 1 "$1"
}

start_registries() {
    SECURE=$(REGISTRY_TLS=$work/server.crt:$work/server.key REGISTRY_LOGIN=me:s3:cret \
        tests/support/registry start "$work/secure") || return
    tests/support/token-server "$work/ca.crt" "$work/ca.key" me:s3:cret >"$work/token-log" 2>"$work/token-err" &
    token_server=$!
    TOKENS=$(REGISTRY_TOKENS="http://$(first_line "$work/token-log")/token,$work/ca.crt" \
        tests/support/registry start "$work/tokens")
}

# The image comes into the store by a pull: pushing needs no other way in.
prepare() {
    local name
    mkdir -p "$work"/{one,two}/etc
    echo 'from the first layer' >"$work/one/etc/first"
    head -c 9000000 /dev/urandom >"$work/one/data"
    echo 'from the second layer' >"$work/two/etc/second"
    for name in one two; do
        tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@1700000000 -C "$work/$name" \
            -cf "$work/$name.tar" . || return
    done
    tests/support/pack-oci "$work/image" "gzip:$work/one.tar" "zstd:$work/two.tar" &&
        skopeo copy -q --insecure-policy --dest-tls-verify=false --preserve-digests "oci:$work/image:latest" \
            "docker://$REGISTRY/team/app:1" &&
        "$hull" pull "$REGISTRY/team/app:1" && make_ca && start_registries &&
        DIGEST=$(digest_there "$REGISTRY/team/app:1")
}

digest_there() {
    skopeo inspect --tls-verify=false "docker://$1" "${@:2}" | jq -r .Digest
}

# Each blob of an image, copied back by skopeo, is what its name says.
copies_back() {
    rm -rf "$work/back"
    skopeo copy -q --insecure-policy --src-tls-verify=false "${@:2}" "docker://$1" "dir:$work/back" &&
        [[ sha256:$(sha256sum <"$work/back/manifest.json" | cut -d ' ' -f 1) == "$DIGEST" ]] || return
    local blob count=0
    for blob in "$work"/back/*; do
        [[ ${#blob} -gt 64 && ${blob##*/} =~ ^[0-9a-f]{64}$ ]] || continue
        [[ $(sha256sum <"$blob") == "${blob##*/}  -" ]] || return
        count=$((count + 1))
    done
    ((count == 3))
}

run_hull() {
    "$hull" "$@" >"$work/out" 2>"$work/err"
}

refuses() {
    local words=$1
    shift
    if run_hull "$@"; then
        echo "# hull $* succeeded"
        return 1
    fi
    [[ $(wc -l <"$work/err") -eq 1 ]] && grep -qF -- "$words" "$work/err"
}

# ---- the tests --------------------------------------------------------------------------------------------------------

tags() {
    run_hull tag "$REGISTRY/team/app:1" "$REGISTRY/team/copy:2" &&
        [[ $("$hull" images | grep -c "$REGISTRY/team/copy  *2 ") -eq 1 ]] &&
        refuses 'no image' tag "$REGISTRY/none:1" x && refuses 'a digest is no name' tag "$REGISTRY/team/app:1" "x@$DIGEST"
}

mounts_from_another_repository() {
    run_hull push "$REGISTRY/team/copy:2" && [[ $(grep -c 'taken from another' "$work/out") -eq 3 ]] &&
        ! grep -q 'sent' "$work/out" && grep -qF "Digest: $DIGEST" "$work/out" && copies_back "$REGISTRY/team/copy:2"
}

pushes_nothing_twice() {
    run_hull push "$REGISTRY/team/copy:2" && [[ $(grep -c 'already there' "$work/out") -eq 3 ]] &&
        ! grep -q 'sent\|taken' "$work/out"
}

# The connection breaks twice inside the chunk that carries the large layer. docker-registry does not let itself be
# resumed inside a chunk (its sessions carry the offset), so the upload begins anew.
survives_cut_connections() {
    local fresh
    tests/support/cut-proxy "$REGISTRY" 3000000 2000000 >"$work/proxy-log" 2>&1 &
    proxy_pid=$!
    fresh=$(first_line "$work/proxy-log")/fresh/app:1
    run_hull tag "$REGISTRY/team/app:1" "$fresh" && run_hull push "$fresh" &&
        [[ $(grep -c '^cut' "$work/proxy-log") -eq 2 ]] && copies_back "$REGISTRY/fresh/app:1"
}

wants_trust() {
    refuses 'not trusted' login -u me -p s3:cret "$SECURE"
}

wants_the_right_password() {
    export SSL_CERT_FILE=$work/ca.crt
    refuses 'is the password right' login -u me -p wrong "$SECURE" && [[ ! -e $HOME/.docker ]]
}

logs_in() {
    printf 's3:cret\n' | run_hull login -u me --password-stdin "$SECURE" &&
        grep -qF "Logged in to '$SECURE'; kept in file '$HOME/.docker/config.json'" "$work/out" &&
        [[ $(stat -c %a "$HOME/.docker/config.json") == 600 ]] &&
        [[ $(jq -r ".auths[\"$SECURE\"].auth" "$HOME/.docker/config.json" | base64 -d) == me:s3:cret ]]
}

# On a terminal it asks, and does not show the password.
asks_on_a_terminal() {
    cat >"$work/type.py" <<'TYPE'
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
shown = b""
for question, typed in ((b"Username: ", b"me\n"), (b"Password: ", b"s3:cret\n"), (None, b"")):
    try:
        while question is None or not shown.endswith(question):
            piece = os.read(terminal, 4096)
            if not piece:
                break
            shown += piece
    except OSError:
        pass
    if typed:
        os.write(terminal, typed)
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
TYPE
    HOME=$work/asked timeout 20 python3 "$work/type.py" "$hull" login "$SECURE" >"$work/out" 2>"$work/err" &&
        grep -qF 'Logged in to' "$work/out" && ! grep -q 's3:cret' "$work/out" &&
        grep -qF "$(printf me:s3:cret | base64)" "$work/asked/.docker/config.json"
}

# The address is one of this machine: plain HTTP is tried there, and TLS once the registry asks for it.
pushes_with_login_over_tls() {
    run_hull tag "$REGISTRY/team/app:1" "$SECURE/team/app:1" && run_hull push "$SECURE/team/app:1" &&
        [[ $(grep -c ': sent' "$work/out") -eq 3 ]] && copies_back "$SECURE/team/app:1" --src-creds me:s3:cret
}

pulls_with_login_over_tls() {
    local HULL_ROOT=$work/other
    export HULL_ROOT
    run_hull pull "$SECURE/team/app:1" && grep -qF "$DIGEST" "$work/out"
}

trusts_a_ca_of_one_registry() {
    unset SSL_CERT_FILE
    refuses 'not trusted' push "$SECURE/team/app:1"
    mkdir -p "$HOME/.config/containers/certs.d/$SECURE" &&
        cp "$work/ca.crt" "$HOME/.config/containers/certs.d/$SECURE/" && run_hull push "$SECURE/team/app:1"
}

# skopeo's login is ours, and ours is skopeo's.
shares_logins() {
    mkdir -p "$work/certs" && cp "$work/ca.crt" "$work/certs/" &&
        skopeo inspect --cert-dir "$work/certs" "docker://$SECURE/team/app:1" >/dev/null &&
        run_hull logout "$SECURE" && refuses 'wants a login' push "$SECURE/team/app:1" &&
        skopeo login --authfile "$work/auth.json" --cert-dir "$work/certs" -u me -p s3:cret "$SECURE" &&
        REGISTRY_AUTH_FILE=$work/auth.json run_hull push "$SECURE/team/app:1"
}

logs_out_once() {
    refuses 'there is no login' logout "$SECURE" && refuses 'is no registry' logout no/host
}

without_a_login_may_not_push() {
    run_hull tag "$REGISTRY/team/app:1" "$TOKENS/team/app:1" && refuses 'wants a login' push "$TOKENS/team/app:1" &&
        grep -qF 'GET anybody repository:team/app:pull,push' "$work/token-log"
}

pushes_with_tokens() {
    refuses 'refuses the login' login -u me -p wrong "$TOKENS" && run_hull login -u me -p s3:cret "$TOKENS" &&
        run_hull push "$TOKENS/team/app:1" && grep -qF 'GET me repository:team/app:pull,push' "$work/token-log" &&
        copies_back "$TOKENS/team/app:1"
}

mounts_with_tokens() {
    run_hull tag "$TOKENS/team/app:1" "$TOKENS/other/app:1" && run_hull push "$TOKENS/other/app:1" &&
        [[ $(grep -c 'taken from another' "$work/out") -eq 3 ]] &&
        grep -qF 'GET me repository:other/app:pull,push repository:team/app:pull' "$work/token-log" &&
        copies_back "$TOKENS/other/app:1"
}

pushes_with_an_identity_token() {
    jq -n --arg host "$TOKENS" '{auths: {($host): {auth: "bWU6", identitytoken: "refresh-me"}}}' >"$work/identity.json"
    run_hull tag "$TOKENS/team/app:1" "$TOKENS/third/app:1" &&
        REGISTRY_AUTH_FILE=$work/identity.json run_hull push "$TOKENS/third/app:1" &&
        grep -qF 'POST me repository:third/app:pull,push' "$work/token-log" && copies_back "$TOKENS/third/app:1"
}

uses_a_credential_helper() {
    cat >"$work/docker-credential-tests" <<'HELPER'
#!/bin/sh
case $1 in
store) cat >"$HOME/kept" ;;
get) [ -e "$HOME/kept" ] && cat "$HOME/kept" || { echo 'credentials not found in native keychain'; exit 1; } ;;
erase) rm "$HOME/kept" ;;
esac
HELPER
    chmod +x "$work/docker-credential-tests"
    local PATH=$work:$PATH
    echo '{"credsStore": "tests"}' >"$HOME/.docker/config.json"
    run_hull login -u me -p s3:cret "$TOKENS" && grep -qF "helper 'docker-credential-tests'" "$work/out" &&
        [[ $(jq -r .Secret "$HOME/kept") == s3:cret ]] && run_hull push "$TOKENS/team/app:1" &&
        run_hull logout "$TOKENS" && [[ ! -e $HOME/kept ]]
}

readonly tests=(tags mounts_from_another_repository pushes_nothing_twice survives_cut_connections wants_trust wants_the_right_password logs_in asks_on_a_terminal
    pushes_with_login_over_tls pulls_with_login_over_tls trusts_a_ca_of_one_registry shares_logins logs_out_once
    without_a_login_may_not_push pushes_with_tokens mounts_with_tokens pushes_with_an_identity_token
    uses_a_credential_helper)

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
        for file in log out err token-err; do
            [[ ! -s $work/$file ]] || sed "s/^/# $file: /" "$work/$file"
        done
    fi
done
