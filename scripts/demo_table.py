# SPDX-License-Identifier: BSD-3-Clause
"""The live table of scripts/demo: what each subscriber receives, from the reports that
plenum-client writes once a second (NAME.json). Redrawn in place on a terminal. With --decoded the
last word on a WZP participant: whether it heard all that the other one said."""

import argparse
import json
import os
import sys
import time


def last_report(path):
    """The newest whole line of a report file, None before the first."""
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().split("\n")[:-1]
        return json.loads(lines[-1]) if lines else None
    except FileNotFoundError:
        return None


def milliseconds(histogram, key):
    return "-" if not histogram else f"{histogram[key] / 1e6:.2f}"


def table(paths, before):
    yield (f"{'':8} {'received':>9} {'kbit/s':>7} {'lost':>5} {'reordered':>9} "
           f"{'delay p50':>10} {'p99':>7} {'jitter p99':>11}  (ms)")
    for path in paths:
        report = last_report(path + ".json")
        name = os.path.basename(path)
        if report is None:
            yield f"{name:8} -"
            continue
        total, at = report["totals"], report["elapsed_s"]
        then, volume = before.get(path, (at, total["bytes"]))
        if at != then:
            before["rate", path] = (total["bytes"] - volume) * 8 / 1000 / (at - then)
        before[path] = (at, total["bytes"])
        yield (f"{name:8} {total['received']:9} {before.get(('rate', path), 0):7.0f} "
               f"{total['lost']:5} {total['reordered']:9} "
               f"{milliseconds(total['delay_ns'], 'p50'):>10} "
               f"{milliseconds(total['delay_ns'], 'p99'):>7} "
               f"{milliseconds(total['jitter_ns'], 'p99'):>11}")


def talker_line(path, other, decoded):
    """One line of a WZP participant's last report, and whether it heard all that the other one said."""
    mine, theirs = last_report(path + ".json"), last_report(other + ".json")
    if not mine or not theirs or not mine["final"] or not theirs["final"]:
        return f"{os.path.basename(path):8} no report", False
    (me,), (them,) = mine["participants"], theirs["participants"]
    sent = them["wzp"]["media_sent"]
    heard, lost = me["wzp"]["media_received"], sum(s["lost"] for s in me["streams"])
    return (f"{me['name']:8} {decoded:13} of {sent:5} {heard:10}, {lost:5} {me['quic']['rtt_ns'] / 1e6:10.1f}   "
            f"{me['quic']['cipher']}", sent > 0 and decoded == heard == sent and lost == 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--while-pid", type=int, help="ends with this process")
    parser.add_argument("--decoded", type=int, metavar="FRAMES",
                        help="so many frames of what the second said did the first decode; exit 1 unless all")
    parser.add_argument("paths", nargs="+", help="report files without .json")
    args = parser.parse_args()
    if args.decoded is not None:
        line, well = talker_line(*args.paths, args.decoded)
        print(line)
        return 0 if well else 1
    if args.while_pid is None:
        parser.error("give --while-pid or --decoded")
    before, drawn = {}, 0
    while True:
        time.sleep(1)
        if sys.stdout.isatty() and drawn:
            print(f"\x1b[{drawn}A", end="")
        lines = list(table(args.paths, before))
        for line in lines:
            print(line + ("\x1b[K" if sys.stdout.isatty() else ""))
        drawn = len(lines)
        sys.stdout.flush()
        if not os.path.exists(f"/proc/{args.while_pid}"):
            return 0


if __name__ == "__main__":
    sys.exit(main())
