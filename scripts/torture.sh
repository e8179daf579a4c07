#!/usr/bin/env bash
# Kills twelvefs in the middle of everything, again and again, and looks whether anything was lost:
# scripts/torture.sh [--rounds N] [--seed S] [--kill twelvefs|sandbox|both] [--faults] [--damage] [--outage [SECONDS]]
#
#   --rounds N     how often (200); each round some writers of different kinds, and a kill at a moment that is drawn
#   --seed S       does what the run with this seed did, as far as chance allows
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
        --rounds | --seed | --kill)
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
    local pid
    # What was started last, with what that has started: its group is there for as long as one of them is.
    if ((${#STARTED[@]})); then kill -KILL -- "-${STARTED[-1]%% *}" 2>/dev/null; fi
    while pid=$(server_of "$WORKSPACE/run/user/mnt"); do
        kill -KILL "$pid"
        sleep 0.1
    done
}

step "Torture"
status=0
awaited python3 "$ROOT/Tests/tools/torture.py" --twelvefs "$TWELVEFS" --sandbox "$SANDBOX" \
    --workspace "$WORKSPACE/run" "${options[@]}" >"$WORKSPACE/figures" || status=$?

if [[ -s $WORKSPACE/figures ]]; then
    python3 -c '
import json, sys
for name, value in json.load(sys.stdin).items():
    print(f"  {name.replace(chr(95), chr(32)):<28}{value}")
' <"$WORKSPACE/figures"
fi
if ((status == 0)); then
    good "nothing was lost, nothing came twice, nothing was promised that did not hold"
elif ((status < 128)); then
    evidence=$(mktemp -d "${TMPDIR:-/tmp}/twelvefs-torture-evidence.XXXXXX")
    cp -r "$WORKSPACE/run/user/twelvefs.log" "$WORKSPACE/run/user/state/"journal* "$WORKSPACE/run/sandbox/state/journal.jsonl" \
        "$evidence" 2>/dev/null || true
    bad "it does not hold; logs and journals are in $evidence"
fi
exit "$status"
