#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The lab as a place to run commands: arguments, streams, statuses, signals, several at once, and what is left behind.
# timeout: 240
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

# A lab of this test's own: the warm one of the checkout is not touched. Short, as it holds sockets.
work=$(mktemp -d /tmp/lab-test.XXXXXX)
export XDG_RUNTIME_DIR=$work TMPDIR=$work HULL_LAB_MEMORY=512
trap 'tools/lab/lab down 2>/dev/null; rm -rf "$work"' EXIT
lab() { timeout 100 tools/lab/lab "$@"; }

number=0
check() { # check NAME COMMAND...: succeeds when the command does
	local name=$1
	shift
	number=$((number + 1))
	if "$@"; then echo "ok $number - $name"; else echo "not ok $number - $name"; fi
}
is() { [[ $1 == "$2" ]] || { printf '# got "%s", want "%s"\n' "$1" "$2"; return 1; }; }
# status_of WANT COMMAND...
status_of() {
	local want=$1 got=0
	shift
	"$@" >/dev/null 2>"$work/stderr" || got=$?
	is "$got" "$want" || { sed 's/^/# /' "$work/stderr"; return 1; }
}
emulators() { pgrep -fc "^qemu-system.*path=$work" || true; }

echo 1..25

# ---- one by itself ---------------------------------------------------------------------------------------------------
check 'a run without a warm lab finds /dev/kvm' status_of 0 lab run -- test -c /dev/kvm
check 'it leaves no emulator and no file' is "$(emulators) $(find "$work" -mindepth 1 ! -name stderr)" '0 '
cold_signal() {
	local pid got=0
	tools/lab/lab run -- sleep 60 </dev/null 2>/dev/null &
	pid=$!
	sleep 4
	kill -TERM "$pid"
	wait "$pid" || got=$?
	[[ $got -ne 0 ]] && is "$(emulators)" 0
}
check 'ended by a signal it leaves no emulator either' cold_signal
no_start() { HULL_LAB_MEMORY=none timeout 20 tools/lab/lab run -- true; }
check 'an emulator that does not start is told at once' status_of 125 no_start
check 'it leaves no file' is "$(find "$work" -mindepth 1 ! -name stderr)" ''

# ---- a warm one ------------------------------------------------------------------------------------------------------
check 'up' lab up
arguments=('a b' '' $'new\nline' "quote'\"" '*' $'\300\333\334\335' '--' '-x')
lab run -- printf '%s\0' "${arguments[@]}" >"$work/out" </dev/null
check 'arguments arrive as they are' cmp <(printf '%s\0' "${arguments[@]}") "$work/out"
# shellcheck disable=SC2016 # expanded inside
check 'a chosen variable arrives, another does not' is \
	"$(OTHER=1 lab run -e CHOSEN='x  y' -- sh -c 'echo "$CHOSEN,$OTHER"' </dev/null)" 'x  y,'
check 'the working directory is the same' is "$(cd base && ../tools/lab/lab run -- pwd </dev/null)" "$PWD/base"
echo "$RANDOM$RANDOM" >"$work/token"
mkdir -p build
check 'what the lab writes into the checkout is seen outside' is \
	"$(lab run -- sh -c 'cat >build/lab-test' <"$work/token" && cat build/lab-test)" "$(<"$work/token")"
echo changed >build/lab-test
check 'what is written outside is seen in the lab' is "$(lab run -- cat build/lab-test </dev/null)" changed
rm -f build/lab-test

# ---- streams ---------------------------------------------------------------------------------------------------------
head -c 5000000 /dev/urandom >"$work/in"
lab run -- cat <"$work/in" >"$work/out"
check '5 MB of random bytes through stdin and stdout' cmp "$work/in" "$work/out"
head -c 200000 /dev/zero | tr '\0' '\300' >"$work/in"
lab run -- cat <"$work/in" >"$work/out"
check 'bytes that the framing escapes' cmp "$work/in" "$work/out"
lab run -- sh -c 'echo out; echo err >&2' >"$work/out" 2>"$work/err" </dev/null
check 'stdout and stderr are two streams' is "$(<"$work/out")/$(<"$work/err")" out/err
check 'a command that ignores its stdin ends' status_of 3 lab run -- sh -c 'exit 3' <"$work/in"
check 'what was written before the end arrives whole' is \
	"$(lab run -- sh -c 'head -c 60000 /dev/zero; exit 0' </dev/null | wc -c)" 60000

# ---- ends ------------------------------------------------------------------------------------------------------------
check 'status 0' status_of 0 lab run -- true
check 'status 7' status_of 7 lab run -- sh -c 'exit 7'
# shellcheck disable=SC2016
check 'death by a signal is 128 + its number' status_of 137 lab run -- sh -c 'kill -KILL $$'
check 'a command that is not there is 127' status_of 127 lab run -- /no/such/command
check 'a directory is not executable: 126' status_of 126 lab run -- /etc
check 'a time limit is 124' status_of 124 lab run --timeout 1 -- sleep 30
killed_client() { # what a client that dies was running dies with it, and its port serves the next
	timeout -s KILL 2 tools/lab/lab run -- sh -c 'sleep 4242 & sleep 4242' </dev/null 2>/dev/null
	is "$(lab run -- sh -c 'sleep 0.3; pgrep -fc "^sleep 424[2]"' </dev/null)" 0
}
check 'a killed client takes its command along' killed_client

# ---- several at once -------------------------------------------------------------------------------------------------
concurrent() {
	local i bad=0 pids=()
	for i in {1..12}; do
		# shellcheck disable=SC2016
		echo "$i" | lab run -- sh -c 'read n; sleep 0.2; echo "$n"; exit "$n"' >"$work/out-$i" 2>/dev/null &
		pids+=($!)
	done
	for i in {1..12}; do
		wait "${pids[i - 1]}"
		is "$? $(<"$work/out-$i")" "$i $i" || bad=1
	done
	return $bad
}
check 'twelve at once on eight ports, each its own' concurrent

lab down
check 'down leaves no emulator' is "$(emulators)" 0
