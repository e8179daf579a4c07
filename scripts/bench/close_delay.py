#!/usr/bin/env python3
"""From a paced copy's report and the sandbox's journal: the seconds from the last write to the return of close, the
seconds that the calls after the last chunk took (report and confirmation), and how many chunks the store had not got at
the last write. close_delay.py COPY-JSON JOURNAL-JSON"""
import json
import sys


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        copy = json.load(file)
    with open(sys.argv[2], encoding="utf-8") as file:
        requests = json.load(file)["requests"]
    if copy["error"]:
        sys.exit(f"the copy failed: {copy}")
    chunks = [request["finished"] for request in requests if request["kind"] == "put" and request["finished"]]
    last_chunk = max(chunks)
    calls = [r for r in requests if r["kind"] in ("report", "status") and r["finished"] and r["finished"] > last_chunk]
    calls = [r for r in calls if r["started"] <= copy["closed"]]
    reporting = max((r["finished"] for r in calls), default=last_chunk) - last_chunk
    print(copy["closed"] - copy["last_write"], reporting, sum(chunk > copy["last_write"] for chunk in chunks))


if __name__ == "__main__":
    main()
