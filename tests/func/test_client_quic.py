# SPDX-License-Identifier: BSD-3-Clause
"""plenum-client --wzp, against a relay on kernel sockets and the same QUIC library
(bench/quic_kernel/): what the client itself does, whatever the relay behind it is; and in rooms of
the relay."""

import os
import re
import signal
import time

from endpoint import Clients
from lab import PORT, RELAY4, RELAY6, Failure, expect, run
from relay import Relay, in_lab, test
from test_rooms import expect_whole, sent_streams
from test_surfaces import pages, with_telemetry

CIPHERS = {"aes128": "AES-128-GCM", "aes256": "AES-256-GCM", "chacha20": "CHACHA20-POLY1305"}
REBIND_S = 1


class Kernel:
    """A running plenum-quic-kernel in the lab's inside namespace, which gets addresses for it."""

    def __init__(self, lab, *options):
        run("ip", "netns", "exec", lab.inside, "sysctl", "-qw", "net.ipv6.conf.d0.disable_ipv6=0",
            "net.ipv6.conf.d0.accept_dad=0")
        run("ip", "-n", lab.inside, "addr", "add", RELAY4 + "/16", "dev", "d0")
        run("ip", "-n", lab.inside, "addr", "add", RELAY6 + "/64", "dev", "d0", "nodad")
        self.process = lab.start(lab.inside, [
            os.path.join(lab.build, "bench", "plenum-quic-kernel"), "--listen", f"{RELAY4}:{PORT}",
            "--listen", f"[{RELAY6}]:{PORT}", *options], "kernel")
        self.ready = self.process.wait_event("ready", 10)
        expect(self.ready, f"plenum-quic-kernel: {self.process.errors()}")

    def stop(self):
        """End it; its counters."""
        expect(self.process.stop() == 0, f"plenum-quic-kernel: {self.process.errors()}")
        return self.process.events("report")[-1]


class Peer:
    """A plenum-client --wzp, outside unless another namespace is given."""

    def __init__(self, lab, verb, name, *options, v6=False, room="_the_lobby", namespace=None, verify=True):
        self.ready_file = os.path.join(lab.dir, f"{name}.ready")
        self.name = name
        self.process = lab.start(namespace or lab.outside, [
            os.path.join(lab.build, "app", "client", "plenum-client"), verb, "--wzp", "--relay",
            f"[{RELAY6}]:{PORT}" if v6 else f"{RELAY4}:{PORT}", "--room", room, "--participant",
            name, *(("--verify",) if verify else ()), "--json", "--ready-file", self.ready_file,
            *options], name)

    def wait_ready(self, timeout=15):
        end = time.monotonic() + timeout
        while not os.path.exists(self.ready_file):
            expect(self.process.popen.poll() is None, f"{self.name}: {self.process.errors()}")
            expect(time.monotonic() < end, f"{self.name}: not joined in {timeout} s")
            time.sleep(0.02)
        return self

    def report(self, timeout=30, stop=None, status=0):
        if stop is not None:
            self.process.popen.send_signal(stop)
        found = self.process.wait(timeout)
        expect(found == status,
               f"{self.name}: exit {found}, not {status}: {self.process.errors()[-300:]}")
        return [e for e in self.process.events() if e.get("final")][-1]


def expect_quic(report, cipher=None):
    """Every participant's connection did what it should; their figures."""
    found = []
    for participant in report["participants"]:
        quic, name = participant["quic"], participant["name"]
        expect(participant["state"] == "joined", f"{name}: {participant['state']}")
        expect(not any(quic["refused"].values()), f"{name}: refused {quic['refused']}")
        expect(quic["handshake_ns"] > 0 and quic["rtt_ns"] > 0, f"{name}: no times: {quic}")
        expect(quic["datagrams_lost"] == 0, f"{name}: lost {quic['datagrams_lost']}")
        expect(cipher is None or quic["cipher"] == CIPHERS[cipher], f"{name}: {quic['cipher']}")
        found.append(quic)
    return found


def expect_gap(report, want, allowed):
    """One that moved heard every stream intact and to its end, but for `allowed` packets at most."""
    (participant,) = report["participants"]
    heard = {s["ssrc"]: s for s in participant["streams"]}
    for ssrc, packets in want.items():
        expect(ssrc in heard, f"{participant['name']}: no stream {ssrc:#x}")
        stream = heard[ssrc]
        expect(stream["corrupt"] == stream["duplicates"] == 0, f"{participant['name']}: {stream}")
        expect(stream["unique"] >= packets - allowed and stream["rtcp"]["bye"],
               f"{participant['name']}: {stream['unique']} of {packets}")


