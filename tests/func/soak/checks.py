# SPDX-License-Identifier: BSD-3-Clause
"""What a soak promises. Each check is a function of the facts of a run alone, so that selftest.py
can show that it fails when it should."""

from statistics import median

# What may be dropped, and by which action ("always": the wire's own chatter and ordinary ends).
# What is not here must not happen at all.
LEAVING = ("leave", "vanish", "crowd_ends", "crowd_killed", "replace", "move", "kick")
ALLOWED = {
    **{name: ("garbage",) for name in (
        "l2_foreign", "l2_type", "l2_short", "ip_version", "ip_length", "ip_fragment",
        "ip_checksum", "ip_source", "udp_length", "udp_checksum", "udp_port", "empty",
        "first_byte", "stun_filter", "stun_malformed", "rtp_malformed", "rtcp_malformed",
        "ctl_malformed", "l2_rate", "stun_rate", "stun_400", "neigh_table_full",
        "ctl_tx_neighbour", "admit_no_route")},
    # IGMP, MLD and router solicitations of the kernel around; ICMP about sockets that are gone.
    "ip_foreign": ("always",), "ip_proto": ("always",), "ip_options": ("always",),
    "ctl_ignored": ("always",),
    # Media of somebody whose session has ended, and reports about them.
    "no_session": LEAVING + ("garbage",), "stale_session": LEAVING, "rtcp_no_target": LEAVING,
    "copy_left": LEAVING,
    "copy_no_neighbour": ("gateway",),
    "stun_401": ("expired", "short_lived", "reload"),
    "stun_403": ("kick",),
}
DROP_CLASSES = ("rx_drop", "copy_drop", "carry_drop", "ctl_drop")

RSS_SLACK_KB = 384          # what malloc() touches for the first time late: 268 kB are the first reload's
RSS_KB_PER_MIN = 4          # and no more than this, however long it runs
VIEWS_SHARE = 0.25          # of the bound at which joins are refused
PENDING_MAX = 64
HEADERS_KEPT = 64           # a worker takes headers from its pool in advance, so many at once
FULL = "every mempool is full again"


