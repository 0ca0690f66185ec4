# SPDX-License-Identifier: BSD-3-Clause
"""Which figures of a bench run are slower than those of an earlier one, by more than chance explains.

Compared is what holds from machine to machine: ratios of two things measured right after each other,
and instructions per copy. Times are not. A ratio is slower when its whole 95 % interval lies behind the
earlier one's; instructions are counted, not measured, so they get a fixed margin for what another
compiler or DPDK changes. An interval only knows what happened during its own run, and machines have
moods that last longer: of several runs a figure must be slower in each, and a baseline is better made
of several.

    bench_compare.py [--partial] BASELINE RUN...    exit 0: nothing slower, 1: something, 2: no comparison
    bench_compare.py --merge BASELINE RUN...        a baseline of several runs: each interval holds all of theirs
    bench_compare.py --self-test BASELINE           doctored copies of a baseline must be told from good ones
"""

import argparse
import copy
import json
import sys

INSTRUCTIONS_MARGIN = 0.02
LABELS = ("cpu", "kernel", "dpdk", "compiler", "hugepages")


class Unusable(Exception):
    """A file that cannot be compared."""


class Figure:
    """One comparable figure: where it stands in the JSON, and which way is slower."""

    def __init__(self, name, holder, key, more_is_slower=True, margin=None):
        self.name, self.holder, self.key = name, holder, key
        self.more_is_slower, self.margin = more_is_slower, margin

    @property
    def value(self):
        return self.holder[self.key]

    @property
    def interval(self):
        if self.margin is not None:
            return self.value * (1 - self.margin), self.value * (1 + self.margin)
        return tuple(self.holder[f"{self.key}_ci95"])

    def is_slower_than(self, before):
        if self.margin is not None:  # counted: the margin is the earlier one's alone
            return self.value > before.interval[1]
        if self.more_is_slower:
            return self.interval[0] > before.interval[1]
        return self.interval[1] < before.interval[0]

    def change(self, before):
        """In percent; more is slower."""
        ratio = self.value / before.value if self.more_is_slower else before.value / self.value
        return (ratio - 1) * 100


def figures(run):
    """{name: Figure} of everything comparable in a run's JSON."""
    found = []
    for row in run.get("packet_path", ()):
        name = f"{row['rooms']} x {row['members']}, {row['size']} B, bursts of {row['burst']}"
        if row.get("workers", 1) > 1:
            name += f", {row['workers']} workers"
        for key, what in (("x_primitive", "copy / primitive"),
                          ("x_100_members", "copy / copy in a room of 100"),
                          ("x_1000_rooms", "ingress / ingress with 1 000 rooms"),
                          ("x_one_worker", "copy / copy of one worker")):
            if key in row:
                found.append(Figure(f"{name}: {what}", row, key))
    for row in run.get("instructions_per_copy", ()):
        if row["path"] > 0:
            found.append(Figure(f"room of {row['members']}: instructions per copy", row, "path",
                                margin=INSTRUCTIONS_MARGIN))
    if "in_process" in run.get("ratio_to_kernel", ()):
        found.append(Figure("1 -> 100, 200 B: kernel sockets / ours", run["ratio_to_kernel"],
                            "in_process", more_is_slower=False))
    if "virtio_user_ci95" in run.get("ratio_to_kernel", ()):
        found.append(Figure("1 -> 100, 200 B, across virtio-user: kernel sockets / ours",
                            run["ratio_to_kernel"], "virtio_user", more_is_slower=False))
    for row in run.get("quic", ()):
        if row["cipher"] == "AES-128-GCM" and row["backend"] == "ipsec-mb":
            found.append(Figure(f"QUIC, {row['rooms']} x {row['members']}, {row['size']} B: delivery / library "
                                "alone", row, "x_bare"))
    for row in run.get("quic_kernel", ()):
        found.append(Figure(f"QUIC, {row['rooms']} x {row['members']}, {row['size']} B, {row['at_once']} at once: "
                            "kernel sockets / ours", row, "x_plain", more_is_slower=False))
    for row in run.get("peers", ()):
        if row["name"] == "plenum" and "x_kernel" in row:
            at = ", at load" if row.get("at") == "load" else ""
            found.append(Figure(f"1 -> 100 as a program of its own{at}: ours / kernel sockets", row,
                                "x_kernel"))
    named = {figure.name: figure for figure in found}
    if len(named) != len(found):
        raise Unusable("two figures have one name")
    return named


