#!/usr/bin/env python3
"""Opens an upload session and writes what curl needs to send all of its chunks: presigned.py FILE FOLDER

The file is cut into chunks in FOLDER, and FOLDER/curl holds one transfer for each. Key and base URL come from the
environment, as the official SDK reads them.
"""
import json
import os
import sys
import urllib.request
from pathlib import Path


def call(path: str, body: dict) -> dict:
    request = urllib.request.Request(
        f"{os.environ['TWELVELABS_BASE_URL']}/{path}",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "x-api-key": os.environ["TWELVELABS_API_KEY"]},
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def main() -> None:
    source, folder = Path(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    size = source.stat().st_size
    session = call("assets/multipart-uploads", {"filename": source.name, "type": "video", "total_size": size})
    upload, chunks = session["upload_id"], session["total_chunks"]
    urls = {entry["chunk_index"]: entry["url"] for entry in session["upload_urls"]}
    while missing := [index for index in range(1, chunks + 1) if index not in urls]:
        more = call(
            f"assets/multipart-uploads/{upload}/presigned-urls", {"start": missing[0], "count": min(50, len(missing))}
        )
        urls.update({entry["chunk_index"]: entry["url"] for entry in more["upload_urls"]})

    transfers = []
    with source.open("rb") as file:
        for index in range(1, chunks + 1):
            part = folder / f"chunk{index:05}"
            part.write_bytes(file.read(session["chunk_size"]))
            transfers.append(f'url = "{urls[index]}"\nupload-file = "{part}"\noutput = /dev/null\n')
    (folder / "curl").write_text("next\n".join(transfers))


if __name__ == "__main__":
    main()
