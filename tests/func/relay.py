# SPDX-License-Identifier: BSD-3-Clause
"""The relay under test: its configuration, start, control socket and end."""

import functools
import json
import os
import signal
import time

from lab import PORT, RELAY4, RELAY6, Failure, Lab, expect, run
from endpoint import credential

GATEWAY4, GATEWAY6 = "198.18.0.254", "fd00:198:18::fe"
FULL = "every mempool is full again"
SECRET = b"a secret of the relay tests, 32+ bytes"


def test(long="", beside=False):
    """Mark a function (build, long) as a test; `long` says what its full form adds, `beside` that
    it waits most of its time, and may do so beside another."""
    def mark(function):
        function.test_long = long
        function.test_beside = beside
        return function
    return mark


def in_lab(function):
    """Give a test its laboratory: test(build, long) becomes function(lab, long)."""
    @functools.wraps(function)
    def wrapped(build, long):
        with Lab(build, function.__name__.replace("_", "")) as lab:
            function(lab, long)
    return wrapped


def conf_text(value):
    """A value as libconfig writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value}L" if value > 0x7FFFFFFF else str(value)
    if isinstance(value, dict):
        return "{ " + " ".join(f"{k} = {conf_text(v)};" for k, v in value.items()) + " }"
    if isinstance(value, tuple):
        return "( " + ", ".join(map(conf_text, value)) + " )"
    if isinstance(value, list):
        return "[ " + ", ".join(map(conf_text, value)) + " ]"
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


class Relay:
    """A running plenum in the lab's inside namespace."""

    def __init__(self, lab, *, workers=1, queues=1, rooms=(), name="plenum", start=True,
                 **settings):
        self.lab, self.workers = lab, workers
        self.program = os.path.join(lab.build, "app", "plenum", "plenum")
        self.conf = os.path.join(lab.dir, f"{name}.conf")
        self.events_path = os.path.join(lab.dir, f"{name}.events")
        self.secret = os.path.join(lab.dir, "secret")
        if not os.path.exists(self.secret):
            write_secret(self.secret, SECRET)
        cpus = sorted(os.sched_getaffinity(0))
        self.settings = {
            "ports": ({
                "device": "net_af_packet0,iface=d0" + (f",qpairs={queues}" if queues > 1 else ""),
                "queues": queues,
                "addresses": ({"address": RELAY4 + "/16", "gateway": GATEWAY4},
                              {"address": RELAY6 + "/64", "gateway": GATEWAY6}),
            },),
            "udp_port": PORT,
            "secrets": [self.secret],
            "main_cpu": cpus[0],
            "slow_cpu": cpus[0],
            "workers": [cpus[-1 - i % len(cpus)] for i in range(workers)],
            "hugepages": False,
            "rooms": tuple(rooms),
            # Every new room goes to the least busy worker, so that all of them have some.
            "rebalance_above": 0,
            "events": self.events_path,
            "events_per_s": 10000,
            "control_socket": os.path.join(lab.dir, f"{name}.sock"),
            **settings}
        self.name = name
        self.process = None
        self.configure()
        if start:
            self.start()

    def start(self, *arguments, env=None, wait=True):
        self.process = self.lab.start(
            self.lab.inside, [self.program, "-f", self.conf, *arguments], self.name, env)
        if wait:
            self.wait_ready()

    def configure(self, **changes):
        """Write the file, with these changes."""
        self.settings.update(changes)
        with open(self.conf, "w", encoding="utf-8") as file:
            for key, value in self.settings.items():
                if value not in ((), []):
                    file.write(f"{key} = {conf_text(value)};\n")

    def wait_ready(self, timeout=20):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if self.process.popen.poll() is not None:
                raise Failure(f"plenum ended with {self.process.popen.returncode}: "
                              f"{self.process.errors().strip()[-500:]}")
            try:
                self.ctl("show port info all")
                return
            except Failure:
                time.sleep(0.05)
        raise Failure(f"plenum did not answer in {timeout} s")

    def ctl(self, command, check=True):
        """A command's answer, as `plenum ctl` gives it."""
        return run("ip", "netns", "exec", self.lab.inside, self.program, "ctl", "--socket",
                   self.settings["control_socket"], command, check=check)

    def mint(self, room, participant, role):
        """What `plenum credential` prints."""
        return run(self.program, "credential", "--secret", self.secret, "--room", room,
                   "--participant", participant, "--role", role)

    def counters(self):
        """{name: sum over all lcores} of every counter, and what the port's driver missed."""
        found = {}
        for line in self.ctl("show counters").splitlines()[1:]:
            words = line.split()
            found[words[0]] = int(words[2])
        return found

    def counter(self, name):
        return self.counters()[name]

    def events(self):
        """The event log so far."""
        with open(self.events_path, encoding="utf-8") as file:
            return [json.loads(line) for line in file if line.endswith("\n")]

    def credential(self, room, participant, role="b", expiry=None, secret=SECRET):
        return credential(secret, room, participant, role, expiry)

    def stop(self, number=signal.SIGTERM):
        """End it as an operator would: exit 0, and not an mbuf missing."""
        status = self.process.stop(30, number)
        said = self.process.output() + self.process.errors()
        expect(status == 0, f"plenum: exit {status}: {said[-500:]}")
        expect(FULL in said, f"plenum did not say {FULL!r}: {said[-300:]}")
        return said


def write_secret(path, content):
    with open(path, "wb", opener=lambda p, flags: os.open(p, flags, 0o600)) as file:
        file.write(content)
