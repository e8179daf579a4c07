#!/usr/bin/env bash
# Kills twelvefs in the middle of everything, again and again, and looks whether anything was lost:
# scripts/torture.sh [--kind KIND|all] [--jobs N] [--rounds N] [--seed S] [--first N]
#                    [--kill twelvefs|sandbox|both] [--faults] [--damage] [--outage [SECONDS]]
#
#   --kind KIND    what is made hard besides:
#                    plain            nothing
#                    refused          files that are larger than allowed, and programs that do not mind a refused write
#                    drained          the mount is not killed, but ended in all ways that there are, while many write
#                    stopped          the server is stopped (SIGSTOP) for moments while they write
#                    small-spool      there is space for some of the files only
#                    few-descriptors  the server may open hardly more than it needs
#                    all              runs of all of them, several at a time, each with a state of its own
#   --jobs N       how many runs at a time with --kind all (4)
#   --rounds N     how often (200; with --kind all 500 of the plain kind and 100 of each other, or N of each); each round
#                  some writers of different kinds, and a kill at a moment that is drawn
#   --seed S       does what the run with this seed did, as far as chance allows
#   --first N      begins with round N of that run
#   --kill WHAT    what is killed: twelvefs (as it is), the sandbox, or both
#   --faults       the sandbox fails every third request besides, in many ways
#   --damage       a bit of the journal is flipped after each kill: it may forget something, but tell nothing wrong
#   --outage       instead of rounds: four uploads, and no network for two minutes (or so many seconds) in the middle
#
# Prints figures; exits with 1, and tells what there is to investigate, when a file was lost, came twice or came wrong.
. "$(dirname "$0")/lib.sh"

options=()
while (($#)); do
    case $1 in
        --outage)
            if [[ ${2:-} =~ ^[0-9]+$ ]]; then shift; seconds=$1; else seconds=120; fi
            options+=(--outage "$seconds")
            ;;
        --kind | --jobs | --rounds | --seed | --first | --kill)
            [[ -n ${2:-} ]] || die "$1 needs a value"
            options+=("$1" "$2")
            shift
            ;;
        --faults | --damage) options+=("$1") ;;
        *) die "no such option: $1" ;;
    esac
    shift
done

"$ROOT/scripts/setup.sh"
awaited "$ROOT/scripts/build.sh"
make_workspace torture
mkdir "$WORKSPACE/run" "$WORKSPACE/register"
# What the program starts it notes there, and it is swept should the program itself be killed; even then it may just have
# been mounting, which is not in its notes yet.
export TWELVEFS_TEST_RUN_DIR="$WORKSPACE/register"
ON_EXIT+=(end_mounting sweep)

# shellcheck disable=SC2317 # called when the script ends
end_mounting() {
    local pid mount_point
    # What was started last, with what that has started: its group is there for as long as one of them is.
    if ((${#STARTED[@]})); then kill -KILL -- "-${STARTED[-1]%% *}" 2>/dev/null; fi
    for mount_point in "$WORKSPACE"/run/user/mnt "$WORKSPACE"/run/*/user/mnt; do
        while pid=$(server_of "$mount_point"); do
            kill -KILL "$pid"
            sleep 0.1
        done
    done
}

step "Torture"
status=0
awaited python3 "$ROOT/Tests/tools/torture.py" --twelvefs "$TWELVEFS" --sandbox "$SANDBOX" \
    --workspace "$WORKSPACE/run" "${options[@]}" >"$WORKSPACE/figures" || status=$?

if [[ -s $WORKSPACE/figures ]]; then
    python3 -c '
import json, sys
def words(value):
    if not isinstance(value, dict): return value
    return ", ".join(f"{name.replace(chr(95), chr(32))} {value}" for name, value in value.items() if value or name == "violations")
for name, value in json.load(sys.stdin).items():
    print(f"  {name.replace(chr(95), chr(32)):<28}{words(value)}")
' <"$WORKSPACE/figures"
fi
if ((status == 0)); then
    good "nothing was lost, nothing came twice, nothing was promised that did not hold"
elif ((status < 128)); then
    evidence=$(mktemp -d "${TMPDIR:-/tmp}/twelvefs-torture-evidence.XXXXXX")
    (cd "$WORKSPACE/run" && cp -r --parents user/twelvefs.log user/state/journal* sandbox/state/journal.jsonl \
        */user/twelvefs.log */user/state/journal* */sandbox/state/journal.jsonl "$evidence") 2>/dev/null || true
    bad "it does not hold; logs and journals are in $evidence"
fi
exit "$status"