def whole_session(lab, seconds, *pin):
    """Eleven participants of two rooms, all that a client can do, and what they must have seen."""
    heard = ["--until-bye", "--expect-streams", "3"]
    still = [Peer(lab, "subscribe", "four", *heard, "--clones", "3"),
             Peer(lab, "subscribe", "six", *heard, "--clones", "3", "--cipher", "aes256",
                  "--key-update-after", "0.5", v6=True)]
    moving = [Peer(lab, "subscribe", "rebinds", *heard, "--rebind-after", REBIND_S + 1,
                   "--keep-alive", "0.2"),
              Peer(lab, "subscribe", "migrates", *heard, "--rebind-after", REBIND_S + 1,
                   "--rebind-nominate", v6=True)]
    elsewhere = Peer(lab, "subscribe", "elsewhere", "--expect", "0", room="other")
    for peer in [*still, *moving, elsewhere]:
        peer.wait_ready()
    talk = ["--generate", f"pps=50,size=200,seconds={seconds}", "--linger", "1"]
    publishers = {
        "aes128": Peer(lab, "publish", "pub4", *talk, "--generate",
                       f"pps=50,size=1300,seconds={seconds}", "--cipher", "aes128",
                       "--key-update-after", "1"),
        # Rebound: what it sends is lost neither before nor after.
        "chacha20": Peer(lab, "publish", "pub6", *talk, "--cipher", "chacha20", "--rebind-after",
                         REBIND_S, *pin, v6=True)}
    want = {}
    for cipher, peer in publishers.items():
        report = peer.report(timeout=seconds + 20)
        (quic,) = expect_quic(report, cipher)
        sent = sent_streams(report)
        want.update(sent)
        expect(quic["datagrams_sent"] == quic["datagrams_acked"] == sum(sent.values()) + len(sent),
               f"{peer.name}: sent {quic}")
        expect(quic["key_updates"] == (cipher == "aes128"), f"{peer.name}: key updates: {quic}")
        expect(cipher != "aes128" or quic["path_mtu"] > 1300, f"{peer.name}: path MTU: {quic}")
    expect(list(want.values()) == [50 * seconds] * 3, f"sent {want}")
    for peer in still:
        report = peer.report()
        expect_whole(report, want)
        for quic in expect_quic(report):
            expect(quic["key_updates"] == (peer.name == "six"), f"{peer.name}: {quic}")
    for peer, gap_s in zip(moving, (0.5, 0.2)):
        report = peer.report()
        expect_quic(report)
        expect_gap(report, want, 50 * gap_s)
    elsewhere.report(stop=signal.SIGINT)
    time.sleep(0.2)


@test("30 s instead of 4", beside=True)
@in_lab
def client_wzp(lab, long):
    """plenum-client --wzp: bit-identical for all, over rebinding, migration and key updates"""
    kernel = Kernel(lab, "--gso")
    whole_session(lab, 30 if long else 4, "--pin", kernel.ready["certificate"])
    counters = kernel.stop()
    # 3 + 3 + 2 + 1 + 2 of them, each said goodbye.
    expect(counters["handshakes"] == counters["closed_by_client"] == 11, f"{counters}")
    expect(counters["ended_otherwise"] == 0 and counters["moved"] == 3, f"{counters}")


@test("30 s instead of 4", beside=True)
@in_lab
def client_wzp_relay(lab, long):
    """The same in the relay's rooms, of two workers"""
    relay = Relay(lab, workers=2, quic={"connections": 100, "identity": f"{lab.dir}/identity"},
                  wzp={"open_rooms": True})
    whole_session(lab, 30 if long else 4)
    ends = [e["reason"] for e in relay.events() if e["event"] == "end"]
    expect(ends == ["closed"] * 11, f"ended: {ends}")
    relay.stop()


