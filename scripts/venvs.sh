# Virtual environments of Python below .build, with what is pinned here and nothing of the machine. Sourced after lib.sh.
# shellcheck shell=bash

# The official SDK, whose API changed on the way; the last one is the newest.
SDK_VERSIONS=(1.1.0 1.2.9 1.3.6)
NEWEST_SDK=${SDK_VERSIONS[-1]}

# shellcheck disable=SC2034 # used by the scripts that source this
readonly SDK_VERSIONS NEWEST_SDK

# venv_python NAME: the interpreter of an environment.
venv_python() { printf '%s' "$ROOT/.build/venvs/$1/bin/python"; }

# What an environment holds: `sdk-VERSION`, or `witnesses`.
_requirements() {
    case $1 in
        sdk-*) printf 'twelvelabs==%s\n' "${1#sdk-}" ;;
        witnesses) cat "$ROOT/Tests/witnesses/requirements.txt" ;;
        *) return 1 ;;
    esac
}

_make_venv() {
    local name=$1 folder="$ROOT/.build/venvs/$1"
    rm -rf "$folder"
    python3 -m venv "$folder"
    _requirements "$name" >"$folder/wanted.txt"
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$folder/wanted.txt" </dev/null
    mv "$folder/wanted.txt" "$folder/installed.txt"
}

# make_venvs NAME...: makes what is missing or holds something else, all at the same time.
make_venvs() {
    local name makers=() maker status=0
    for name in "$@"; do
        if ! cmp -s <(_requirements "$name") "$ROOT/.build/venvs/$name/installed.txt"; then
            say "installing $(_requirements "$name" | tr '\n' ' ')into .build/venvs/$name"
            # A group of its own, so that it can be ended with its children.
            set -m
            _make_venv "$name" </dev/null &
            set +m
            makers+=("$!")
            remember_process "$!"
        fi
    done
    for maker in "${makers[@]}"; do wait "$maker" || status=1; done
    ((status == 0)) || die "not everything could be installed"
}
