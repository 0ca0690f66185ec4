# SPDX-License-Identifier: BSD-3-Clause
"""What foreign QUIC stacks (README.md) do with a server that fans datagrams out to a room: one
function a scenario, the same for every stack and for every server.

A scenario takes (target, stack, v6), raises Failure when something is not as it should be and
Unsupported when the stack cannot do it."""

import collections
import contextlib
import hashlib
import os
import select
import socket
import struct
import threading
import time

from lab import Failure, expect
from wzp import signals

STACKS = ("aioquic", "quic-go", "quinn", "msquic")
PATIENCE_S = 10
UNKNOWN_VERSION = 0x1A2A3A4A   # of those that are reserved for this, RFC 9000 §15
NO_ALPN = 0x178
VERSION_NEGOTIATION_ERROR = 0x11
RATE = 100
LOST = 10  # datagrams that a change of address may cost each way: a tenth of a second of them


class Unsupported(Exception):
    """The stack has no such thing."""


class Target:
    """Who the stacks talk to. `addresses` are its own (IPv4, IPv6), `locals` those of the clients
    in `namespace`. A subclass says what this kind of server is like and what it saw."""

    tells_versions = True  # sends version_information, RFC 9368
    echoes = False         # sends streams back
    tells_reasons = True   # closes() has the text, too
    offered = False        # a CallOffer is what lets a client into its room

    def __init__(self, lab, namespace, addresses, port, locals):
        self.lab, self.namespace, self.port = lab, namespace, port
        self.addresses, self.locals = addresses, locals
        self._lock = threading.Lock()
        self._names = 0

    def name(self, what):
        """A name that nobody else has: rooms, processes."""
        with self._lock:
            self._names += 1
            return f"{what}-{self._names}-{self.port}"

    def close_room(self, room):
        """Close the connections of a room; the (code, reason) that its members are to see."""
        raise NotImplementedError

    def closes(self, room):
        """The (code, reason) with which the connections of a room were closed by their clients."""
        raise NotImplementedError

    def members(self, room):
        """{client's first "ADDR:PORT": (latest, key updates)} of a room."""
        raise NotImplementedError


def command(lab, stack):
    here, tools = os.path.dirname(os.path.abspath(__file__)), os.path.join(lab.root, ".venv")
    return {"aioquic": [os.path.join(tools, "bin", "python3"),
                        os.path.join(here, "aioquic_peer.py")],
            "quic-go": [os.path.join(lab.build, "tests", "func", "quic-go")],
            "quinn": [os.path.join(tools, "cargo-target", "release", "quic-quinn")],
            "msquic": [os.path.join(tools, "cargo-target", "release", "quic-msquic")]}[stack]


