# SPDX-License-Identifier: BSD-3-Clause
"""QUIC rooms of the relay, tried with the foreign stacks of quic/README.md."""

import concurrent.futures
import re

from lab import PORT, RELAY4, RELAY6, Failure, expect
from quic import scenarios
from quic.scenarios import STACKS, UNSUPPORTED, Target, Unsupported
from relay import Relay, in_lab, test

AT_ONCE = 4
CLIENT4, CLIENT6 = "198.18.0.2", "fd00:198:18::2"


class Plenum(Target):
    """The relay as the server that the stacks talk to."""

    def __init__(self, lab, *, workers=1, **quic):
        super().__init__(lab, lab.outside, (RELAY4, RELAY6), PORT, (CLIENT4, CLIENT6))
        self.relay = Relay(lab, workers=workers, quic={"connections": 200,
                                                       "identity": f"{lab.dir}/identity", **quic},
                           wzp={"open_rooms": True})

    def sessions(self, room):
        """What `show session` says of each session of a room, as text."""
        found = []
        for line in self.relay.ctl("show session all").splitlines()[1:]:
            words = line.split()
            if len(words) > 1 and words[1] == room:
                found.append(self.relay.ctl(f"show session {words[0]}"))
        return found

    def members(self, room):
        found = {}
        for text in self.sessions(room):
            entered = re.search(r"address (\S+) when it entered", text).group(1)
            now = re.search(r"address (\S+), moved", text).group(1)
            found[entered] = (now, int(re.search(r"(\d+) key updates", text).group(1)))
        return found
