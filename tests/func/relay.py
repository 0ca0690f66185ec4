# SPDX-License-Identifier: BSD-3-Clause
"""The relay under test: its configuration, start, control socket and end."""

import functools
import os
import re
import time

from lab import PORT, RELAY4, RELAY6, Failure, Lab, expect, run
from endpoint import credential

SECRET = b"a secret of the relay tests, 32+ bytes"


def test(long=""):
    """Mark a function (build, long) as a test; `long` says what its full form adds."""
    def mark(function):
        function.test_long = long
        return function
    return mark


def in_lab(function):
    """Give a test its laboratory: test(build, long) becomes function(lab, long)."""
    @functools.wraps(function)
    def wrapped(build, long):
        with Lab(build, function.__name__.replace("_", "")) as lab:
            function(lab, long)
    return wrapped


class Relay:
    """A running plenum in the lab's inside namespace."""

    def __init__(self, lab, *, workers=1, queues=1, rooms="", limits="", extra="", env=None,
                 name="plenum", wait=True):
        self.lab = lab
        self.sock = os.path.join(lab.dir, f"{name}.sock")
        self.conf = os.path.join(lab.dir, f"{name}.conf")
        self.event_log = os.path.join(lab.dir, f"{name}.events")
        secret = os.path.join(lab.dir, "secret")
        if not os.path.exists(secret):
            write_secret(secret, SECRET)
        with open(self.conf, "w", encoding="utf-8") as file:
            file.write(self.config(workers, queues, rooms, limits, extra))
        self.program = os.path.join(lab.build, "app", "plenum", "plenum")
        self.process = lab.start(lab.inside, [self.program, "-f", self.conf], name, env)
        if wait:
            self.wait_ready()
    def credential(self, room, participant, role="b", expiry=None, secret=SECRET):
        return credential(secret, room, participant, role, expiry)


def write_secret(path, content):
    with open(path, "wb", opener=lambda p, flags: os.open(p, flags, 0o600)) as file:
        file.write(content)
