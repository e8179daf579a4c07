#!/usr/bin/env bash
# Feeds all that reads what comes from outside with inputs that nobody thought of: scripts/fuzz.sh [SECONDS] [DECODER...]
#
# Answers of the platform, of its store and of proxies, headers, the journal, state files, status documents, the kernel's texts,
# mount options: each decoder (Tests/Fuzzing has them) gets a minute, or so many seconds. libFuzzer, which comes with the compiler,
# goes on from those inputs that lead anywhere; our modules are built for it in a place of their own, which takes minutes the first
# time. Where the compiler came without it, the tests' own mutations run for as long.
#
# Exits with 1 when an input ends the process, takes ten seconds, or when memory grows beyond 1 GiB; what did it is kept.
. "$(dirname "$0")/lib.sh"

seconds=60
if [[ ${1:-} =~ ^[0-9]+$ ]]; then
    seconds=$1
    shift
fi

"$ROOT/scripts/setup.sh"
cd "$ROOT"
resources=$(swiftc -print-target-info | json_field paths.runtimeResourcePath)
library="$resources/clang/lib/linux/libclang_rt.fuzzer_no_main-$(uname -m).a"
if [[ ! -e $library ]]; then
    say "this compiler comes without libFuzzer"
    export TWELVEFS_TEST_SECONDS=$seconds
    exec "$ROOT/scripts/test.sh" --filter FuzzingTests
fi

# Package.swift adds the fuzzer where this is set, and has our modules tell it where an input has led.
export TWELVEFS_FUZZER=$library
step "Building for libFuzzer"
began=$SECONDS
build=(-c release --scratch-path "$ROOT/.build/fuzzer")
awaited swift build "${build[@]}" --product twelvefs-fuzzer
fuzzer="$ROOT/.build/fuzzer/release/twelvefs-fuzzer"
good "built in $((SECONDS - began)) s"

make_workspace fuzz
"$fuzzer" samples "$WORKSPACE"
if ((!$#)); then
    mapfile -t all < <("$fuzzer" names)
    set -- "${all[@]}"
fi
# A trap is libFuzzer's to tell of; and it ends what it tells of, so that no core dump is wanted.
export SWIFT_BACKTRACE=enable=no
ulimit -c 0

status=0
for decoder; do
    step "$decoder, $seconds s"
    [[ -d $WORKSPACE/$decoder ]] || die "there is no decoder $decoder; there are: $("$fuzzer" names | tr '\n' ' ')"
    export TWELVEFS_FUZZED=$decoder
    mkdir "$WORKSPACE/$decoder-found"
    # What the decoder itself has to say is of no interest before it fails.
    if awaited "$fuzzer" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=16384 -print_final_stats=1 \
        -dict="$WORKSPACE/words" -artifact_prefix="$WORKSPACE/$decoder-found/" "$WORKSPACE/$decoder" \
        >"$WORKSPACE/$decoder.log" 2>&1; then
        inputs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$WORKSPACE/$decoder.log")
        peak=$(sed -n 's/^stat::peak_rss_mb: *//p' "$WORKSPACE/$decoder.log")
        good "$inputs inputs, at most $peak MiB"
    else
        tail -n 25 "$WORKSPACE/$decoder.log"
        bad "$decoder"
        status=1
    fi
done
if ((status)); then
    evidence=$(mktemp -d "${TMPDIR:-/tmp}/twelvefs-fuzz-evidence.XXXXXX")
    cp -r "$WORKSPACE"/*-found "$WORKSPACE"/*.log "$evidence"
    bad "what did it is in $evidence; again: TWELVEFS_FUZZED=DECODER .build/fuzzer/release/twelvefs-fuzzer FILE"
fi
exit "$status"
