#!/usr/bin/env bash
# Looks for differences between the file system and a model of it, in process: scripts/model.sh [SEED]
#
# 1 800 000 operations on files, nine times as many as scripts/test.sh does: writes, renames, kills, failures of the platform, by
# three ways to close. A difference is shrunk to a short list of operations and printed, with its seed and with what runs that
# list alone.
. "$(dirname "$0")/lib.sh"

if (($# > 1)) || [[ ${1:-0} == *[!0-9]* ]]; then
    echo "usage: scripts/model.sh [SEED]" >&2
    exit 2
fi
if (($#)); then export TWELVEFS_TEST_SEED=$1; fi
export TWELVEFS_TEST_CASES=${TWELVEFS_TEST_CASES:-300} TWELVEFS_TEST_SHRINKING=${TWELVEFS_TEST_SHRINKING:-60}
exec "$ROOT/scripts/test.sh" --filter FilesystemModelTests
