#!/usr/bin/env python3
"""Uploads a file by the official SDK, as its documentation shows it, and prints the seconds that took."""
import os
import sys
import time

from twelvelabs import TwelveLabs

client = TwelveLabs(api_key=os.environ["TWELVELABS_API_KEY"])
started = time.monotonic()
client.multipart_upload.upload_file(sys.argv[1])
print(time.monotonic() - started)
