# SPDX-License-Identifier: BSD-3-Clause
"""What the WZP protocol demands of a relay, one function a demand, with the stand-in (standin.py) or a
foreign stack against any Target. docs/interop.md says which demand is tried where."""

import contextlib
import copy
import hashlib
import json
import time

from lab import expect
from quic import scenarios
from wzp import signals
from wzp.standin import Client

NAMES = ("a", "a-b.c_d", "_relay", "0a", "x" * 63 + "." + "y" * 63)
TRAILER = bytes((0x19, 0x19, 0x14, 0xC8))


def parameters(target):
    """§1.5: datagrams of any length, 100 streams, 30 s of silence; nothing that would need more of us"""
    with scenarios.Peer(target, "aioquic", target.name("room"), False) as a:
        found = {int(k, 16): bytes.fromhex(v) for k, v in a.connected()["parameters"].items()}

    def number(name):
        value = found[name]
        return int.from_bytes(value, "big") & ((1 << (8 * len(value) - 2)) - 1)
    expect(number(0x20) == 65535, f"max_datagram_frame_size {number(0x20)}")
    expect(number(0x08) >= 100, f"initial_max_streams_bidi {number(0x08)}")
    expect(number(0x01) == 30000, f"max_idle_timeout {number(0x01)}")
    expect(0x2AB2 not in found and 0xFF04DE1B not in found, f"parameters {sorted(found)}")


def names(target):
    """§1.3, §1.4: any name that TLS can carry is a room of its own, the hashed one of a room, too"""
    room = target.name("podcast")
    hashed = hashlib.sha256(b"featherchat-group:" + room.encode()).hexdigest()[:32]
    with contextlib.ExitStack() as stay:
        for name in (room, hashed, *NAMES):
            one = stay.enter_context(Client(target, name, name[:20], reads=True))
            one.join()
            one.wait_roster([one.member])


def calls(target):
    """§5.3: a call's room is for its two parties; there is no such call"""
    with Client(target, "call-18a5b1c2d3e4f506", reads=True) as one:
        one.offer()
        one.expect_refused()
        expect(not one.updates, "was let in")


def pair(target, stay, **how):
    """Two in a room: one that reads everything, and another."""
    room = target.name("room")
    reads = stay.enter_context(Client(target, room, "reads", reads=True))
    other = stay.enter_context(Client(target, room, "other", **how))
    reads.join()
    other.join()
    reads.wait_roster([reads.member, other.member])
    return reads, other


def verbatim(target):
    """§4.1, §4.3, §4.6, §4.9: what has a header is forwarded byte for byte, whatever it says; what has
    none is dropped"""
    good = [signals.media(7, 140, bytes.fromhex("deadbeef")),
            bytes.fromhex("02000039 00000474 00000000 deadbeef") + TRAILER,
            bytes.fromhex("08001234 01020304 00000000 aa"),
            bytes.fromhex("20000001 00000014 00000000 aa"),
            bytes.fromhex("14000009 00000190 00000000 32"),
            bytes.fromhex("11000064 00000fa0 0c030000 010203040506"),
            bytes.fromhex("5100006c 000010e0 0c080000") + bytes(256),
            bytes.fromhex("51fcffff ffffffff ffffff00"),  # no payload
            bytes.fromhex("80000001 00000014 0000ff07 aa"),
            bytes.fromhex("02000001 00000014 00000000") + TRAILER,
            bytes.fromhex("0003 00010005 68656c6c6f 00020006 776f726c6421 01000001 78"),
            # Spare bits, which the original relay clears: in a trunk frame's count, too.
            bytes.fromhex("80030001 00000014 0000ff07 aa"),
            *(signals.media(i, i, bytes(1), codec=i) for i in range(9))]
    bad = [b"\0", bytes(11), *(signals.media(1, 1, b"bad", codec=i) for i in range(9, 16)),
           bytes.fromhex("02000001 00000014 00000000"), bytes.fromhex("02000001 00000014 00000000 aabbcc")]
    with contextlib.ExitStack() as stay:
        reads, other = pair(target, stay)
        for one, another in zip(good, bad + bad + bad):
            other.send(another)
            other.send(one)
        heard = reads.heard(len(good))
        expect(heard == good, f"{[p.hex() for p in heard if p not in good][:3]} of nobody's, missing "
                              f"{[p.hex() for p in good if p not in heard][:3]}")
        expect(not other.heard(), "a sender hears itself")


def largest(target):
    """§1.7: when clients have found out what their path carries, a datagram of that size arrives"""
    with contextlib.ExitStack() as stay:
        reads, other = pair(target, stay)
        end = time.monotonic() + 5
        size = 0
        while size < 1400 and time.monotonic() < end:
            time.sleep(0.2)
            other.tell("stats")
            other.wait(lambda: other.stats, "statistics")
            size = other.stats["max_datagram"]
        expect(size >= 1400, f"at most {size} bytes of datagram on a path of 1500")
        packets = [signals.media(i, 20 * i, bytes([i]) * (size - 12)) for i in range(3)]
        for packet in packets:
            other.send(packet)
        expect(reads.heard(3) == packets, "not what was sent")
        return size


