#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# `hull run`, from a registry to nothing left: streams, statuses, signals, what the image and the options say, what a
# container sees, several at once, and each thing that can be wrong. Virtual machines run where `lab auto` says.
# timeout: 900
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
. tests/support/tap.sh

# ---- outside: images in a registry, pulled into a store under the checkout -------------------------------------------

if [[ -z ${REGISTRY:-} ]]; then
    exec tests/support/registry run -- "$0"
fi

if [[ ${1:-} != --inside ]]; then
    mkdir -p build
    work=$(mktemp -d "$PWD/build/run-test.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    # An image with a configuration of its own, and two programs that end badly.
    mkdir -p "$work/root/etc" "$work/root/bin"
    printf 'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:app:/home/app:/bin/sh\n' >"$work/root/etc/passwd"
    printf 'root:x:0:\napp:x:1001:\nextra:x:2000:app\n' >"$work/root/etc/group"
    cp /bin/busybox "$work/root/bin/"
    for applet in sh id pwd touch; do ln "$work/root/bin/busybox" "$work/root/bin/$applet"; done
    echo 'int main(void) { *(volatile int *)0 = 1; return 0; }' >"$work/crash.c"
    musl-gcc -w -static -o "$work/root/bin/crash" "$work/crash.c" || exit 1
    printf 'neither ELF nor script' >"$work/root/bin/noexec"
    chmod 755 "$work/root/bin/noexec"
    tar --owner=0 --group=0 --numeric-owner -C "$work/root" -cf "$work/custom.tar" . || exit 1
    # shellcheck disable=SC2016 # expanded in the container
    OCI_CONFIG='{"Entrypoint": ["/bin/sh", "-c"], "Cmd": ["id; pwd; echo \"$IMAGE,$HOME\""], "User": "app",
        "Env": ["PATH=/bin", "IMAGE=from-image"], "WorkingDir": "/srv/work"}' \
        tests/support/pack-oci "$work/custom" "gzip:$work/custom.tar" || exit 1
    for image in "$(tests/support/make-images busybox):busybox" "$work/custom:custom"; do
        skopeo copy --quiet --insecure-policy --dest-tls-verify=false "oci:${image%%:*}:latest" \
            "docker://$REGISTRY/${image##*:}:latest" || exit 1
        HULL_ROOT=$work/store build/bin/hull pull --quiet "$REGISTRY/${image##*:}" >"$work/pulled" || exit 1
    done
    HULL_ROOT=$work/store tools/lab/lab auto -e REGISTRY -- "$0" --inside "$work/store"
    exit
fi

# ---- inside ----------------------------------------------------------------------------------------------------------

work=$(mktemp -d)
export HULL_ROOT=$work/store HULL_RUN=$work/run
trap 'rm -rf "$work"' EXIT
cp -a "$2" "$HULL_ROOT"
readonly busybox=$REGISTRY/busybox custom=$REGISTRY/custom

# hull ARG...: its streams go to $work/stdout and $work/stderr, its exit status to $status. A guest that hangs is tried
# once more, and that is told: emulated hosts lose one now and then.
hull() {
    local attempt
    for attempt in 1 2; do
        status=0
        timeout -k 5 90 build/bin/hull "$@" <"${input:-/dev/null}" >"$work/stdout" 2>"$work/stderr" || status=$?
        [[ $status -eq 124 ]] || return 0
        echo "# attempt $attempt did not end: hull $*"
    done
}

stdout() { cat "$work/stdout"; }
line() { sed -n "$1p" "$work/stdout"; }

# Our own hull-vmm, not those of others in the same lab.
machines() {
    local pid count=0
    for pid in $(pgrep -x hull-vmm); do
        tr '\0' '\n' 2>/dev/null <"/proc/$pid/environ" | grep -qx "HULL_RUN=$HULL_RUN" && count=$((count + 1))
    done
    echo "$count"
}

nothing_left() {
    local files
    files=$(find "$HULL_RUN/containers" "$HULL_RUN/names" "$HULL_ROOT/tmp" -mindepth 1 2>/dev/null)
    tap_is "$files" '' && tap_is "$(machines)" 0
}

