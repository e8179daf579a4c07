"""What has to hold in the end: compares what writers were told with what the sandbox has and was sent."""
import errno
import hashlib
import os
import re

from .stage import Watchdog


def check_all(torture):
    """Notes every violation; returns figures."""
    assets = torture.sandbox.control("assets")["assets"]
    requests = torture.sandbox.control("journal")["requests"]
    sent_again = _check_chunks(torture, requests)
    complete = _check_assets(torture, assets)
    figures = {}
    with Watchdog(torture.mount, "the look at the documents", 300):
        _check_documents(torture, complete)
        if torture.options.damage:
            figures = _check_what_is_kept(torture, complete)
        else:
            _check_contents(torture)
    return {
        **figures,
        "assets": sum(len(found) for found in complete.values()),
        "sessions": sum(1 for request in requests if request["kind"] == "create" and request["status"] == 201),
        "chunks": sum(1 for request in requests if request["kind"] == "put" and request["status"] == 200),
        "chunks_sent_again": sent_again,
        "duplicates_reported": sum(request["duplicate_chunks"] or 0 for request in requests),
        "faults_played": sum(1 for request in requests if request["fault"] is not None),
        "requests": len(requests),
    }


def _check_assets(torture, assets):
    """Every promised file is one asset, every other one asset or none, and each is what was to be written."""
    files = {file.name: file for file in torture.files}
    complete = {}
    for asset in assets:
        if not asset["complete"]:
            continue
        complete.setdefault(asset["filename"], []).append(asset)
        file = files.get(asset["filename"])
        if file is None:
            torture.violation(asset["filename"], f"an asset of a file that nobody wrote: {asset}")
        elif asset["deleted"]:
            torture.violation(file.name, f"a complete asset was deleted: {asset}")
        elif asset["sha256"] != file.sha256:
            torture.violation(file.name, f"an asset of other bytes: {asset}")
    for file in torture.files:
        found = len(complete.get(file.name, []))
        if file.size == 0:
            if found:
                torture.violation(file.name, "an asset of an empty file")
        elif torture.options.damage:
            # What a journal forgot may be sent again, or have to be sought among the bytes that are kept.
            continue
        elif found > 1:
            torture.violation(file.name, f"{found} assets: {complete[file.name]}")
        elif found == 0 and file.is_promised:
            torture.violation(file.name, f"its close returned 0 ({file.mode} mode), and there is no asset")
    return complete


def _check_chunks(torture, requests):
    """No chunk is sent that was known to be stored; returns how many were stored more than once all the same."""
    known = {}
    for kill in torture.kills:
        for chunk in kill.stored:
            known.setdefault(chunk, kill)
    # The platform may take back what it had.
    failed = {
        (request["upload_id"], index) for request in requests
        if (request["fault"] or "").startswith("fail_chunks") for index in request["chunk_indices"] or []
    }
    stored = {}
    for request in requests:
        if request["kind"] != "put":
            continue
        chunk = (request["upload_id"], request["chunk_index"])
        if request["status"] == 200:
            stored[chunk] = stored.get(chunk, 0) + 1
        kill = None if torture.options.damage else known.get(chunk)
        if kill and request["started"] > kill.time and chunk not in failed:
            torture.violation(
                f"chunk {chunk[1]} of session {chunk[0]}",
                f"was sent {request['started'] - kill.time:.3f} s after a kill, when the journal knew it as stored: "
                f"{kill.stored[chunk]}, {request}")
    return sum(count - 1 for count in stored.values())


def _check_documents(torture, complete):
    """The status documents say what has become of each file."""
    for file in torture.files:
        if file.size == 0:
            continue
        document = torture.mount.status(file.path)
        state = document and document["state"]
        if state == "completed" and not complete.get(file.name):
            torture.violation(file.name, "its status is completed, and there is no asset")
        elif torture.options.damage:
            continue
        elif file.is_promised and state != "completed":
            torture.violation(file.name, f"its status is {state}")
        elif state in ("interrupted", "failed", "cancelled") and complete.get(file.name):
            torture.violation(file.name, f"there is an asset, and its status is {state}")
        elif file.synced and state != "completed":
            # What fsync was answered for never expires.
            kept = document["bytes_written"] if document else 0
            if kept < file.synced or state != "interrupted":
                torture.violation(
                    file.name, f"fsync was answered for {file.synced} bytes, and its status is {state} with {kept}")


def _check_what_is_kept(torture, complete):
    """Of what was promised and is no asset the bytes are still there, whatever the journal forgot of it."""
    kept = set()
    for folder in ("spool", "orphans"):
        for name in os.listdir(f"{torture.mount.state}/{folder}"):
            with open(f"{torture.mount.state}/{folder}/{name}", "rb") as content:
                kept.add(hashlib.sha256(content.read()).hexdigest())
    unsent = [file for file in torture.files if file.size and file.is_promised and not complete.get(file.name)]
    for file in unsent:
        if file.sha256 not in kept:
            torture.violation(file.name, f"promised in {file.mode} mode, no asset, and its bytes are gone")
    aside = [name for name in os.listdir(torture.mount.state) if re.fullmatch(r"journal-damaged-\d+\.sqlite", name)]
    with open(torture.mount.log, encoding="utf-8") as log:
        told = sum("the journal was damaged" in line for line in log)
    if min(told, len(aside)) < torture.costly_flips:
        torture.violation(
            "the log", f"{torture.costly_flips} bits took something with them, {len(aside)} journals were set aside, "
            f"and it tells of {told}")
    return {
        "bits_flipped": torture.flips, "of_them_costly": torture.costly_flips, "journals_set_aside": len(aside),
        "sent_twice": sum(len(found) - 1 for found in complete.values()), "kept_and_not_sent": len(unsent),
    }


def _check_contents(torture):
    """What is listed reads as it was written."""
    promised = [file for file in torture.files if file.is_promised]
    for file in torture.random.sample(promised, min(len(promised), 100)):
        if torture.size_in_tree(file.path) is None:
            continue  # which has been told
        try:
            with open(f"{torture.mount.path}/{file.path}", "rb") as content:
                sha256 = hashlib.sha256(content.read()).hexdigest()
        except OSError as error:
            # What has left the spool cannot be read where the platform told no URL: its last answer fell to a kill.
            if error.errno != errno.EIO or torture.mount.status(file.path)["asset_url"]:
                torture.violation(file.name, f"cannot be read in the mount: {error}")
            continue
        if sha256 != file.sha256:
            torture.violation(file.name, "reads as other bytes in the mount")
