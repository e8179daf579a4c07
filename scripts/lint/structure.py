#!/usr/bin/env python3
"""Checks the structure of the sources: that targets import only downwards, that no types of a target that is held to it
know each other in a circle, that no two types of any targets, tests included, bear one name, and that files and functions
stay short.

It works on the text, with comments and string literals taken out. A type knows another of its target when its name stands
in its declaration or in an extension of it; nested types count as the one that they are in. What it cannot see: a type
that is used without its name being written (the result of a call), and calls through closures and protocols. Names are
compared of types at the top level that more than their file can see; nested ones are told apart by what they are in.
"""

import re
import subprocess
import sys
from pathlib import Path

# What each target may import of ours: only what is below it.
LAYERS = {
    "CFuse3": [], "CSpool": [], "CXattr": [], "CProcess": [],
    "Formats": [], "Descriptors": [],
    "UploadCore": ["Formats"], "FileTree": ["Formats"], "ProcessInspection": ["Formats", "Descriptors", "CProcess"],
    "FuseLowLevel": ["Formats", "Descriptors", "CFuse3"],
    "PlatformClient": ["UploadCore", "Formats"],
    "UploadStore": ["UploadCore", "Formats", "Descriptors", "CSpool"],
    "UploadEngine": ["UploadCore", "Formats", "PlatformClient", "UploadStore"],
    "Filesystem": [
        "FuseLowLevel", "FileTree", "ProcessInspection", "UploadEngine", "UploadCore", "Formats", "UploadStore",
    ],
    "TwelveFSCommand": [
        "CXattr", "Descriptors", "Filesystem", "FuseLowLevel", "ProcessInspection", "UploadEngine", "PlatformClient", "UploadStore",
        "UploadCore", "Formats",
    ],
    "twelvefs": ["TwelveFSCommand"],
    # The stand-in has nothing else of ours: what it believes of the platform is its own.
    "SandboxPlatform": ["Formats"],
    "twelvefs-sandbox": ["SandboxPlatform"],
}
# These are values: nothing of the system, no clocks, no locks.
PURE = {"Formats", "UploadCore", "FileTree"}
# Targets whose types may not know each other in a circle.
ACYCLIC = ["Filesystem", "UploadEngine"]
LONGEST_FILE = 400
LONGEST_FUNCTION = 60

found = []


def complain(place, text):
    found.append(f"{place}: {text}")


def blanked(source):
    """The source with comments and the text of string literals replaced by spaces; line breaks stay."""
    pattern = re.compile(
        r'//[^\n]*|/\*.*?\*/|#"(?:.*?)"#|"""(?:.*?)"""|"(?:\\.|[^"\\\n])*"', re.DOTALL)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), source)


def block_end(text, start):
    """The position after the brace that closes the first one at or after `start`."""
    depth = 0
    for position in range(text.index("{", start), len(text)):
        if text[position] == "{":
            depth += 1
        elif text[position] == "}":
            depth -= 1
            if depth == 0:
                return position + 1
    return len(text)


def check_imports(target, path, text):
    for name in re.findall(r"^(?:@\w+ )*import (?:struct |class |enum |func )?(\w+)", text, re.M):
        if name in LAYERS and name != target and name not in LAYERS[target]:
            complain(path, f"imports {name}, which is not below {target}")
        if target in PURE and name not in LAYERS:
            complain(path, f"imports {name}: {target} is to import nothing of the system")


def check_lengths(path, text):
    lines = text.count("\n")
    if lines > LONGEST_FILE:
        complain(path, f"{lines} lines; at most {LONGEST_FILE}")
    for match in re.finditer(r"^[ \t]*(?:[\w@()]+ )*(?:func [^\s(]+|init[?!]?)[(<]", text, re.M):
        brace = text.find("{", match.end())
        following = re.search(r"\n[ \t]*(?:[\w@()]+ )*(?:func |var |let |init|case |})", text[match.end():])
        if brace < 0 or (following and match.end() + following.start() < brace):
            continue  # A requirement of a protocol: it has no body.
        length = text.count("\n", match.start(), block_end(text, brace)) + 1
        if length > LONGEST_FUNCTION:
            line = text.count("\n", 0, match.start()) + 1
            complain(f"{path}:{line}", f"a function of {length} lines; at most {LONGEST_FUNCTION}")


