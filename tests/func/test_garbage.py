# SPDX-License-Identifier: BSD-3-Clause
"""Legitimate calls beside a flood of garbage on the same wire."""

import json
import os
import time

from endpoint import Clients, Stream
from lab import PORT, RELAY4, RELAY6, RELAY_MAC, expect, run
from relay import Relay, in_lab, test

RATE = 50000
# Where the relay counts what it could not take in or hand on.
LOSS_COUNTERS = ("cross_ring", "copy_no_mbuf", "copy_park_full", "copy_no_neighbour",
                 "rate_packets", "rate_bits")


def losses(lab, relay):
    """What was lost and counted: by the relay, and by the kernel before the port's ring. The driver
    of af_packet has no count of the latter, but the interface and the relay have, between them."""
    counters = relay.counters()
    link = json.loads(run("ip", "-n", lab.inside, "-j", "-s", "link", "show", "d0"))
    return link[0]["stats64"]["rx"]["packets"] - counters["rx_packets"] + \
        sum(counters[name] for name in LOSS_COUNTERS)


def check_calls(calls, counted):
    """Every packet of the calls arrived, or as many are missing as were counted."""
    missing = 0
    for members, streams in calls:
        for member in members:
            expect(member.bad == 0, f"{member.bad} packets with wrong bytes")
            for stream in streams:
                if stream.client is member:
                    expect(stream.ssrc not in member.received, "heard itself")
                    continue
                got = member.received.get(stream.ssrc, {})
                expect(all(n == 1 for n in got.values()), "a packet more than once")
                missing += stream.sent - len(got)
    # One packet that is lost on its way in is missing at each of its hearers.
    counted *= max(len(members) - 1 for members, _ in calls)
    expect(missing <= counted, f"{missing} packets missing, but {counted} counted as lost")
    return missing


@test("60 s of garbage instead of 8")
@in_lab
def garbage_af_packet(lab, long):
    """calls keep all packets and consents beside 50 000 packets/s of garbage; a newcomer joins in 1 s"""
    seconds = 60 if long else 8
    relay = Relay(lab, quic={"connections": 100, "identity": f"{lab.dir}/identity"},
                  wzp={"open_rooms": True})
    clients = Clients(lab)
    calls = []
    for room in range(4):
        members = [clients.client("fd00:198:18::2" if i % 2 else "198.18.0.2",
                                  *relay.credential(f"call{room}", f"m{i}")) for i in range(3)]
        for member in members:
            member.join()
        calls.append((members, [Stream(m, 100 * room + i + 1, 50, 200)
                                for i, m in enumerate(members)]))
    streams = [s for _, group in calls for s in group]
    lost_before = losses(lab, relay)
    flood = lab.start(lab.outside, [
        os.path.join(lab.build, "tests", "func", "garbage"), "--interface", "p0",
        "--mac", RELAY_MAC, "--ip4", RELAY4, "--ip6", RELAY6, "--port", PORT, "--rate", RATE,
        "--seconds", seconds, "--seed", int(time.time())], "garbage")
    clients.run(seconds / 2, streams)
    newcomer = clients.client("198.18.0.2", *relay.credential("newcomers", "one"))
    begun = time.monotonic()
    newcomer.join(timeout=1.0)
    took = time.monotonic() - begun
    clients.run(seconds / 2 + 0.5, streams)
    expect(flood.wait(10) == 0, "the generator failed")
    # Normal within a second: nothing is lost any more.
    clients.run(1, streams)
    for stream in streams:
        stream.limit = stream.sent
    clients.run(0.5, streams)
    sent = flood.events("done")[0]["sent"]
    lost = losses(lab, relay) - lost_before
    missing = check_calls(calls, lost)
    ended = [e for e in relay.events() if e.get("event") == "end"]
    expect(not ended, f"sessions ended: {ended}")
    silent = [m for members, _ in calls for m in members if time.monotonic() - m.last_ok > 5.5]
    expect(not silent, f"{len(silent)} participants had no consent answered")
    after = clients.client("198.18.0.2", *relay.credential("newcomers", "two"))
    after.join(timeout=1.0)
    counters = relay.counters()
    for name in ("quic_initials", "quic_malformed", "quic_filter", "quic_versions"):
        expect(counters[name] > 0, f"garbage counts no {name}")
    expect(counters["quic_handshakes"] == 0, "a handshake with nobody")
    expect(sent >= 0.9 * RATE * seconds, f"only {sent / seconds:.0f} packets/s of garbage")
    print(f"  {sent / seconds:.0f} packets/s of garbage, {lost} lost and counted, of calls "
          f"{missing} missing, newcomer in {took * 1000:.0f} ms")
    relay.stop()


@test("60 s of garbage instead of 4")
@in_lab
def garbage_in_process(lab, long):
    """the same over an in-process port at 80 % of the garbage it can take, then at full rate"""
    flood = lab.start(lab.inside, [os.path.join(lab.build, "tests", "func", "inproc", "flood"),
                                   "--seconds", 60 if long else 4], "flood")
    status = flood.wait(600 if long else 150)
    expect(status == 0, f"exit {status}: {flood.output()[-800:]}{flood.errors()[-800:]}")
    print(flood.output())
