# SPDX-License-Identifier: BSD-3-Clause
"""Rooms of WZP participants who all talk, by plenum-load: nobody loses anything, whatever others do."""

import json
import os

from lab import PORT, RELAY4, RELAY6, expect
from relay import Relay, in_lab, test
from test_load import UNLIMITED, WAIT, expect_sums, quic_relay, relay_drops, wait_for

PPS = 50  # of each participant
TEN = (10, 10)  # rooms, participants of each
FIFTY = (1, 50)


def af_packet_relay(lab, **settings):
    """A relay with an af_packet port that takes 500 clients, and the device to reach it."""
    relay = Relay(lab, **{"rooms": UNLIMITED, **settings},
                  quic={"connections": 500, "identity": f"{lab.dir}/identity"},
                  wzp={"open_rooms": True}, limits={"sessions_per_net6": 500})
    return relay, "net_af_packet0,iface=p0"


def drive(lab, relay, vdev, shape, seconds, *arguments, pps=PPS, churn=0, v6=False):
    """Everybody in rooms of this shape talks: the report, once all copies have come and the relay's
    books agree; `arguments` may make others do worse."""
    rooms, size = shape
    path = os.path.join(lab.dir, "load.json")
    rate = int(rooms * size * pps)
    load = lab.start(lab.outside, [
        os.path.join(lab.build, "app", "load", "plenum-load"), "--no-huge", "--cpu",
        min(os.sched_getaffinity(0)), "--vdev", vdev, "--relay",
        f"[{RELAY6}]:{PORT}" if v6 else f"{RELAY4}:{PORT}", "--address",
        "fd00:198:18::1000" if v6 else "198.18.1.1", "--wzp", "--rooms", rooms, "--publishers",
        size, "--subscribers", 0, "--rate", rate, "--duration", seconds, "--churn", churn, "--warm-up", 0,
        "--wait", WAIT, "--quiet", "--json", path, *arguments], "load")
    status = load.wait(seconds + 90)
    expect(status == 0, f"plenum-load: exit {status}: {load.errors()[-500:]}\n{relay_drops(relay)}")
    with open(path, encoding="utf-8") as file:
        run = json.load(file)["run"]
    steady, passing = run["steady"], run["churn"]
    print(f"  {rooms} x {size}, {pps:.0f}/s each: {run['received']} copies of {run['due']}, p50 "
          f"{run['latency_ns']['p50'] / 1000:.0f} us, p99 {run['latency_ns']['p99'] / 1000:.0f} us; "
          f"all in after {steady['join_ns']['max'] / 1e6:.0f} ms at most")
    expect(run["unsent"] == 0 and run["refused"] == 0 and run["lost"] == 0,
           f"lost: {run}\n{relay_drops(relay)}")
    for name in ("duplicates", "late", "harmed", "misrouted", "stale", "foreign"):
        expect(run[name] == 0, f"{name}: {run}")
    expect(run["sent"] == rate * seconds and run["due"] == run["sent"] * (size - 1), f"due: {run}")
    expect(steady["begun"] == steady["joined"] and steady["lost"] == 0, f"who stay: {steady}")
    expect(passing["begun"] == passing["joined"] == churn * seconds and passing["lost"] == 0 and
           run["no_place"] == 0, f"who come and go: {passing}\n{relay_drops(relay)}")
    wait_for(lambda: relay.counter("quic_ended") == relay.counter("quic_admitted"),
             lambda: relay_drops(relay))
    counters = relay.counters()
    expect_sums(counters)
    expect(counters["wzp_joined"] == steady["joined"] + passing["joined"],
           f"{counters['wzp_joined']} joined")
    expect(counters["copies_sent"] >= run["received"], f"{relay_drops(relay)}: {run}")
    return run


@test("60 s instead of 3")
@in_lab
def wzp_load_ten_rooms(lab, long):
    """10 rooms of 10 who all talk at 50 packets/s, over memif: no loss, and all are told of all"""
    relay, vdev = quic_relay(lab)
    run = drive(lab, relay, vdev, TEN, 60 if long else 3)
    expect(run["steady"]["told"] == 100, f"told: {run['steady']}")
    expect(relay.counter("datagrams_media") == run["sent"], f"{relay_drops(relay)}: {run}")
    relay.stop()


@test("60 s instead of 3")
@in_lab
def wzp_load_room_of_50(lab, long):
    """1 room of 50 who all talk at 50 packets/s, over memif: no loss, and all are told of all"""
    relay, vdev = quic_relay(lab)
    run = drive(lab, relay, vdev, FIFTY, 60 if long else 3)
    expect(run["steady"]["told"] == 50, f"told: {run['steady']}")
    expect(relay.counter("datagrams_media") == run["sent"], f"{relay_drops(relay)}: {run}")
    relay.stop()


@test("60 s instead of 2")
@in_lab
def wzp_load_af_packet(lab, long):
    """the same two at a third of the rate over af_packet, the second over IPv6"""
    for shape, v6 in ((TEN, False), (FIFTY, True)):
        relay, vdev = af_packet_relay(lab, name=f"plenum{shape[0]}")
        run = drive(lab, relay, vdev, shape, 60 if long else 2, pps=PPS / 3 if long else 16, v6=v6)
        expect(run["steady"]["told"] == shape[0] * shape[1], f"told: {run['steady']}")
        relay.stop()


@test("60 s instead of 3")
@in_lab
def wzp_load_flood(lab, long):
    """one room more sends twice what it may: what is above is dropped there, and nobody else loses anything"""
    seconds = 60 if long else 3
    limit = 2 * PPS
    relay, vdev = quic_relay(lab, rooms=(
        {"pattern": "*", "packets_per_s": limit, "bits_per_s": "unlimited"},))
    run = drive(lab, relay, vdev, TEN, seconds, "--flood", 2 * limit * TEN[1])
    sent, passed = run["flood"], run["flood_copies"] / (TEN[1] - 1)
    expect(run["flood_refused"] == 0 and sent > 1.9 * limit * TEN[1] * seconds, f"no flood: {run}")
    dropped = relay.counter("dgram_rate_packets")
    print(f"  the room that floods: {sent} sent, {passed:.0f} passed, {dropped} dropped")
    # A second's worth may pass at once at the beginning.
    expect(abs(passed - limit * TEN[1] * seconds) <= 1.5 * limit * TEN[1], f"{passed} passed: {run}")
    expect(passed + dropped == sent, f"{passed} + {dropped} of {sent}: {relay_drops(relay)}")
    relay.stop()


@test("60 s instead of 4")
@in_lab
def wzp_load_no_read(lab, long):
    """who reads no signal hears all media, and costs nobody any: others come and go beside, and are told"""
    seconds = 60 if long else 4
    relay, vdev = quic_relay(lab)
    run = drive(lab, relay, vdev, (2, 10), seconds, "--no-read", 0.1, churn=40)
    steady = run["steady"]
    expect(steady["told"] == 18, f"told: {steady}")
    # An original client takes a hundred messages in its life.
    expect(steady["updates"] > 18 * 100, f"too few changes to fill what one may be told: {steady}")
    expect(run["churn"]["updates"] >= run["churn"]["joined"], f"who come and go: {run['churn']}")
    expect(relay.counter("wzp_updates") > 100, f"{relay_drops(relay)}")
    relay.stop()
