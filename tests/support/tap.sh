# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# For test scripts that print TAP (testanything.org). Source it, call tap_check for each case, end with tap_done.

tap_number=0 tap_failed=0

# tap_check NAME COMMAND...: one case, which passes when the command succeeds.
tap_check() {
    local name=$1
    shift
    tap_number=$((tap_number + 1))
    if "$@"; then
        echo "ok $tap_number - $name"
    else
        tap_failed=$((tap_failed + 1))
        echo "not ok $tap_number - $name"
    fi
}

# tap_skip NAME REASON
tap_skip() {
    tap_number=$((tap_number + 1))
    echo "ok $tap_number - $1 # SKIP $2"
}

# tap_is GOT WANT: whether they are equal; says so if not.
tap_is() {
    [[ $1 == "$2" ]] && return
    printf '# got "%s", want "%s"\n' "$1" "$2"
    return 1
}

# tap_contains TEXT PART
tap_contains() {
    [[ $1 == *"$2"* ]] && return
    printf '# "%s" is not in:\n' "$2"
    printf '%s\n' "$1" | sed 's/^/#   /'
    return 1
}

# tap_done: the plan; the script's exit status says whether all passed.
tap_done() {
    echo "1..$tap_number"
    exit $((tap_failed > 0))
}
