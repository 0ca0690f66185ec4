# SPDX-License-Identifier: BSD-3-Clause
"""Processes of plenum-client in a room of their own: some live through the whole run, some are told
to end, some are killed. Their own numbers and checksums say whether they heard everything."""

import itertools
import os
import time

from lab import Failure, run
from test_rooms import Crowd
from world import CROWD_ROOM

PPS, SIZE = 30, 400


class Crowds:
    def __init__(self, world):
        self.world = world
        self.running = []
        self.reports = []   # (name, report) of those that were asked
        self.killed = 0
        self.ports = itertools.cycle(range(30000, 60000, 100))
        self.publisher = self.hearers = None

    def start(self, verb, name, count, *options, address="198.18.0.2"):
        world = self.world
        # Ports that nobody had for minutes: who was killed is still in the room on his.
        low = next(self.ports)
        run("ip", "netns", "exec", world.lab.outside, "sysctl", "-qw",
            f"net.ipv4.ip_local_port_range={low} {low + 99}")
        crowd = Crowd(world.lab, world.relay, verb, CROWD_ROOM, name, count, "--verify", *options,
                      address=address)
        crowd.count = count
        self.running.append(crowd)
        return crowd

    def wait_ready(self, crowd, timeout=20):
        """As Crowd's own, while everybody else is served."""
        end = time.monotonic() + timeout
        while not os.path.exists(crowd.ready_file):
            if crowd.process.popen.poll() is not None or time.monotonic() > end:
                raise Failure(f"{crowd.name}: not admitted: {crowd.process.errors()[-300:]}")
            self.world.clients.run(0.05)
        for i in range(crowd.count):
            self.world.everybody.append(f"{crowd.name}-{i}" if crowd.count > 1 else crowd.name)

    def open(self, seconds):
        """Those that stay: hearers on both families, then a publisher."""
        self.hearers = [self.start("subscribe", "stay4", 3),
                        self.start("subscribe", "stay6", 3, address="fd00:198:18::2")]
        for crowd in self.hearers:
            self.wait_ready(crowd)
        self.publisher = self.start("publish", "source", 1, "--generate",
                                    f"pps={PPS},size={SIZE},seconds={seconds}")
        self.wait_ready(self.publisher)

    def come_and_go(self, kill):
        """Some hear and talk for a while, then end, one way or the other."""
        world = self.world
        crowd = self.start("both", world.name("crowd"), world.random.randint(2, 4), "--generate",
                           "pps=10,size=200", address=world.random.choice(
                               ("198.18.0.2", "fd00:198:18::2")))
        self.wait_ready(crowd)
        world.later(world.random.uniform(2, 5), lambda: self.over(crowd, kill))

    def over(self, crowd, kill):
        if crowd in self.running:  # else the run is closing and it was told to end
            (self.kill if kill else self.end)(crowd)

    def kill(self, crowd):
        crowd.process.popen.kill()
        crowd.process.wait(10)
        self.killed += 1
        self._forget(crowd)

    def end(self, crowd):
        """It is told to end; its report is kept."""
        if crowd.process.popen.poll() is None:
            crowd.process.popen.terminate()
        end = time.monotonic() + 20
        while crowd.process.popen.poll() is None and time.monotonic() < end:
            self.world.clients.run(0.05)
        status = crowd.process.wait(1)
        finals = [e for e in crowd.process.events() if e.get("final")]
        if status != 0 or not finals:
            self.world.problem("crowds", f"{crowd.name}: exit {status}: "
                               f"{crowd.process.errors()[-300:]}")
        else:
            self.reports.append((crowd.name, slim(finals[-1])))
        self._forget(crowd)

    def close(self):
        """The source first, so that those who stayed can hear its last packet."""
        for crowd in sorted(self.running, key=lambda c: (c.name != "source", c in self.hearers)):
            self.end(crowd)
            self.world.clients.run(0.3)

    def _forget(self, crowd):
        self.running.remove(crowd)
        self.world.forget(crowd.process)


def slim(report):
    """What the checks need of a report."""
    return {"sent": {s["ssrc"]: s["packets"] for p in report["participants"]
                     for s in p["sent_streams"]},
            "participants": [{
                "name": p["name"], "echoed": p["echoed"], "socket_drops": p["socket_drops"],
                "streams": {s["ssrc"]: {k: s[k] for k in ("received", "unique", "lost", "corrupt",
                                                          "duplicates", "late")}
                            for s in p["streams"] if not s["own"]}}
                for p in report["participants"]]}


def lost_by_stayers(reports):
    """Packets that those who were there all the time lack: of the one who was as well, whole; of
    the others, between the first and the last that came. And whatever must not be."""
    reports = dict(reports)
    lost = wrong = heard = 0
    source = reports.get("source", {"sent": {}})["sent"]
    for name, report in reports.items():
        for participant in report["participants"]:
            wrong += participant["echoed"]
            for ssrc, stream in participant["streams"].items():
                heard += stream["unique"]
                wrong += stream["corrupt"] + stream["duplicates"] + stream["late"]
                if name.startswith("stay"):
                    lost += source[ssrc] - stream["unique"] if ssrc in source else stream["lost"]
            if name.startswith("stay"):
                lost += sum(n for ssrc, n in source.items() if ssrc not in participant["streams"])
    return heard, lost, wrong
