# SPDX-License-Identifier: BSD-3-Clause
"""plenum-client --wzp in rooms of the relay: who it is, what it hears about the room, what becomes of a
local program's sound, and captures of media."""

import os
import re
import signal
import socket
import struct
import time

from endpoint import rtp
from lab import expect
from relay import Relay, in_lab, test
from test_client_quic import Peer
from test_rooms import expect_whole, sent_streams
from test_wzp_auth import AuthServer
from wzp.signals import Identity

PROGRAM_PORT, PLAYER_PORT = 5004, 6004
FRAMES = 150
WZP_HEADER = 12
FINGERPRINT = re.compile("([0-9a-f]{4}:){7}[0-9a-f]{4}")


def wzp_relay(lab, **settings):
    return Relay(lab, quic={"connections": 300, "identity": f"{lab.dir}/identity"},
                 wzp={"open_rooms": True}, **settings)


def signals(peer, kind=None):
    """What --signals wrote."""
    return [e for e in peer.process.events() if e.get("signal") in ((kind,) if kind else
            ("CallAnswer", "RoomUpdate", "QualityDirective", "Hangup", "Pong"))]


def wait_signal(peer, kind, true, timeout=5):
    """The first of this kind that is as it should be."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        for event in signals(peer, kind):
            if true(event):
                return event
        time.sleep(0.02)
    raise AssertionError(f"{peer.name}: no such {kind}: {signals(peer)}")


def only(report):
    (participant,) = report["participants"]
    return participant


def said(report):
    """What a participant says of the protocol; nothing of it may have been refused."""
    wzp = only(report)["wzp"]
    expect(wzp["answer_verified"] and FINGERPRINT.fullmatch(wzp["relay"]), f"answer: {wzp}")
    expect(wzp["signals_refused"] == wzp["streams_broken"] == wzp["signals_unsent"] == 0, f"signals: {wzp}")
    expect(wzp["media_malformed"] == wzp["trunks"] == 0, f"media: {wzp}")
    return wzp


@test(beside=True)
@in_lab
def client_wzp_signals(lab, long):
    """plenum-client --wzp: an identity that stays, aliases, the room's list in order, Ping, Hangup"""
    relay = wzp_relay(lab)
    seed = os.path.join(lab.dir, "alice.id")
    heard = []
    for turn in range(2):
        alice = Peer(lab, "both", f"alice{turn}", "--identity", seed, "--alias", "Alice \u00e4\"", "--signals",
                     "--ping", "0.2", "--hangup", "--generate", "pps=50,size=200", room="Talk").wait_ready()
        bob = Peer(lab, "subscribe", f"bob{turn}", "--signals", "--duration", "1.5", v6=True,
                   room="talk").wait_ready()
        two = wait_signal(alice, "RoomUpdate", lambda e: e["count"] == 2)
        bob_said = said(bob.report())
        wait_signal(alice, "RoomUpdate", lambda e: e["count"] == 1 and e["elapsed_s"] > two["elapsed_s"])
        alice_said = said(alice.report(stop=signal.SIGINT))
        expect([(p["fingerprint"], p["alias"], p["relay_label"]) for p in two["participants"]] ==
               [(alice_said["fingerprint"], "Alice \u00e4\"", None), (bob_said["fingerprint"], None, None)],
               f"{two}")
        expect([e["count"] for e in signals(alice, "RoomUpdate")] == [1, 2, 1], f"{signals(alice)}")
        expect([e["count"] for e in signals(bob, "RoomUpdate")] == [2], f"{signals(bob)}")
        expect(signals(alice)[0]["signal"] == "CallAnswer", f"{signals(alice)}")
        expect((alice_said["room_updates"], alice_said["members"]) == (3, 1), f"{alice_said}")
        expect((bob_said["room_updates"], bob_said["members"]) == (1, 2), f"{bob_said}")
        expect(alice_said["pings"] >= 5 and alice_said["pongs"] >= alice_said["pings"] - 1 and
               0 < alice_said["pong_ns"] < 1e9, f"{alice_said}")
        expect(len(signals(alice, "Pong")) == alice_said["pongs"] and
               all(e["expected"] for e in signals(alice, "Pong")), f"{signals(alice)}")
        expect(alice_said["relay"] == bob_said["relay"], "one relay says that it is two")
        heard.append((alice_said["fingerprint"], bob_said["fingerprint"], alice_said["relay"]))
    expect(heard[0][0] == heard[1][0] and heard[0][1] != heard[1][1] and heard[0][2] == heard[1][2],
           f"identities: {heard}")
    with open(seed, encoding="ascii") as file:
        expect(re.fullmatch("[0-9a-f]{64}\n?", file.read()) and os.stat(seed).st_mode & 0o777 == 0o600, seed)
    os.chmod(seed, 0o644)
    careless = Peer(lab, "subscribe", "careless", "--identity", seed)
    expect(careless.process.wait(10) == 1 and seed in careless.process.errors(), careless.process.errors())
    # A relay that asks for no token refuses who begins with one.
    eager = Peer(lab, "subscribe", "eager", "--token", "abc")
    report = eager.report(status=2)
    expect('refused: application code 0 "normal close"' in eager.process.errors(), eager.process.errors())
    expect(not only(report)["wzp"]["answer_verified"], f"{report}")
    counters = relay.counters()
    expect(counters["wzp_hangups"] == 2 and counters["wzp_joined"] == 4, f"{counters}")
    expect(counters["wzp_signal_order"] == 1, f"{counters}")
    relay.stop()