def endpoint(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def payload(sender, number, size):
    """Datagram `number` of a sender, as every stack's client makes it."""
    first = number + sender
    return struct.pack("!QI", number, sender) + bytes((first + i) & 0xFF for i in range(12, size))


class Peer:
    """A stack's client at a target. A context manager: it closes at the end."""

    senders = iter(range(1, 1 << 30))

    def __init__(self, target, stack, room, v6, *options, via=None):
        self.stack, self.sender, self.room = stack, next(Peer.senders), room
        self.lab = target.lab
        to = via.front if via else (target.addresses[v6], target.port)
        self.process = target.lab.start(
            target.namespace,
            command(target.lab, stack) + ["--connect", endpoint(*to), "--name", room, "--local",
                                          target.locals[v6], "--sender", self.sender, *options],
            target.name(stack), talk=True)
        self.answered = self.flooded = self.taken = 0
        self.floods = []

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.process.popen.poll() is None:
            self.process.popen.kill()
            self.process.popen.wait()
        self.process.popen.stdin.close()
        if kind in (None, Unsupported):  # nobody wants to read what it said
            self.lab.processes.remove(self.process)

    def wait_event(self, name, timeout=PATIENCE_S):
        event = self.process.wait_event(name, timeout)
        if event is None and self.process.popen.poll() is not None:
            self.process.wait(1)  # until its last words are read
            event = next(iter(self.process.events(name)), None)
        if event is None:
            if self.process.events("unsupported"):
                raise Unsupported
            raise Failure(f"{self.stack}: no '{name}' in {timeout} s, but "
                          f"{[e for e in self.process.events() if e['event'] != 'datagram'][-3:]}"
                          f" {self.process.errors()[-300:]}")
        return event

    def connected(self):
        return self.wait_event("connected")

    def offer(self):
        """Ask to be let into the room, on a stream of one's own; admitted() waits for the relay's."""
        self.do("stream", signals.frame(signals.Identity().offer(self.stack)).hex())

    def admitted(self):
        """The server's first stream has its CallAnswer, and ends."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            parts = [e for e in self.process.events("stream") if e["id"] == 1]
            if any(e["fin"] for e in parts):
                content = b"".join(bytes.fromhex(e["hex"]) for e in parts)
                return signals.check_answer(signals.read_frame(content))
            time.sleep(0.02)
        raise Failure(f"{self.stack}: no CallAnswer in {PATIENCE_S} s")

    def tell(self, *words):
        self.process.tell(" ".join(map(str, words)))

    def answer(self, timeout=PATIENCE_S):
        """Wait until the next command is carried out."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            answers = [e for e in self.process.events()
                       if "command" in e and e["event"] in ("done", "error", "unsupported")]
            if len(answers) > self.answered:
                event = answers[self.answered]
                self.answered += 1
                if event["event"] == "unsupported":
                    raise Unsupported
                expect(event["event"] == "done", f"{self.stack}: {event}")
                return
            time.sleep(0.02)
        raise Failure(f"{self.stack}: no answer in {timeout} s")

    def do(self, *words):
        self.tell(*words)
        self.answer()

    def stats(self):
        self.do("stats")
        return self.process.events("stats")[-1]

    def flood(self, nb, size, rate=RATE):
        """Begin to send `nb` more datagrams; answer() waits for the end."""
        self.tell("flood", nb, size, rate)
        self.floods += [payload(self.sender, self.flooded + i, size) for i in range(nb)]
        self.flooded += nb

    def take(self, nb):
        """The datagrams that came since the last time, once there are `nb` or no more come."""
        end, quiet, before = time.monotonic() + PATIENCE_S, 0, -1
        while time.monotonic() < end and quiet < 10:
            found = [bytes.fromhex(e["hex"]) for e in self.process.events("datagram")]
            quiet = quiet + 1 if len(found) == before else 0
            before = len(found)
            if len(found) - self.taken >= nb:
                break
            time.sleep(0.05)
        fresh, self.taken = found[self.taken:], len(found)
        return fresh


def check(receiver, fresh, sent, may_lose):
    """What came is what was sent, byte for byte and once, but for some that may be lost."""
    foreign = collections.Counter(fresh) - collections.Counter(sent)
    expect(not foreign, f"{receiver.stack}: {sum(foreign.values())} datagrams that nobody sent, "
                        f"or twice: {[d.hex()[:40] for d in foreign][:2]}")
    lost = len(sent) - len(fresh)
    expect(lost <= may_lose, f"{receiver.stack} missed {lost} of {len(sent)} datagrams")


def exchange(a, b, nb=20, size=200, *, may_lose=0, meanwhile=lambda: None):
    """Both flood at the same time and get what the other one sent."""
    first = (a.flooded, b.flooded)
    a.flood(nb, size)
    b.flood(nb, size)
    meanwhile()
    a.answer(PATIENCE_S + nb / RATE)
    b.answer(PATIENCE_S + nb / RATE)
    check(a, a.take(nb), b.floods[first[1]:], may_lose)
    check(b, b.take(nb), a.floods[first[0]:], may_lose)


class Nat:
    """Forwards one client's datagrams to a target and back, from a port that changes. `front` is
    where the client sends to."""

    def __init__(self, target, v6):
        self.target, self.v6 = target, v6
        self.client = None
        self.inner, self.outer = self._socket(), self._socket()
        self.front = self.inner.getsockname()[:2]
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _socket(self):
        family = socket.AF_INET6 if self.v6 else socket.AF_INET
        sock = self.target.lab.socket(self.target.namespace, family, socket.SOCK_DGRAM)
        sock.bind((self.target.locals[self.v6], 0))
        sock.setblocking(False)
        return sock

    def outside(self):
        return endpoint(*self.outer.getsockname()[:2])

    def rebind(self):
        self.outer = self._socket()

    def _run(self):
        server = (self.target.addresses[self.v6], self.target.port)
        while not self.ended.is_set():
            inner, outer = self.inner, self.outer
            for sock in select.select([inner, outer], [], [], 0.02)[0]:
                try:
                    packet, sender = sock.recvfrom(2048)
                    if sock is inner:
                        self.client = sender
                        outer.sendto(packet, server)
                    elif self.client:
                        inner.sendto(packet, self.client)
                except OSError:
                    pass  # as lost as on a network

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.ended.set()
        self.thread.join()


