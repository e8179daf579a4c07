#!/usr/bin/env python3
"""Uploads every file of a folder by the official SDK, one after the other, and prints the seconds that took."""
import os
import sys
import time
from pathlib import Path

from twelvelabs import TwelveLabs

client = TwelveLabs(api_key=os.environ["TWELVELABS_API_KEY"])
files = sorted(path for path in Path(sys.argv[1]).iterdir() if path.is_file())
started = time.monotonic()
for file in files:
    client.multipart_upload.upload_file(str(file))
print(time.monotonic() - started)