@test(beside=True)
@in_lab
def client_wzp_token(lab, long):
    """plenum-client --wzp --token, --token-file, --identity: who has its own token is let in as that one"""
    server = AuthServer(lab)
    relay = Relay(lab, quic={"connections": 20, "identity": f"{lab.dir}/identity"},
                  wzp={"auth_url": server.url})
    seed = os.urandom(32)
    names = {name: os.path.join(lab.dir, name) for name in ("seed", "token")}
    token = f"of:{Identity(seed).fingerprint}"
    for name, text in (("seed", seed.hex() + "\n"), ("token", token + "\n")):
        with open(names[name], "w", encoding="ascii", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(text)
    own = ("--identity", names["seed"], "--duration", "0.1")
    for i, options in enumerate((("--token", token), ("--token-file", names["token"]))):
        found = said(Peer(lab, "subscribe", f"own{i}", *own, *options, v6=i == 1).report())
        expect(found["fingerprint"] == Identity(seed).fingerprint, f"{found}")
        expect(found["signals_sent"] == 2 and found["room_updates"] >= 1, f"{found}")
    # Another's, none that the server knows, none at all.
    for i, options in enumerate((("--token", token), ("--token", "invalid", *own), own)):
        peer = Peer(lab, "subscribe", f"other{i}", *options)
        found = only(peer.report(status=2))["wzp"]
        expect("refused: application code 0" in peer.process.errors() and found["room_updates"] == 0,
               f"{peer.process.errors()} {found}")
    expect(relay.counter("wzp_joined") == 2, "somebody else is in")
    relay.stop()


@test("200 of them instead of 60", beside=True)
@in_lab
def client_wzp_no_read(lab, long):
    """plenum-client --wzp --no-read: it hears all media and at most 100 signals; the others hear of everyone"""
    relay = wzp_relay(lab)
    nb = 200 if long else 60
    deaf = Peer(lab, "subscribe", "deaf", "--no-read", "--until-bye", "--signals", room="r").wait_ready()
    hears = Peer(lab, "subscribe", "hears", "--until-bye", "--signals", room="r").wait_ready()
    talks = Peer(lab, "publish", "talks", "--generate", "pps=50,size=200", room="r").wait_ready()
    for i in range(nb):
        Peer(lab, "subscribe", f"guest{i}", "--alias", f"guest {i}", "--duration", "0.1",
             room="r", v6=i % 2 == 1).report()
    wait_signal(hears, "RoomUpdate", lambda e: e["count"] == 3 and len(signals(hears, "RoomUpdate")) > nb)
    late = Peer(lab, "subscribe", "late", "--count", "20", room="r")
    expect(only(late.report())["received"] >= 20, "who came last hears nothing")
    sent = sent_streams(talks.report(stop=signal.SIGINT))
    updates = signals(hears, "RoomUpdate")
    names = {p["alias"] for e in updates for p in e["participants"]}
    missing = {f"guest {i}" for i in range(nb)} - names
    expect(not missing, f"nobody was told of {sorted(missing)}")
    whole, found = hears.report(), said(deaf.report())
    expect_whole(whole, sent)
    expect_whole(deaf.process.events()[-1], sent)
    # Nothing behind the answer, though more came than a program that reads nothing allows.
    expect([e["signal"] for e in signals(deaf)] == ["CallAnswer"] and found["signals_received"] == 1, f"{found}")
    expect(said(whole)["room_updates"] > 2 * nb, f"{len(updates)} updates of {nb} who came and went")
    print(f"  {nb} came and went: {said(whole)['room_updates']} updates were heard")
    relay.stop()


class Program:
    """A local program's RTP sockets at a plenum-client, in its namespace."""

    def __init__(self, lab, port=0):
        self.sock = lab.socket(lab.outside, socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", port))
        self.sock.settimeout(5)

    def receive(self, nb):
        """So many RTP packets: (sequence number, timestamp, SSRC, payload type, payload)."""
        found = []
        for _ in range(nb):
            packet = self.sock.recv(2000)
            first, kind, seq, timestamp, ssrc = struct.unpack("!BBHII", packet[:12])
            expect(first == 0x80, packet.hex())
            found.append((seq, timestamp, ssrc, kind, packet[12:]))
        return found


def records(path):
    """Datagrams of a WZP capture: (microseconds, bytes)."""
    with open(path, "rb") as file:
        whole = file.read()
    expect(whole[:4] == b"WZP\x01", whole[:4])
    at = 8 + struct.unpack("<I", whole[4:8])[0]
    found = []
    while at < len(whole):
        when, size = struct.unpack("<QI", whole[at:at + 12])
        found.append((when, whole[at + 12:at + 12 + size]))
        at += 12 + size
    expect(at == len(whole), f"{path}: cut off")
    return found


def headers(datagrams, codec):
    """Every one of them is what §4.1 says of sound: numbers from 0, milliseconds, all else 0; payloads."""
    found, reports = [], 0
    for i, datagram in enumerate(datagrams):
        first, ratio, seq, timestamp, rest = struct.unpack("!BBHII", datagram[:WZP_HEADER])
        has_report = first >> 1 & 1
        expect((first & ~2, ratio, rest) == (codec << 2, 0, 0) and (seq, timestamp) == (i, 20 * i),
               f"datagram {i}: {datagram[:WZP_HEADER].hex()}")
        reports += has_report
        if has_report:
            expect(datagram[-4:] == bytes((0x19, 0x19, 0x14, 0xc8)), f"report: {datagram[-4:].hex()}")
        found.append(datagram[WZP_HEADER:-4] if has_report else datagram[WZP_HEADER:])
    return found, reports


@test("IPv6, too", beside=True)
@in_lab
def client_wzp_sound(lab, long):
    """plenum-client --wzp: a program's Opus as WZP media and back to a player; a capture of it, sent again"""
    relay = wzp_relay(lab)
    for v6 in (False, True) if long else (False,):
        player, program = Program(lab, PLAYER_PORT), Program(lab)
        bye = Program(lab, PLAYER_PORT + 1)
        capture, again = (os.path.join(lab.dir, f"{name}{v6}.wzp") for name in ("first", "again"))
        hears = Peer(lab, "subscribe", f"hears{v6}", "--rtp-out", f"127.0.0.1:{PLAYER_PORT}", "--record",
                     capture, room="sound", v6=v6, verify=False).wait_ready()
        talks = Peer(lab, "publish", f"talks{v6}", "--rtp", PROGRAM_PORT, "--codec", "Opus64k",
                     "--quality-report", "10,100,20", room="sound", v6=v6, verify=False).wait_ready()
        sent = [os.urandom(20 + i % 200) for i in range(FRAMES)]
        for i, payload in enumerate(sent):
            head = struct.pack("!BBHII", 0x80, 97, (65500 + i) & 0xffff, (0xffffff00 + 960 * i) & 0xffffffff, 77)
            program.sock.sendto(head + payload, ("127.0.0.1", PROGRAM_PORT))
            time.sleep(0.02)
        got = player.receive(FRAMES)
        expect([p[4] for p in got] == sent, "the player got something else")
        first = got[0]
        expect([(seq, timestamp, ssrc, kind) for seq, timestamp, ssrc, kind, _ in got] ==
               [(i, (first[1] + 960 * i) & 0xffffffff, first[2], 111) for i in range(FRAMES)], f"{got[:3]}")
        report = talks.report(stop=signal.SIGINT)
        talk = said(report)
        expect(only(report)["sent_streams"] == [{"ssrc": 77, "pt": 97, "packets": FRAMES, "port": PROGRAM_PORT}]
               and talk["media_sent"] == FRAMES, f"{only(report)['sent_streams']} {talk}")
        report = hears.report(stop=signal.SIGINT)
        (sender,) = said(report)["senders"]
        expect((sender["codec"], sender["packets"], sender["reports"]) == ("Opus64k", FRAMES, talk["reports_sent"]),
               f"{sender}")
        expect(sender["report"] == {"loss_255": 25, "rtt_4ms": 25, "jitter_ms": 20, "cap_kbps": 200}, f"{sender}")
        (stream,) = only(report)["streams"]
        expect((stream["received"], stream["unique"], stream["lost"]) == (FRAMES, FRAMES, 0), f"{stream}")
        # The player is told that nothing more comes.
        expect(bye.sock.recv(2000)[-8:] == struct.pack("!BBHI", 0x81, 203, 1, first[2]), "no BYE")
        player.sock.close()
        bye.sock.close()

        taken = [datagram for _, datagram in records(capture)]
        payloads, reports = headers(taken, 8)
        expect(payloads == sent, "the capture has something else")
        expect(reports == talk["reports_sent"] and 2 <= reports <= 4, f"{reports} reports")
        listens = Peer(lab, "subscribe", f"listens{v6}", "--record", again, "--count", FRAMES, room="sound",
                       v6=not v6, verify=False).wait_ready()
        began = time.monotonic()
        replays = Peer(lab, "publish", f"replays{v6}", "--replay", capture, room="sound", v6=v6, verify=False)
        expect(said(replays.report())["media_sent"] == FRAMES, "not all of it was sent")
        listens.report()
        expect([datagram for _, datagram in records(again)] == taken, "sent again it is something else")
        spans = [at[-1][0] - at[0][0] for at in (records(capture), records(again))]
        expect(abs(spans[0] - spans[1]) < 2e5 and time.monotonic() - began > 2.5, f"spans {spans}")
    refused = Peer(lab, "publish", "refused", "--replay", relay.conf)
    expect(refused.process.wait(10) == 1 and "not a WZP capture" in refused.process.errors(),
           refused.process.errors())
    relay.stop()