def windows(samples, key):
    """A figure's first values after the warm-up and its last ones: a fifth of the churn each."""
    churn = [s for s in samples if s["phase"] == "churn"]
    values = [(s["t"], s[key]) for s in churn][len(churn) // 5:]
    size = max(3, len(values) // 5)
    return values[:size], values[-size:]


def growth(samples, key):
    """From the median of the first to that of the last, and the minutes in between."""
    first, last = windows(samples, key)
    return median(v for _, v in last) - median(v for _, v in first), \
        (median(t for t, _ in last) - median(t for t, _ in first)) / 60


def peak(samples, *keys):
    return max(sum(s[k] for k in keys) for s in samples)


def parked_keys(samples):
    return [k for k in samples[0] if k.startswith("parked_worker")]


def rss(facts):
    """RSS is flat"""
    grown, minutes = growth(facts.samples, "rss_kb")
    limit = RSS_SLACK_KB + RSS_KB_PER_MIN * minutes
    return grown <= limit, f"{grown:+.0f} kB in {minutes:.1f} min, {grown / minutes:+.1f} kB/min " \
        f"(limit {limit:.0f} kB), {facts.samples[-1]['rss_kb'] / 1024:.0f} MB in all"


def descriptors(facts):
    """file descriptors are flat"""
    return _flat(facts, "fds")


def threads(facts):
    """threads are flat"""
    return _flat(facts, "threads")


def _flat(facts, key):
    grown, _ = growth(facts.samples, key)
    values = [s[key] for s in facts.samples]
    return grown == 0 and values[0] == values[-1], \
        f"{values[0]} before, {min(values)} to {max(values)}, {values[-1]} after"


def pools_off(idle, now):
    """Pools that hold another number of mbufs than they did without anybody there."""
    return [f"{k[5:]} {now[k] - idle[k]:+d}" for k in idle if k.startswith("pool_") and
            not 0 <= now[k] - idle[k] <= (HEADERS_KEPT if k.startswith("pool_hdr") else 0)]


def pools_idle(facts):
    """mempools are back at the idle level"""
    pools = [k for k in facts.idle if k.startswith("pool_")]
    off = pools_off(facts.idle, facts.end)
    busiest = max(pools, key=lambda k: peak(facts.samples, k))
    return not off, ", ".join(off) or \
        f"{sum(facts.end[k] for k in pools)} mbufs in use of {len(pools)} pools, all of them " \
        f"headers that workers hold ready; at most {peak(facts.samples, busiest)} of " \
        f"{busiest[5:]} meanwhile"


def pools_full(facts):
    """every mempool is full after the end, exit status 0"""
    said = [line for line in facts.said.splitlines() if FULL in line]
    return facts.status == 0 and bool(said), f"exit {facts.status}, " + \
        (said[-1] if said else f"no word of full mempools: {facts.said[-200:]!r}")


def heap(facts):
    """DPDK's heap is back at the idle level"""
    keys = "heap_bytes", "heap_allocations"
    before, after = ([sample[k] for k in keys] for sample in (facts.idle, facts.end))
    return before == after, f"{before[0]} bytes in {before[1]} allocations before, {after[0]} in " \
        f"{after[1]} after, at most {peak(facts.samples, 'heap_bytes') - before[0]:+d} meanwhile"


def backlogs(facts):
    """views and ended sessions wait in bounds, and none at the end"""
    views, pending = peak(facts.samples, "views_waiting"), peak(facts.samples, "sessions_pending")
    left = facts.end["views_waiting"], facts.end["sessions_pending"]
    return left == (0, 0) and views <= VIEWS_SHARE * facts.end["views_limit"] and \
        pending <= PENDING_MAX, f"views at most {views} of {facts.end['views_limit']}, then " \
        f"{left[0]}; sessions at most {pending}, then {left[1]}"


def parked(facts):
    """nothing stays parked or buffered"""
    keys = parked_keys(facts.samples)
    left = sum(facts.end[k] for k in keys)
    often = facts.counters["parked"][1]
    return left == 0 and bool(keys) and often > 0, f"{often} copies waited for a later turn, " \
        f"at most {peak(facts.samples, *keys)} fan-outs at a sample, then {left}"


def stalls(facts):
    """no worker stalled, all took turns"""
    seen = sum(s["stalled"] for s in facts.samples) + facts.events.get("stall", 0)
    turns = [facts.samples[-1][k] - facts.samples[0][k] for k in facts.samples[0]
             if k.startswith("turns_worker")]
    return seen == 0 and all(n > 0 for n in turns), f"{seen} stalls, " + \
        " and ".join(f"{n / 1e6:.1f}" for n in turns) + " million turns"


def _of(facts, name, lcore):
    """A counter of one lcore: a worker's number, "sum" or "slow"."""
    _, total, workers, slow = facts.counters[name]
    return total if lcore == "sum" else slow if lcore == "slow" else workers[lcore]


def _class(facts, kind, lcore):
    return sum(_of(facts, name, lcore) for name, row in facts.counters.items() if row[0] == kind)


def sums(facts):
    """counters add up, per lcore and in all"""
    wrong = []
    workers = len(facts.counters["media"][2])
    for lcore in (*range(workers), "slow", "sum"):
        def of(*names):
            return sum(_of(facts, name, lcore) for name in names)
        for what, left, right in (
                ("received", of("rx_packets", "crossed_in"),
                 of("to_ctl", "crossed_out", "media", "rtcp") + _class(facts, "rx_drop", lcore)),
                ("copies", of("copies_due"),
                 of("copies_sent", "copies_handed") + _class(facts, "copy_drop", lcore)),
                ("carried", of("carried_in"),
                 of("carried_sent") + _class(facts, "carry_drop", lcore))):
            if left != right:
                wrong.append(f"{what} of {lcore}: {left} is not {right}")
    for what, left, right in (("crossing", "crossed_out", "crossed_in"),
                              ("handing over", "copies_handed", "carried_in"),
                              ("slow path", "to_ctl", "ctl_frames_in")):
        if _of(facts, left, "sum") != _of(facts, right, "sum"):
            wrong.append(f"{what}: {_of(facts, left, 'sum')} is not {_of(facts, right, 'sum')}")
    return not wrong, "; ".join(wrong) or "received {} = {} media + {} RTCP + {} slow path + {} " \
        "dropped; {} copies due".format(
            _of(facts, "rx_packets", "sum"), _of(facts, "media", "sum"), _of(facts, "rtcp", "sum"),
            _of(facts, "to_ctl", "sum"), _class(facts, "rx_drop", "sum"),
            _of(facts, "copies_due", "sum"))


def drops(facts):
    """every drop counter that moved is explained by what was done"""
    moved = {name: row[1] for name, row in facts.counters.items()
             if row[0] in DROP_CLASSES and row[1] > 0}
    strange = [f"{name} {n}" for name, n in moved.items()
               if not any(why == "always" or facts.done.get(why, 0) > 0
                          for why in ALLOWED.get(name, ()))]
    return not strange, "unexplained: " + ", ".join(strange) if strange else \
        f"{len(moved)} moved, all explained: " + ", ".join(
            f"{name} {n}" for name, n in sorted(moved.items(), key=lambda m: -m[1])[:5]) + "..."


def lost_and_counted(facts):
    """Copies that may be missing because something counted their loss."""
    count = facts.counters
    copies = sum(row[1] for name, row in count.items() if row[0] == "copy_drop" and
                 name not in ("copy_left", "copy_no_neighbour"))
    # A packet lost on its way in is missing at each hearer.
    packets = facts.kernel_lost + count["cross_ring"][1] + count["stale_session"][1]
    return copies + facts.kernel_dropped_out + packets * facts.largest_room


def heard(facts):
    """every participant heard all that it should have"""
    limit = lost_and_counted(facts)
    return facts.missing <= limit and facts.due > 0 and not facts.never, \
        f"{facts.due} copies due, {facts.missing} missing; counted as lost: {limit} copies, " \
        f"{facts.kernel_lost} frames on their way in among them; {facts.late} late" + \
        (f"; heard nothing at all: {facts.never}" if facts.never else "")


def content(facts):
    """every byte as it was sent, once, and to nobody else"""
    return facts.heard > 0 and not (facts.bad or facts.duplicates or facts.strays or
                                    facts.forbidden), \
        f"{facts.heard} copies checked: {facts.bad} with wrong bytes, {facts.duplicates} more " \
        f"than once, {facts.strays} of another room, {facts.forbidden} after an end"


def crowds(facts):
    """plenum-client's crowds heard their room"""
    limit = lost_and_counted(facts) + facts.crowd_socket_drops
    return facts.crowd_heard > 0 and facts.crowd_lost <= limit and facts.crowd_wrong == 0 and \
        not facts.problems.get("crowds"), \
        f"{facts.crowd_heard} copies, {facts.crowd_lost} missing, {facts.crowd_wrong} corrupt or " \
        f"twice; {facts.killed} crowds killed" + _problems(facts, "crowds")


def _problems(facts, check):
    found = facts.problems.get(check, [])
    return f"; {len(found)} problems: {found[0]}" if found else ""


def refusals(facts):
    """expired, stale and barred credentials are refused"""
    return not facts.problems.get("refusals") and facts.refusals.get(401, 0) > 0 and \
        facts.refusals.get(403, 0) > 0, f"{facts.refusals.get(401, 0)} times 401, " \
        f"{facts.refusals.get(403, 0)} times 403" + _problems(facts, "refusals")


def ghosts(facts):
    """who left, moved, was replaced or kicked hears nothing more"""
    return not facts.problems.get("ghosts") and facts.ghosts > 0, \
        f"{facts.ghosts} sockets listened on in vain" + _problems(facts, "ghosts")


def everybody_gone(facts):
    """every session ended, for the reason that it should have"""
    count = facts.counters
    admitted, ended = count["stun_admitted"][1], count["sessions_ended"][1]
    left = facts.end["sessions"], facts.end["rooms"]
    lacking = [name for name in facts.everybody if name not in facts.ends]
    kicked = facts.end_reasons.get("kicked", 0)
    right = kicked == facts.done.get("kick", 0) and \
        count["sessions_replaced"][1] == facts.done.get("replace", 0)
    return left == (0, 0) and admitted == ended and not lacking and right, \
        f"{admitted} opened, {ended} ended (" + \
        ", ".join(f"{n} {reason}" for reason, n in sorted(facts.end_reasons.items())) + \
        f", {count['sessions_replaced'][1]} replaced), {left[0]} sessions in {left[1]} rooms " \
        "left" + \
        (f"; no end of {lacking[:5]}" if lacking else "")


def event_log(facts):
    """the event log has a line for what happened, and no more"""
    count = facts.counters
    want = {"admit": count["stun_admitted"][1], "move": count["sessions_moved"][1],
            "replace": count["sessions_replaced"][1],
            "end": count["sessions_ended"][1] - count["sessions_replaced"][1],
            "refuse": sum(count[f"stun_{code}"][1] for code in (400, 401, 403, 420, 486, 487)),
            "reload": 2 * facts.done.get("reload", 0)}
    wrong = {k: (facts.events.get(k, 0), n) for k, n in want.items()
             if facts.events.get(k, 0) != n}
    wrong.update({k: (n, 0) for k, n in facts.events.items() if k not in want})
    return not wrong, f"{sum(facts.events.values())} lines" + \
        (f"; lines and what was counted: {wrong}" if wrong else "")


def scenario(facts):
    """everything that was planned happened"""
    short = [kind for kind, n in facts.planned.items() if facts.done.get(kind, 0) < n]
    quiet = [k for k in ("crossed_in", "rtcp", "media", "sessions_moved", "sessions_replaced",
                         "sessions_expired") if facts.counters[k][1] == 0]
    return not short and not quiet and not facts.problems.get("actions"), \
        ", ".join(f"{n} {kind}" for kind, n in sorted(facts.done.items())) + \
        (f"; fewer than planned: {short}" if short else "") + \
        (f"; never: {quiet}" if quiet else "") + _problems(facts, "actions")


CHECKS = (rss, descriptors, threads, pools_idle, pools_full, heap, backlogs, parked, stalls, sums,
          drops, heard, content, crowds, refusals, ghosts, everybody_gone, event_log, scenario)


def judge(facts):
    """[(name, what, passed, figure)] of every check."""
    found = []
    for check in CHECKS:
        passed, figure = check(facts)
        found.append((check.__name__, check.__doc__, bool(passed), figure))
    return found
