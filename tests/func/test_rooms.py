# SPDX-License-Identifier: BSD-3-Clause
"""Rooms of many: plenum-client's clones, whose every packet is checked by number and content."""

import os
import signal
import time

from endpoint import Clients, Stream
from lab import PORT, RELAY4, RELAY6, expect
from relay import Relay, in_lab, test

CONSENT_S = 30
VICTIM_PORT = 20001


class Crowd:
    """A plenum-client process: some participants of one room."""

    def __init__(self, lab, relay, verb, room, name, count=1, *options, address="198.18.0.2"):
        self.ready_file = os.path.join(lab.dir, f"{name}.ready")
        self.name = name
        to = f"[{RELAY6}]:{PORT}" if address.count(":") > 1 else f"{RELAY4}:{PORT}"
        self.process = lab.start(lab.outside, [
            os.path.join(lab.build, "app", "client", "plenum-client"), verb, "--relay", to,
            "--bind", address, "--secret", relay.secret, "--room", room, "--participant", name,
            "--clones", count, "--verify", "--json", "--ready-file", self.ready_file, *options],
            name)

    def wait_ready(self, timeout=15):
        end = time.monotonic() + timeout
        while not os.path.exists(self.ready_file):
            expect(self.process.popen.poll() is None, f"{self.name}: {self.process.errors()}")
            expect(time.monotonic() < end, f"{self.name}: not admitted in {timeout} s")
            time.sleep(0.02)

    def report(self, timeout=30, stop=True):
        """The final report; by default it is told to end."""
        if stop:
            self.process.popen.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout)
        expect(status == 0, f"{self.name}: exit {status}: {self.process.errors()[-300:]}")
        return [e for e in self.process.events() if e.get("final")][-1]


def sent_streams(report):
    """{SSRC: packets} of everything that the participants of a report sent."""
    return {s["ssrc"]: s["packets"] for p in report["participants"] for s in p["sent_streams"]}


def expect_whole(report, want, own=lambda participant: ()):
    """Every participant of a report heard every stream of `want` whole, once each packet."""
    for participant in report["participants"]:
        name = participant["name"]
        heard = {s["ssrc"]: s for s in participant["streams"] if not s["own"]}
        due = {ssrc: n for ssrc, n in want.items() if ssrc not in own(participant)}
        expect(participant["echoed"] == 0, f"{name}: heard itself {participant['echoed']} times")
        expect(set(heard) == set(due), f"{name}: heard {len(heard)} streams of {len(due)}")
        for ssrc, packets in due.items():
            stream = heard[ssrc]
            expect((stream["unique"], stream["received"], stream["corrupt"]) ==
                   (packets, packets, 0),
                   f"{name}: stream {ssrc:#x}: {stream['unique']} of {packets} packets, "
                   f"{stream['received']} received, {stream['corrupt']} corrupt, socket dropped "
                   f"{participant['socket_drops']}")


def own_streams(participant):
    return {s["ssrc"] for s in participant["sent_streams"]}


@test("30 s instead of 4, and a killed subscriber's copies end within 31 s")
@in_lab
def big_room(lab, long):
    """200 subscribers hear two streams once each; one leaves, one is killed, nobody else notices"""
    seconds = 30 if long else 4
    relay = Relay(lab)
    clients = Clients(lab)
    crowd4 = Crowd(lab, relay, "subscribe", "big", "four", 100)
    crowd6 = Crowd(lab, relay, "subscribe", "big", "six", 98, address="fd00:198:18::2")
    victim = Crowd(lab, relay, "subscribe", "big", "victim", 1, address=f"198.18.0.2:{VICTIM_PORT}")
    leaver = clients.client("198.18.0.2", *relay.credential("big", "leaver"))
    for crowd in (crowd4, crowd6, victim):
        crowd.wait_ready()
    leaver.join()
    # It is kicked before the publication: a participant that left is told nothing more.
    relay.ctl("kick big leaver")
    clients.run(0.1)
    publisher = Crowd(lab, relay, "both", "big", "publisher", 1,
                      "--generate", f"pps=50,size=200,seconds={seconds}",
                      "--generate", f"pps=100,size=1200,seconds={seconds}", "--linger", "1")
    publisher.wait_ready()
    time.sleep(seconds / 2)
    victim.process.popen.kill()
    killed_at = time.time()
    clients.run(seconds / 2)
    sent = publisher.report(timeout=seconds + 10, stop=False)
    expect(sent["totals"]["echoed"] == 0 and sent["totals"]["received"] == 0,
           f"the publisher received {sent['totals']['received']} packets")
    time.sleep(0.5)
    want = sent_streams(sent)
    expect(sorted(want.values()) == [50 * seconds, 100 * seconds], f"sent {want}")
    for crowd in (crowd4, crowd6):
        expect_whole(crowd.report(), want)
    expect(leaver.count == 0, f"the participant that left got {leaver.count} packets")
    if long:
        expect_end(relay, "victim", killed_at, CONSENT_S + 1)
        seen = lab.count_datagrams(VICTIM_PORT)
        Crowd(lab, relay, "publish", "big", "again", 1,
              "--generate", "pps=100,size=200,seconds=2").report(stop=False)
        expect(seen() == 0, f"{seen()} datagrams to a participant that was killed")
    relay.stop()