def pair(target, stack, v6, *options, via=None):
    """Two clients of a stack in a room of their own: (watched, other)."""
    room = target.name("room")
    return (Peer(target, stack, room, v6, *options, via=via), Peer(target, stack, room, v6))


def joined(target, *peers):
    """Wait until each is connected and in its room, and the server knows: the first datagram gets
    through."""
    found = [p.connected() for p in peers]
    if target.offered:
        for p in peers:
            p.offer()
        for p in peers:
            p.admitted()
    end = time.monotonic() + PATIENCE_S
    while len(target.members(peers[0].room)) < len(peers) and time.monotonic() < end:
        time.sleep(0.05)
    return found


# --- scenarios -----------------------------------------------------------------------------------

def handshake(target, stack, v6):
    """ALPN and a name with an underscore; datagrams of several sizes, both ways"""
    room = target.name("_room")
    with Peer(target, stack, room, v6) as a, Peer(target, stack, room, v6) as b:
        for said in joined(target, a, b):
            expect(said["alpn"] == "wzp", f"ALPN {said['alpn']}")
            expect(said["max_datagram"] >= 1150, f"max_datagram {said['max_datagram']}")
        for size in (12, 100, 1150):
            exchange(a, b, size=size)


def big_hello(target, stack, v6):
    """A ClientHello of two Initials, as post-quantum key shares make it"""
    a, b = pair(target, stack, v6, "--big-hello")
    with a, b:
        joined(target, a, b)
        exchange(a, b)


def everybody(target, stack, v6):
    """One room for every stack: each gets what all the others sent"""
    room = target.name("room")
    with contextlib.ExitStack() as stay:
        peers = [stay.enter_context(Peer(target, s, room, v6, "--count")) for s in STACKS]
        joined(target, *peers)
        for size in (60, 1100):
            for p in peers:
                p.flood(100, size)
            for p in peers:
                p.answer()
        time.sleep(0.5)
        for p in peers:
            sent = sorted(d for other in peers if other is not p for d in other.floods)
            said = p.stats()
            expect(said["received"] == len(sent),
                   f"{p.stack} got {said['received']} of {len(sent)}")
            expect(said["sha256"] == hashlib.sha256(b"".join(sent)).hexdigest(),
                   f"{p.stack}: as many, but not the same bytes")


def nat_rebinding(target, stack, v6):
    """A NAT gives the client another port while media flows"""
    with Nat(target, v6) as nat:
        a, b = pair(target, stack, v6, via=nat)
        with a, b:
            joined(target, a, b)
            first = nat.outside()
            exchange(a, b)

            def rebind():
                time.sleep(0.3)
                nat.rebind()
            exchange(a, b, 100, may_lose=LOST, meanwhile=rebind)
            exchange(a, b)
            latest = target.members(a.room)[first][0]
            expect(latest == nat.outside(), f"the server sends to {latest}, not {nat.outside()}")


def moved(target, stack, v6, how):
    a, b = pair(target, stack, v6)
    with a, b:
        joined(target, a, b)
        before = {first: latest for first, (latest, _) in target.members(a.room).items()}
        exchange(a, b)
        time.sleep(0.2)  # the handshake is confirmed, connection ids are there
        a.do(how)
        exchange(a, b, 50, may_lose=LOST)
        exchange(a, b)
        after = {first: latest for first, (latest, _) in target.members(a.room).items()}
        changed = [first for first in before if after.get(first) != before[first]]
        expect(len(changed) == 1, f"addresses {before} became {after}")


def rebinding(target, stack, v6):
    """The client takes another socket under the same connection id"""
    moved(target, stack, v6, "rebind")


def migration(target, stack, v6):
    """The client goes to another port, with another connection id"""
    moved(target, stack, v6, "migrate")


def seen_updates(target, a, b, wanted, may_lose=0):
    """Key updates that the server shows, which it does a moment later"""
    for _ in range(10):
        updates = max(nb for _, nb in target.members(a.room).values())
        if updates >= wanted:
            break
        time.sleep(0.25)
        exchange(a, b, may_lose=may_lose)
    return updates


