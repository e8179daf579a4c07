#!/usr/bin/env bash
# Asks witnesses that are not ours: Tests/witnesses/run.sh s3|requests [FOLDER]. What they need is installed once, below
# .build; build.sh has to have run.
#   s3        S3 as moto has it, and boto3's presigned URLs, behind a platform by the published specification
#   requests  every request of whole sessions, judged by the published constraints
. "$(dirname "$0")/../../scripts/lib.sh"

. "$ROOT/scripts/venvs.sh"
case ${1:-} in
    s3) modules=(test_s3) ;;
    requests) modules=(test_conformance test_requests) ;;
    *) die "there is no such witness: ${1:-} (there are s3 and requests)" ;;
esac
if (($# > 1)); then
    mkdir -p "$2"
    folder=$2
else
    make_workspace witnesses
    folder=$WORKSPACE
fi
# What the programs start they note here; it is swept should they be killed themselves.
if [[ -z ${TWELVEFS_TEST_RUN_DIR:-} ]]; then
    export TWELVEFS_TEST_RUN_DIR="$folder"
    ON_EXIT+=(sweep)
fi
make_venvs witnesses
cd "$ROOT/Tests/witnesses"
awaited env TMPDIR="$folder" TWELVEFS="$TWELVEFS" SANDBOX="$SANDBOX" PYTHONDONTWRITEBYTECODE=1 \
    "$(venv_python witnesses)" -W ignore::ResourceWarning -m unittest --verbose "${modules[@]}"
