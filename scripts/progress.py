#!/usr/bin/env python3
"""Shows an upload's status document to people.

progress.py DOCUMENT PID       a bar until the process PID has ended
progress.py --document FILE    the document, with its list of chunks cut short
progress.py --until-ready FILE waits until the platform has processed the asset
"""
import json
import sys
import time


def read(path: str) -> dict | None:
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return None  # not there yet


def runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def line(status: dict) -> tuple[float, str]:
    total = status["total_size"] or status["bytes_written"] or 1
    share = status["bytes_uploaded"] / total
    bar = "█" * int(share * 30) + "░" * (30 - int(share * 30))
    stored = status["chunks_uploaded"] + status["chunks_completed"]
    speed = (status.get("bytes_per_second") or 0) / 1e6
    return share, (
        f"  {bar} {share:4.0%}  {status['bytes_uploaded'] / 1e6:6.1f} of {total / 1e6:.1f} MB"
        f"  {stored} of {status['total_chunks'] or '?'} chunks  {speed:5.1f} MB/s  {status['state']:<10}"
    )


def watch(path: str, pid: int) -> None:
    terminal = sys.stdout.isatty()
    shown = -1.0
    while True:
        running = runs(pid)
        status = read(path)
        if status:
            share, text = line(status)
            if terminal:
                print(f"\r{text}", end="", flush=True)
            elif share >= shown + 0.2 or (not running and share > shown):
                print(text, flush=True)
                shown = share
        if not running:
            break
        time.sleep(0.1)
    if terminal:
        print()


def document(path: str) -> None:
    status = read(path)
    if status is None:
        sys.exit(f"cannot read {path}")
    chunks = status.pop("chunks")
    text = json.dumps(status, indent=2, ensure_ascii=False)
    shown = ",\n".join("    " + json.dumps(chunk) for chunk in chunks[:3])
    more = f",\n    … and {len(chunks) - 3} more" if len(chunks) > 3 else ""
    print(f'{text[:-2]},\n  "chunks": [\n{shown}{more}\n  ]\n}}')


def until_ready(path: str) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        status = read(path) or {}
        if status.get("asset_status") == "ready":
            return
        if status.get("asset_status") == "failed":
            sys.exit(f"the platform could not process the asset: {status.get('asset_error')}")
        if status.get("asset_status") == "unknown":
            sys.exit(f"the platform does not tell what became of the asset: {status.get('asset_error')}")
        time.sleep(0.1)
    sys.exit("the asset was not ready within two minutes")


if __name__ == "__main__":
    if sys.argv[1] == "--document":
        document(sys.argv[2])
    elif sys.argv[1] == "--until-ready":
        until_ready(sys.argv[2])
    else:
        watch(sys.argv[1], int(sys.argv[2]))
