# SPDX-License-Identifier: BSD-3-Clause
"""Participants made of plain sockets: credentials, STUN, and an RTP stream whose every byte follows
from SSRC and packet number, so that a receiver can check what it got without a copy of it. One
thread, one loop (`Clients.run`) for all participants of a test."""

import base64
import hashlib
import hmac
import os
import selectors
import socket
import struct
import time
import zlib

from lab import PORT, RELAY4, RELAY6, expect

COOKIE = 0x2112A442
BINDING, BINDING_OK, BINDING_ERROR = 0x0001, 0x0101, 0x0111
USERNAME, INTEGRITY, ERROR_CODE, XOR_MAPPED = 0x0006, 0x0008, 0x0009, 0x0020
PRIORITY, USE_CANDIDATE, FINGERPRINT = 0x0024, 0x0025, 0x8028
CONTROLLED, CONTROLLING = 0x8029, 0x802A
SO_RCVBUFFORCE = 33  # absent from Python's socket module
CONSENT_S = 4.0
GAP_S = 0.4
_RAMP = bytes(range(256)) * 9


def credential(secret, room, participant, role="b", expiry=None):
    """ufrag and password, as any app server would mint them."""
    if expiry is None:
        expiry = int(time.time()) + 3600
    text = f"1:{expiry}:{room}:{participant}:{role}".encode()
    ufrag = base64.b64encode(text).rstrip(b"=")
    pwd = base64.b64encode(hmac.new(secret, ufrag, hashlib.sha256).digest()).rstrip(b"=")
    return ufrag.decode(), pwd.decode()


def rtp(ssrc, number, size):
    """Packet `number` of a stream, `size` bytes in all."""
    first = (number + ssrc) & 0xFF
    return struct.pack("!BBHII", 0x80, 96, number & 0xFFFF, number, ssrc) + \
        _RAMP[first:first + size - 12]


def _attribute(kind, value):
    return struct.pack("!HH", kind, len(value)) + value + b"\0" * (-len(value) % 4)


def binding_request(ufrag, pwd, *, own="peer", transaction=None, nominate=True, priority=0x6E7F1EFF,
                    role=CONTROLLING, extra=b"", kind=BINDING):
    transaction = transaction or os.urandom(12)
    body = _attribute(USERNAME, f"{ufrag}:{own}".encode())
    body += _attribute(PRIORITY, struct.pack("!I", priority))
    body += _attribute(role, b"\x7f" + b"tiebrkr")
    if nominate:
        body += _attribute(USE_CANDIDATE, b"")
    body += extra

    def header(length):
        return struct.pack("!HHI", kind, length, COOKIE) + transaction

    digest = hmac.new(pwd.encode(), header(len(body) + 24) + body, hashlib.sha1).digest()
    body += _attribute(INTEGRITY, digest)
    crc = zlib.crc32(header(len(body) + 8) + body) ^ 0x5354554E
    return header(len(body) + 8) + body + _attribute(FINGERPRINT, struct.pack("!I", crc))


def stun_attributes(message):
    """{type: value} of a STUN message."""
    found, at = {}, 20
    while at + 4 <= len(message):
        kind, length = struct.unpack_from("!HH", message, at)
        found[kind] = message[at + 4:at + 4 + length]
        at += 4 + length + (-length % 4)
    return found


