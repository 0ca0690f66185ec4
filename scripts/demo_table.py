# SPDX-License-Identifier: BSD-3-Clause
"""The live table of scripts/demo: what each subscriber receives, from the reports that
plenum-client writes once a second (NAME.json). Redrawn in place on a terminal. With --quic the
last word on a QUIC client: how many datagrams came bit for bit."""

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


def quic_line(path, expected):
    """One line of a QUIC client's last report, and whether all is well."""
    report = last_report(path + ".json")
    if report is None or not report["final"]:
        return f"{os.path.basename(path):8} no report", False
    (participant,) = report["participants"]
    quic, streams = participant["quic"], participant["streams"]
    whole = sum(s["unique"] for s in streams)
    corrupt = sum(s["corrupt"] + s["duplicates"] for s in streams)
    return (f"{participant['name']:8} {whole:16} of {expected:8} {corrupt:9} "
            f"{quic['rtt_ns'] / 1e6:10.1f}   {quic['cipher']}", whole == expected and not corrupt)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--while-pid", type=int, help="ends with this process")
    parser.add_argument("--quic", type=int, metavar="DATAGRAMS",
                        help="what became of so many, exit 1 unless all are well")
    parser.add_argument("paths", nargs="+", help="report files without .json")
    args = parser.parse_args()
    if args.quic is not None:
        found = [quic_line(path, args.quic) for path in args.paths]
        print(*(line for line, _ in found), sep="\n")
        return 0 if all(well for _, well in found) else 1
    if args.while_pid is None:
        parser.error("give --while-pid or --quic")
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
