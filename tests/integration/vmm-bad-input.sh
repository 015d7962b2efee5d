#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What hull-vmm says to wrong input: one line that says what to do, a status that tells the kind, nothing left behind.
# timeout: 120
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
. tests/support/tap.sh

if [[ ! -w /dev/kvm && ${1:-} != --inside ]]; then
    exec tools/lab/lab auto -- tests/integration/vmm-bad-input.sh --inside
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
readonly vmm=build/bin/hull-vmm kernel=build/guests/hello.elf

# as_expected STATUS WANT WORDS: the status, one line with the words on standard error, nothing else anywhere
as_expected() {
    tap_is "$1" "$2" && tap_contains "$(<"$work/err")" "$3" && tap_is "$(wc -l <"$work/err")" 1 &&
        tap_is "$(wc -c <"$work/out")" 0 && tap_is "$(ls "$work")" "$(<"$work/.listing")"
}

# refuses NAME STATUS WORDS COMMAND...
refuses() {
    local name=$1 want=$2 words=$3 got=0
    shift 3
    timeout 30 "$@" </dev/null >"$work/out" 2>"$work/err" || got=$?
    tap_check "$name" as_expected "$got" "$want" "$words"
}

printf '#!/bin/sh\n' >"$work/script"
head -c 100 "$kernel" >"$work/truncated"
{ head -c 514 /dev/zero; printf HdrS; head -c 4096 /dev/zero; } >"$work/bzImage"
: >"$work/empty"
cp "$kernel" "$work/other-machine" && printf '\267\000' | dd of="$work/other-machine" bs=1 seek=18 conv=notrunc status=none
truncate -s 600M "$work/large"
truncate -s 1M "$work/disk"
long=$(printf '%2048s' x | tr ' ' a)
echo '{"cpus": 2,' >"$work/broken.json"
printf '{"kernel": {"path": "k"},\n "cpu": 2}\n' >"$work/unknown.json"
echo '{"kernel": {"path": "k"}, "cpus": 33}' >"$work/range.json"
echo '{"kernel": {"fd": 77}}' >"$work/closed.json"
echo '{"kernel": {"fd": 5}, "disks": [{"fd": 5}]}' >"$work/twice.json"
echo "{\"kernel\": {\"path\": \"$kernel\"}, \"disks\": [{\"fd\": 5}]}" >"$work/unwritable.json"
echo "{\"kernel\": {\"path\": \"$kernel\"}, \"kvm\": {\"fd\": 5}}" >"$work/no-kvm.json"
touch "$work/out" "$work/err"
ls "$work" >"$work/.listing"

# ---- usage: 64 -------------------------------------------------------------------------------------------------------
refuses 'no kernel' 64 'no kernel is given' "$vmm"
refuses 'an unknown option' 64 "unknown argument '--kernal'; see --help" "$vmm" --kernal x
refuses 'an argument that is no option' 64 "unknown argument 'vmlinux'" "$vmm" vmlinux
refuses 'a missing value' 64 '--cpus needs a value: N' "$vmm" --kernel "$kernel" --cpus
refuses 'a value too many' 64 '--serial takes no value' "$vmm" --kernel "$kernel" --serial=x
refuses 'no CPUs' 64 '1 to 32 CPUs, not 0' "$vmm" --kernel "$kernel" --cpus 0
refuses '33 CPUs' 64 '1 to 32 CPUs, not 33' "$vmm" --kernel "$kernel" --cpus 33
refuses 'CPUs in words' 64 "'two' is not a number" "$vmm" --kernel "$kernel" --cpus two
refuses 'too little memory' 64 'the least is 33554432 (32M)' "$vmm" --kernel "$kernel" --memory 31M
refuses 'memory without its unit' 64 'the least is' "$vmm" --kernel "$kernel" --memory 512
refuses 'too much memory' 64 'the most is' "$vmm" --kernel "$kernel" --memory 1025G
refuses 'memory that overflows' 64 'is not a size' "$vmm" --kernel "$kernel" --memory 99999999999G
refuses 'memory in between pages' 64 'is not a multiple of 4096' "$vmm" --kernel "$kernel" --memory 33554433
refuses 'a command line of 2048 bytes' 64 'too long: at most 2047 bytes' "$vmm" --kernel "$kernel" --cmdline "$long"
refuses 'a long disk id' 64 'longer than 20 bytes' "$vmm" --kernel "$kernel" --disk "$work/disk,id=123456789012345678901"
refuses 'a cid that is the host' 64 'cid must be 3 to' "$vmm" --kernel "$kernel" --vsock "$work/s,cid=2"
refuses 'an unknown log level' 64 'none of error, warn' "$vmm" --log-level loud

