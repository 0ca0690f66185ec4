# SPDX-License-Identifier: BSD-3-Clause
"""QUIC media over a path that is not good: how much is refused, and how soon media flows again.

A relay on net_af_packet and participants on kernel sockets (plenum-client --wzp), in network namespaces
joined by veth pairs; nothing is simulated. In each room one of two participants, the publisher or the
subscriber, is behind a router with a NAT of its own, on which nftables does the harm:

    loss          1 % of the packets each way, drawn at random
    outage        no packet passes either way, for 1 s and for 10 s
    rebinding     the NAT forgets its mapping, and the next packet gets another port
    key update    nothing is lost: the participant changes its keys (RFC 9001 §6)

The publisher sends 2.5 Mbit/s in datagrams of 1 100 bytes. When they arrive is read from the subscriber's
capture. "Again" is the time from the path's return to the first of them; of a rebinding or a key update,
the longest silence around it. "Flowing" is the time until at least half of what is sent within 100 ms
arrives, and so on to the end. Times are upper bounds: that of the command that heals the path is in them.

    bench_quic_path.py --build DIR [--json FILE] [--report FILE]

Exit 0: everything was measured, and media came back each time; 1: once it did not; 2: nothing could be
measured.
"""

import argparse
import json
import os
import re
import signal
import struct
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "func"))

# pylint: disable=wrong-import-position
from lab import Failure, Lab, expect, run  # noqa: E402
from relay import Relay  # noqa: E402
from test_client_quic import Peer  # noqa: E402
from test_ice import Nat  # noqa: E402

PER_SECOND, SIZE = 284, 1100
LOSS_PERCENT = 1
LOSS_SECONDS = 15  # of a stream with loss
EVENT_S = 4        # from a stream's beginning to what happens to it
OUTAGES = {"outage of 1 s": 1, "outage of 10 s": 10}
# What happens in rooms at the same time, and how long their streams are: 11 s to come back, some more.
EVENTS = ((("outage of 1 s", "rebinding"), 18), (("outage of 10 s", "key update"), 27))
AROUND_S = 5       # a rebinding or a key update is over by then
SLICE_S = 0.1      # flowing is told by slices of time of this length
PORTS = 40000      # at the NATs
RTP_TYPE = 96


class Room:
    """Two participants, one of them at the end of a path of its own."""

    def __init__(self, lab, nat, what, who, seconds):
        self.lab, self.nat, self.what, self.who = lab, nat, what, who
        self.name = re.sub("[^a-z0-9]+", "-", f"{what} {who}")
        self.port = PORTS + 2 * nat.networks
        self.namespace, self.address = nat.network(self.port)
        self.path = f"w{nat.networks}"
        self.seconds = seconds
        lab.nft(f"add chain ip path {self.path}",
                f"add rule ip path forward iifname {self.path} jump {self.path}",
                f"add rule ip path forward oifname {self.path} jump {self.path}")
        self.capture = os.path.join(lab.dir, f"{self.name}.pcap")
        self.began = self.healed = 0.0
        self.publisher = None
        # A publisher joins when its stream begins; the subscriber was there before.
        self.key_update_s = EVENT_S if who == "publisher" else 2 * EVENT_S
        self.subscriber = self.peer("subscriber", "subscribe", "--pcap", self.capture)

    def peer(self, who, verb, *options):
        if self.what == "key update" and who == self.who:
            options += ("--key-update-after", self.key_update_s)
        return Peer(self.lab, verb, f"{self.name}-{who}", "--keep-alive", "0.2", *options,
                    room=self.name, namespace=self.namespace if who == self.who else None)

    def publish(self):
        self.publisher = self.peer("publisher", "publish", "--generate",
                                   f"pps={PER_SECOND},size={SIZE},seconds={self.seconds}")

    def harm(self, rule):
        self.lab.nft(f"add rule ip path {self.path} {rule}")
        self.began = time.time()

    def heal(self):
        self.healed = time.time()
        self.lab.nft(f"flush chain ip path {self.path}")

    def rebind(self):
        self.began = time.time()
        self.nat.rebind(self.address, self.port + 1)

    def arrivals(self):
        """When the stream's packets came, by the wall clock."""
        with open(self.capture, "rb") as file:
            head = file.read(24)
            expect(struct.unpack("=I", head[:4]) == (0xA1B23C4D,), f"{self.capture}: not of nanoseconds")
            found = []
            while head := file.read(16):
                seconds, nanoseconds, length, _ = struct.unpack("=IIII", head)
                if file.read(length)[29] & 0x7f == RTP_TYPE:  # behind IPv4 and UDP
                    found.append(seconds + nanoseconds / 1e9)
        expect(len(found) > PER_SECOND, f"{self.name}: {len(found)} packets came at all")
        return found

    def row(self):
        """What is to be said of this room."""
        (publisher,) = self.publisher.report(timeout=self.seconds + 30)["participants"]
        (subscriber,) = self.subscriber.report(stop=signal.SIGINT)["participants"]
        quic = publisher["quic"]
        refused = sum(quic["refused"].values())
        sent = quic["datagrams_sent"] + refused
        mine = quic if self.who == "publisher" else subscriber["quic"]
        row = {"what": self.what, "who": self.who, "rtt_ms": round(mine["rtt_ns"] / 1e6, 2),
               "due": sent, "arrived": sum(s["unique"] for s in subscriber["streams"]),
               "refused_by_publisher": refused, "key_updates": mine["key_updates"]}
        if self.what == "key update":
            expect(mine["key_updates"] == 1, f"{self.name}: {mine['key_updates']} key updates")
        return row


