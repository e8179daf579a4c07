#!/usr/bin/env bash
# Checks the form of the sources: swift format's rules, their structure, their words, that each statement of the Semantics
# page has a test, and that every script parses.
. "$(dirname "$0")/lib.sh"

cd "$ROOT"
step "Linting"
swift format lint --strict --recursive --parallel Package.swift Sources Tests
python3 scripts/lint/structure.py
python3 scripts/lint/words.py
python3 scripts/lint/semantics.py
for script in scripts/*.sh Tests/*/run.sh .ci/run .ci/long; do bash -n "$script"; done
if command -v shellcheck >/dev/null; then shellcheck -x -P SCRIPTDIR scripts/*.sh Tests/*/run.sh .ci/run .ci/long; fi
good "nothing to complain about"
