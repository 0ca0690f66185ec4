# SPDX-License-Identifier: BSD-3-Clause
"""The relay under the original programs of the WZP protocol, and under a stand-in for their command
line client. docs/interop.md tells how to get them and what was seen."""

import concurrent.futures
import os

from lab import Failure, expect
from relay import in_lab, test
from test_quic import Plenum
from wzp import exchanges, original, statements

ROUNDS = 3
# The original relay sends nobody's media any more once a client that reads nothing has 100 streams.
CROWD, CROWD_ORIGINAL = 200, 20


def standin(target, nb):
    """All exchanges at the same time, each in a room of its own."""
    def small_ones():
        for v6 in (False, True):
            exchanges.silence(target, v6)  # the room `default` is one
        exchanges.spelling(target)
        exchanges.ping(target)
        return exchanges.version(target)

    with concurrent.futures.ThreadPoolExecutor() as pool:
        running = [pool.submit(*call) for call in (
            (exchanges.one_way, target, 10, True), (exchanges.both_ways, target, 5, True),
            (small_ones,))]
        crowd = pool.submit(exchanges.crowd, target, nb)
        for one in running:
            one.result()
        changes, sent, spoken = crowd.result()
    print(f"  {nb} came and went beside a recorder that reads nothing: {changes} changes of the room, "
          f"each told; it heard {len(sent)} packets of theirs and {len(spoken)} beside; "
          f"version {running[2].result()}")


def unmodified(programs, name, nb, rounds):
    """Everything so many times in a row, what has a room of its own at the same time."""
    def one_after_the_other(v6, *runs):
        return [f"{what.__name__}: {what(programs, v6=v6)}" for what in runs]

    for i in range(rounds):
        v6 = i % 2 == 1
        with concurrent.futures.ThreadPoolExecutor() as pool:
            running = [pool.submit(one_after_the_other, v6, *runs) for runs in (
                (original.one_way,), (original.both_ways, original.small_ones, original.spelling))]
            for said in (text for one in running for text in one.result()):
                print(f"  {name}, round {i + 1}, IPv{6 if v6 else 4}, {said}", flush=True)
    print(f"  {name}, {original.crowd(programs, nb)}", flush=True)


def check_books(relay):
    """Nobody was refused, and no datagram dropped as it came in."""
    dropped = [line for line in relay.ctl("show drops").splitlines()
               if line.split()[1:2] in (["dgram_drop"], ["ctl_drop"])]
    expect(all(line.startswith("ctl_ignored ") for line in dropped), f"drops: {dropped}")
    counters = relay.counters()
    expect(counters["wzp_joined"] == counters["quic_admitted"] > 0, f"{counters}")


def standin_and_programs(target, folder, name, nb, rounds):
    if folder:
        unmodified(original.Programs(folder, target), name, nb, rounds)
    standin(target, nb)


def demanded(target, demands):
    for demand in demands:
        try:
            demand(target)
        except Failure as failure:
            raise Failure(f"{demand.__name__}: {failure}") from failure
        print(f"  {demand.__name__}: ok")


@test("three times, over 1 and 2 workers", beside=True)
@in_lab
def wzp_wire(lab, long):
    """What the WZP protocol demands of a relay, one by one: names, parameters, offers, media"""
    for workers in (1, 2) if long else (1,):
        target = Plenum(lab, workers=workers, queues=workers, name=f"plenum-{workers}")
        demanded(target, statements.ALL * (ROUNDS if long else 1))
        target.relay.stop()


@test("the unmodified programs found in DIR, over 1 and 2 workers: --long wzp-original DIR",
      beside=True)
@in_lab
def wzp_original(lab, long):
    """The original client's exchanges; 200 come and go beside one that reads nothing"""
    folder = os.environ.get("WZP_DIR") if long else None
    if long:
        expect(folder, "whose programs? scripts/test --long wzp-original DIR (docs/interop.md)")
        folder = original.Programs.find(folder)
    for workers in (1, 2) if long else (2,):
        target = Plenum(lab, workers=workers, queues=workers, name=f"plenum-{workers}")
        standin_and_programs(target, folder, f"{workers} workers", CROWD, ROUNDS)
        check_books(target.relay)
        target.relay.stop()
    # What is asked of the relay above the original one does, where it can.
    if long and os.access(os.path.join(folder, "wzp-relay"), os.X_OK):
        target = original.OriginalRelay(lab, folder)
        standin_and_programs(target, folder, "the original relay", CROWD_ORIGINAL, 1)
        demanded(target, statements.COMMON)
        target.stop()
