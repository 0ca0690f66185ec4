# SPDX-License-Identifier: BSD-3-Clause
"""QUIC rooms of the relay, tried with the foreign stacks of quic/README.md."""

import concurrent.futures
import contextlib
import hashlib
import os
import re
import time

from endpoint import Clients, Stream
from lab import PORT, RELAY4, RELAY6, Failure, expect, run
from quic import scenarios
from quic.scenarios import STACKS, UNSUPPORTED, Target, Unsupported
from relay import Relay, in_lab, test
from wzp import signals

AT_ONCE, ROUNDS = 4, 3
CLIENT4, CLIENT6 = "198.18.0.2", "fd00:198:18::2"


class Plenum(Target):
    """The relay as the server that the stacks talk to."""

    tells_reasons = False
    offered = True

    def __init__(self, lab, *, workers=1, queues=1, name="plenum", **quic):
        super().__init__(lab, lab.outside, (RELAY4, RELAY6), PORT, (CLIENT4, CLIENT6))
        self.relay = Relay(lab, workers=workers, queues=queues, name=name,
                           quic={"connections": 500, "identity": f"{lab.dir}/identity", **quic},
                           wzp={"open_rooms": True})

    def sessions(self, room):
        """What `show session` says of each session of a room, as text."""
        found = []
        for line in self.relay.ctl("show session all").splitlines()[1:]:
            words = line.split()
            if len(words) > 1 and words[1] == f"quic/{room}":
                found.append(self.relay.ctl(f"show session {words[0]}"))
        return found

    def members(self, room):
        found = {}
        for text in self.sessions(room):
            entered = re.search(r"address (\S+) when it entered", text).group(1)
            now = re.search(r"address (\S+), moved", text).group(1)
            found[entered] = (now, int(re.search(r"(\d+) key updates", text).group(1)))
        return found

    def close_room(self, room):
        for text in self.sessions(room):
            self.relay.ctl("kick " + re.match(r"session (\S+):", text).group(1))
        return 0, "kicked"

    def closes(self, room):
        return [(e.get("code", 0), "") for e in self.relay.events()
                if e["event"] == "end" and e["room"] == room and e["reason"] == "closed"]


@test("every stack over IPv4 and IPv6")
@in_lab
def quic_retry(lab, long):
    """Every client must show first that it receives: Retry, with a ClientHello of one or two Initials"""
    target = Plenum(lab, retry_always=True)
    retry(target, long)
    target.relay.stop()


def retry(target, long):
    cases = [(scenario, stack, v6) for scenario in (scenarios.handshake, scenarios.big_hello)
             for stack in STACKS
             for v6 in ((False, True) if long else (stack in ("aioquic", "quinn"),))]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda case: case[0](target, *case[1:]), cases))
    counters = target.relay.counters()
    expect(counters["quic_retries"] >= counters["quic_handshakes"] > 0, f"{counters}")
    expect(counters["quic_handshakes"] == counters["quic_admitted"], f"{counters}")


@test()
@in_lab
def quic_drain(lab, long):
    """The relay goes down: every client is told at once, with code 0"""
    target = Plenum(lab, workers=2)
    with contextlib.ExitStack() as stay:
        peers = [stay.enter_context(scenarios.Peer(target, stack, f"room-{i}", i % 2 == 1))
                 for i, stack in enumerate(STACKS)]
        for peer in peers:
            scenarios.joined(target, peer)
        target.relay.stop()
        for peer in peers:
            said = peer.wait_event("closed", 3)
            expect((said["by"], said["code"], said["reason"]) == ("peer", 0, "drain"), f"{said}")


@test("four times as much")
@in_lab
def quic_streams(lab, long):
    """What clients say on streams is read, and they get room for more: streams and bytes"""
    target = Plenum(lab)
    room, nb, size = "signals", 400 * (4 if long else 1), 1000  # above 100 streams and 128 KB
    mute = signals.frame(b'"Mute"'.ljust(size - 4)).hex()
    for stack in STACKS:
        with scenarios.Peer(target, stack, room, False) as a:
            scenarios.joined(target, a)
            before = target.relay.counters()
            for _ in range(nb):
                a.tell("stream", mute)
            end = time.monotonic() + 10
            while time.monotonic() < end:
                after = target.relay.counters()
                read = after["quic_stream_bytes"] - before["quic_stream_bytes"]
                if read == nb * size:
                    break
                time.sleep(0.1)
            expect(read == nb * size, f"{stack}: {read} of {nb * size} bytes were read")
            # In a room nothing that is of use is so long.
            dropped = after["wzp_signal_big"] - before["wzp_signal_big"]
            expect(dropped == nb, f"{stack}: {dropped} signals of {nb}")
    expect(target.relay.counter("quic_stream_flood") == 0, "a flood was seen")
    target.relay.stop()


