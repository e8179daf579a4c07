#!/usr/bin/env python3
"""Fails where a retired word comes back: each had several meanings, or the field has its own word for it.

It looks at sources, tests, scripts, help texts (which are in the sources) and pages. What is stored or shown to programs
keeps its name for compatibility: the journal's schema (`given_up`), JSON keys and error codes (`room`, `part_given_up`).
"""

import re
import subprocess
import sys

# Pattern → what to say instead. Names are matched as they are written in code, phrases as they are written in prose.
RETIRED = {
    r"\b[Gg]iv(?:e|es|en|ing) (?:it |them |that )?up\b|\bgave up\b|\b\w*[gG]iv(?:e|en|ing)Up\w*": "release (ranges), fail, abandon (a session), cancel, abort",
    r"(?<![\"`_])\b[Rr]oom\b(?![\"`])|\b(?:Room[A-Z]|Spool[Rr]oom|obtainRoom|makeRoom|giveBackRoom)\w*": "space; SpaceLedger, SpoolSpace, reserve",
    r"\bPassage\b|\bpassage\b": "CircuitBreaker (closed, open, half-open with one probe)",
    r"\b[Tt]ickets?\b": "Permit, Token",
    r"\b[Rr]estraints?\b": "CallGate; Backpressure",
    r"\bMovement\b|\batNextMovement\b|\blastMovement\b": "NetProgress, SpaceQueue, BacklogSignal, TransferRate",
    r"\bActivity\b": "InFlightUploads",
    r"\b[Hh]ousekeeping\b|\bInterruptedKeeper\b": "AbandonedAssetCleaner; SpoolReclaimer",
    r"\bjournal\??\.note\b|\bnoteInJournal\b|\bnoteFacts\b|\b[Nn]oted\b": "record, enqueue, markDirty",
    r"\bUploadFacts?\b|\bSessionFacts\b|\bCommitRule\.Facts\b": "JournalDelta, SessionSnapshot, CloseContext",
    r"\b(?:gone|goes|go|going) on with\b|\bLeftUploads\b|\bRestoredUpload\b": "recover, continue; RecoveredUploads, RecoveredUpload",
    r"\blet(?:s|ting)? go of\b": "the last descriptor is closed",
    r"\bhears of it\b|\bis at it\b": "gets the result of close; is in use",
    r"\bUploadOrder\b|\bPutOrder\b": "UploadCommand, ChunkPut",
    r"\bcontentMark\b|\bcutsDone\b|\bisPlain\(?\b(?=: )|\bisLeft\b": "contentVersion, truncationsDone, isLocalOnly, isFinalCloseOfLocalFile",
    r"\bwhenKept\b": "awaitJournal",
    r"\b[Hh]appenings?\b|\bsayReady\b": "Event, reportReady",
}
TEXT = (".swift", ".py", ".sh", ".md", ".c", ".h")


def main():
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], capture_output=True, text=True, check=True
    ).stdout.split("\n")
    found = 0
    for name in names:
        if not name.endswith(TEXT) or "/Fixtures/" in name or name.endswith("lint/words.py"):
            continue
        try:
            lines = open(name, encoding="utf-8").read().split("\n")
        except FileNotFoundError:
            continue
        for number, line in enumerate(lines, 1):
            for pattern, instead in RETIRED.items():
                match = re.search(pattern, line)
                if match:
                    print(f"{name}:{number}: ‘{match.group(0)}’ is retired, say: {instead}")
                    found += 1
    if found:
        sys.exit(f"{found} retired words")


main()
