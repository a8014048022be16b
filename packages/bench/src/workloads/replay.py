#!/usr/bin/env python3
"""Replays a recorded trace on an NBD export, as the guest would have waited, and tells how long each request took.

  replay.py URI TRACE [hurry]

A request is made when all those have ended that had ended before it in the recording, after the same pause; so a disk that lets its
guest wait delays all that follows, and requests that were under way together are so again. With "hurry" there are no pauses. What is
written follows from the request's number. Prints for each request: operation, milliseconds of CLOCK_MONOTONIC when it began,
milliseconds that it took, bytes; and "end". Uses libnbd, a client that is not ours.
"""
import heapq
import random
import sys
import time

import nbd


def read_trace(path):
    with open(path, encoding="ascii") as lines:
        rows = [line.split() for line in lines.read().splitlines()[1:] if line and not line.startswith("#")]
    return [(int(at), operation, int(offset), int(length), int(took)) for at, operation, offset, length, took in rows]


class Player:
    def __init__(self, handle):
        self.handle = handle
        self.can_zero = handle.can_zero()
        self.flying = {}
        self.noise = random.Random(1).randbytes(64 * 1024)

    def begin(self, index, operation, offset, length):
        handle = self.handle
        buffer = None
        if operation == "read":
            buffer = nbd.Buffer(length)
            cookie = handle.aio_pread(buffer, offset)
        elif operation == "write":
            repeated = self.noise * (length // len(self.noise) + 2)
            start = index * 4099 % len(self.noise)
            buffer = nbd.Buffer.from_bytearray(bytearray(repeated[start : start + length]))
            cookie = handle.aio_pwrite(buffer, offset)
        elif operation == "zero" and self.can_zero:
            cookie = handle.aio_zero(length, offset)
        elif operation == "zero":
            buffer = nbd.Buffer.from_bytearray(bytearray(length))
            cookie = handle.aio_pwrite(buffer, offset)
        else:
            cookie = handle.aio_flush()
        self.flying[cookie] = (index, operation, length, time.monotonic(), buffer)

    def ended(self):
        """Indexes of the requests that ended by now."""
        done = []
        for cookie, (index, operation, length, began, _) in list(self.flying.items()):
            if not self.handle.aio_command_completed(cookie):
                continue
            del self.flying[cookie]
            took = time.monotonic() - began
            print(f"{operation} {began * 1000:.1f} {took * 1000:.1f} {length}", flush=True)
            done.append(index)
        return done


def main():
    uri, path, hurry = sys.argv[1], sys.argv[2], sys.argv[3:] == ["hurry"]
    trace = read_trace(path)
    handle = nbd.NBD()
    handle.connect_uri(uri)
    player = Player(handle)
    finished = {}  # Index → when it ended here.
    recorded = []  # (when it ended in the recording, index), of those that were begun; the earliest first.
    anchor, anchor_at = 0, time.monotonic()  # The latest end in the recording that was waited for, and when it came here.

    def look():
        now = time.monotonic()
        for index in player.ended():
            finished[index] = now

    for index, (at, operation, offset, length, took) in enumerate(trace):
        while recorded and recorded[0][0] <= at:
            end, before = heapq.heappop(recorded)
            while before not in finished:
                handle.poll(-1)
                look()
            # The request waits for the last of them here, and for the pause after the last of them there.
            anchor, anchor_at = end, max(anchor_at, finished.pop(before))
        due = anchor_at if hurry else anchor_at + (at - anchor) / 1e6
        while (left := due - time.monotonic()) > 0:
            if left < 0.001 or not player.flying:
                time.sleep(min(left, 0.0005 if player.flying else left))
            else:
                handle.poll(int(left * 1000))
            look()
        player.begin(index, operation, offset, length)
        heapq.heappush(recorded, (at + took, index))
        look()
    while player.flying:
        handle.poll(-1)
        look()
    print("end", flush=True)
    handle.shutdown()


main()
