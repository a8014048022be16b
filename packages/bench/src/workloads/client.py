#!/usr/bin/env python3
"""A client of a service in a guest, run where the guest is reached; one line per answer on stdout.

  client.py ADDRESS files|posts|film|flood SEED [SETTING...]

files PER_SECOND       asks the web server for files of its index, in an order that the seed gives
posts PER_SECOND       posts to the board, in bursts of 1 to 5
film KIB_PER_SECOND BUFFER_SECONDS MIB
                       plays a film of that size: fetches a second of it at a time, ahead by the buffer at most, and tells when it
                       stalls; at its end begins anew
flood                  takes what the guest sends; tells every 100 ms how much came

Lines: "ready", then "EVENT STARTED_MS TOOK_MS BYTES": times of CLOCK_MONOTONIC, EVENT one of ok, failed, stall, bytes. A request
that is not answered within 30 s failed. SIGTERM ends it; a stall that still lasts is told then. Standard library only.
"""
import http.client
import random
import signal
import socket
import sys
import time

TIMEOUT = 30
SECOND_ENOUGH = 1.0


def now_ms():
    return time.monotonic() * 1000


def tell(event, started, took, count):
    print(event, "%.1f %.1f %d" % (started, took, count), flush=True)


class Web:
    """One connection per request: the guest's server keeps none."""

    def __init__(self, address):
        self.address = address

    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection(self.address, 80, timeout=TIMEOUT)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            # Who asked for a part must not be sent the whole.
            if answer.status != (206 if headers and "Range" in headers else 200):
                raise http.client.HTTPException("status %d" % answer.status)
            return answer.read()
        finally:
            connection.close()

    def timed(self, *request, **more):
        started = now_ms()
        try:
            content = self.ask(*request, **more)
            tell("ok", started, now_ms() - started, len(content))
            return content
        except (OSError, http.client.HTTPException):
            tell("failed", started, now_ms() - started, 0)
            time.sleep(0.05)
            return b""

    def until_up(self):
        for _ in range(600):
            try:
                return self.ask("GET", "/index")
            except (OSError, http.client.HTTPException):
                time.sleep(0.1)
        sys.exit("the guest's web server does not answer")


def files(address, chance, per_second):
    web = Web(address)
    paths = [line.replace("/usr/lib", "/lib", 1) for line in web.until_up().decode().split()]
    print("ready", flush=True)
    due = time.monotonic()
    while True:
        web.timed("GET", chance.choice(paths))
        due = max(due + 1 / per_second, time.monotonic() - SECOND_ENOUGH)
        time.sleep(max(0, due - time.monotonic()))


def posts(address, chance, per_second):
    web = Web(address)
    web.until_up()
    print("ready", flush=True)
    while True:
        burst = chance.randint(1, 5)
        started = time.monotonic()
        for _ in range(burst):
            web.timed("POST", "/cgi-bin/post", body=bytes(chance.randrange(32, 127) for _ in range(2000)))
        time.sleep(max(0, burst / per_second - (time.monotonic() - started)))


class Player:
    """How much of a film is there and was played, and since when it stands still."""

    def __init__(self, buffer_seconds):
        self.enough = min(1, buffer_seconds)
        self.have = 0.0  # seconds that were fetched
        self.played = 0.0
        self.at = time.monotonic()
        self.stalled_at = None
        self.playing = False

    def go_on(self, fetched):
        """Until now, when so many seconds more have come."""
        now = time.monotonic()
        if self.stalled_at is None:
            self.played += now - self.at
            if self.played > self.have:
                self.stalled_at = now - (self.played - self.have)
                self.played = self.have
        self.at = now
        self.have += fetched
        if self.stalled_at is not None and self.have - self.played >= self.enough:
            # The first wait is the start of the film, not a stall; it is told as one of no length, for films that never stall.
            self.tell_stall(self.stalled_at if self.playing else now)
            self.playing = True
            self.stalled_at = None

    def tell_stall(self, begun_at):
        tell("stall", begun_at * 1000, (self.at - begun_at) * 1000, 0)

    def end(self):
        self.go_on(0)
        if self.playing and self.stalled_at is not None:
            self.tell_stall(self.stalled_at)


def film(address, _, kib_per_second, buffer_seconds, mib):
    web = Web(address)
    web.until_up()
    second, size = int(kib_per_second) * 1024, int(mib) * 1024 * 1024
    print("ready", flush=True)
    position = 0
    player = Player(buffer_seconds)
    try:
        while True:
            last = min(position + second, size) - 1
            content = web.timed("GET", "/film", headers={"Range": "bytes=%d-%d" % (position, last)})
            position = (position + len(content)) % size
            player.go_on(len(content) / second)
            ahead = player.have - player.played
            if ahead > buffer_seconds:
                time.sleep(min(1, ahead - buffer_seconds))
    finally:
        player.end()


def flood(address, *_):
    for _ in range(600):
        try:
            connection = socket.create_connection((address, 5001), timeout=TIMEOUT)
            break
        except OSError:
            time.sleep(0.1)
    else:
        sys.exit("the guest does not send")
    connection.settimeout(0.1)
    print("ready", flush=True)
    count, started = 0, now_ms()
    while True:
        try:
            piece = connection.recv(262144)
            if not piece:
                tell("failed", now_ms(), 0, 0)
                return
            count += len(piece)
        except socket.timeout:
            pass
        now = now_ms()
        if now - started >= 100:
            tell("bytes", started, now - started, count)
            count, started = 0, now


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    address, kind, seed = sys.argv[1:4]
    settings = [float(text) for text in sys.argv[4:]]
    {"files": files, "posts": posts, "film": film, "flood": flood}[kind](address, random.Random(int(seed)), *settings)


main()
