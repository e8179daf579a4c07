#!/usr/bin/env python3
"""Checks the Semantics page against the tests: each statement has an id of its own, each id is borne by at least one test
(the trait `.shows("id")`), and no test bears an id that the page does not have.

A statement is an item of a list that begins with its id: `- **`close-confirmed`** Text.` What this cannot see: whether the
test shows the statement; that is for whoever reads both.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "Sources/TwelveFSCommand/Documentation.docc/Semantics.md"
STATEMENT = re.compile(r"- \*\*`([a-z0-9]+(?:-[a-z0-9]+)*)`\*\* \S")
TRAIT = re.compile(r"\.shows\(([^()]*)\)")


def statements(text):
    """The ids of a page with the lines that they stand in, and what is wrong with its items."""
    ids, problems = {}, []
    for number, line in enumerate(text.splitlines(), 1):
        if not re.match(r"\s*[-*+] ", line):
            continue
        match = STATEMENT.match(line)
        if not match:
            problems.append((number, "an item of a list without an id: - **`the-id`** The statement."))
        elif match.group(1) in ids:
            problems.append((number, f"the id '{match.group(1)}' stands in line {ids[match.group(1)]} too"))
        else:
            ids[match.group(1)] = number
    return ids, problems


def traits(source):
    """The ids that the tests of a source file bear, with their lines. Comments do not count."""
    source = re.sub(r"^[ \t]*//[^\n]*", "", source, flags=re.M)
    found = []
    for match in TRAIT.finditer(source):
        line = source.count("\n", 0, match.start()) + 1
        found += [(name, line) for name in re.findall(r'"([^"]*)"', match.group(1))]
    return found


def compare(page, tests):
    """What is wrong between a page and the sources of tests, which are given by their paths."""
    ids, problems = statements(page)
    found = [f"{PAGE.relative_to(ROOT)}:{line}: {text}" for line, text in problems]
    borne = set()
    for path, source in tests:
        for name, line in traits(source):
            borne.add(name)
            if name not in ids:
                found.append(f"{path}:{line}: the Semantics page has no statement '{name}'")
    for name, line in ids.items():
        if name not in borne:
            found.append(f"{PAGE.relative_to(ROOT)}:{line}: no test bears '{name}' (.shows(\"{name}\"))")
    return found


def self_test():
    """A check that finds nothing might look at nothing."""
    page = "Text.\n\n- **`one-id`** A statement\n  of two lines.\n- **`other`** Another.\n"
    test = ("x.swift", '@Test(.shows("one-id", "other")) func holds() {}\n')
    assert compare(page, [test]) == []
    assert len(compare(page, [("x.swift", '@Test(.shows("one-id")) func holds() {}\n// .shows("other")\n')])) == 1
    assert len(compare(page, [test, ("y.swift", '@Test(\n    .shows(\n        "third"))\n')])) == 1
    assert len(compare(page + "- **`other`** Once more.\n", [test])) == 1
    assert len(compare(page + "- Without an id.\n", [test])) == 1


def main():
    self_test()
    tests = [(path.relative_to(ROOT), path.read_text()) for path in sorted((ROOT / "Tests").rglob("*.swift"))]
    found = compare(PAGE.read_text(), tests)
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
