#!/usr/bin/env python3
"""Reads ranges of an NBD export one after the other and tells how long each took and what came.

  read-chunks.py URI LENGTH OFFSET...

Prints one line for each: microseconds, SHA-256. Uses libnbd, a client that is not ours.
"""
import hashlib
import sys
import time

import nbd


def main():
    uri, length, offsets = sys.argv[1], int(sys.argv[2]), [int(text) for text in sys.argv[3:]]
    handle = nbd.NBD()
    handle.connect_uri(uri)
    for offset in offsets:
        started = time.monotonic_ns()
        content = handle.pread(length, offset)
        elapsed = (time.monotonic_ns() - started) // 1000
        print(elapsed, hashlib.sha256(content).hexdigest(), flush=True)
    handle.shutdown()


main()
