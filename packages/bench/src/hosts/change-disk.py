#!/usr/bin/env python3
"""Makes changes on an NBD export: the lines of a file say where, another file has the bytes.

  change-disk.py URI BYTES CHANGES

A line of CHANGES is "write OFFSET LENGTH" or "zero OFFSET LENGTH"; what is written is what BYTES has there. Ends with a
flush. Uses libnbd, a client that is not ours.
"""
import os
import sys

import nbd

MOST_BYTES = 1024 * 1024


def main():
    uri, reference, changes = sys.argv[1:4]
    source = os.open(reference, os.O_RDONLY)
    handle = nbd.NBD()
    handle.connect_uri(uri)
    with open(changes, encoding="ascii") as lines:
        for line in lines:
            kind, offset, length = line.split()
            end = int(offset) + int(length)
            for at in range(int(offset), end, MOST_BYTES):
                count = min(MOST_BYTES, end - at)
                if kind == "zero":
                    handle.zero(count, at)
                else:
                    handle.pwrite(os.pread(source, count, at), at)
    handle.flush()
    handle.shutdown()


main()