@test()
@in_lab
def spread_room(lab, long):
    """A room over two workers: all hear all, once and in order, whoever serves them"""
    relay = Relay(lab, workers=2, queues=2, spread_above=4)
    crowds = [Crowd(lab, relay, "subscribe", "wide", "four", 30),
              Crowd(lab, relay, "subscribe", "wide", "six", 31, address="fd00:198:18::2")]
    for crowd in crowds:
        crowd.wait_ready()
    publishers = [Crowd(lab, relay, "publish", "wide", f"publisher{i}", 1,
                        "--generate", f"pps=50,size={size},seconds=3", "--linger", "1")
                  for i, size in enumerate((200, 1200))]
    for publisher in publishers:
        publisher.wait_ready()
    shown = relay.ctl("show room wide")
    expect("members by worker: 0: 32 1: 31\n" in shown or "members by worker: 0: 31 1: 32\n" in shown,
           f"63 members of two workers: {shown.splitlines()[:2]}")
    expect(" 0+ " in relay.ctl("show room all") or " 1+ " in relay.ctl("show room all"),
           "show room all does not say that the room is spread")
    reports = [publisher.report(timeout=20, stop=False) for publisher in publishers]
    want = {ssrc: n for report in reports for ssrc, n in sent_streams(report).items()}
    expect(sorted(want.values()) == [150, 150], f"sent {want}")
    for crowd in crowds:
        expect_whole(crowd.report(), want)
    counters = relay.counters()
    expect(counters["slices_out"] == counters["slices_in"] >= 300, f"{counters['slices_out']} out")
    relay.stop()


def expect_end(relay, participant, since, within):
    """The relay ends a participant's session for want of consent in this time."""
    end = since + within + 0.5
    while time.time() < end:
        for event in relay.events():
            if event.get("event") == "end" and event.get("participant") == participant:
                expect(event["reason"] == "consent", f"ended: {event}")
                return
        time.sleep(0.2)
    expect(False, f"{participant}: still a participant {within} s after its end")


@test("30 s each instead of 4")
@in_lab
def many_rooms(lab, long):
    """10 rooms of 10, then one of 50, everybody talking: no loss"""
    seconds = 30 if long else 4
    relay = Relay(lab)
    for rooms, members in ((10, 10), (1, 50)):
        talk = f"pps=50,size=160,seconds={seconds}"
        crowds = [Crowd(lab, relay, "both", f"talk{members}-{i}", f"m{members}-{i}", members,
                        "--generate", talk, "--start-delay", "2.5", "--linger", "1.5")
                  for i in range(rooms)]
        for crowd in crowds:
            crowd.wait_ready()
        for crowd in crowds:
            report = crowd.report(timeout=seconds + 20, stop=False)
            expect_whole(report, sent_streams(report), own_streams)
    relay.stop()


@test("30 s instead of 4")
@in_lab
def flooded_room(lab, long):
    """a room flooded at twice its limits costs the others no packet"""
    seconds = 30 if long else 4
    limits = {"packets_per_s": 500, "bits_per_s": 2000000}
    relay = Relay(lab, rooms=[{"pattern": "flood", **limits}, {"pattern": "*"}])
    quiet = [Crowd(lab, relay, "both", f"quiet{i}", f"q{i}", 5,
                   "--generate", f"pps=50,size=160,seconds={seconds}", "--start-delay", "1.5",
                   "--linger", "1.5") for i in range(4)]
    flooded = Crowd(lab, relay, "subscribe", "flood", "hearer", 5)
    for crowd in quiet + [flooded]:
        crowd.wait_ready()
    flood = Crowd(lab, relay, "publish", "flood", "flooder", 1,
                  "--generate", f"pps=1000,size=100,seconds={seconds + 1}")
    for crowd in quiet:
        report = crowd.report(timeout=seconds + 20, stop=False)
        expect_whole(report, sent_streams(report), own_streams)
    sent = flood.report(timeout=seconds + 20, stop=False)["totals"]["sent"]
    for hearer in flooded.report()["participants"]:
        share = hearer["received"] / sent
        expect(0.45 < share < 0.65, f"limited to 500/s of 1000/s, but {share:.2f} came through")
    drops = relay.counter("rate_packets")
    expect(drops >= 0.35 * sent, f"{drops} drops counted of {sent} sent")
    relay.stop()
