#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Bare-metal guests (tests/guests/*.S), good and hostile, on hull-vmm: what they see, how the machine ends, and that
# nothing a guest does harms more than itself. They need no hardware virtualization: any /dev/kvm will do.
# timeout: 300
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
. tests/support/tap.sh

if [[ ! -w /dev/kvm && ${1:-} != --inside ]]; then
    exec tools/lab/lab auto -- tests/integration/vmm-guests.sh --inside
fi

work=$(mktemp -d)
vmm_pid=
trap '[[ -z $vmm_pid ]] || kill -KILL "$vmm_pid" 2>/dev/null; rm -rf "$work"' EXIT
readonly vmm=build/bin/hull-vmm guests=build/guests

# run GUEST OPTION...: status, output and errors of a guest that ends by itself
run() {
    local guest=$1
    shift
    status=0
    timeout 60 "$vmm" --kernel "$guests/$guest.elf" --serial "$@" </dev/null >"$work/out" 2>"$work/err" || status=$?
    out=$(<"$work/out")
    err=$(<"$work/err")
}

# start GUEST OPTION...: in the background, until it has said something
start() {
    local guest=$1 waited=0
    shift
    rm -f "$work/out" # what an earlier guest said
    "$vmm" --kernel "$guests/$guest.elf" --serial "$@" </dev/null >"$work/out" 2>"$work/err" &
    vmm_pid=$!
    until [[ -s $work/out ]]; do
        sleep 0.05
        ((++waited < 400)) || return 1
    done
}

# stop SIGNAL: sets status
stop() {
    status=0
    kill -s "$1" "$vmm_pid"
    wait "$vmm_pid" 2>/dev/null || status=$?
    vmm_pid=
}

gone() { ! kill -0 "$1" 2>/dev/null && [[ ! -e $work/vm.sock ]]; }

# ---- how a machine ends ----------------------------------------------------------------------------------------------

run hello --cmdline 'one two'
tap_check 'a guest says hello and powers off: status 0' tap_is "$status" 0
tap_check 'its words arrive' tap_contains "$out" 'hello from the guest'
tap_check 'it reads the devices, a console and what was asked for on its command line' \
    tap_contains "$out" 'virtio_mmio.device=4K@0xd0000000:5 console=ttyS0 one two'
tap_check 'hull-vmm itself says nothing' tap_is "$err" ''
run hello --cmdline 'console=ttyS7 x'
tap_check 'a console that is named stays the only one' tap_contains "$out" ':5 console=ttyS7 x'
run reset
tap_check 'a reset ends with 0' tap_is "$status $err" '0 '
run triple_fault
tap_check 'a triple fault ends with 70' tap_is "$status" 70
tap_check 'and one line that says which vCPU and, where KVM still knows, where' \
    tap_is "${err% at instruction 0x200008}" 'hull-vmm: error: vCPU 0 had a triple fault'

for signal in TERM:143 INT:130 HUP:129; do
    start idle --cpus 3 --vsock "$work/vm.sock"
    pid=$vmm_pid
    tap_check "SIG${signal%:*}: the socket is there while the guest runs" test -S "$work/vm.sock"
    stop "${signal%:*}"
    tap_check "SIG${signal%:*} ends with ${signal#*:}" tap_is "$status" "${signal#*:}"
    tap_check "SIG${signal%:*}: no process and no socket are left" gone "$pid"
done
start idle --vsock "$work/vm.sock"
stop KILL
for _ in {1..100}; do [[ -e $work/vm.sock ]] || break; sleep 0.02; done
tap_check 'even SIGKILL leaves no socket' test ! -e "$work/vm.sock"

# ---- processors ------------------------------------------------------------------------------------------------------

for cpus in 1 2 8 32; do
    run smp --cpus "$cpus"
    tap_check "$cpus CPUs: INIT and SIPI start all others" tap_is "$status $out" "0 others=$(printf %016x $((cpus - 1)))"
done

# ---- hostile guests --------------------------------------------------------------------------------------------------

run storm
tap_check 'nobody answers where nothing is, in any width' tap_is "$status $out$err" '0 unharmed'
truncate -s 1M "$work/disk"
printf 'untouched\n' | dd of="$work/disk" conv=notrunc status=none
cp "$work/disk" "$work/copy"
run virtio_abuse --disk "$work/disk,ro"
tap_check 'abused disk and entropy device survive' tap_is "$status $out" '0 alive'
tap_check 'a read-only disk keeps its bytes' cmp -s "$work/disk" "$work/copy"
tap_check 'what a guest does wrong is told a few times, not each time' test "$(wc -l <"$work/err")" -le 40
run virtio_abuse --vsock "$work/vm.sock"
tap_check 'an abused vsock device survives' tap_is "$status $out" '0 alive'

# ---- the cell --------------------------------------------------------------------------------------------------------

