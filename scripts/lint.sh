#!/usr/bin/env bash
# Checks the form of the sources: swift format's rules, their structure, and that every script parses.
. "$(dirname "$0")/lib.sh"

cd "$ROOT"
step "Linting"
swift format lint --strict --recursive --parallel Package.swift Sources Tests
python3 scripts/lint/structure.py
python3 scripts/lint/words.py
for script in scripts/*.sh Tests/*/run.sh .ci/run; do bash -n "$script"; done
if command -v shellcheck >/dev/null; then shellcheck -x -P SCRIPTDIR scripts/*.sh Tests/*/run.sh .ci/run; fi
good "nothing to complain about"
