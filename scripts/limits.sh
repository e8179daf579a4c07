#!/usr/bin/env bash
# Brings twelvefs to its limits, and looks whether it holds there: scripts/limits.sh [--count N] [--seed S] [CHECK]...
#
#   listed          100 000 listed files with a limit of 1024 descriptors
#   descriptors     160 files written at once with a limit of 128 descriptors
#   removed         6000 uploads of files that are removed again: descriptors and memory as after 1100
#   overwrites      250 overwrites of one name: the same
#   looks           ls -l of the names of 3000 uploads by another user: four times the work of 750
#   renames-looked  20 000 renames of a file, with a look at its document: memory as after 2000
#   truncated       a finished file truncated by its path while another writer needs space
#   edges           files of 1 MiB and a byte under a small --spool-limit: the ledger against the disk
#   renames-spool   5000 renames beside an open that truncates, with --close-mode spool
#   renames-upload  the same in the default mode
#
# With --count, each check does so many instead. Prints one line a check; exits with 1 when one does not hold.
. "$(dirname "$0")/lib.sh"

all=(listed descriptors removed overwrites looks renames-looked truncated edges renames-spool renames-upload)
options=() chosen=()
while (($#)); do
    case $1 in
        --count | --seed)
            [[ -n ${2:-} ]] || die "$1 needs a value"
            options+=("$1" "$2")
            shift
            ;;
        *)
            [[ " ${all[*]} " == *" $1 "* ]] || die "no such check: $1 (there are ${all[*]})"
            chosen+=("$1")
            ;;
    esac
    shift
done
((${#chosen[@]})) || chosen=("${all[@]}")

"$ROOT/scripts/setup.sh"
awaited "$ROOT/scripts/build.sh"
make_workspace limits
mkdir "$WORKSPACE/register"
# What the program starts it notes there, and it is swept should the program itself be killed; even then it may just have
# been mounting, which is not in its notes yet.
export TWELVEFS_TEST_RUN_DIR="$WORKSPACE/register"
ON_EXIT+=(end_mounting sweep)
check=''

# shellcheck disable=SC2317 # called when the script ends
end_mounting() {
    local pid
    if ((${#STARTED[@]})); then kill -KILL -- "-${STARTED[-1]%% *}" 2>/dev/null; fi
    while pid=$(server_of "$WORKSPACE/$check/mnt"); do
        kill -KILL "$pid"
        sleep 0.1
    done
}

step "Limits"
misses=0
for check in "${chosen[@]}"; do
    mkdir "$WORKSPACE/$check"
    began=$SECONDS
    status=0
    awaited python3 "$ROOT/Tests/tools/limits.py" "$check" --twelvefs "$TWELVEFS" --sandbox "$SANDBOX" \
        --workspace "$WORKSPACE/$check" "${options[@]}" >"$WORKSPACE/figures" 2>"$WORKSPACE/problem" || status=$?
    if ((status == 0)); then
        good "$check: $(<"$WORKSPACE/figures") ($((SECONDS - began)) s)"
    else
        ((status < 128)) || exit "$status"
        bad "$check: $(<"$WORKSPACE/problem")"
        if [[ -f $WORKSPACE/$check/twelvefs.log ]]; then
            evidence=$(mktemp "${TMPDIR:-/tmp}/twelvefs-limits-$check.XXXXXX.log")
            cp "$WORKSPACE/$check/twelvefs.log" "$evidence"
            say "its log is in $evidence"
        fi
        misses=$((misses + 1))
    fi
    rm -rf -- "${WORKSPACE:?}/$check"
done
((misses == 0))