# ---- data: 65 --------------------------------------------------------------------------------------------------------
refuses 'a kernel that is no ELF file' 65 'the kernel: is not an ELF file: give the uncompressed vmlinux' \
    "$vmm" --kernel "$work/script"
refuses 'a bzImage' 65 'is a bzImage: give the uncompressed vmlinux' "$vmm" --kernel "$work/bzImage"
refuses 'a truncated kernel' 65 'is truncated' "$vmm" --kernel "$work/truncated"
refuses 'an empty kernel' 65 'is empty' "$vmm" --kernel "$work/empty"
refuses 'a kernel for another machine' 65 'is not an x86-64 ELF file' "$vmm" --kernel "$work/other-machine"
refuses 'an initramfs that does not fit' 65 'the initramfs: does not fit' "$vmm" --kernel "$kernel" --initramfs "$work/large"
refuses 'a command line that is too long with the devices' 65 'with what announces devices' \
    "$vmm" --kernel "$kernel" --cmdline "${long:0:2030}"
refuses 'broken JSON' 65 "'$work/broken.json': line 2, column 0" "$vmm" --config "$work/broken.json"
refuses 'an unknown key' 65 "unknown key 'cpu'" "$vmm" --config "$work/unknown.json"
refuses 'a number out of range' 65 '1 to 32 CPUs, not 33' "$vmm" --config "$work/range.json"
refuses 'a socket is removed when the kernel is bad' 65 'not an ELF' "$vmm" --kernel "$work/script" --vsock "$work/s"

# ---- input: 66 -------------------------------------------------------------------------------------------------------
refuses 'a kernel that is not there' 66 "cannot open the kernel '$work/none': No such file" "$vmm" --kernel "$work/none"
refuses 'a disk that is not there' 66 "cannot open the disk '$work/none'" "$vmm" --kernel "$kernel" --disk "$work/none"
refuses 'an initramfs that is not there' 66 'cannot open the initramfs' "$vmm" --kernel "$kernel" --initramfs "$work/none"
refuses 'a configuration that is not there' 66 "cannot open '$work/none'" "$vmm" --config "$work/none"
refuses 'a descriptor that is not open' 66 'descriptor 77 is not open' "$vmm" --config "$work/closed.json"
refuses 'a descriptor named twice' 66 'descriptor 5 is named twice' bash -c "exec $vmm --config $work/twice.json 5<$kernel"
refuses 'a writable disk that is open for reading' 66 'not open for writing' \
    bash -c "exec $vmm --config $work/unwritable.json 5<$work/disk"

# ---- KVM: 69 ---------------------------------------------------------------------------------------------------------
refuses 'a KVM that is none' 69 'is not /dev/kvm' bash -c "exec $vmm --config $work/no-kvm.json 5<>/dev/null"
if [[ $EUID -eq 0 ]] && unshare --mount true 2>/dev/null; then
    refuses 'no /dev/kvm' 69 '/dev/kvm is missing: load kvm_intel or kvm_amd' \
        unshare --mount bash -c "exec 9<>/dev/null && mount -t tmpfs none /dev && : >/dev/null &&
            mount --bind /proc/self/fd/9 /dev/null && exec $vmm --kernel $kernel"
else
    tap_skip 'no /dev/kvm' 'hiding it needs root'
fi
if [[ $EUID -eq 0 && -z $(find /dev/kvm -perm -o=w) ]]; then
    refuses 'no right to /dev/kvm' 69 '/dev/kvm may not be opened: add yourself to the group kvm' \
        setpriv --reuid=65534 --regid=65534 --clear-groups "$vmm" --kernel "$kernel"
else
    tap_skip 'no right to /dev/kvm' 'everybody here has it'
fi

tap_done
