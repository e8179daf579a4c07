#!/usr/bin/env bash
# Measures what was promised, as ratios: scripts/bench.sh [memory|curl|loopback|sdk|close|reports|accept|small-writes|looks|rsync|many|small-files|spool|holders]...
# Each line shows what was measured, against what, the ratio, its limit and a verdict; exits 1 when one misses.
# Numbers of one machine are not those of another; the ratios are what counts. Needs about 12 GB of space in $TMPDIR.
. "$(dirname "$0")/lib.sh"
. "$ROOT/scripts/venvs.sh"

MIB=1048576
CHUNK=$((5 * MIB))
REPEATS=${REPEATS:-3}
results=()
MOUNT_OPTIONS=() # for the next mount
misses=0

all=(memory curl loopback sdk close reports accept small-writes looks rsync many small-files spool holders)
chosen=("$@")
((${#chosen[@]})) || chosen=("${all[@]}")
for name in "${chosen[@]}"; do
    [[ " ${all[*]} " == *" $name "* ]] || die "no such measurement: $name (there are ${all[*]})"
done

"$ROOT/scripts/setup.sh"
awaited "$ROOT/scripts/build.sh"
make_workspace bench

# --- Tools -----------------------------------------------------------------------------------------------------------

calculate() { python3 -c "print($1)"; }
median() { sort -g | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] }'; }
now() { date +%s.%N; }

# verdict NAME MEASURED REFERENCE LIMIT [min]: the ratio of the two must be at most (or, with `min`, at least) the limit.
verdict() {
    local name=$1 measured=$2 reference=$3 limit=$4 kind=${5:-max} line
    line=$(python3 - "$@" <<'PYTHON'
import sys
name, measured, reference, limit = sys.argv[1], *(float(value) for value in sys.argv[2:5])
least = len(sys.argv) > 5 and sys.argv[5] == "min"
ratio = measured / reference
holds = ratio >= limit if least else ratio <= limit
print(f"{'holds' if holds else 'MISSED'}\t{name}\t{measured:.3g}\t{reference:.3g}\t{ratio:.2f}\t{'≥' if least else '≤'} {limit:g}")
PYTHON
    )
    results+=("$line")
    if [[ $line == holds* ]]; then good "$name: $measured against $reference"; else
        bad "$name: $measured against $reference (limit $limit $kind)"
        misses=$((misses + 1))
    fi
}

make_file() { head -c "$2" /dev/urandom >"$1"; }

# fresh NAME [SANDBOX-OPTION...]: a sandbox and a mount on it, both new; sets `mount_point` and `place`.
fresh() {
    local name=$1
    shift
    place="$WORKSPACE/$name"
    mount_point="$place/mnt"
    start_sandbox "$place/sandbox" "$@"
    mount_twelvefs "$mount_point" "$place/state" --log-file "$place/log" "${MOUNT_OPTIONS[@]}"
}

# Takes them away again, with what they keep on disk.
finished() {
    release_mount_point "$mount_point"
    local item
    for item in "$SERVER_PID" "$SANDBOX_PID"; do
        end_process "$item" "$(start_time "$item" || true)"
    done
    wait "$SANDBOX_PID" 2>/dev/null || true
    rm -rf -- "$place"
}

control() { curl -sS --fail -o /dev/null -X POST -H 'Content-Type: application/json' -d "$2" "$SANDBOX_CONTROL/$1"; }
hold_uploads() { control faults '{"faults":[{"on":"put","count":1000000,"answer":"hang"}]}'; }

# Runs a command, and keeps what it prints in READING.
reading() {
    awaited "$@" >"$WORKSPACE/reading"
    READING=$(<"$WORKSPACE/reading")
}

# Runs a command, and keeps the seconds that it takes in READING.
timing() {
    local began
    began=$(now)
    awaited "$@" >/dev/null
    READING=$(calculate "$(now) - $began")
}

# --- Measurements ----------------------------------------------------------------------------------------------------

# Peak resident memory of the serving process, in KiB, for a copy of that many bytes.
peak_memory() {
    make_file "$WORKSPACE/memory.mp4" "$1"
    fresh "memory$1"
    awaited cp "$WORKSPACE/memory.mp4" "$mount_point/"
    PEAK=$(awk '/^VmHWM:/ { print $2 }' "/proc/$SERVER_PID/status")
    finished
    rm "$WORKSPACE/memory.mp4"
}

measure_memory() {
    local small large larger
    peak_memory 100000000
    small=$PEAK
    peak_memory $((2048 * MIB))
    large=$PEAK
    larger=$((large > small ? large : small))
    verdict "peak memory, MiB (2 GiB copy: $((large / 1024)), 100 MB: $((small / 1024)))" \
        "$(calculate "$larger / 1024")" 100 1
    verdict "what a 2 GiB copy needs more than 100 MB, MiB" "$(calculate "abs($large - $small) / 1024")" 20 1
}

# Ours and curl by turns, on the same sandbox, so that both meet the same machine: over a network of 1 Gbit/s.
measure_curl() {
    make_file "$WORKSPACE/video.mp4" $((1024 * MIB))
    against_curl 125000000
    verdict "cp of 1 GiB with its close, against curl of its chunks, at 125 MB/s, s" "$OURS" "$THEIRS" 1.25
    rm "$WORKSPACE/video.mp4"
}

# The same without any network, for information: on one machine, the writer, twelvefs (which keeps what it is given and
# computes its MD5) and the stand-in share the cores, and it is them that are measured.
measure_loopback() {
    make_file "$WORKSPACE/video.mp4" $((1024 * MIB))
    against_curl unlimited
    say "cp of 1 GiB with its close took $OURS s, curl of its chunks $THEIRS s, with no network in between"
    rm "$WORKSPACE/video.mp4"
}

# against_curl BYTES-PER-SECOND|unlimited: sets OURS and THEIRS, the medians of the rounds, in seconds.
against_curl() {
    local round ours=() theirs=() pace=$1
    [[ $pace == unlimited ]] || pace="$pace/s"
    fresh "curl$1" --bandwidth "$pace"
    for ((round = 1; round <= REPEATS; round++)); do
        awaited env TWELVELABS_BASE_URL="$SANDBOX_URL" TWELVELABS_API_KEY="$SANDBOX_KEY" \
            python3 "$ROOT/scripts/bench/presigned.py" "$WORKSPACE/video.mp4" "$WORKSPACE/chunks"
        timing curl --no-progress-meter --fail --parallel --parallel-immediate --parallel-max 4 --config "$WORKSPACE/chunks/curl"
        theirs+=("$READING")
        rm -r "$WORKSPACE/chunks"
        timing cp "$WORKSPACE/video.mp4" "$mount_point/take$round.mp4"
        ours+=("$READING")
        rm "$mount_point/take$round.mp4"
    done
    finished
    OURS=$(printf '%s\n' "${ours[@]}" | median)
    THEIRS=$(printf '%s\n' "${theirs[@]}" | median)
}

measure_sdk() {
    local round ours=() theirs=()
    make_venvs "sdk-$NEWEST_SDK"
    make_file "$WORKSPACE/video.mp4" $((512 * MIB))
    fresh sdk
    for ((round = 1; round <= REPEATS; round++)); do
        reading env TWELVELABS_BASE_URL="$SANDBOX_URL" TWELVELABS_API_KEY="$SANDBOX_KEY" \
            "$(venv_python "sdk-$NEWEST_SDK")" "$ROOT/scripts/bench/sdk_upload.py" "$WORKSPACE/video.mp4"
        theirs+=("$READING")
        timing cp "$WORKSPACE/video.mp4" "$mount_point/take$round.mp4"
        ours+=("$READING")
        rm "$mount_point/take$round.mp4"
    done
    finished
    rm "$WORKSPACE/video.mp4"
    verdict "cp of 512 MiB, against the official SDK's upload_file, s" \
        "$(printf '%s\n' "${ours[@]}" | median)" "$(printf '%s\n' "${theirs[@]}" | median)" 1
}

measure_close() {
    local round pace=100000000 delays=() limits=() delay reporting
    make_file "$WORKSPACE/video.mp4" 500000000
    for ((round = 1; round <= REPEATS; round++)); do
        fresh "close$round" --bandwidth "${pace}/s"
        awaited python3 "$ROOT/Tests/tools/paced_copy.py" "$WORKSPACE/video.mp4" "$mount_point/video.mp4" --rate "$pace" \
            >"$WORKSPACE/copy.json"
        curl -sS --fail -o "$WORKSPACE/journal.json" "$SANDBOX_CONTROL/journal"
        reading python3 "$ROOT/scripts/bench/close_delay.py" "$WORKSPACE/copy.json" "$WORKSPACE/journal.json"
        read -r delay reporting _ <<<"$READING"
        delays+=("$delay")
        limits+=("$(calculate "2 * $CHUNK / $pace + $reporting")")
        finished
    done
    rm "$WORKSPACE/video.mp4"
    verdict "last write to return of close, against two chunks and the report, s" \
        "$(printf '%s\n' "${delays[@]}" | median)" "$(printf '%s\n' "${limits[@]}" | median)" 1
}

# The platform takes 50 chunks in a report: what is left of 17 of them when a file of 820 chunks has been written slower
# than the network takes it, and each answer of the API comes 100 ms later than it would.
measure_reports() {
    local round chunks=820 size=$((820 * 262144)) pace=20000000 delays=() lefts=() delay left
    make_file "$WORKSPACE/video.mp4" "$size"
    for ((round = 1; round <= REPEATS; round++)); do
        fresh "reports$round" --chunk-size 256KiB --api-latency 100ms
        awaited python3 "$ROOT/Tests/tools/paced_copy.py" "$WORKSPACE/video.mp4" "$mount_point/video.mp4" --rate "$pace" \
            --block 262144 >"$WORKSPACE/copy.json"
        curl -sS --fail -o "$WORKSPACE/journal.json" "$SANDBOX_CONTROL/journal"
        reading python3 "$ROOT/scripts/bench/close_delay.py" "$WORKSPACE/copy.json" "$WORKSPACE/journal.json"
        read -r delay _ left <<<"$READING"
        delays+=("$delay")
        lefts+=("$left")
        finished
    done
    rm "$WORKSPACE/video.mp4"
    verdict "chunks that are left at the last write of $chunks" "$(printf '%s\n' "${lefts[@]}" | median)" 2 1
    verdict "last write to return of close, $chunks chunks, 100 ms more for each call, s" \
        "$(printf '%s\n' "${delays[@]}" | median)" 0.7 1
}

measure_accept() {
    local round size=$((1024 * MIB)) ours=() theirs=()
    make_file "$WORKSPACE/video.mp4" "$size"
    MOUNT_OPTIONS=(--run-ahead unlimited) # what is held back here is the network, not the writer
    fresh accept
    MOUNT_OPTIONS=()
    hold_uploads
    for ((round = 1; round <= REPEATS; round++)); do
        reading python3 "$ROOT/scripts/bench/accepted.py" "$size" cp "$WORKSPACE/video.mp4" "$place/copy.mp4"
        theirs+=("$READING")
        rm "$place/copy.mp4"
        reading python3 "$ROOT/scripts/bench/accepted.py" "$size" cp "$WORKSPACE/video.mp4" "$mount_point/take$round.mp4"
        ours+=("$READING")
        rm -f "$mount_point/take$round.mp4"
    done
    finished
    rm "$WORKSPACE/video.mp4"
    verdict "cp accepted with uploads held back, against cp to the spool's disk, MB/s" \
        "$(calculate "$size / 1e6 / $(printf '%s\n' "${ours[@]}" | median)")" \
        "$(calculate "$size / 1e6 / $(printf '%s\n' "${theirs[@]}" | median)")" 0.4 min
}

measure_small-writes() {
    local round size=$((256 * MIB)) small=() large=()
    make_file "$WORKSPACE/video.mp4" "$size"
    MOUNT_OPTIONS=(--run-ahead unlimited)
    fresh small-writes
    MOUNT_OPTIONS=()
    hold_uploads
    for ((round = 1; round <= REPEATS; round++)); do
        reading python3 "$ROOT/scripts/bench/accepted.py" "$size" \
            dd if="$WORKSPACE/video.mp4" of="$mount_point/large$round.mp4" bs=1M
        large+=("$READING")
        reading python3 "$ROOT/scripts/bench/accepted.py" "$size" \
            dd if="$WORKSPACE/video.mp4" of="$mount_point/small$round.mp4" bs=4K
        small+=("$READING")
        rm -f "$mount_point/large$round.mp4" "$mount_point/small$round.mp4"
    done
    finished
    rm "$WORKSPACE/video.mp4"
    verdict "4 KiB writes, against 1 MiB writes, MB/s" \
        "$(calculate "$size / 1e6 / $(printf '%s\n' "${small[@]}" | median)")" \
        "$(calculate "$size / 1e6 / $(printf '%s\n' "${large[@]}" | median)")" 0.4 min
}

measure_looks() {
    local number worst middle copies=()
    make_file "$WORKSPACE/video.mp4" 200000000
    fresh looks --bandwidth 100MB/s
    for number in 1 2 3 4 5 6 7 8; do
        cp "$WORKSPACE/video.mp4" "$mount_point/take$number.mp4" &
        copies+=("$!")
        remember_process "$!"
    done
    reading python3 "$ROOT/scripts/bench/looks.py" "$mount_point" 1000
    read -r worst middle <<<"$READING"
    for number in "${copies[@]}"; do
        kill -0 "$number" 2>/dev/null || say "(one of the eight copies ended before the last look)"
        wait "$number"
    done
    finished
    rm "$WORKSPACE/video.mp4"
    verdict "the worst of 1000 looks beside 8 uploads, ms (median $(calculate "round($middle * 1000, 1)"))" \
        "$(calculate "$worst * 1000")" 250 1
}

# What `rsync --progress` shows over a network of 100 MB/s.
measure_rsync() {
    local round size=1000000000 pace=100000000 paces=() rests=() rate rest
    make_file "$WORKSPACE/video.mp4" "$size"
    for ((round = 1; round <= REPEATS; round++)); do
        fresh "rsync$round" --bandwidth "${pace}/s"
        reading python3 "$ROOT/scripts/bench/rsync_pace.py" "$WORKSPACE/video.mp4" "$mount_point/"
        read -r rate rest <<<"$READING"
        paces+=("$rate")
        rests+=("$rest")
        finished
    done
    rm "$WORKSPACE/video.mp4"
    rate=$(printf '%s\n' "${paces[@]}" | median)
    verdict "rsync's mean pace against the network's, MB/s" "$(calculate "$rate / 1e6")" "$(calculate "$pace / 1e6")" 1.15
    verdict "the same, at least" "$(calculate "$rate / 1e6")" "$(calculate "$pace / 1e6")" 0.85 min
    verdict "what is left at rsync's close, s" "$(printf '%s\n' "${rests[@]}" | median)" 1.5 1
}

measure_many() {
    local number count=2000 ours theirs
    make_venvs "sdk-$NEWEST_SDK"
    mkdir "$WORKSPACE/takes"
    for ((number = 1; number <= count; number++)); do
        make_file "$WORKSPACE/takes/take$number.mp4" 100000
    done
    fresh many
    reading env TWELVELABS_BASE_URL="$SANDBOX_URL" TWELVELABS_API_KEY="$SANDBOX_KEY" \
        "$(venv_python "sdk-$NEWEST_SDK")" "$ROOT/scripts/bench/sdk_folder.py" "$WORKSPACE/takes"
    theirs=$READING
    timing cp -r "$WORKSPACE/takes" "$mount_point/"
    ours=$READING
    finished
    rm -r "$WORKSPACE/takes"
    verdict "$count files of 100 KB by cp -r, against the official SDK one by one, files/s" \
        "$(calculate "$count / $ours")" "$(calculate "$count / $theirs")" 1 min
}

# A small file costs two calls, one after the other, whatever else there is to do.
measure_small-files() {
    local number round count=20 times=()
    mkdir "$WORKSPACE/takes"
    for ((number = 1; number <= count; number++)); do make_file "$WORKSPACE/takes/take$number.mp4" 100000; done
    for ((round = 1; round <= REPEATS; round++)); do
        fresh "small-files$round" --api-latency 100ms
        timing cp "$WORKSPACE/takes"/*.mp4 "$mount_point/"
        times+=("$(calculate "$READING / $count")")
        finished
    done
    rm -r "$WORKSPACE/takes"
    verdict "each of $count files of 100 KB by cp, 100 ms more for each call, s" \
        "$(printf '%s\n' "${times[@]}" | median)" 0.27 1
}

# 4 GiB through a spool of 1 GiB, against a spool that holds all of it.
measure_spool() {
    local ours theirs
    make_file "$WORKSPACE/video.mp4" $((4096 * MIB))
    fresh spool --bandwidth 125MB/s
    timing cp "$WORKSPACE/video.mp4" "$mount_point/video.mp4"
    theirs=$READING
    finished
    MOUNT_OPTIONS=(--spool-limit 1GiB)
    fresh spool-limited --bandwidth 125MB/s
    MOUNT_OPTIONS=()
    timing cp "$WORKSPACE/video.mp4" "$mount_point/video.mp4"
    ours=$READING
    finished
    rm "$WORKSPACE/video.mp4"
    verdict "4 GiB through a spool of 1 GiB, against one without limit, s" "$ours" "$theirs" 1.1
}

measure_holders() {
    local beside alone
    MOUNT_OPTIONS=(--other-files keep)
    fresh holders
    MOUNT_OPTIONS=()
    reading python3 "$ROOT/scripts/bench/holders.py" "$mount_point" 1000 50 9
    read -r beside alone <<<"$READING"
    finished
    verdict "a close beside 1000 processes of 50 descriptors, ms (alone: $(calculate "round($alone * 1000, 2)"))" \
        "$(calculate "$beside * 1000")" 250 1
}

for name in "${chosen[@]}"; do
    step "Measuring: $name"
    "measure_$name"
done

step "Results ($(nproc) cores, $(date -u +%F))"
{
    printf 'verdict\twhat\tmeasured\tagainst\tratio\tlimit\n'
    printf '%s\n' "${results[@]}"
} | column -t -s $'\t'
((misses == 0)) || die "$misses missed"
