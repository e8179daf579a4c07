#!/usr/bin/env bash
# Asks witnesses that are not ours: Tests/witnesses/run.sh s3|requests|proxy|many [FOLDER]. What they need is installed
# once, below .build; build.sh has to have run.
#   s3        S3 as moto has it, and boto3's presigned URLs, behind a platform by the published specification
#   requests  every request of whole sessions, judged by the published constraints
#   proxy     a mount whose only way out is tinyproxy, in a network of its own
#   many      what the calls for 2000 small files come to
. "$(dirname "$0")/../../scripts/lib.sh"

. "$ROOT/scripts/venvs.sh"
case ${1:-} in
    s3) modules=(test_s3) ;;
    requests) modules=(test_conformance test_requests) ;;
    proxy) modules=(test_proxy) ;;
    many) modules=(test_many) ;;
    *) die "there is no such witness: ${1:-} (there are s3, requests, proxy and many)" ;;
esac
if (($# > 1)); then
    mkdir -p "$2"
    folder=$2
else
    make_workspace witnesses
    folder=$WORKSPACE
fi
# What the programs start they note here; it is swept should they be killed themselves.
if [[ $1 != proxy && -z ${TWELVEFS_TEST_RUN_DIR:-} ]]; then
    export TWELVEFS_TEST_RUN_DIR="$folder"
    ON_EXIT+=(sweep)
fi
make_venvs witnesses
cd "$ROOT/Tests/witnesses"
around=()
if [[ $1 == proxy ]]; then
    # Network, mounts and processes of its own: whatever is made there is gone with its first process, however that ends.
    around=(unshare --net --mount --pid --fork --kill-child --mount-proc)
    ((EUID == 0)) || around+=(--map-root-user)
    NET_OF_THE_CALLER=$(readlink /proc/self/ns/net)
    export NET_OF_THE_CALLER
    # Processes have other numbers there, which nobody outside could sweep by.
    unset TWELVEFS_TEST_RUN_DIR
    # A first process that waits for those whose parent has gone.
    around+=(sh -c '"$@"; exit "$?"' sh)
fi
awaited "${around[@]}" env TMPDIR="$folder" TWELVEFS="$TWELVEFS" SANDBOX="$SANDBOX" PYTHONDONTWRITEBYTECODE=1 \
    "$(venv_python witnesses)" -W ignore::ResourceWarning -m unittest --verbose "${modules[@]}"
