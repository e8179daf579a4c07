#!/usr/bin/env bash
# The one build: tests, demo and bench use what it makes. A first build takes minutes, a later one seconds.
. "$(dirname "$0")/lib.sh"

cd "$ROOT"
step "Building (release)"
began=$SECONDS
swift build -c release --build-tests </dev/null
good "built in $((SECONDS - began)) s: ${BIN#"$ROOT"/}/twelvefs"