def silence(arrivals, since, until):
    """The longest one that begins in this time; None when nothing comes after it."""
    longest = None
    for before, after in zip(arrivals, arrivals[1:]):
        if since <= before <= until:
            longest = max(longest or 0, after - before)
    return longest


def flowing(arrivals, since):
    """Seconds from `since` to the first slice from which on every slice has half of what is sent; the last
    one is the stream's end."""
    nb = int((arrivals[-1] - since) / SLICE_S)
    had = [0] * (nb + 1)
    for at in arrivals:
        if at >= since:
            had[int((at - since) / SLICE_S)] += 1
    thin = [i for i in range(nb) if had[i] < PER_SECOND * SLICE_S / 2]
    return (thin[-1] + 1) * SLICE_S if thin else 0.0


def measure_event(room, end, problems):
    row = room.row()
    arrivals = room.arrivals()
    if room.what in OUTAGES:
        after = [at for at in arrivals if at > room.healed]
        again = after[0] - room.healed if after else None
        row["flowing_ms"] = round(1e3 * flowing(arrivals, room.healed)) if after else None
    else:
        again = silence(arrivals, room.began - 0.5, room.began + AROUND_S)
    row["again_ms"] = round(1e3 * again, 1) if again is not None else None
    if again is None or arrivals[-1] < end - 1:
        problems.append(f"{room.what}, {room.who}: media did not come back")
    return row


def wait_until(at):
    time.sleep(max(0.0, at - time.time()))


def refused_by_relay(relay):
    counters = relay.counters()
    return sum(counters[name] for name in ("copy_quic_window", "copy_quic_memory"))


def measure_loss(lab, nat, relay):
    """One room after the other, because the relay counts for all of them together."""
    rows = []
    for who in ("publisher", "subscriber"):
        room = Room(lab, nat, f"{LOSS_PERCENT} % loss", who, LOSS_SECONDS)
        room.subscriber.wait_ready()
        room.harm(f"meta l4proto udp numgen random mod 100 < {LOSS_PERCENT} drop")
        before = refused_by_relay(relay)
        room.publish()
        row = room.row()
        room.heal()
        row["refused_by_relay"] = refused_by_relay(relay) - before
        row["refused_share"] = (row["refused_by_publisher"] + row["refused_by_relay"]) / row["due"]
        rows.append(row)
        print(f"quic_path: {room.what}, {who}: {100 * row['refused_share']:.2f} % refused", file=sys.stderr)
    return rows