exec 7<"$work/disk"
start idle --cpus 4 --disk "$work/disk" --vsock "$work/vm.sock"
# Main, disks and 4 vCPUs; newer kernels show a thread of KVM's own among them.
tap_check 'there are six threads' test "$(find "/proc/$vmm_pid/task" -mindepth 1 -maxdepth 1 | wc -l)" -ge 6
everywhere() { # NAME: the different values of this line of all threads' status
    awk -v name="$1:" '$1 == name { print $2 }' "/proc/$vmm_pid/task/"*/status | sort -u | xargs
}
tap_check 'all wear a filter' tap_is "$(everywhere Seccomp)" 2
tap_check 'and cannot gain privileges' tap_is "$(everywhere NoNewPrivs)" 1
for set in CapEff CapPrm CapInh CapAmb; do
    tap_check "and have no capabilities ($set)" tap_is "$(everywhere $set)" 0000000000000000
done
# What is open: standard streams and the console's copy of one, eventfds, epolls, the signals, the VM and its vCPUs, the
# disk, the listening socket, the pipe that tells the janitor. No /dev/kvm, no kernel, no directory, nothing of the starter's (its descriptor 7).
unexpected=$(find "/proc/$vmm_pid/fd" -type l -printf '%f %l\n' | grep -v '^[012] ' |
    grep -vE 'anon_inode:(\[event(fd|poll)\]|\[signalfd\]|kvm-vm|kvm-vcpu:[0-9]+)|socket:|pipe:' | grep -vE " $work/(disk|out)$")
tap_check 'only what the machine needs is open' tap_is "$unexpected" ''
tap_check 'the disk is open once: descriptors of the starter were closed' \
    tap_is "$(find "/proc/$vmm_pid/fd" -type l -lname "$work/disk" | wc -l)" 1
tap_check 'no memory is both writable and executable' tap_is "$(awk '$2 ~ /wx/' "/proc/$vmm_pid/maps")" ''
names=$(cat "/proc/$vmm_pid/task/"*/comm | grep -v '^kvm-' | sort | xargs)
tap_check 'threads have names' tap_is "$names" 'disks hull-vmm vcpu-0 vcpu-1 vcpu-2 vcpu-3'
run hello --disk "$work/disk"
tap_check 'a disk that a machine writes is for no other one' tap_is "$status $err" \
    "66 hull-vmm: error: the disk '$work/disk' is in use by another machine"
run hello --disk "$work/disk,ro"
tap_check 'not even for one that reads' tap_is "$status" 66
stop TERM
start idle --disk "$work/disk,ro"
run hello --disk "$work/disk,ro"
tap_check 'many may read one' tap_is "$status" 0
run hello --disk "$work/disk"
tap_check 'but not while it is written' tap_is "$status" 66
stop TERM
exec 7<&-

# Without a console, standard input and output are nobody's.
rm -f "$work/out"
"$vmm" --kernel "$guests/idle.elf" <"$work/disk" >"$work/out" 2>"$work/err" &
vmm_pid=$!
for _ in {1..500}; do [[ $(readlink "/proc/$vmm_pid/fd/1") != /dev/null ]] || break; sleep 0.02; done
tap_check 'without a console, standard input and output are given up' \
    tap_is "$(readlink "/proc/$vmm_pid/fd/0" "/proc/$vmm_pid/fd/1" | xargs)" '/dev/null /dev/null'
stop TERM

# ---- statistics ------------------------------------------------------------------------------------------------------

run hello --stats
stage() { awk -v name="$1" 'index($0, name) { print $2 }' "$work/err"; }
stages="$(stage 'VM created') $(stage 'kernel loaded') $(stage 'guest runs') $(stage 'stopped')"
tap_check 'stages are told in order' tap_is "$(tr ' ' '\n' <<<"$stages" | sort -n | xargs)" "$stages"
tap_check 'exits are counted: one for each byte said, at least' \
    test "$(awk '$3 == "io" { print $2 }' "$work/err")" -ge "${#out}"

# ---- without privileges ----------------------------------------------------------------------------------------------

if [[ $EUID -eq 0 ]]; then
    cat >"$work/vm.json" <<JSON
{"kernel": {"fd": 6}, "kvm": {"fd": 5}, "serial": "stdio", "rng": false}
JSON
    status=0
    out=$(timeout 60 setpriv --reuid=65534 --regid=65534 --clear-groups "$PWD/$vmm" --config 4 \
        4<"$work/vm.json" 5<>/dev/kvm 6<"$guests/hello.elf" </dev/null 2>"$work/err") || status=$?
    err=$(<"$work/err")
    tap_check 'any user can run a machine, given /dev/kvm' tap_contains "$status $out $err" '0 hello from the guest'
else
    tap_skip 'any user can run a machine, given /dev/kvm' 'already not root'
fi

tap_done