# Room, publisher, SSRC, packets a second, bytes.
RTP = (("alpha", 0, 0xA0, 100, 1200), ("alpha", 1, 0xA1, 50, 60),
       ("beta", 0, 0xB0, 100, 1200), ("beta", 3, 0xB1, 50, 320))
# Every stack in one room, over IPv4 and IPv6; two of them in another one.
QUIC = (("alpha", [(stack, v6) for stack in STACKS for v6 in (False, True)]),
        ("beta", [("quinn", True), ("quic-go", False), ("msquic", False)]))
QUIC_RATE, QUIC_SIZES = 25, (60, 1100)


@test("30 s instead of 4, and 2 workers on one queue, too")
@in_lab
def quic_beside_rtp(lab, long):
    """RTP and QUIC rooms of one name on one port, IPv4 and IPv6, 1 and 2 workers: every byte arrives"""
    for workers, queues in ((1, 1), (2, 2), (2, 1)) if long else ((1, 1), (2, 2)):
        target = Plenum(lab, workers=workers, queues=queues, name=f"relay-{workers}-{queues}")
        beside_rtp(lab, target, 30 if long else 4)
        target.relay.stop()


def beside_rtp(lab, target, seconds):
    relay, clients = target.relay, Clients(lab)
    rtp = {room: [clients.client(address, *relay.credential(room, f"p{i}"))
                  for i, address in enumerate((CLIENT4, CLIENT6) * 2)] for room in ("alpha", "beta")}
    for member in rtp["alpha"] + rtp["beta"]:
        member.join()
    with contextlib.ExitStack() as stay:
        quic = {room: [stay.enter_context(scenarios.Peer(target, stack, room, v6, "--count"))
                       for stack, v6 in members] for room, members in QUIC}
        for peers in quic.values():
            scenarios.joined(target, *peers)
        shown = [line.split() for line in relay.ctl("show room all").splitlines()[1:]]
        expect(sorted((words[0], int(words[1])) for words in shown) ==
               [("alpha", 4), ("beta", 4), ("quic/alpha", 8), ("quic/beta", 3)], f"rooms: {shown}")
        homes = {words[4] for words in shown}
        expect(len(homes) == relay.workers, f"homes: {shown}")
        streams = {ssrc: (room, Stream(rtp[room][i], ssrc, rate, size))
                   for room, i, ssrc, rate, size in RTP}
        for peer in (p for peers in quic.values() for p in peers):
            for size in QUIC_SIZES:
                peer.flood(QUIC_RATE * seconds // len(QUIC_SIZES), size, QUIC_RATE)
        clients.run(seconds, [stream for _, stream in streams.values()])
        for peer in (p for peers in quic.values() for p in peers):
            for _ in QUIC_SIZES:
                peer.answer()
        clients.run(0.5)
        for room, peers in quic.items():
            for peer in peers:
                sent = sorted(d for other in peers if other is not peer for d in other.floods)
                said = peer.stats()
                expect(said["received"] == len(sent), f"{room}: {peer.stack} got "
                       f"{said['received']} of {len(sent)}: {relay.ctl('show drops')}")
                expect(said["sha256"] == hashlib.sha256(b"".join(sent)).hexdigest(),
                       f"{room}: {peer.stack} got as many, but not the same bytes")
        for room, members in rtp.items():
            for member in members:
                theirs = {ssrc: s for ssrc, (r, s) in streams.items()
                          if r == room and s.client is not member}
                expect(set(member.received) == set(theirs), f"{room}: {sorted(member.received)}")
                for ssrc, stream in theirs.items():
                    member.expect_exactly(ssrc, stream.numbers())
    counters = relay.counters()
    nb = sum(len(peer.floods) for peers in quic.values() for peer in peers)
    expect(counters["datagrams_media"] == nb, f"{counters['datagrams_media']} datagrams of {nb}")
    print(f"  {len(homes)} workers: {sum(s.sent for _, s in streams.values())} RTP packets, {nb} "
          f"datagrams, {counters['copies_due']} copies")


@test("every stack over IPv4 and IPv6", beside=True)
@in_lab
def quic_ecn(lab, long):
    """The relay marks what it sends ECT(0); where every packet meets congestion (CE), nothing is lost"""
    target = Plenum(lab)
    lab.nft("add table inet marks",
            "add chain inet marks in { type filter hook prerouting priority -300; }",
            "add chain inet marks out { type filter hook output priority 0; }")
    for family in ("ip", "ip6"):
        lab.nft(f"add rule inet marks in iifname p0 udp sport {PORT} {family} ecn ect0 counter "
                f"{family} ecn set ce",
                f"add rule inet marks out oifname p0 udp dport {PORT} {family} ecn set ce")
    for stack in STACKS:
        for v6 in (False, True) if long else (stack in ("aioquic", "quinn"),):
            a, b = scenarios.pair(target, stack, v6)
            with a, b:
                scenarios.joined(target, a, b)
                scenarios.exchange(a, b, 100)
    # plenum-client tells what it saw.
    client = os.path.join(lab.build, "app", "client", "plenum-client")
    for v6, to in ((False, f"{RELAY4}:{PORT}"), (True, f"[{RELAY6}]:{PORT}")):
        common = ("--wzp", "--relay", to, "--room", f"marked-{v6}", "--verify", "--json")
        hears = lab.start(lab.outside, [client, "subscribe", *common, "--until-bye", "--expect", 100,
                                        "--expect-streams", 1, "--interval", 1], f"hears-{v6}")
        time.sleep(0.5)
        talks = lab.start(lab.outside, [client, "publish", *common, "--generate",
                                        "pps=100,size=200,count=100"], f"talks-{v6}")
        for peer in (talks, hears):
            expect(peer.wait(20) == 0, f"{peer.name}: {peer.errors()}")
            (participant,) = peer.events()[-1]["participants"]
            ecn = participant["quic"]["ecn"]
            expect(ecn["sent"] > 0 and ecn["ce"] > 0 and ecn["ect0"] == ecn["ect1"] == 0,
                   f"{peer.name}: {ecn}")
    listed = run("ip", "netns", "exec", lab.outside, "nft", "list", "chain", "inet", "marks", "in")
    marked = [int(nb) for nb in re.findall(r"counter packets (\d+)", listed)]
    print(f"  {marked[0]} packets over IPv4 and {marked[1]} over IPv6 left as ECT(0) and came as CE")
    expect(all(nb > 20 for nb in marked), f"ECT(0): {listed}")
    ended = {e["reason"] for e in target.relay.events() if e["event"] == "end"}
    expect(ended <= {"closed", "idle"}, f"connections ended: {ended}")
    target.relay.stop()


@test("each scenario over IPv4 and IPv6, three times, with 1 and 2 workers; then those of quic_retry")
@in_lab
def quic_interop(lab, long):
    """aioquic, quic-go, quinn and msquic in the relay's rooms: handshake to close, Retry, IPv6"""
    for workers in (1, 2) if long else (2,):
        target = Plenum(lab, workers=workers, name=f"relay-{workers}")
        for _ in range(ROUNDS if long else 1):
            interop(target, long)
        target.relay.stop()
    if long:
        target = Plenum(lab, workers=2, name="relay-retry", retry_always=True)
        for _ in range(ROUNDS):
            retry(target, long)
        target.relay.stop()


def interop(target, long):
    cases = [(scenarios.everybody, "all", v6) for v6 in (False, True)]
    table = [*scenarios.COMMON, scenarios.only_ed25519, scenarios.only_p256]
    for i, scenario in enumerate(table):
        for j, stack in enumerate(STACKS):
            for v6 in (False, True) if long else ((i + j) % 2 == 1,):
                cases.append((scenario, stack, v6))

    def run(case):
        scenario, stack, v6 = case
        try:
            scenario(target, stack, v6)
            said = "ok"
        except Unsupported:
            said = "-"
        except Failure as failure:
            return f"{failure}"
        if scenario is scenarios.streams:
            return "ok" if said == "-" else "the relay sends streams back"
        if (said == "-") != (scenario.__name__ in UNSUPPORTED.get(stack, ())):
            return "is supported" if said == "ok" else "is not supported any more"
        return said

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(run, cases))
    problems = []
    for (scenario, stack, v6), said in zip(cases, results):
        name = f"{scenario.__name__} {stack} IPv{6 if v6 else 4}"
        print(f"  {name:44} {said}")
        if said not in ("ok", "-"):
            problems.append(f"{name}: {said}")
    expect(not problems, f"{len(problems)} of {len(cases)} cases: " + "; ".join(problems))