# ran STATUS: the last run ended so, said nothing about it, and left nothing.
ran() {
    tap_is "$status" "$1" && tap_is "$(<"$work/stderr")" '' && nothing_left
}

# failed STATUS WORDS: it ended so with one line on standard error that has the words, no output, and nothing left.
failed() {
    tap_is "$status" "$1" && tap_is "$(wc -l <"$work/stderr")" 1 && tap_contains "$(<"$work/stderr")" 'hull: error: ' &&
        tap_contains "$(<"$work/stderr")" "$2" && tap_is "$(stdout)" '' && nothing_left
}

# ---- what a container is -----------------------------------------------------------------------------------------------

hull doctor
tap_check 'hull doctor finds that containers can run' tap_is "$status" 0

# shellcheck disable=SC2016 # expanded inside
hull run --rm "$busybox" sh -c 'uname -r; cat /proc/sys/kernel/random/boot_id; date +%s; hostname; echo $HOSTNAME; cat /etc/hostname
    grep -c $HOSTNAME /etc/hosts; echo $$; nproc; cat /sys/class/net/lo/flags; ls /dev | tr "\n" " "; echo; echo problem >&2; exit 7'
now=$(date +%s)
tap_check 'the exit status is the process'"'"'s' tap_is "$status" 7
tap_check 'standard error is apart' tap_is "$(<"$work/stderr")" problem
tap_check 'nothing is left' nothing_left
different_machine() {
    [[ -n $(line 1) && $(line 1) != "$(uname -r)" ]] && [[ $(line 2) =~ ^[0-9a-f-]{36}$ ]] &&
        [[ $(line 2) != "$(</proc/sys/kernel/random/boot_id)" ]]
}
tap_check 'it has a kernel and a boot of its own' different_machine
tap_check 'its clock is right' test "$((now - $(line 3)))" -ge -5 -a "$((now - $(line 3)))" -le 30
named() { [[ $(line 4) =~ ^[0-9a-f]{12}$ ]] && tap_is "$(line 5) $(line 6) $(line 7)" "$(line 4) $(line 4) 1"; }
tap_check 'it is named after its id, in all places' named
tap_check 'it is process 1 and has one CPU' tap_is "$(line 8) $(line 9)" '1 1'
tap_check 'loopback is up' tap_is "$(line 10)" 0x9
tap_check 'its devices are the usual ones' tap_is "$(line 11)" \
    'fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero '

hull run --cpus 2 --memory 128m "$busybox" sh -c 'nproc; free -m | sed -n "s/^Mem: *\([0-9]*\).*/\1/p"'
tap_check 'two CPUs' tap_is "$(line 1)" 2
tap_check '128 MiB of memory' test "$(line 2)" -gt 64 -a "$(line 2)" -le 128

hull run "$busybox" sh -c 'echo one >/new && rm /bin/vi && dd if=/dev/zero of=/big bs=1M count=40 2>/dev/null && sync && ls /new /bin/vi /big'
tap_check 'its file system can be written' tap_is "$(stdout)" $'/big\n/new'
hull run "$busybox" sh -c 'ls /new /bin/vi /big 2>/dev/null'
tap_check 'and the next one starts afresh' tap_is "$(stdout)" /bin/vi

# ---- streams -----------------------------------------------------------------------------------------------------------

