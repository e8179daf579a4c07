#!/usr/bin/env bash
# The one build: tests, demo and bench use what it makes. A first build takes minutes, a later one seconds.
. "$(dirname "$0")/lib.sh"

cd "$ROOT"
step "Building (${BUILD[1]}${SANITIZER:+", for the $SANITIZER sanitizer"})"
began=$SECONDS
swift build "${BUILD[@]}" --build-tests </dev/null
good "built in $((SECONDS - began)) s: ${BIN#"$ROOT"/}/twelvefs"
