# SPDX-License-Identifier: BSD-3-Clause
"""That every check can fail: a run in which all is well, and that run spoiled in one way after the
other. Each must be found by the check that is there for it."""

import collections
import copy
import random
import types

import checks

PLANNED = {"join": 3, "leave": 1, "vanish": 1, "crowd_ends": 1, "crowd_killed": 1, "expired": 1,
           "short_lived": 1, "replace": 1, "move": 1, "kick": 1, "reload": 1, "gateway": 1,
           "garbage": 1, "burst": 1}


def row(kind, worker0=0, worker1=0, slow=0):
    return kind, worker0 + worker1 + slow, [worker0, worker1], slow


def good():
    """The facts of a run of half an hour in which all held; its RSS wobbles and does not grow."""
    noise = random.Random(7)
    samples = []
    for i in range(900):
        churn = 5 < i < 890
        samples.append({
            "t": 2.0 * i, "phase": "churn" if churn else "closing", "fds": 32, "threads": 9,
            "rss_kb": 420000 + (noise.randrange(60) if churn else 0) + min(i, 60) * 2,
            "views_waiting": noise.randrange(5) if churn else 0, "views_limit": 1024,
            "sessions_pending": noise.randrange(3) if churn else 0, "stalled": 0,
            "sessions": 30 if churn else 0, "rooms": 5 if churn else 0,
            "parked_worker0": noise.randrange(3) if churn else 0, "parked_worker1": 0,
            "heap_bytes": 300_000_000 + (noise.randrange(9000) if churn else 0),
            "heap_allocations": 500 + (noise.randrange(9) if churn else 0),
            "turns_worker0": 1000 * i, "turns_worker1": 1100 * i,
            "pool_rx0": 0, "pool_hdr0": noise.randrange(64) if churn else 40, "pool_frames": 0})
    idle = dict(samples[0], pool_hdr0=0)
    counters = {
        "rx_packets": row("rx", 1000, 800), "crossed_out": row("rx", 300, 200),
        "crossed_in": row("rx", 200, 300), "to_ctl": row("rx", 50, 40),
        "media": row("rx", 700, 780), "rtcp": row("rx", 50, 30),
        "no_session": row("rx_drop", 90, 50), "stale_session": row("rx_drop"),
        "udp_checksum": row("rx_drop", 10), "cross_ring": row("rx_drop"),
        "udp_port": row("rx_drop"),
        "copies_due": row("copy", 5000, 5100), "copies_sent": row("copy", 4990, 5100),
        "copies_handed": row("copy"), "carried_in": row("copy"), "carried_sent": row("copy"),
        "parked": row("copy", 7), "copy_left": row("copy_drop", 10),
        "copy_no_mbuf": row("copy_drop"), "copy_park_full": row("copy_drop"),
        "carry_stopped": row("carry_drop"), "ctl_frames_in": row("ctl", slow=90),
        "stun_admitted": row("ctl", slow=40), "sessions_ended": row("ctl", slow=40),
        "sessions_replaced": row("ctl", slow=1), "sessions_moved": row("ctl", slow=1),
        "sessions_expired": row("ctl", slow=38), "events_lost": row("ctl_drop"),
        "ctl_no_mbuf": row("ctl_drop")}
    counters.update({f"stun_{code}": row("ctl_drop", slow=n) for code, n in
                     ((400, 0), (401, 3), (403, 1), (420, 0), (486, 0), (487, 0))})
    return types.SimpleNamespace(
        samples=samples, idle=idle, end=dict(samples[-1]), counters=counters, status=0,
        said=f"plenum: drained, {checks.FULL} (100 mbufs)", kernel_lost=0, kernel_dropped_out=0,
        largest_room=16, due=90000, heard=95000, missing=0, late=0, never=[], bad=0, duplicates=0,
        strays=0, forbidden=0, ghosts=5, refusals={401: 3, 403: 1},
        problems=collections.defaultdict(list), done=dict(PLANNED), planned=dict(PLANNED),
        crowd_heard=5000, crowd_lost=0, crowd_wrong=0, crowd_socket_drops=0, killed=1,
        everybody=["m1", "m2"], ends={"m1", "m2"}, end_reasons={"consent": 38, "kicked": 1},
        events={"admit": 40, "move": 1, "replace": 1, "end": 39, "refuse": 4, "reload": 2})


def count(facts, name, lcore, n):
    """More of a counter than there should be."""
    kind, total, workers, slow = facts.counters[name]
    if lcore == "slow":
        slow += n
    else:
        workers = [w + n * (i == lcore) for i, w in enumerate(workers)]
    facts.counters[name] = (kind, total + n, workers, slow)


def every(key, change):
    """Change a figure of every sample: change(i, value)."""
    def spoil(facts):
        for i, sample in enumerate(facts.samples):
            sample[key] = change(i, sample[key])
    return spoil


def put(name, value):
    return lambda facts: setattr(facts, name, value)


def put_in(name, key, value):
    return lambda facts: getattr(facts, name).__setitem__(key, value)


def one(key, value):
    return lambda facts: facts.samples[400].__setitem__(key, value)