def label(run):
    machine = run.get("machine", {})
    return {key: machine.get(key, "?") for key in LABELS}


def compare(baseline, run, partial=False, out=sys.stdout):
    """Print the table; the names of what is slower, or missing although everything was measured."""
    before, now = figures(baseline), figures(run)
    if label(baseline)["hugepages"] != label(run)["hugepages"]:
        # Another kind of pages is another set-up: all that stays is what is counted.
        print("small pages and hugepages: only instructions can be compared", file=out)
        before, now = ({name: figure for name, figure in all_of_it.items() if figure.margin is not None}
                       for all_of_it in (before, now))
    common = [name for name in before if name in now]
    if not common:
        raise Unusable("nothing that the baseline has was measured")
    old, new = label(baseline), label(run)
    for key in LABELS:
        if old[key] != new[key]:
            print(f"{key}: baseline {old[key]}, now {new[key]}", file=out)
    flagged = [name for name in common if now[name].is_slower_than(before[name])]
    width = max(map(len, common))
    print(f"{'':{width}}  {'baseline':>26}  {'now':>26}  slower by", file=out)
    for name in common:
        cells = []
        for figure in (before[name], now[name]):
            low, high = figure.interval
            text = f"{figure.value:.2f}"
            cells.append(text if figure.margin is not None else f"{text} ({low:.2f} to {high:.2f})")
        verdict = "  SLOWER" if name in flagged else ""
        print(f"{name:{width}}  {cells[0]:>26}  {cells[1]:>26}  "
              f"{now[name].change(before[name]):+8.1f} %{verdict}", file=out)
    # The other relays are only there when they were asked for.
    missing = [name for name in before if name not in now
               and ("peers" in run or before[name].holder not in baseline.get("peers", ()))]
    for name in missing if not partial else ():
        print(f"{name}: in the baseline, not measured", file=out)
    unknown = len(now) - len(common)
    print(f"\n{len(common)} figures compared: {len(flagged)} slower than their intervals allow"
          + (f"; {len(missing)} not measured" if missing else "")
          + (f"; {unknown} that the baseline lacks" if unknown else ""), file=out)
    return flagged if partial else flagged + missing


