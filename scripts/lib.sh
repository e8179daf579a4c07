# What the scripts share. Sourced, not run: `. "$(dirname "$0")/lib.sh"`.
# shellcheck shell=bash

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export LC_ALL=C.UTF-8

# The one build that everything uses; with SANITIZER=thread or =address, as scripts/sanitize.sh sets it, another beside it.
BUILD=(-c release)
TESTING=(--disable-xctest)
BIN="$ROOT/.build/release"
if [[ -n ${SANITIZER:-} ]]; then
    BUILD=(-c release --sanitize "$SANITIZER" --scratch-path "$ROOT/.build/sanitize-$SANITIZER")
    # Sanitized tests are slow: side by side, those that wait for something would wait too long.
    TESTING+=(--no-parallel)
    BIN="$ROOT/.build/sanitize-$SANITIZER/release"
fi
# shellcheck disable=SC2034 # used by the scripts that source this
readonly BUILD TESTING BIN

# The built executables, once build.sh has run.
TWELVEFS="$BIN/twelvefs"
SANDBOX="$BIN/twelvefs-sandbox"

# The key of the stand-in. A developer's own account is never used: none of its variables reaches what is started here.
SANDBOX_KEY="sandbox-key"
unset TWELVELABS_API_KEY TWELVE_LABS_API_KEY TWELVELABS_BASE_URL

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
    BOLD=$'\e[1m' DIM=$'\e[2m' RED=$'\e[31m' GREEN=$'\e[32m' CYAN=$'\e[36m' PLAIN=$'\e[0m'
else
    BOLD='' DIM='' RED='' GREEN='' CYAN='' PLAIN=''
fi

step() { printf '\n%s▸ %s%s\n' "$BOLD$CYAN" "$*" "$PLAIN"; }
say() { printf '  %s\n' "$*"; }
command_line() { printf '  %s$ %s%s\n' "$DIM" "$*" "$PLAIN"; }
good() { printf '  %s✔%s %s\n' "$GREEN" "$PLAIN" "$*"; }
bad() { printf '  %s✘%s %s\n' "$RED" "$PLAIN" "$*" >&2; }
die() {
    bad "$*"
    exit 1
}

# --- Cleaning up -----------------------------------------------------------------------------------------------------
# Whatever ends the script, `clean_up` runs once, and what was started here is gone: by its own id or path, never by name.

WORKSPACE=''        # a temporary folder
MOUNT_POINTS=()     # mounted by mount_twelvefs
STARTED=()          # "pid start-time" of processes
ON_EXIT=()          # further functions