def measure_events(lab, nat, kinds, seconds, problems):
    """Rooms of these kinds, all at once."""
    rooms = [Room(lab, nat, what, who, seconds) for what in kinds for who in ("publisher", "subscriber")]
    for room in rooms:
        room.subscriber.wait_ready()
    for room in rooms:
        room.publish()
    for room in rooms:
        room.publisher.wait_ready()
    start = time.time()
    wait_until(start + EVENT_S)
    for room in rooms:
        room.began = start + EVENT_S
        if room.what in OUTAGES:
            room.harm("drop")
        elif room.what == "rebinding":
            room.rebind()
        else:
            room.began = os.path.getmtime(getattr(room, room.who).ready_file) + room.key_update_s
    for room in sorted((r for r in rooms if r.what in OUTAGES), key=lambda r: OUTAGES[r.what]):
        wait_until(room.began + OUTAGES[room.what])
        room.heal()
    return [measure_event(room, start + seconds, problems) for room in rooms]


def measure(lab, problems):
    """The rows of quic_path[]."""
    relay = Relay(lab, quic={"connections": 100, "identity": f"{lab.dir}/identity"},
                  wzp={"open_rooms": True},
                  rooms=({"pattern": "*", "packets_per_s": "unlimited", "bits_per_s": "unlimited"},))
    nat = Nat(lab)
    lab.nft("add table ip path", "add chain ip path forward { type filter hook forward priority 0; }")
    rows = measure_loss(lab, nat, relay)
    for kinds, seconds in EVENTS:
        rows += measure_events(lab, nat, kinds, seconds, problems)
    relay.stop()
    return rows


def cell(value, unit="", digits=0):
    return "" if value is None else f"{value:.{digits}f}{unit}"


def report(rows, problems, out):
    print(f"\n### QUIC over a path that is not good\n\n{PER_SECOND * SIZE * 8 / 1e6:.1f} Mbit/s of {SIZE} B from "
          "a publisher to a subscriber, across net_af_packet and veth; nftables does the harm, between the relay "
          "and one of them.\n\n"
          "| what | on the way to the | round trip, ms | refused by the publisher | by the relay | arrived "
          "| again after, ms | flowing after, ms |\n|---|---|---|---|---|---|---|---|", file=out)
    for row in rows:
        relay = row.get("refused_by_relay")
        shares = [None if n is None else 100 * n / row["due"] for n in (row["refused_by_publisher"], relay)]
        print(f"| {row['what']} | {row['who']} | {row['rtt_ms']} | {cell(shares[0], ' %', 2)} "
              f"| {cell(shares[1], ' %', 2)} | {row['arrived']} of {row['due']} | {cell(row.get('again_ms'), digits=1)} "
              f"| {cell(row.get('flowing_ms'))} |", file=out)
    for problem in problems:
        print(f"\nNot as it should be: {problem}", file=out)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True)
    parser.add_argument("--json", help="add quic_path[] to this file, which may exist")
    parser.add_argument("--report", help="append the table to this file")
    args = parser.parse_args()
    # Told to end, it takes its namespaces along.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    problems = []
    with Lab(os.path.abspath(args.build), "path") as lab:
        rows = measure(lab, problems)
    report(rows, problems, sys.stdout)
    if args.report:
        with open(args.report, "a", encoding="utf-8") as file:
            report(rows, problems, file)
    if args.json:
        whole = {}
        if os.path.exists(args.json) and os.path.getsize(args.json) > 0:
            with open(args.json, encoding="utf-8") as file:
                whole = json.load(file)
        whole["quic_path"] = rows
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(whole, file, indent=2)
            file.write("\n")
    return 1 if problems else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Failure, OSError) as error:
        print(f"bench_quic_path: {error}", file=sys.stderr)
        sys.exit(2)
