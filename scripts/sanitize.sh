#!/usr/bin/env bash
# Runs the tests under the thread and the address sanitizer, with a sanitized twelvefs behind every mount. Each sanitizer has
# a build of its own, which takes minutes: this is not part of CI.
#
#   scripts/sanitize.sh                             both, every test
#   scripts/sanitize.sh thread                      one of them
#   scripts/sanitize.sh address --filter Interrupts with the options of `swift test`
. "$(dirname "$0")/lib.sh"

sanitizers=(thread address)
case "${1:-}" in
    thread | address)
        sanitizers=("$1")
        shift
        ;;
esac
if ((!$#)); then set -- --filter .; fi

make_workspace sanitize
clang -O2 -Wall -shared -fPIC -o "$WORKSPACE/runtime.so" "$ROOT/scripts/sanitize/runtime.c"
status=0
for sanitizer in "${sanitizers[@]}"; do
    # Every sanitized process writes what it finds into a file of its own: twelvefs in the background has no other way to say it.
    reports="$WORKSPACE/$sanitizer"
    mkdir -m 1777 "$reports"
    options="log_path=$reports/report:exitcode=66"
    export SANITIZER=$sanitizer
    export TSAN_OPTIONS="$options:halt_on_error=0:suppressions=$ROOT/scripts/sanitize/thread.supp"
    # What is alive at exit is no leak in a process that ends by exit().
    export ASAN_OPTIONS="$options:detect_leaks=0"
    [[ $sanitizer != thread ]] || export LD_PRELOAD="$WORKSPACE/runtime.so"
    awaited "$ROOT/scripts/test.sh" "$@" || status=1
    unset LD_PRELOAD
    step "What the $sanitizer sanitizer found"
    found=("$reports"/report.*)
    if [[ -e ${found[0]} ]]; then
        cat "${found[@]}"
        bad "${#found[@]} processes with findings"
        status=1
    else
        good "nothing"
    fi
done
exit "$status"
