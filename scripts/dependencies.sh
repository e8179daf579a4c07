#!/usr/bin/env bash
# Lists what twelvefs is built from, as resolved: scripts/dependencies.sh
# A line for each package: name, version, licence, address; then the libraries of the system that it is linked with. For the
# copyright file of whoever packages it. Exits with 1 where a licence is not one that is known here.
. "$(dirname "$0")/lib.sh"

cd "$ROOT"
swift package resolve >&2
swift package show-dependencies --format json | python3 "$ROOT/scripts/dependencies/list.py"
