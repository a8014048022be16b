"""Announces by datagram (BEP 15) as fast as a tracker answers them, the same to every tracker.

announce-load.py PORT PEERS HASH[,HASH...] fill|SECONDS WANTED

With "fill" every swarm gets PEERS peers (ports from 1025 on at 127.0.0.1), each announced again until it is answered. Otherwise all of
them announce in turn for SECONDS, asking for WANTED others, with at most WINDOW questions under way; what is not answered
within 0.2 s counts as lost.
Every answer must be one to an announce, and as long as WANTED peers make it; one in a thousand is looked into: its peers must differ
and belong to the swarm. Datagrams are made beforehand and travel 32 at a time (sendmmsg, recvmmsg), so that the load costs
less than any tracker under it. Prints one line of JSON.
"""
import ctypes
import json
import select
import socket
import struct
import sys
import time

BATCH = 32
WINDOW = 128
NONE, STARTED = 0, 2
ANNOUNCE_BYTES = 98
ANSWER_BYTES = 2048
FIRST_PORT = 1025
MSG_DONTWAIT = 0x40
LOST_SECONDS = 0.2
libc = ctypes.CDLL(None, use_errno=True)


class Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class Message(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("iov", ctypes.c_void_p),
        ("iov_length", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("padding", ctypes.c_int),
        ("length", ctypes.c_uint32),
        ("padding_behind", ctypes.c_int),
    ]


class Datagrams:
    """Many datagrams in one buffer, as the kernel takes them."""

    def __init__(self, count, size):
        self.bytes = ctypes.create_string_buffer(count * size)
        self.view = memoryview(self.bytes).cast("B")
        self.size = size
        base = ctypes.addressof(self.bytes)
        self.iovecs = (Iovec * count)(*((base + index * size, size) for index in range(count)))
        self.messages = (Message * count)()
        for index in range(count):
            self.messages[index].iov = ctypes.addressof(self.iovecs[index])
            self.messages[index].iov_length = 1
        self.first = ctypes.addressof(self.messages)

    def at(self, index):
        return ctypes.c_void_p(self.first + index * ctypes.sizeof(Message))

    def lengths(self, count):
        words = memoryview(self.messages).cast("B").cast("I")
        stride = ctypes.sizeof(Message) // 4
        return words[Message.length.offset // 4 : stride * count : stride].tolist()

    def datagram(self, index, length):
        return bytes(self.view[index * self.size : index * self.size + length])


class Load:
    def __init__(self, port, hashes, peers, event, wanted):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        self.socket.connect(("127.0.0.1", port))
        self.poll = select.poll()
        self.poll.register(self.socket, select.POLLIN)
        self.peers = peers
        self.count = len(hashes) * peers
        self.answers = Datagrams(BATCH, ANSWER_BYTES)
        connection = self.connect()
        self.announces = self.make(connection, hashes, event, wanted)

    def connect(self):
        for _ in range(50):
            self.socket.send(struct.pack(">QII", 0x41727101980, 0, 1))
            if self.poll.poll(200):
                try:
                    answer = self.socket.recv(64)
                except ConnectionRefusedError:
                    time.sleep(0.1)
                    continue
                if len(answer) == 16:
                    return answer[8:]
        sys.exit("no tracker answers")

    def make(self, connection, hashes, event, wanted):
        made = Datagrams(self.count, ANNOUNCE_BYTES)
        for number in range(self.count):
            info_hash = hashes[number // self.peers]
            port = FIRST_PORT + number % self.peers
            start = number * ANNOUNCE_BYTES
            made.view[start : start + ANNOUNCE_BYTES] = (
                connection
                + struct.pack(">II", 1, number)
                + info_hash
                + struct.pack(">8s12x", b"-LD%05d" % (number % 100000))[:8]
                + struct.pack(">12s", b"%012d" % number)
                + struct.pack(">QQQIIIiH", 0, 1, 0, event, 0, number, wanted, port)
            )
        return made

    def send(self, made, first, count):
        sent = libc.sendmmsg(self.socket.fileno(), made.at(first), count, 0)
        return max(0, sent)

    def receive(self):
        """How many answers came; waits a little for the first."""
        got = libc.recvmmsg(self.socket.fileno(), self.answers.at(0), BATCH, MSG_DONTWAIT, None)
        if got > 0:
            return got
        if not self.poll.poll(LOST_SECONDS * 1000):
            return 0
        return max(0, libc.recvmmsg(self.socket.fileno(), self.answers.at(0), BATCH, MSG_DONTWAIT, None))

    def populate(self):
        """Every peer announces itself until it was answered."""
        waiting = set(range(self.count))
        for _ in range(20):
            todo = sorted(waiting)
            under_way = 0
            at = 0
            while at < len(todo) or under_way > 0:
                while at < len(todo) and under_way < WINDOW:
                    run = 1
                    while run < BATCH and at + run < len(todo) and todo[at + run] == todo[at] + run:
                        run += 1
                    run = min(run, WINDOW - under_way)
                    sent = self.send(self.announces, todo[at], run)
                    at += sent
                    under_way += sent
                got = self.receive()
                if got == 0:
                    under_way = 0
                for index in range(got):
                    action, number = struct.unpack(">II", self.answers.datagram(index, 8))
                    if action != 1:
                        sys.exit("refused: %r" % self.answers.datagram(index, 100))
                    waiting.discard(number)
                under_way = max(0, under_way - got)
            if not waiting:
                return
        sys.exit("%d peers were never answered" % len(waiting))

    def run(self, seconds, wanted):
        expected = 20 + 6 * min(wanted, self.peers - 1)
        answered = lost = wrong = looked = under_way = at = 0
        started = time.monotonic()
        end = started + seconds
        while time.monotonic() < end:
            while under_way + BATCH <= WINDOW:
                run = min(BATCH, self.count - at)
                sent = self.send(self.announces, at, run)
                if sent == 0:
                    break
                at = (at + sent) % self.count
                under_way += sent
            got = self.receive()
            if got == 0:
                lost += under_way
                under_way = 0
                continue
            under_way = max(0, under_way - got)
            lengths = self.answers.lengths(got)
            wrong += got - lengths.count(expected)
            if answered // 1000 != (answered + got) // 1000:
                looked += 1
                wrong += not self.sound(self.answers.datagram(0, lengths[0]))
            answered += got
        elapsed = time.monotonic() - started
        return {
            "answered": answered,
            "seconds": elapsed,
            "lost": lost,
            "wrong": wrong,
            "lookedInto": looked,
            "busy": time.process_time() / elapsed,
        }

    def sound(self, answer):
        if struct.unpack(">I", answer[:4])[0] != 1:
            return False
        peers = {answer[at : at + 6] for at in range(20, len(answer), 6)}
        ports = [struct.unpack(">H", peer[4:])[0] for peer in peers]
        return len(peers) == (len(answer) - 20) // 6 and all(
            peer[:4] == b"\x7f\0\0\1" for peer in peers
        ) and all(FIRST_PORT <= port < FIRST_PORT + self.peers for port in ports)


def main():
    port, peers, hashes, seconds, wanted = sys.argv[1:6]
    fill = seconds == "fill"
    names = [bytes.fromhex(text) for text in hashes.split(",")]
    # Who fills wants one peer: none at all is taken for as many as there are by some.
    load = Load(int(port), names, int(peers), *((STARTED, 1) if fill else (NONE, int(wanted))))
    if fill:
        load.populate()
    print(json.dumps({} if fill else load.run(float(seconds), int(wanted))))


main()