class Client:
    """One participant. `received` maps SSRC to {number: copies}."""

    def __init__(self, clients, address, ufrag, pwd, *, port=0, relay=None, nominate=True):
        self.clients = clients
        self.ufrag, self.pwd, self.nominate = ufrag, pwd, nominate
        self.relay = (relay or (RELAY6 if ":" in address else RELAY4), PORT)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.sock = clients.lab.socket(clients.namespace, family, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
        self.sock.bind((address, port))
        self.sock.setblocking(False)
        self.received = {}
        self.rtcp = []
        self.bad = self.count = 0
        self.errors = []           # codes of STUN error responses
        self.joined_at = self.last_ok = None  # monotonic
        self.last_media = None     # wall clock
        self.arrivals = None       # a list: note the wall clock of every media packet
        self.resumed = []          # wall clock of the first packet, and of each first after a gap
        self.requests = {}         # transaction: bytes asked
        self.consent_due = None    # None: does not ask by itself
        clients.add(self)

    def request(self, **changes):
        message = binding_request(self.ufrag, self.pwd, nominate=self.nominate, **changes)
        self.requests[message[8:20]] = len(message)
        self.send(message)
        return message

    def send(self, data):
        self.sock.sendto(data, self.relay)

    def join(self, timeout=5.0, want=True):
        """Ask until answered. True, or False when refused or not answered."""
        end, due = time.monotonic() + timeout, 0.0
        self.consent_due = None
        before, errors = self.last_ok, len(self.errors)
        while time.monotonic() < end and self.last_ok is before and len(self.errors) == errors:
            if time.monotonic() >= due:
                self.request()
                due = time.monotonic() + 0.25
            self.clients.run(0.02)
        joined = self.last_ok is not before
        if joined:
            self.joined_at = self.joined_at or time.monotonic()
            self.consent_due = time.monotonic() + CONSENT_S
        if want is not None:
            expect(joined == want, f"{self.sock.getsockname()[0]}: joined is {joined}, "
                   f"STUN errors {self.errors}")
        return joined

    def leave(self):
        """Fall silent: no consent, no media, no socket."""
        self.clients.remove(self)
        self.sock.close()

    def readable(self):
        while True:
            try:
                data, source = self.sock.recvfrom(65535)
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionRefusedError:
                continue
            if data[0] >= 0x80:
                self._media(data)
            elif data[0] < 4 and len(data) >= 20:
                self._stun(data, source)

    def _stun(self, data, source):
        asked = self.requests.pop(data[8:20], None)
        if asked is None:
            return
        expect(len(data) <= asked, f"answer of {len(data)} bytes to a request of {asked}")
        expect(source[:2] == self.relay, f"answer from {source}, asked {self.relay}")
        attributes = stun_attributes(data)
        crc = zlib.crc32(data[:-8]) ^ 0x5354554E
        expect(attributes.get(FINGERPRINT) == struct.pack("!I", crc), "answer's FINGERPRINT")
        kind = struct.unpack_from("!H", data)[0]
        if kind == BINDING_OK:
            self.last_ok = time.monotonic()
        elif kind == BINDING_ERROR:
            code = attributes[ERROR_CODE]
            self.errors.append(code[2] * 100 + code[3])

    def _media(self, data):
        if 192 <= data[1] <= 223:
            self.rtcp.append(data)
            return
        number, ssrc = struct.unpack_from("!II", data, 4)
        if data != rtp(ssrc, number, len(data)):
            self.bad += 1
            return
        stream = self.received.setdefault(ssrc, {})
        stream[number] = stream.get(number, 0) + 1
        self.count += 1
        now = time.time()
        if self.last_media is None or now - self.last_media > GAP_S:
            self.resumed.append(now)
        self.last_media = now
        if self.arrivals is not None:
            self.arrivals.append(now)

    def expect_exactly(self, ssrc, numbers):
        """Every packet of a stream arrived once, unharmed, and no other."""
        got, want = self.received.get(ssrc, {}), set(numbers)
        name = self.sock.getsockname()[:2] if self.sock.fileno() >= 0 else "a closed socket"
        twice = [n for n, copies in got.items() if copies != 1]
        expect(self.bad == 0, f"{name}: {self.bad} packets with wrong bytes")
        expect(not twice, f"{name}: {len(twice)} packets of {ssrc:#x} more than once")
        expect(set(got) == want, f"{name}: {len(want - set(got))} of {len(want)} packets of "
               f"{ssrc:#x} missing, {len(set(got) - want)} unexpected")


class Clients:
    """The loop that serves them all."""

    def __init__(self, lab, namespace=None):
        self.lab = lab
        self.namespace = namespace or lab.outside
        self.selector = selectors.DefaultSelector()
        self.all = []

    def client(self, address, ufrag, pwd, **options):
        return Client(self, address, ufrag, pwd, **options)

    def add(self, client):
        self.all.append(client)
        self.selector.register(client.sock, selectors.EVENT_READ, client)

    def remove(self, client):
        self.all.remove(client)
        self.selector.unregister(client.sock)

    def run(self, seconds, streams=()):
        """Serve all clients; meanwhile send `streams`. Ends when the time is up."""
        end = time.monotonic() + seconds
        while True:
            now = time.monotonic()
            due = end
            for stream in streams:
                due = min(due, stream.turn(now))
            for client in self.all:
                if client.consent_due is not None:
                    if now >= client.consent_due:
                        client.request()
                        client.consent_due = now + CONSENT_S
                    due = min(due, client.consent_due)
            for key, _ in self.selector.select(max(0, due - time.monotonic())):
                key.data.readable()
            if time.monotonic() >= end:
                return


class Stream:
    """A publisher's stream: `rate` packets a second of `size` bytes, from now on."""

    def __init__(self, client, ssrc, rate, size, limit=None):
        self.client, self.ssrc, self.rate, self.size = client, ssrc, rate, size
        self.limit = limit
        self.sent = 0
        self.begun = time.monotonic()

    def turn(self, now):
        """Send what is due; when to be called next."""
        while self.limit is None or self.sent < self.limit:
            due = self.begun + self.sent / self.rate
            if due > now:
                return due
            self.client.send(rtp(self.ssrc, self.sent, self.size))
            self.sent += 1
        return float("inf")

    def numbers(self):
        return range(self.sent)
