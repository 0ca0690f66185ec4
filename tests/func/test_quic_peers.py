# SPDX-License-Identifier: BSD-3-Clause
"""The foreign QUIC stacks of quic/README.md against a server made of one of them: what is tried on
the relay with them is known to work without it."""

import concurrent.futures
import os
import time

from lab import Failure, expect
from quic import scenarios
from quic.scenarios import STACKS, UNSUPPORTED, Target, Unsupported
from relay import in_lab, test

AT_ONCE = 6
CLOSE = (77, "room is over")


class QuicGo(Target):
    """quic-go as the server. It knows rooms, and nothing of RFC 9368."""

    tells_versions = False
    echoes = True

    def __init__(self, lab, port, *options):
        addresses = ("198.18.0.2", "fd00:198:18::2")
        super().__init__(lab, lab.outside, addresses, port, addresses)
        self.process = lab.start(
            lab.outside,
            [os.path.join(lab.build, "tests", "func", "quic-go"), "--listen", f"[::]:{port}",
             *options], f"server-{port}", talk=True)
        expect(self.process.wait_event("listening", 5), "the server does not listen")

    def close_room(self, room):
        self.process.tell(f"close {room} {CLOSE[0]} {CLOSE[1]}")
        return CLOSE

    def closes(self, room):
        return [(e["code"], e["reason"]) for e in self.process.events("closed")
                if e["name"] == room and e["by"] == "peer"]

    def members(self, room):
        with self._lock:  # the answers to one question at a time
            asked = len(self.process.events("done"))
            self.process.tell(f"stats {room}")
            end = time.monotonic() + 5
            while len(self.process.events("done")) == asked:
                expect(time.monotonic() < end, "the server does not answer")
                time.sleep(0.01)
            told = self.process.events("done")[asked]["members"]
            return {m["from"][0]: (m["from"][-1], m["key_updates"]) for m in told}


@test("each scenario over IPv4 and IPv6, not one of them")
@in_lab
def quic_peers(lab, long):
    """aioquic, quic-go, quinn and msquic with a server of quic-go: handshake to close"""
    targets = {"ed25519": QuicGo(lab, 4433, "--certificate", "ed25519"),
               "p256": QuicGo(lab, 4434, "--certificate", "p256", "--retry")}
    cases = []
    for target in targets.values():
        cases += [(scenarios.everybody, target, "all", v6) for v6 in (False, True)]
    table = [(s, "ed25519") for s in scenarios.COMMON]
    table += [(scenarios.only_ed25519, "ed25519"), (scenarios.only_p256, "p256"),
              (scenarios.handshake, "p256"), (scenarios.big_hello, "p256")]
    for i, (scenario, kind) in enumerate(table):
        for j, stack in enumerate(STACKS):
            for v6 in (False, True) if long else ((i + j) % 2 == 1,):
                cases.append((scenario, targets[kind], stack, v6))

    def run(case):
        scenario, target, stack, v6 = case
        try:
            scenario(target, stack, v6)
            said = "ok"
        except Unsupported:
            said = "-"
        except Failure as failure:
            return f"{failure}"
        if (said == "-") != (scenario.__name__ in UNSUPPORTED.get(stack, ())):
            return "is supported" if said == "ok" else "is not supported any more"
        return said

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(run, cases))
    problems = []
    for (scenario, target, stack, v6), said in zip(cases, results):
        name = f"{scenario.__name__} {stack} IPv{6 if v6 else 4} port {target.port}"
        print(f"  {name:44} {said}")
        if said not in ("ok", "-"):
            problems.append(f"{name}: {said}")
    expect(not problems, f"{len(problems)} of {len(cases)} cases: " + "; ".join(problems))
