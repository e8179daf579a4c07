# The official Python SDK in a virtual environment below .build. Sourced after lib.sh.
# shellcheck shell=bash

SDK_PYTHON="$ROOT/.build/sdk-venv/bin/python"

# Installs the pinned SDK, once.
install_sdk() {
    local requirements="$ROOT/Tests/sdk/requirements.txt" mark="$ROOT/.build/sdk-venv/installed.txt"
    if cmp -s "$requirements" "$mark"; then return 0; fi
    say "installing $(tr '\n' ' ' <"$requirements")into .build/sdk-venv"
    rm -rf "$ROOT/.build/sdk-venv"
    python3 -m venv "$ROOT/.build/sdk-venv"
    "$SDK_PYTHON" -m pip install --quiet --disable-pip-version-check --requirement "$requirements" </dev/null
    cp "$requirements" "$mark"
}