head -c 50M /dev/urandom >"$work/random"
input=$work/random hull run --rm -i "$busybox" sha256sum
tap_check '50 MB through standard input arrive whole' tap_is "$(stdout)" "$(sha256sum <"$work/random")"
tap_check 'and it ends well' ran 0
head -c 4M "$work/random" >"$work/part"
input=$work/part hull run -i "$busybox" cat
tap_check '4 MB in and out are the same' cmp "$work/part" "$work/stdout"
input=$work/part hull run "$busybox" cat
tap_check 'without -i standard input is empty' ran 0
tap_check 'and so is its output' test ! -s "$work/stdout"
hull run "$busybox" sh -c 'echo to-stdout >/dev/stdout; echo to-stderr >/dev/stderr; printf "no newline"'
tap_check '/dev/stdout can be opened, and the last bytes need no newline' tap_is "$(stdout)" $'to-stdout\nno newline'
hull run "$busybox" sh -c 'head -c 3000000 /dev/zero; exit 3'
tap_check 'output that was written just before the end arrives' tap_is "$status $(wc -c <"$work/stdout")" '3 3000000'
reader_leaves() {
    local line
    line=$(timeout -k 5 90 build/bin/hull run "$busybox" yes 2>"$work/stderr" </dev/null | head -n 1)
    tap_is "$line" y && nothing_left
}
tap_check 'a reader that leaves ends the writer' reader_leaves
full_disk() {
    local status=0
    timeout -k 5 90 build/bin/hull run "$busybox" echo hello >/dev/full 2>"$work/stderr" </dev/null || status=$?
    tap_is "$status" 125 && tap_contains "$(<"$work/stderr")" 'output could be written: No space left'
}
tap_check 'output that cannot be written is told' full_disk

# ---- what the image says and what the options say ------------------------------------------------------------------------

hull run "$custom"
tap_check 'Entrypoint, Cmd, User, WorkingDir and Env of the image' tap_is "$(stdout)" \
    $'uid=1000(app) gid=1001(app) groups=1001(app),2000(extra)\n/srv/work\nfrom-image,/home/app'
# shellcheck disable=SC2016
PASSED='a b' hull run -u 1000:2000 -w /made/for/it -e IMAGE=mine -e PASSED --entrypoint /bin/sh "$custom" \
    -c 'id -u; id -g; id -G; pwd; echo "$IMAGE,$PASSED"; touch /made/for/it/x 2>&1; echo no >/proc/self/fd/1'
tap_check '-u, -w, -e and --entrypoint' tap_is "$(stdout)" \
    $'1000\n2000\n2000\n/made/for/it\nmine,a b\ntouch: /made/for/it/x: Permission denied\nno'
hull run "$custom" 'echo "$0 $1"' first second
tap_check 'arguments replace Cmd and are kept apart' tap_is "$(stdout)" 'first second'
hull run -u 4242 "$busybox" sh -c 'id -u; id -g; echo $HOME'
tap_check 'a user that the image does not know, by number' tap_is "$(stdout)" $'4242\n0\n/'

# ---- statuses and signals --------------------------------------------------------------------------------------------

hull run "$busybox" no-such-program
tap_check 'a program that is not there: 127' failed 127 no-such-program
hull run "$busybox" /no/such/program
tap_check 'nor under its path: 127' failed 127 /no/such/program
hull run "$busybox" /etc
tap_check 'a directory: 126' failed 126 /etc
hull run "$busybox" /etc/passwd
tap_check 'a file without the right to execute it: 126' failed 126 'Permission denied'
hull run --entrypoint '' "$custom" /bin/noexec
tap_check 'a file of no known format: 126' failed 126 'Exec format error'
hull run --entrypoint '' "$custom" crash
tap_check 'a program that crashes: 128+11' ran 139

# in_background ARG...: starts `hull run ARG...` and waits until it has printed "ready"; its process is $!
in_background() {
    mkfifo "$work/fifo"
    build/bin/hull run "$@" >"$work/fifo" 2>"$work/stderr" </dev/null &
    exec 5<"$work/fifo"
    rm "$work/fifo"
    local word
    read -r -t 90 word <&5 && tap_is "$word" ready
}
# ended STATUS
ended() {
    local status=0
    wait "$!" || status=$?
    exec 5<&-
    tap_is "$status" "$1"
}
forwarded() {
    in_background "$busybox" sh -c 'trap "exit 5" TERM; echo ready; while :; do sleep 1 & wait; done' &&
        kill -TERM "$!" && ended 5 && nothing_left
}
tap_check 'SIGTERM goes to the process' forwarded
insistent() {
    in_background "$busybox" sh -c 'echo ready; exec sleep 1000' || return
    for _ in 1 2 3; do
        kill -TERM "$!"
        sleep 0.5
    done
    ended 137 && nothing_left
}
tap_check 'the third one kills it: 128+9' insistent
killed() {
    in_background --name killed "$busybox" sh -c 'echo ready; exec sleep 1000' || return
    tap_is "$(machines)" 1
    disown "$!"
    kill -KILL "$!"
    exec 5<&-
    # The machine goes with its monitor; the kernel needs a moment to take it apart.
    local turn
    for ((turn = 0; turn < 100; turn++)); do
        [[ $(machines) -eq 0 ]] && break
        sleep 0.1
    done
    hull run --name killed "$busybox" true && ran 0
}
tap_check 'hull killed: its machine goes too, and the next run cleans up' killed

