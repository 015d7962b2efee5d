#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# hull-vmm boots the guest kernel from a hand-written command line: different numbers of vCPUs, memory on both sides of
# the hole below 4 GiB, disks, entropy. The guest (tests/guests/probe.c) says what it found; compared with what was asked.
# timeout: 600
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
. tests/support/tap.sh

if [[ ${1:-} != --inside ]]; then
    make -s guests >&2
    exec tools/lab/lab auto -- tests/integration/vmm-boot.sh --inside
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
readonly vmm=build/bin/hull-vmm kernel=build/bin/vmlinux probe=build/guests/probe.cpio

# boot OPTION...: runs the probe; its console goes to $work/console, what hull-vmm says to $work/stderr.
# A guest that hangs is tried once more, and that is told: emulated hosts lose one now and then.
boot() {
    local attempt
    for attempt in 1 2; do
        status=0
        timeout 90 "$vmm" --kernel "$kernel" --initramfs "$probe" --serial "$@" \
            </dev/null >"$work/console" 2>"$work/stderr" || status=$?
        [[ $status -eq 124 ]] || return 0
        echo "# attempt $attempt did not end: $*"
    done
}

# value NAME: what the guest said
value() {
    tr -d '\r' <"$work/console" | sed -n "s/^$1=//p" | tail -n 1
}

# between NUMBER LEAST MOST
between() {
    [[ $1 =~ ^[0-9]+$ && $1 -ge $2 && $1 -le $3 ]] && return
    echo "# got \"$1\", want $2 to $3"
    return 1
}

explain() {
    [[ $status -eq 0 && -n $(value cpus) ]] && return
    sed 's/^/# /' "$work/stderr"
    tail -n 20 "$work/console" | tr -d '\r' | sed 's/^/# /'
    return 1
}

readonly quiet='quiet reboot=k panic=-1 console=ttyS0'

# ---- vCPUs -----------------------------------------------------------------------------------------------------------

for cpus in 1 2 8; do
    boot --cpus "$cpus" --memory 256M --cmdline "$quiet"
    tap_check "$cpus vCPUs: the guest powers off and hull-vmm ends with 0" explain
    tap_check "$cpus vCPUs: the guest sees as many" tap_is "$(value cpus)" "$cpus"
    tap_check "$cpus vCPUs: its clock is KVM's" tap_is "$(value clocksource)" kvm-clock
done
tap_check 'the guest runs the kernel that was given' tap_contains "$(strings -n 20 "$kernel" | grep -m 1 '^Linux version')" \
    "$(value kernel)"

# ---- memory ----------------------------------------------------------------------------------------------------------

# What the kernel does not count: itself, its tables of pages (64 bytes for each 4 KiB), what firmware would have kept.
for mib in 64 512 3072 4096 6144; do
    boot --memory "${mib}M" --cmdline "$quiet"
    tap_check "$mib MiB: the guest powers off and hull-vmm ends with 0" explain
    tap_check "$mib MiB: the guest has nearly all of it" between "$(value memtotal_kib)" $((mib * 1024 * 96 / 100 - 16384)) \
        $((mib * 1024))
done
# Free memory is handed out from the top: what lies above 4 GiB works, and is not the memory below the hole once more.
boot --memory 3584M --cmdline "$quiet touch_kib=900000"
tap_check 'memory above the hole keeps what is written to it' tap_is "$(value touched_kib) $(value bad_pages)" '900000 0'

# ---- devices ---------------------------------------------------------------------------------------------------------

truncate -s 1M "$work/first" && truncate -s 2M "$work/second"
printf 'the first disk\n' | dd of="$work/first" conv=notrunc status=none
printf 'the second disk\n' | dd of="$work/second" conv=notrunc status=none
boot --disk "$work/first,ro,id=rootfs" --disk "$work/second" --cmdline "$quiet"
tap_check 'two disks: power-off' explain
tap_check 'the first: contents, id, size, read-only' \
    tap_is "$(value vda) $(value vda_id) $(value vda_sectors) $(value vda_ro)" 'the first disk rootfs 2048 1'
tap_check 'the second: contents, size, writable' \
    tap_is "$(value vdb) $(value vdb_sectors) $(value vdb_ro)" 'the second disk 4096 0'
tap_check 'what the guest wrote is on the disk' tap_is "$(value vdb_write) $(head -n 1 "$work/second" | tr -d '\0')" \
    'done written by the guest'
tap_check 'the read-only disk is untouched' tap_is "$(head -n 1 "$work/first" | tr -d '\0')" 'the first disk'

first_random=$(value hwrng)
tap_check 'there is an entropy device' test "${#first_random}" -eq 32
boot --cmdline "$quiet"
tap_check 'which gives other bytes the next time' test "$(value hwrng)" != "$first_random"
boot --no-rng --cmdline "$quiet"
tap_check 'and is absent on demand' tap_is "$(value hwrng)$(value cpus)" 1

# ---- the same from a file --------------------------------------------------------------------------------------------

cat >"$work/vm.json" <<JSON
{"cpus": 2, "memory": 134217728, "kernel": {"path": "$kernel"}, "initramfs": {"fd": 7},
 "cmdline": "$quiet", "disks": [{"fd": 8, "readonly": true, "id": "by-fd"}], "rng": false, "serial": "stdio"}
JSON
status=0
timeout 90 "$vmm" --config 9 7<"$probe" 8<"$work/first" 9<"$work/vm.json" </dev/null >"$work/console" 2>"$work/stderr" ||
    status=$?
tap_check 'a configuration from a descriptor, with descriptors' explain
tap_check 'makes the same machine' tap_is "$(value cpus) $(value vda_id) $(value hwrng)" '2 by-fd '

tap_done
