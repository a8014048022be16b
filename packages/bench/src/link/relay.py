#!/usr/bin/env python3
"""A line between two network namespaces: a TUN or TAP device in each, and this process, which carries packets with a delay.

  relay.py NAMESPACE_A NAMESPACE_B tun|tap SEED BITS DELAY_MS QUEUE_BYTES LOSS BITS DELAY_MS QUEUE_BYTES LOSS

The first four numbers are of the way from A to B, the others of the way back. For each direction a FIFO with serialisation
time, a fixed delay, tail drop and seeded random loss; everything above is the hosts' own. Both devices are called "line";
whoever starts this gives them addresses once "ready" was printed. From then on the bytes that each direction delivered are
printed four times a second while anything moves, and by how many milliseconds a packet came later than it was due, at most. Needs root. Standard library only; Node cannot make TUN devices.
"""
import collections
import ctypes
import fcntl
import os
import random
import select
import struct
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x1001
IFF_TAP_NO_PI = 0x1002
CLONE_NEWNET = 0x40000000
MAX_PACKET_BYTES = 65536
REPORT_SECONDS = 0.25


def open_device(namespace, flags):
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/var/run/netns/{namespace}", "rb") as handle:
        if libc.setns(handle.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter namespace {namespace}")
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", b"line", flags))
    return device


def go_first():
    """A line does not wait for a processor: what is due goes out before anything else on this machine runs."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except OSError:
        os.setpriority(os.PRIO_PROCESS, 0, -20)


class Direction:
    def __init__(self, source, target, shape, chance):
        bits, delay_ms, queue_bytes, loss = shape
        self.source, self.target, self.chance = source, target, chance
        self.bytes_per_second, self.delay = float(bits) / 8, float(delay_ms) / 1000
        self.queue_bytes, self.loss = int(queue_bytes), float(loss)
        self.free_at = 0.0
        self.flying = collections.deque()
        self.delivered = 0
        self.late = 0.0  # Seconds, the most since the last report.

    def receive(self, now):
        while True:
            try:
                packet = os.read(self.source, MAX_PACKET_BYTES)
            except BlockingIOError:
                return
            start = max(now, self.free_at)
            if (start - now) * self.bytes_per_second + len(packet) > self.queue_bytes:
                continue
            self.free_at = start + len(packet) / self.bytes_per_second
            if self.loss > 0 and self.chance.random() < self.loss:
                continue  # Lost on the way: it took its time on the line.
            self.flying.append((self.free_at + self.delay, packet))

    def deliver(self, now):
        while self.flying and self.flying[0][0] <= now:
            due, packet = self.flying.popleft()
            self.late = max(self.late, now - due)
            self.delivered += len(packet)
            try:
                os.write(self.target, packet)
            except OSError:
                pass  # The other end is not up, or its queue is full: a lost packet.


def main():
    name_a, name_b, kind, seed = sys.argv[1:5]
    there, back = sys.argv[5:9], sys.argv[9:13]
    flags = IFF_TAP_NO_PI if kind == "tap" else IFF_TUN_NO_PI
    a, b = open_device(name_a, flags), open_device(name_b, flags)
    chance = random.Random(int(seed))
    directions = [Direction(a, b, there, chance), Direction(b, a, back, chance)]
    go_first()
    print("ready", flush=True)
    reported, report_at = [0, 0], 0.0
    while True:
        now = time.monotonic()
        for direction in directions:
            direction.deliver(now)
        counts = [direction.delivered for direction in directions]
        if counts != reported and now >= report_at:
            late = max(direction.late for direction in directions)
            for direction in directions:
                direction.late = 0.0
            print("bytes", *counts, "late %.1f" % (late * 1000), flush=True)
            reported, report_at = counts, now + REPORT_SECONDS
        due = [direction.flying[0][0] for direction in directions if direction.flying]
        if counts != reported:
            due.append(report_at)
        timeout = max(0.0, min(due) - time.monotonic()) if due else None
        ready, _, _ = select.select([a, b], [], [], timeout)
        now = time.monotonic()
        for direction in directions:
            if direction.source in ready:
                direction.receive(now)


main()
