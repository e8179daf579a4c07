#!/usr/bin/env bash
# Runs the official SDK against a sandbox: Tests/sdk/run.sh VERSION [FOLDER]. Its `upload_file` in every version; in the
# newest, all its other calls too. What it needs is installed once, below .build.
. "$(dirname "$0")/../../scripts/lib.sh"

. "$ROOT/scripts/venvs.sh"
version=${1:?a version is needed, one of ${SDK_VERSIONS[*]}}
if (($# > 1)); then
    mkdir -p "$2"
    folder=$2
else
    make_workspace sdk
    folder=$WORKSPACE
fi
make_venvs "sdk-$version"
start_sandbox "$folder/sandbox" --processing-time 200ms
pattern='test_upload_file.py'
[[ $version != "$NEWEST_SDK" ]] || pattern='test_*.py'
awaited env TWELVELABS_BASE_URL="$SANDBOX_URL" TWELVELABS_API_KEY="$SANDBOX_KEY" SDK_VERSION="$version" \
    "$(venv_python "sdk-$version")" -W ignore::ResourceWarning -m unittest discover --verbose --start-directory "$ROOT/Tests/sdk" --pattern "$pattern"