def altered(offer, **fields):
    offer = copy.deepcopy(offer)
    offer["CallOffer"].update(fields)
    return offer


def refusals(target):
    """§2.5, §3.3: who does not begin with a good offer is closed with code 0"""
    identity = signals.Identity()
    offer = identity.offer("refused")
    signature = offer["CallOffer"]["signature"]
    text = signals.text(offer)
    cases = {
        "signature changed": altered(offer, signature=[signature[0] ^ 1, *signature[1:]]),
        "signature too short": altered(offer, signature=signature[:63]),
        "signature empty": altered(offer, signature=[]),
        "another identity": altered(offer, identity_pub=list(signals.Identity().public)),
        "key too short": altered(offer, identity_pub=list(identity.public)[:31]),
        "another ephemeral key": altered(offer, ephemeral_pub=[7] * 32),
        "Ping first": {"Ping": {"timestamp_ms": 1}},
        "token where none is wanted": {"AuthToken": {"token": "abc"}},
        "Hangup first": {"Hangup": {"reason": "Normal"}},
        "unknown": {"Unknown": {}},
        "no JSON": b"CallOffer",
        "not UTF-8": text.replace(b"refused", b"ref\xffsed"),
        "empty": b"",
        "twice the same field": text.replace(b'"alias"', b'"identity_pub"'),
        "bytes behind": text + b"x",
    }
    for what, message in cases.items():
        with Client(target, target.name("room"), what, reads=True) as one:
            one.connect()
            one.signal(message)
            one.expect_refused()
            expect(one.relay is None and not one.updates, f"{what}: was let in")
    # A frame that is longer than any, and one that ends too early.
    for what, stream in {"2 MB": b"\x00\x20\x00\x00", "cut off": signals.frame(text)[:-1]}.items():
        with Client(target, target.name("room"), what, reads=True) as one:
            one.connect()
            one.tell("stream", stream.hex())
            one.expect_refused()


def tolerance(target):
    """§2.2, §3.3: an offer that is written otherwise is as good; the alias is taken as it is"""
    def spaced(offer):
        return json.dumps(offer, indent=1).encode()

    def without(offer):
        del offer["CallOffer"]["alias"]
        return offer

    def other_profiles(offer):
        offer["CallOffer"]["supported_profiles"] = [dict(signals.GOOD, codec="Opus6k", fec_ratio=1)]
        return offer

    def extra(offer):
        offer["CallOffer"].update(more={"of": [1, None]})
        return offer
    for what, write in {"spaces": spaced, "no alias": without, "profiles": other_profiles,
                        "more fields": extra, "a stranger: Zoë \"日本\" \\ / 🎧": lambda o: o}.items():
        with Client(target, target.name("room"), what, reads=True) as one:
            one.connect()
            one.signal(write(one.identity.offer(what)))
            one.answered()
            one.wait_roster([(one.identity.fingerprint, None if what == "no alias" else what)])


def twice(target):
    """§5.2: who joins twice is there twice, in the order of joining, and hears itself as another"""
    room, seed, packet = target.name("room"), hashlib.sha256(b"twice").digest(), signals.tone(1, 1)
    with Client(target, room, "first", reads=True, seed=seed) as first, \
            Client(target, room, "second", reads=True, seed=seed) as second:
        first.join()
        second.join()
        expect(first.identity.fingerprint == second.identity.fingerprint, "one identity")
        for one in (first, second):
            one.wait_roster([first.member, second.member])
        first.send(packet[0])
        expect(second.heard(1) == packet, "the second one hears the first one")
        first.close()
        second.wait_roster([second.member])


def signals_in_room(target):
    """§2.5: a relay reads on: Ping is answered with its own value, the rest does no harm"""
    with contextlib.ExitStack() as stay:
        reads, other = pair(target, stay)
        for message in ("Hold", {"Reflect": None}, {"Unknown": 1}, b"{", {"Ping": [5]}):
            reads.signal(message)
        reads.wait(lambda: reads.messages, "answer")
        reads.signal({"Ping": {"timestamp_ms": 1776000000000}})
        reads.wait(lambda: len(reads.messages) >= 2, "two answers")
        expect(reads.messages == [{"Pong": {"timestamp_ms": 5}},
                                  {"Pong": {"timestamp_ms": 1776000000000}}], f"{reads.messages}")
        other.send(signals.tone(1, 1)[0])
        expect(reads.heard(1) == signals.tone(1, 1), "media goes on")


# What the original relay does as well; else it is as the protocol says of it: it has no use for signals in a
# room, clears spare bits, and advertises more.
COMMON = (names, calls, largest, refusals, tolerance, twice)
ALL = (parameters, names, calls, verbatim, largest, refusals, tolerance, twice, signals_in_room)
