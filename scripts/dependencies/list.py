"""Reads what `swift package show-dependencies --format json` prints, and lists each package once, with its licence."""

import json
import pathlib
import subprocess
import sys

# A licence by words that only its text has.
LICENCES = [
    ("Apache-2.0", "Apache License", "Version 2.0, January 2004"),
    ("MIT", "Permission is hereby granted, free of charge", "THE SOFTWARE IS PROVIDED"),
]
# Apache's with an exception that lets a program be shipped without its text, as Swift's own projects have it.
EXCEPTION = "Runtime Library Exception"
SYSTEM = [
    ("libfuse3", "fuse3", "LGPL-2.1", "https://github.com/libfuse/libfuse"),
    ("libsqlite3", "sqlite3", "public domain", "https://www.sqlite.org"),
]


def licence_of(folder: pathlib.Path) -> str | None:
    for file in sorted(folder.glob("LICENSE*")):
        text = file.read_text(errors="replace")
        for name, *words in LICENCES:
            if all(word in text for word in words):
                return f"{name} WITH Swift-exception" if EXCEPTION in text else name
    return None


def packages(root: dict) -> dict[str, dict]:
    found: dict[str, dict] = {}
    waiting = list(root["dependencies"])
    while waiting:
        package = waiting.pop()
        if package["identity"] not in found:
            found[package["identity"]] = package
            waiting += package["dependencies"]
    return found


def system_version(module: str) -> str:
    result = subprocess.run(["pkg-config", "--modversion", module], capture_output=True, text=True, check=False)
    return result.stdout.strip() or "not installed"


def main() -> int:
    unknown = 0
    rows = []
    for identity, package in sorted(packages(json.load(sys.stdin)).items()):
        licence = licence_of(pathlib.Path(package["path"]))
        unknown += licence is None
        rows.append((package["name"], package["version"], licence or "UNKNOWN", package["url"].removesuffix(".git")))
    rows += [(name, system_version(module), licence, url) for name, module, licence, url in SYSTEM]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        print("  ".join([text.ljust(width) for text, width in zip(row, widths)] + [row[3]]))
    if unknown:
        print(f"{unknown} packages have a licence that is not known here", file=sys.stderr)
    return 1 if unknown else 0


sys.exit(main())
