# SPDX-License-Identifier: BSD-3-Clause
"""The relay under the original programs of the WZP protocol, and under a stand-in for their command
line client. docs/interop.md tells how to get them and what was seen."""

import concurrent.futures
import os

from lab import Failure, expect
from relay import in_lab, test
from test_quic import Plenum
from wzp import exchanges, original

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
        updates, spoken = crowd.result()
    print(f"  {nb} came and went beside a recorder that reads nothing: {updates} changes of the "
          f"room, each told; {spoken} packets beside; version {running[2].result()}")


def unmodified(programs, name):
    for i in range(ROUNDS):
        for what in (original.one_way, original.both_ways, original.small_ones, original.spelling):
            print(f"  {name}, round {i + 1}, {what.__name__}: {what(programs)}", flush=True)


@test("the unmodified programs found in DIR: --long wzp-original DIR")
@in_lab
def wzp_original(lab, long):
    """The original client's exchanges; 200 come and go beside one that reads nothing"""
    folder = os.environ.get("WZP_DIR")
    if long and not folder:
        raise Failure("whose programs? scripts/test --long wzp-original DIR (docs/interop.md)")
    if folder:
        folder = original.Programs.find(folder)
        if os.access(os.path.join(folder, "wzp-relay"), os.X_OK):
            target = original.OriginalRelay(lab, folder)
            standin(target, CROWD_ORIGINAL)
            target.stop()
