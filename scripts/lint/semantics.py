#!/usr/bin/env python3
"""Checks the pages whose statements tests show (Semantics, Threats): each statement has an id of its own, each id is borne by at
least one test (the trait `.shows("id")`), and no test bears an id that no page has.

A statement is an item of a list that begins with its id: `- **`close-confirmed`** Text.` What this cannot see: whether the
test shows the statement; that is for whoever reads both.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "Sources/TwelveFSCommand/Documentation.docc" / name for name in ("Semantics.md", "Threats.md")]
STATEMENT = re.compile(r"- \*\*`([a-z0-9]+(?:-[a-z0-9]+)*)`\*\* \S")
TRAIT = re.compile(r"\.shows\(([^()]*)\)")


def statements(pages):
    """The ids of pages, which are given by their paths, with the places that they stand in, and what is wrong with the items. A page
    may repeat what another one states."""
    ids, problems = {}, []
    for path, text in pages:
        own = {}
        for number, line in enumerate(text.splitlines(), 1):
            place = f"{path}:{number}"
            if not re.match(r"\s*[-*+] ", line):
                continue
            match = STATEMENT.match(line)
            if not match:
                problems.append(f"{place}: an item of a list without an id: - **`the-id`** The statement.")
            elif match.group(1) in own:
                problems.append(f"{place}: the id '{match.group(1)}' stands at {own[match.group(1)]} too")
            else:
                own[match.group(1)] = place
        ids |= own
    return ids, problems


def traits(source):
    """The ids that the tests of a source file bear, with their lines. Comments do not count."""
    source = re.sub(r"^[ \t]*//[^\n]*", "", source, flags=re.M)
    found = []
    for match in TRAIT.finditer(source):
        line = source.count("\n", 0, match.start()) + 1
        found += [(name, line) for name in re.findall(r'"([^"]*)"', match.group(1))]
    return found


def compare(pages, tests):
    """What is wrong between pages and the sources of tests, which are given by their paths."""
    ids, found = statements(pages)
    borne = set()
    for path, source in tests:
        for name, line in traits(source):
            borne.add(name)
            if name not in ids:
                found.append(f"{path}:{line}: no page has a statement '{name}'")
    for name, place in ids.items():
        if name not in borne:
            found.append(f"{place}: no test bears '{name}' (.shows(\"{name}\"))")
    return found


def self_test():
    """A check that finds nothing might look at nothing."""
    page = ("a.md", "Text.\n\n- **`one-id`** A statement\n  of two lines.\n- **`other`** Another.\n")
    test = ("x.swift", '@Test(.shows("one-id", "other")) func holds() {}\n')
    assert compare([page], [test]) == []
    assert len(compare([page], [("x.swift", '@Test(.shows("one-id")) func holds() {}\n// .shows("other")\n')])) == 1
    assert len(compare([page], [test, ("y.swift", '@Test(\n    .shows(\n        "third"))\n')])) == 1
    assert len(compare([(page[0], page[1] + "- **`other`** Once more.\n")], [test])) == 1
    assert compare([page, ("b.md", "- **`other`** Once more.\n")], [test]) == []
    assert len(compare([page, ("b.md", "- Without an id.\n")], [test])) == 1


def main():
    self_test()
    tests = [(path.relative_to(ROOT), path.read_text()) for path in sorted((ROOT / "Tests").rglob("*.swift"))]
    found = compare([(page.relative_to(ROOT), page.read_text()) for page in PAGES], tests)
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