# ---- several at once -------------------------------------------------------------------------------------------------

together() {
    local number pids=()
    for number in 1 2 3; do
        # shellcheck disable=SC2016
        timeout -k 5 120 build/bin/hull run -e "N=$number" "$busybox" \
            sh -c 'echo $N >/mine; sleep 1; cat /mine; exit $N' >"$work/together.$number" 2>&1 </dev/null &
        pids+=($!)
    done
    for number in 1 2 3; do
        local status=0
        wait "${pids[number - 1]}" || status=$?
        tap_is "$status $(<"$work/together.$number")" "$number $number" || return
    done
    nothing_left
}
tap_check 'three at once, each with a file system of its own' together
taken() {
    in_background --name same "$busybox" sh -c 'echo ready; exec sleep 1000' || return
    local first=$!
    hull run --name same "$busybox" true
    tap_is "$status" 125 && tap_contains "$(<"$work/stderr")" taken || return
    for _ in 1 2 3; do
        kill -INT "$first"
        sleep 0.5
    done
    wait "$first"
    exec 5<&-
    nothing_left
}
tap_check 'a name that is taken' taken

# ---- what can be wrong -----------------------------------------------------------------------------------------------

hull run --pull never "$REGISTRY/no-such-image" true
tap_check 'an image that is not there' failed 125 no-such-image
HULL_KERNEL=/no/such/kernel hull run "$busybox" true
tap_check 'no kernel' failed 125 /no/such/kernel
hull run --kernel /no/such/kernel "$busybox" true
tap_check 'no kernel where the option says' failed 125 /no/such/kernel
hull run --kernel /etc/passwd "$busybox" true
tap_check 'a kernel that is none' failed 125 'ELF'
HULL_VMM=/bin/false hull run "$busybox" true
tap_check 'a machine that ends at once' failed 125 'virtual machine'
hull run --memory 1m "$REGISTRY/no-such-image" true
tap_check 'too little memory, told before anything is fetched' failed 125 'of memory'
hull run --memory lots "$busybox" true
tap_check 'memory that is no size' failed 125 lots
hull run --cpus 33 "$busybox" true
tap_check 'too many CPUs' failed 125 'from 1 to 32'
hull run --user nobody-here "$busybox" true
tap_check 'a user that the image does not know, by name' failed 125 nobody-here
hull run --workdir relative "$busybox" true
tap_check 'a relative working directory' failed 125 relative
hull run -t "$busybox" true
tap_check 'a terminal, which is not there yet' failed 125 terminal
hull run --name 'no/name' "$busybox" true
tap_check 'a name that is none' failed 125 'no/name'
hull run --no-such-option "$busybox" true
tap_check 'an option that is none' failed 125 no-such-option
hull run
tap_check 'no image' failed 125 usage
hull run --entrypoint '' "$custom"
tap_check 'nothing to run' failed 125 'no default command'
without_kvm() {
    # A mount namespace in which /dev/kvm is not a device.
    local status=0
    timeout -k 5 60 unshare -m sh -c 'mount --bind /dev/null /dev/kvm && exec "$@"' sh build/bin/hull run "$busybox" true \
        >"$work/stdout" 2>"$work/stderr" </dev/null || status=$?
    tap_is "$status" 125 && tap_is "$(wc -l <"$work/stderr")" 1 && tap_contains "$(<"$work/stderr")" /dev/kvm && nothing_left
}
tap_check 'no usable /dev/kvm' without_kvm

hull run --timeline "$busybox" true
tap_check '--timeline says where the time went' tap_contains "$(<"$work/stderr")" 'process started'

tap_done
