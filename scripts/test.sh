#!/usr/bin/env bash
# Runs every test: those of the modules, the mounted ones with real tools, and those whose judges are not ours: the
# official SDK, an S3 of others, tinyproxy, and the platform's published constraints.
# With --witnesses, only the latter; with other arguments, only `swift test` with them: scripts/test.sh --filter Interrupts
. "$(dirname "$0")/lib.sh"
. "$ROOT/scripts/venvs.sh"

"$ROOT/scripts/setup.sh"
"$ROOT/scripts/build.sh"
cd "$ROOT"

make_workspace test
# The tests note here what they start, and put their temporary folders here; what a killed run leaves is swept below.
export TWELVEFS_TEST_RUN_DIR="$WORKSPACE"
ON_EXIT+=(sweep close_again)

# The tests that mount as an ordinary user need /dev/fuse as Debian's udev rules have it, and a way into the file system;
# some containers and virtual machines have neither. What is opened here is closed again at the end.
OPENED=()
# shellcheck disable=SC2317 # called when the script ends
close_again() {
    local item
    for item in "${OPENED[@]}"; do chmod "${item%% *}" "${item#* }"; done
}
# open_to_everyone PATH PERMISSION...
open_to_everyone() {
    local mode
    mode=$(stat -c %a "$1")
    chmod "$2" "$1"
    if [[ $(stat -c %a "$1") != "$mode" ]]; then
        OPENED+=("$mode $1")
        say "$1 is open to every user while the tests run (its mode was $mode)"
    fi
}
if ((EUID == 0)); then
    open_to_everyone /dev/fuse a+rw
    open_to_everyone / a+rx
    setpriv --reuid=65534 --regid=65534 --clear-groups -- test -x "$TWELVEFS" ||
        say "no ordinary user can reach $ROOT: the tests that mount as one are left out"
fi

passed=0 failed=0 status=0

# shellcheck disable=SC2317 # called by `awaited`
# The test runner, seen while it runs and kept for the count.
runner() {
    local log=$1
    shift
    swift test "${BUILD[@]}" --skip-build "${TESTING[@]}" "$@" 2>&1 | tee "$log"
}

# run_tests [OPTION...]: one run of the test runner, with its results added up.
run_tests() {
    local log="$WORKSPACE/log" all bad_ones
    awaited runner "$log" "$@" || status=1
    all=$(sed -n 's/.*Test run with \([0-9]*\) test.*/\1/p' "$log" | tail -n 1)
    bad_ones=$(grep -E '^[^ ]+ +Test .* failed after' "$log" | grep -vc 'Test run with' || true)
    if [[ -z $all ]]; then
        bad "the test runner did not end by itself"
        status=1 all=1 bad_ones=1
    fi
    passed=$((passed + all - bad_ones))
    failed=$((failed + bad_ones))
}

# witness NAME COMMAND...: one program that tests, given a folder of its own as its last argument; counted as one.
witness() {
    local name=$1 began=$SECONDS
    shift
    say "$name"
    if awaited "$@" "$WORKSPACE/${name//[^[:alnum:]]/-}"; then
        good "$name ($((SECONDS - began)) s)"
        passed=$((passed + 1))
    else
        bad "$name"
        failed=$((failed + 1))
        status=1
    fi
}

ask_witnesses() {
    local version
    step "Witnesses that are not ours"
    make_venvs "${SDK_VERSIONS[@]/#/sdk-}" witnesses
    for version in "${SDK_VERSIONS[@]}"; do
        witness "the official SDK $version against the sandbox" "$ROOT/Tests/sdk/run.sh" "$version"
    done
    witness "S3 that is not ours" "$ROOT/Tests/witnesses/run.sh" s3
    witness "each request by the published constraints" "$ROOT/Tests/witnesses/run.sh" requests
    witness "a proxy as the only way out" "$ROOT/Tests/witnesses/run.sh" proxy
    witness "the calls of 2000 small files" "$ROOT/Tests/witnesses/run.sh" many
}

if [[ $* == --witnesses ]]; then
    ask_witnesses
elif (($#)); then
    step "swift test $*"
    run_tests "$@"
else
    step "The modules' tests"
    run_tests --skip MountTests --skip FilesystemModelTests --skip FuzzingTests
    step "Whatever may come from outside"
    run_tests --filter FuzzingTests
    step "The file system against its model"
    run_tests --filter FilesystemModelTests
    step "Real mounts and real tools"
    run_tests --filter MountTests
    ask_witnesses
fi

printf '\nin %d min %d s\n%d passed, %d failed\n' $((SECONDS / 60)) $((SECONDS % 60)) "$passed" "$failed"
((failed == 0)) || status=1
exit "$status"