@test()
@in_lab
def quic_surfaces(lab, long):
    """What an operator asks of QUIC: rooms by quic/NAME, sessions, totals, fingerprints, limits, kicks"""
    relay, asks = with_telemetry(lab, "quic", quic={"connections": 8,
                                                   "identity": f"{lab.dir}/identity"},
                                 wzp={"open_rooms": True}, trace_dir=lab.dir)
    rtp = Clients(lab).client("198.18.0.2", *relay.credential("r", "ice"))
    rtp.join()
    said = relay.ctl("show quic")
    expect("0 established, 0 handshakes in progress, 0 ending, 8 of 8 free" in said, said)
    pins = dict(re.findall(r"certificate (\S+) +SHA-256 (\S+)", said))
    expect(set(pins) == {"Ed25519", "P-256"}, said)
    talks = Peer(lab, "both", "talks", "--generate", "pps=50,size=200", "--pin", pins["Ed25519"],
                 room="r").wait_ready()
    hears = Peer(lab, "subscribe", "hears", v6=True, room="r").wait_ready()
    end = time.monotonic() + 10  # rates are of the last full second
    while time.monotonic() < end:
        room = asks.ask("/plenum/room,quic/r")
        if room["rx_packets_per_s"] > 25 and room["tx_packets_per_s"] > 25:
            break
        time.sleep(0.1)
    expect(room["members"] == 2 and room["rx_packets_per_s"] > 25, f"{room}")

    # A room of either kind, though they have one name.
    names = [line.split()[:2] for line in relay.ctl("show room all").splitlines()[1:]]
    expect(names == [["r", "1"], ["quic/r", "2"]], f"rooms: {names}")
    said = relay.ctl("show room quic/r")
    expect("room quic/r: 2 members" in said and said.count(" quic ") == 2, said)
    expect("ice" in relay.ctl("show room r"), "RTP comes first")
    said = relay.ctl("show session all")
    sessions = re.findall(r"^(\d+\.\d+) +quic/r +([0-9a-f]{32}-\d+)", said, re.M)
    expect(len(sessions) == 2, said)
    said = relay.ctl(f"show session {sessions[0][0]}")
    for what in (r"in room quic/r, both, home worker 0", r"over QUIC", r"address \S+ when it entered",
                 r"rtt: [\d.]+ ms, least [\d.]+ ms", r"window: \d+ bytes, in flight \d+",
                 r"\d+ acknowledged, 0 lost; 0 packets that no key opened", r"AES-128-GCM, 0 key",
                 r"^in:  [1-9]", r"^quality reports: 0$"):
        expect(re.search(what, said, re.M), f"nothing of {what!r} in: {said}")
    expect("2 established" in relay.ctl("show quic"), relay.ctl("show quic"))
    expect("quic0" in relay.ctl("show memory"), relay.ctl("show memory"))
    said = relay.ctl("trace room quic/r 10", check=False)
    expect("what comes is encrypted" in said, said)

    totals = asks.ask("/plenum/quic")
    expect((totals["connections_max"], totals["connections_established"],
            totals["handshakes_in_progress"], totals["connections_free"]) == (8, 2, 0, 6), f"{totals}")
    expect(totals["extents"] >= totals["extents_in_use"] and totals["retries"] == 0, f"{totals}")
    rows, _ = pages(asks, "/plenum/sessions,quic/r", "sessions")
    expect({r["by"] for r in rows.values()} == {"quic"}, f"{rows}")
    expect({(r["reports"], r["reported_rtt_ms"]) for r in rows.values()} == {(0, 0)}, f"{rows}")
    expect(sorted(r["participant"] for r in rows.values()) == sorted(n for _, n in sessions) and
           {r["address"].startswith("[") for r in rows.values()} == {True, False}, f"{rows}")
    listed = {r["name"] for r in pages(asks, "/plenum/rooms", "rooms")[0].values()}
    expect(listed == {"r", "quic/r"}, f"{listed}")
    counters = asks.ask("/plenum/counters")
    expect(counters["quic_admitted"] == 2 and counters["datagrams_media"] > 25, f"{counters}")

    # A full room, and somebody who is shown out; not the RTP room's.
    relay.ctl("set room quic/r max 2")
    late = Peer(lab, "subscribe", "late", room="r")
    late.report(status=2)
    expect('refused: application code 0 "normal close"' in late.process.errors(), late.process.errors())
    counters = relay.counters()
    expect(counters["quic_refused"] == counters["quic_room_full"] == 1, f"{counters}")
    expect("no ice in" in relay.ctl("kick quic/r ice", check=False), "an RTP participant is kicked")
    for _, name in sessions:
        relay.ctl(f"kick quic/r {name}")
    for peer in (talks, hears):
        peer.report(status=2)
        expect('code 0 "kicked"' in peer.process.errors(), peer.process.errors())
    expect("there is no room quic/r" in relay.ctl("show room quic/r", check=False), "it is still there")
    expect(relay.ctl("show room all").splitlines()[1].split()[:2] == ["r", "1"], "the RTP room is gone")
    relay.stop()
    refused = [(e["room"], e["reason"]) for e in relay.events() if e["event"] == "refuse"]
    expect(refused == [("r", "room full")], f"refused: {refused}")


@test(beside=True)
@in_lab
def client_wzp_refusals(lab, long):
    """plenum-client --wzp says why it is not let in, or no longer"""
    kernel = Kernel(lab)
    unpinned = Peer(lab, "subscribe", "unpinned", "--pin", "00" * 32)
    unpinned.report(status=2)
    expect(f"its SHA-256 is {kernel.ready['certificate']}" in unpinned.process.errors(),
           unpinned.process.errors())
    asleep = Peer(lab, "subscribe", "asleep", room="r")
    asleep.wait_ready()
    asleep.process.popen.send_signal(signal.SIGSTOP)
    stays = Peer(lab, "subscribe", "stays").wait_ready()
    kernel.stop()
    report = stays.report(status=2)
    expect('closed by the relay: application code 0 "shutdown"' in stays.process.errors(),
           stays.process.errors())
    (quic,) = (p["quic"] for p in report["participants"])
    expect(quic["closed_by_relay"] and quic["close_code"] == 0, f"{quic}")
    asleep.process.popen.send_signal(signal.SIGCONT)
    asleep.report(status=2)
    # Nobody there any more.
    late = Peer(lab, "subscribe", "late", v6=True)
    late.report(status=5, timeout=20)
    expect("no answer from" in late.process.errors(), late.process.errors())
    try:
        run(os.path.join(lab.build, "app", "client", "plenum-client"), "subscribe", "--wzp",
            "--relay", "no-such-host.invalid", "--room", "r")
    except Failure as failure:
        expect("no-such-host.invalid: " in str(failure) and "exit 1" in str(failure), str(failure))
    else:
        raise Failure("a name that cannot be resolved was taken")
