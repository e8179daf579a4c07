#!/usr/bin/env bash
# Installs what is missing to build, run and test twelvefs on Debian or Ubuntu. Does nothing when nothing is missing.
. "$(dirname "$0")/lib.sh"

# package, and the command that succeeds when it is not needed
needs=(
    "fuse3|command -v fusermount3"
    "libfuse3-dev|pkg-config --exists fuse3"
    "libsqlite3-dev|pkg-config --exists sqlite3"
    "pkg-config|command -v pkg-config"
    "ffmpeg|command -v ffmpeg && command -v ffprobe"
    "rsync|command -v rsync"
    "curl|command -v curl"
    "wget|command -v wget"
    "aria2|command -v aria2c"
    "pv|command -v pv"
    "tar|command -v tar"
    "zip|command -v zip"
    "unzip|command -v unzip"
    "strace|command -v strace"
    "openssh-client|command -v sftp"
    "openssh-sftp-server|test -x /usr/lib/openssh/sftp-server"
    "iproute2|command -v ip"
    "tinyproxy-bin|command -v tinyproxy"
    "python3|command -v python3"
    "python3-venv|python3 -c 'import ensurepip, venv'"
)

missing=()
for need in "${needs[@]}"; do
    bash -c "${need#*|}" >/dev/null 2>&1 || missing+=("${need%%|*}")
done

if ((${#missing[@]})); then
    step "Installing ${missing[*]}"
    command -v apt-get >/dev/null || die "please install what these Debian packages hold, then run this again: ${missing[*]}"
    as_root=()
    if ((EUID != 0)); then
        command -v sudo >/dev/null || die "please run as root: apt-get install ${missing[*]}"
        as_root=(sudo)
    fi
    # A list of packages may be old, or not there at all: then it is fetched and the installation tried again.
    install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}")
    "${install[@]}" </dev/null >/dev/null 2>&1 || {
        "${as_root[@]}" apt-get update -q </dev/null
        "${install[@]}" </dev/null
    }
    good "installed"
fi

command -v swift >/dev/null || die "Swift 6.3 is needed: https://www.swift.org/install/linux"
version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p' | head -n 1)
if [[ $(printf '%s\n' 6.3 "$version" | sort -V | head -n 1) != 6.3 ]]; then
    die "Swift 6.3 is needed, this is ${version:-unknown}: https://www.swift.org/install/linux"
fi

[[ -e /dev/fuse ]] || die "/dev/fuse is missing: load the kernel module (modprobe fuse), or give the container the device"
[[ -r /dev/fuse && -w /dev/fuse ]] || die "/dev/fuse is not yours to use: chmod 0666 /dev/fuse, as Debian has it"
