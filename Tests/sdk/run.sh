#!/usr/bin/env bash
# Runs the official SDK's tests against a sandbox: Tests/sdk/run.sh [FOLDER]. The SDK is installed once, below .build.
. "$(dirname "$0")/../../scripts/lib.sh"

. "$ROOT/scripts/sdk.sh"
if (($#)); then
    mkdir -p "$1"
    folder=$1
else
    make_workspace sdk
    folder=$WORKSPACE
fi
install_sdk
start_sandbox "$folder/sandbox" --processing-time 200ms
awaited env TWELVELABS_BASE_URL="$SANDBOX_URL" TWELVELABS_API_KEY="$SANDBOX_KEY" \
    "$SDK_PYTHON" -m unittest discover --verbose --start-directory "$ROOT/Tests/sdk"