# (the check that must fail, what is wrong, how to make it wrong)
SPOILED = (
    ("rss", "24 kB leaked per minute", every("rss_kb", lambda i, v: v + int(i * 2 / 60 * 24))),
    ("rss", "a step of 1 MB in the middle", every("rss_kb", lambda i, v: v + 1024 * (i > 450))),
    ("descriptors", "one leaked", every("fds", lambda i, v: v + (i > 600))),
    ("threads", "one more from the middle on", every("threads", lambda i, v: v + (i > 500))),
    ("pools_idle", "one RX mbuf in use at the end", put_in("end", "pool_rx0", 1)),
    ("pools_idle", "more headers than a worker keeps", put_in("end", "pool_hdr0", 65)),
    ("pools_full", "plenum names a pool", put("said", "hdr0 lacks 1 of 100 mbufs")),
    ("pools_full", "exit status 1", put("status", 1)),
    ("heap", "a view that nobody freed", put_in("end", "heap_allocations", 501)),
    ("heap", "a hundred bytes more", put_in("end", "heap_bytes", 300_000_100)),
    ("backlogs", "a view left", put_in("end", "views_waiting", 1)),
    ("backlogs", "an ended session left", put_in("end", "sessions_pending", 1)),
    ("backlogs", "views pile up", one("views_waiting", 300)),
    ("backlogs", "ended sessions pile up", one("sessions_pending", 65)),
    ("parked", "a fan-out still parked", put_in("end", "parked_worker0", 1)),
    ("stalls", "a worker seen stalled", one("stalled", 1)),
    ("stalls", "an event of a stall", put_in("events", "stall", 1)),
    ("stalls", "a worker without turns", every("turns_worker1", lambda i, v: 5)),
    ("sums", "a packet without a trace", lambda f: count(f, "rx_packets", 0, 1)),
    ("sums", "a packet counted by the wrong worker", lambda f: (
        count(f, "media", 0, 1), count(f, "media", 1, -1))),
    ("sums", "a copy without a trace", lambda f: count(f, "copies_due", 1, 1)),
    ("sums", "a carried copy without a trace", lambda f: (
        count(f, "carried_in", 0, 1), count(f, "copies_handed", 1, 1),
        count(f, "copies_due", 1, 1))),
    ("sums", "a packet lost in crossing", lambda f: (
        count(f, "crossed_out", 0, 1), count(f, "rx_packets", 0, 1))),
    ("drops", "a pool that ran dry", lambda f: (
        count(f, "copy_no_mbuf", 0, 1), count(f, "copies_due", 0, 1))),
    ("drops", "garbage dropped where there was none", put_in("done", "garbage", 0)),
    ("drops", "an event lost", lambda f: count(f, "events_lost", "slow", 1)),
    ("heard", "one copy missing and none counted", put("missing", 1)),
    ("heard", "a participant that heard nothing", put("never", ["m2"])),
    ("heard", "nothing was due", put("due", 0)),
    ("content", "a wrong byte", put("bad", 1)),
    ("content", "a packet twice", put("duplicates", 1)),
    ("content", "a packet of another room", put("strays", 1)),
    ("content", "a kicked publisher heard", put("forbidden", 1)),
    ("crowds", "a packet missing at plenum-client", put("crowd_lost", 1)),
    ("crowds", "a packet twice at plenum-client", put("crowd_wrong", 1)),
    ("refusals", "an expired credential let in", put_in("problems", "refusals", ["got no error"])),
    ("refusals", "no 401 seen", put_in("refusals", 401, 0)),
    ("ghosts", "packets to a kicked one", put_in("problems", "ghosts", ["5 packets"])),
    ("everybody_gone", "a session left", put_in("end", "sessions", 1)),
    ("everybody_gone", "a session opened and not ended", lambda f: (
        count(f, "stun_admitted", "slow", 1), put_in("events", "admit", 41)(f))),
    ("everybody_gone", "a participant without an end", put("ends", {"m1"})),
    ("everybody_gone", "a kicked one that ended otherwise", put("end_reasons", {"consent": 39})),
    ("event_log", "a line that nothing explains", put_in("events", "end", 40)),
    ("scenario", "an action that did not happen", put_in("done", "burst", 0)),
    ("scenario", "an action that failed", put_in("problems", "actions", ["exit 1"])),
    ("scenario", "nothing crossed", lambda f: f.counters.update(
        crossed_in=row("rx"), crossed_out=row("rx"), rx_packets=row("rx", 900, 900))),
)


def failing(facts):
    return [name for name, _, passed, _ in checks.judge(facts) if not passed]


def main():
    """0 when each check holds for the good run and fails for those spoiled in its way."""
    wrong = []
    found = failing(good())
    if found:
        wrong.append(f"the good run fails {found}")
    for check, what, spoil in SPOILED:
        facts = copy.deepcopy(good())
        spoil(facts)
        found = failing(facts)
        ok = check in found
        print(f"{'ok  ' if ok else 'FAIL'} {check}: {what}" +
              (f" (also {', '.join(f for f in found if f != check)})" if found[1:] else ""))
        if not ok:
            wrong.append(f"{check} does not see: {what}")
    untried = {check.__name__ for check in checks.CHECKS} - {check for check, _, _ in SPOILED}
    wrong += [f"{name} was never made to fail" for name in untried]
    for text in wrong:
        print(f"FAIL {text}")
    print(f"soak: {len(SPOILED)} spoiled runs, {len(checks.CHECKS)} checks, {len(wrong)} of them "
          f"blind" if wrong else f"soak: each of {len(checks.CHECKS)} checks found its own among "
          f"{len(SPOILED)} spoiled runs")
    return 1 if wrong else 0