def merge(runs):
    """The first run, its figures the median of all, its intervals as wide as all of theirs."""
    merged = copy.deepcopy(runs[0])
    every = [figures(run) for run in runs]
    for name, figure in figures(merged).items():
        same = [run[name] for run in every if name in run]
        values = sorted(f.value for f in same)
        intervals = [f.interval for f in same]
        figure.holder[figure.key] = values[len(values) // 2]
        if figure.margin is None:
            figure.holder[f"{figure.key}_ci95"] = [min(low for low, _ in intervals),
                                                   max(high for _, high in intervals)]
    merged["machine"]["runs"] = len(runs)
    return merged


def load(path):
    try:
        with open(path, encoding="utf-8") as file:
            run = json.load(file)
        figures(run)
        return run
    except (OSError, ValueError) as error:
        raise Unusable(f"{path}: {error}") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise Unusable(f"{path}: not a bench's JSON ({error!r})") from None


# --- self-test --------------------------------------------------------------------------------

def scale(figure, factor):
    """Make a figure slower by a factor (more than 1), its interval with it."""
    factor = factor if figure.more_is_slower else 1 / factor
    holder, key = figure.holder, figure.key
    holder[key] *= factor
    if figure.margin is None:
        holder[f"{key}_ci95"] = [bound * factor for bound in holder[f"{key}_ci95"]]


def just_beyond(figure):
    """The factor that moves a figure's interval right behind where it was."""
    low, high = figure.interval
    return (1 + figure.margin if figure.margin is not None else high / low) * 1.001


def self_test(baseline):
    """Each doctored copy, and what must be said of it; the names of what went wrong."""
    wrong = []
    names = list(figures(baseline))

    def expect(what, run, flagged):
        with open("/dev/null", "w", encoding="utf-8") as nowhere:
            said = compare(baseline, run, out=nowhere)
        if said != flagged:
            wrong.append(f"{what}: flagged {said}, not {flagged}")

    expect("the same run", baseline, [])
    for name in names:
        for what, factor, flagged in (
                ("slower beyond its interval", just_beyond(figures(baseline)[name]), [name]),
                ("slower within its interval",
                 1 + (just_beyond(figures(baseline)[name]) - 1) * 0.9, []),
                ("faster", 1 / 1.5, [])):
            run = copy.deepcopy(baseline)
            scale(figures(run)[name], factor)
            expect(f"{name}, {what}", run, flagged)
    # A machine of half the speed: times double, ratios and instructions stay.
    run = copy.deepcopy(baseline)
    run["machine"]["cpu"] = "another"
    for rows in ("packet_path", "fanout_primitive", "kernel_relay", "peers"):
        for row in run.get(rows, ()):
            for key, value in row.items():
                if key.startswith(("ns", "bare_ns", "cycles")):
                    row[key] = [2 * v for v in value] if isinstance(value, list) else 2 * value
    expect("a machine of half the speed", run, [])
    run = copy.deepcopy(baseline)
    for name in names:
        scale(figures(run)[name], just_beyond(figures(baseline)[name]))
    expect("everything slower", run, names)
    run = copy.deepcopy(baseline)
    run["instructions_per_copy"] = run["instructions_per_copy"][1:]
    expect("a figure that was not measured", run,
           [f"room of {baseline['instructions_per_copy'][0]['members']}: instructions per copy"])
    run = copy.deepcopy(baseline)
    run["machine"]["hugepages"] = not run["machine"]["hugepages"]
    counted = [name for name in names if figures(run)[name].margin is not None]
    for name in names:
        scale(figures(run)[name], just_beyond(figures(baseline)[name]))
    expect("everything slower, on other pages", run, counted)
    for what, spoilt in (("no figures", {}), ("no object", [])):
        try:
            figures(spoilt)
            compare(baseline, spoilt)
            wrong.append(f"{what}: compared all the same")
        except (Unusable, AttributeError):
            pass
    print(f"{3 * len(names) + 7} doctored runs, {len(wrong)} judged wrongly")
    for line in wrong:
        print(line)
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--partial", action="store_true",
                        help="figures that were not measured are no fault")
    parser.add_argument("--merge", action="store_true")
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("baseline")
    parser.add_argument("runs", nargs="*", metavar="RUN")
    args = parser.parse_args()
    if args.merge and args.runs:
        merged = merge([load(path) for path in args.runs])
        with open(args.baseline, "w", encoding="utf-8") as file:
            json.dump(merged, file, indent=2)
            file.write("\n")
        return 0
    if args.self_test and not args.runs:
        return 1 if self_test(load(args.baseline)) else 0
    if not args.runs:
        parser.error("nothing to compare the baseline with")
    baseline, slower = load(args.baseline), None
    for path in args.runs:
        run = load(path)
        flagged = compare(baseline, run, args.partial)
        # What a later run left out, it cannot acquit.
        slower = flagged if slower is None else [name for name in slower
                                                 if name in flagged or name not in figures(run)]
    if len(args.runs) > 1:
        print(f"slower in each of {len(args.runs)} runs: {len(slower)}")
        for name in slower:
            print(f"  {name}")
    return 1 if slower else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Unusable as error:
        print(f"bench_compare: {error}", file=sys.stderr)
        sys.exit(2)