ATTRIBUTES = r"(?:@\w+(?:\((?:[^()]|\([^()]*\))*\))?\s+)*"
DECLARATION = re.compile(
    rf"^{ATTRIBUTES}(?:public |package |private |fileprivate |internal |final |indirect )*"
    r"(?:class|struct|enum|actor|protocol|extension) (\w+)", re.M)
NAMED = re.compile(
    rf"^{ATTRIBUTES}((?:public |package |private |fileprivate |internal |final |indirect )*)"
    r"(?:class|struct|enum|actor|protocol|typealias) (\w+)", re.M)


def check_names(texts):
    """Complains of a name that two declarations at the top level bear; `texts` are pairs of a place and its text."""
    places = {}
    for place, text in texts:
        for match in NAMED.finditer(text):
            if "private" not in match.group(1):
                places.setdefault(match.group(2), []).append(str(place))
    for name, bearers in sorted(places.items()):
        if len(bearers) > 1:
            complain(", ".join(bearers), f"more than one type is called {name}")


def check_locks(path, text):
    """A closure that is a lock's whole value is wrapped once more at each access, for ever; as a member of a type it is not."""
    for match in re.finditer(r"Mutex<\(*\s*@?[^<>=\n]*->", text):
        line = text.count("\n", 0, match.start()) + 1
        complain(f"{path}:{line}", "a lock whose value is a closure: give it a type of its own")


def circles(texts):
    """The groups of a target's types that know each other in a circle."""
    bodies = {}
    declared = set()
    for text in texts:
        for match in DECLARATION.finditer(text):
            if "extension" not in match.group(0).split():
                declared.add(match.group(1))
            end = block_end(text, match.start())
            bodies.setdefault(match.group(1), []).append(text[match.start():end])
    knows = {}
    for name in declared:
        words = set(re.findall(r"\b[A-Z]\w*\b", "\n".join(bodies.get(name, []))))
        knows[name] = (words & declared) - {name}
    return strongly_connected(knows)


def strongly_connected(graph):
    """Tarjan's algorithm; only groups of more than one."""
    index, low, on_stack, stack, groups = {}, {}, set(), [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        on_stack.add(node)
        for other in sorted(graph[node]):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in on_stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            group = []
            while True:
                other = stack.pop()
                on_stack.discard(other)
                group.append(other)
                if other == node:
                    break
            if len(group) > 1:
                groups.append(sorted(group))

    sys.setrecursionlimit(10_000)
    for node in sorted(graph):
        if node not in index:
            visit(node)
    return groups


def self_test():
    """A check that finds nothing might look at nothing."""
    one = "final class A { let b: B }\nstruct C {}\n"
    other = "extension B { func f(_ a: A) {} }\nstruct B { // A\n let text = \"A\" }\n"
    assert circles([blanked(one), blanked(other)]) == [["A", "B"]]
    assert circles([blanked(one), blanked("struct B { // A\n let text = \"A\" }\n")]) == []
    before = len(found)
    check_imports("UploadCore", "x", "import UploadEngine\n")
    check_lengths("x", "func long() {\n" + "a\n" * LONGEST_FUNCTION + "}\n" + "\n" * LONGEST_FILE)
    check_locks("x", "let a = Mutex<(@Sendable () -> Void)?>(nil)\nlet b = Mutex<State>(State())\n")
    assert len(found) == before + 4, found
    del found[before:]
    check_names([("x", one), ("y", "@Suite(.tags(.slow), .serialized) struct A {}\npublic actor D {\n    enum C {}\n}\n"),
                 ("z", "private struct D {}\nfileprivate enum C {}\nextension D {}\n")])
    assert found[before:] == ["x, y: more than one type is called A"], found
    del found[before:]


def main():
    root = Path(__file__).resolve().parents[2]
    self_test()
    named = []
    for folder in sorted((root / "Sources").iterdir()):
        target = folder.name
        if target not in LAYERS:
            complain(f"Sources/{target}", "is not in the table of layers")
            continue
        texts = []
        for path in sorted(folder.rglob("*.swift")):
            text = blanked(path.read_text())
            shown = path.relative_to(root)
            check_imports(target, shown, text)
            check_lengths(shown, text)
            check_locks(shown, text)
            texts.append(text)
            named.append((shown, text))
        if target in ACYCLIC:
            for group in circles(texts):
                complain(f"Sources/{target}", "these types know each other in a circle: " + ", ".join(group))
    for path in sorted((root / "Tests").rglob("*.swift")):
        text = blanked(path.read_text())
        check_lengths(path.relative_to(root), text)
        named.append((path.relative_to(root), text))
    check_names(named)
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