# A process's start time in clock ticks since boot: with it, a pid names one process only. Fields are counted after the
# name, which may hold anything.
start_time() {
    local stat fields
    { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
    read -ra fields <<<"${stat##*) }"
    printf '%s' "${fields[19]}"
}

remember_process() {
    local began
    if began=$(start_time "$1"); then STARTED+=("$1 $began"); fi
}

# Ends a process (with its group, if it leads one), if it is still the one that was remembered: first politely, then not.
end_process() {
    local pid=$1 began=$2 try
    [[ $(start_time "$pid") == "$began" ]] || return 0
    kill -TERM -- "-$pid" 2>/dev/null || kill -TERM "$pid" 2>/dev/null || return 0
    for ((try = 0; try < 50; try++)); do
        [[ $(start_time "$pid") == "$began" ]] && is_running "$pid" || return 0
        sleep 0.1
    done
    kill -KILL -- "-$pid" 2>/dev/null || kill -KILL "$pid" 2>/dev/null || true
}

# Whether a process runs: it exists, and is not a zombie that nobody has waited for yet.
is_running() {
    local stat
    { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
    stat=${stat##*) }
    [[ ${stat:0:1} != [ZX] ]]
}

is_mounted() {
    local mount_point
    while read -r _ mount_point _; do
        [[ $mount_point != "$1" ]] || return 0
    done </proc/self/mounts
    return 1
}

release_mount_point() {
    if is_mounted "$1"; then fusermount3 -uzq "$1" 2>/dev/null || umount -l "$1" 2>/dev/null || true; fi
}

# Ends what tests and their tools recorded in the folder TWELVEFS_TEST_RUN_DIR; for ON_EXIT.
sweep() {
    local line
    if [[ -f $TWELVEFS_TEST_RUN_DIR/mounts ]]; then
        while read -r line; do release_mount_point "$line"; done <"$TWELVEFS_TEST_RUN_DIR/mounts"
    fi
    if [[ -f $TWELVEFS_TEST_RUN_DIR/processes ]]; then
        while read -r line; do
            # shellcheck disable=SC2086 # two words: the pid and its start time
            end_process $line
        done <"$TWELVEFS_TEST_RUN_DIR/processes"
    fi
}

clean_up() {
    local item
    set +e
    for item in "${ON_EXIT[@]}"; do "$item"; done
    for item in "${MOUNT_POINTS[@]}"; do release_mount_point "$item"; done
    for item in "${STARTED[@]}"; do
        # shellcheck disable=SC2086 # two words: the pid and its start time
        end_process $item
    done
    if [[ -n $WORKSPACE ]]; then rm -rf -- "$WORKSPACE"; fi
}

_left() {
    local status=$?
    trap '' INT TERM HUP
    trap - EXIT
    clean_up
    exit "$status"
}

trap _left EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# Runs a command so that a signal to the script is heeded at once, and not only when the command has ended. The command is
# a process group of its own, so that it can be ended with all its children.
awaited() {
    set -m
    "$@" </dev/null &
    set +m
    remember_process "$!"
    wait "$!"
}

# Makes the temporary folder WORKSPACE, which ordinary users may enter.
make_workspace() {
    WORKSPACE=$(mktemp -d "${TMPDIR:-/tmp}/twelvefs-$1.XXXXXX")
    chmod 755 "$WORKSPACE"
}

# --- The stand-in and the mount --------------------------------------------------------------------------------------

# start_sandbox FOLDER [OPTION...]: sets SANDBOX_URL (the API) and SANDBOX_CONTROL, SANDBOX_PID.
start_sandbox() {
    local folder=$1 first_line='' try
    shift
    mkdir -p "$folder"
    "$SANDBOX" --state-dir "$folder/state" --api-key "$SANDBOX_KEY" "$@" >"$folder/output" 2>&1 </dev/null &
    SANDBOX_PID=$!
    remember_process "$SANDBOX_PID"
    for ((try = 0; try < 300; try++)); do
        read -r first_line 2>/dev/null <"$folder/output" || first_line=''
        [[ $first_line != "listening on "* ]] || break
        kill -0 "$SANDBOX_PID" 2>/dev/null || die "the sandbox ended: $(cat "$folder/output")"
        sleep 0.05
    done
    [[ $first_line == "listening on "* ]] || die "the sandbox did not start within 15 seconds"
    SANDBOX_URL=${first_line#listening on }
    export SANDBOX_CONTROL="${SANDBOX_URL%/v1.3}/_sandbox"
}

# mount_twelvefs MOUNTPOINT STATE-DIRECTORY [OPTION...]: sets SERVER_PID.
mount_twelvefs() {
    local mount_point=$1 state=$2
    shift 2
    mkdir -p "$mount_point"
    MOUNT_POINTS+=("$mount_point")
    TWELVELABS_API_KEY=$SANDBOX_KEY "$TWELVEFS" mount "$mount_point" --api-url "$SANDBOX_URL" --state-dir "$state" "$@" </dev/null
    SERVER_PID=$(server_of "$mount_point")
    remember_process "$SERVER_PID"
}

# The process that serves a mount point: it is named twelvefs and has the mount point among its arguments.
server_of() {
    local directory argument
    for directory in /proc/[0-9]*; do
        { [[ $(<"$directory/comm") == twelvefs ]]; } 2>/dev/null || continue
        while IFS= read -r -d '' argument; do
            if [[ $argument == "$1" ]]; then
                printf '%s' "${directory#/proc/}"
                return 0
            fi
        done <"$directory/cmdline"
    done 2>/dev/null
    return 1
}

# Prints a field of a JSON document on standard input: `json_field 'assets[0].sha256'`.
json_field() {
    python3 -c '
import json, re, sys
value = json.load(sys.stdin)
for name, index in re.findall(r"([^.\[\]]+)|\[(-?\d+)\]", sys.argv[1]):
    value = value[int(index)] if index else value[name]
print(value if isinstance(value, str) else json.dumps(value))
' "$1"
}

human_bytes() { numfmt --to=iec-i --suffix=B --format='%.1f' "$1"; }