def key_update(target, stack, v6):
    """The client updates its keys, twice"""
    a, b = pair(target, stack, v6)
    with a, b:
        joined(target, a, b)
        exchange(a, b)
        time.sleep(0.2)
        for _ in range(2):
            a.do("keyupdate")
            # aioquic keeps no old keys for what is under way.
            exchange(a, b, may_lose=LOST if stack == "aioquic" else 0)
        updates = seen_updates(target, a, b, 2, may_lose=LOST if stack == "aioquic" else 0)
        expect(updates >= 2, f"the server saw {updates} key updates")


def many_packets(target, stack, v6):
    """Enough packets for a stack that updates its keys by itself"""
    a, b = pair(target, stack, v6)
    with a, b:
        joined(target, a, b)
        exchange(a, b, 250)
        said = a.stats()["key_updates"]
        updates = seen_updates(target, a, b, max(said or 0, stack == "quic-go"))
        expect(said is None or said <= updates, f"key updates: {said}, of the server: {updates}")
        expect(updates > 0 or stack != "quic-go", "quic-go did not update its keys")


def closing(target, stack, v6):
    """The client closes with a code"""
    room = target.name("room")
    with Peer(target, stack, room, v6) as a:
        joined(target, a)
        a.tell("close 42 so long")
        closed = a.wait_event("closed")
        expect((closed["by"], closed["code"]) == ("local", 42), f"{closed}")
        end = time.monotonic() + PATIENCE_S
        while not target.closes(room) and time.monotonic() < end:
            time.sleep(0.05)
        # msquic sends none.
        reason = "so long" if target.tells_reasons and stack != "msquic" else ""
        expect(target.closes(room) == [(42, reason)], f"the server saw {target.closes(room)}")


def closed(target, stack, v6):
    """The server closes with a code"""
    room = target.name("room")
    with Peer(target, stack, room, v6) as a:
        joined(target, a)
        code, reason = target.close_room(room)
        said = a.wait_event("closed")
        expect((said["by"], said["code"], said["reason"]) == ("peer", code, reason), f"{said}")
        expect(said["application"], "not an application's close")


def wrong_alpn(target, stack, v6):
    """Another application protocol is refused with no_application_protocol, in capitals, too"""
    for alpn in ("other", "WZP"):
        with Peer(target, stack, target.name("room"), v6, "--alpn", alpn) as a:
            said = a.wait_event("closed")
            expect(said["code"] == NO_ALPN, f"{alpn}: {said}")


def version_negotiation(target, stack, v6):
    """A version that nobody has is offered first"""
    a, b = pair(target, stack, v6, "--version", hex(UNKNOWN_VERSION))
    with a, b:
        if stack == "msquic" and not target.tells_versions:
            # It insists on RFC 9368 once a version was negotiated.
            said = a.wait_event("closed")
            expect(said["code"] == VERSION_NEGOTIATION_ERROR, f"{said}")
            return
        joined(target, a, b)
        expect(a.connected()["version"] == "0x1", f"{a.connected()}")
        exchange(a, b)


def signature(kind):
    def only(target, stack, v6):
        a, b = pair(target, stack, v6, "--signature", kind)
        with a, b:
            joined(target, a, b)
            exchange(a, b)
    only.__name__ = f"only_{kind}"
    only.__doc__ = f"A client that knows no signature but {kind}'s"
    return only


only_ed25519, only_p256 = signature("ed25519"), signature("p256")


def streams(target, stack, v6):
    """Bidirectional streams, one after the other and beside datagrams"""
    if not target.echoes:
        raise Unsupported
    a, b = pair(target, stack, v6)
    with a, b:
        joined(target, a, b)
        texts = [bytes([i]) * 700 for i in range(1, 6)]
        for text in texts:
            a.do("stream", text.hex())
        exchange(a, b)
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            got, ended = collections.defaultdict(bytes), 0
            for event in a.process.events("stream"):
                got[event["id"]] += bytes.fromhex(event["hex"])
                ended += event["fin"]
            if ended == len(texts):
                break
            time.sleep(0.05)
        expect([got[i] for i in sorted(got)] == texts, "streams came back otherwise")


COMMON = (handshake, big_hello, nat_rebinding, rebinding, migration, key_update, many_packets,
          closing, closed, wrong_alpn, version_negotiation, streams)
# What the stacks cannot do; a test fails when this is not true any more.
UNSUPPORTED = {
    "aioquic": (),
    "quic-go": ("rebinding", "key_update", "version_negotiation", "only_ed25519", "only_p256"),
    "quinn": ("rebinding",),
    "msquic": ("only_ed25519", "only_p256"),
}
