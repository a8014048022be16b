#!/usr/bin/env python3
"""A line between two network namespaces: a TUN device in each, and this process, which carries packets with a delay.

  relay.py NAMESPACE_A NAMESPACE_B BITS_PER_SECOND DELAY_MS QUEUE_BYTES

For each direction a FIFO with serialisation time, a fixed delay and tail drop; everything above IP is the hosts' own. Both
devices are called "line"; whoever starts this gives them addresses once "ready" was printed. Needs root. Standard library
only; Node cannot make TUN devices.
"""
import collections
import ctypes
import fcntl
import os
import select
import struct
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x1001
CLONE_NEWNET = 0x40000000
MAX_PACKET_BYTES = 65536


def open_tun(namespace):
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/var/run/netns/{namespace}", "rb") as handle:
        if libc.setns(handle.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter namespace {namespace}")
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"line", IFF_TUN_NO_PI))
    return tun


class Direction:
    def __init__(self, source, target, bytes_per_second, delay, queue_bytes):
        self.source, self.target = source, target
        self.bytes_per_second, self.delay, self.queue_bytes = bytes_per_second, delay, queue_bytes
        self.free_at = 0.0
        self.flying = collections.deque()

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
            self.flying.append((self.free_at + self.delay, packet))

    def deliver(self, now):
        while self.flying and self.flying[0][0] <= now:
            try:
                os.write(self.target, self.flying.popleft()[1])
            except OSError:
                pass  # The other end is not up, or its queue is full: a lost packet.


def main():
    name_a, name_b, bits, delay_ms, queue_bytes = sys.argv[1:6]
    a, b = open_tun(name_a), open_tun(name_b)
    rate, delay = int(bits) / 8, float(delay_ms) / 1000
    directions = [Direction(a, b, rate, delay, int(queue_bytes)), Direction(b, a, rate, delay, int(queue_bytes))]
    print("ready", flush=True)
    while True:
        now = time.monotonic()
        for direction in directions:
            direction.deliver(now)
        due = [direction.flying[0][0] for direction in directions if direction.flying]
        timeout = max(0.0, min(due) - time.monotonic()) if due else None
        ready, _, _ = select.select([a, b], [], [], timeout)
        now = time.monotonic()
        for direction in directions:
            if direction.source in ready:
                direction.receive(now)


main()
