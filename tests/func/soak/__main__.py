#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Run a relay for a while under everything that happens to one; called by scripts/soak."""

import argparse
import collections
import json
import os
import random
import signal
import sys
import time
import types

sys.path.insert(1, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import checks
import figure
import selftest
from actions import Actions
from crowds import Crowds, lost_by_stayers
from lab import Failure, Lab
from sampling import Sampler, kernel_figures, touch_heap
from world import CONSENT_TIMEOUT_S, World

CLOSING_S = 15.0   # of the time asked for: everybody leaves, and is missed
REPORT_S = 2.0     # between sender reports


class Soak:
    """One run."""

    def __init__(self, lab, args):
        self.random = random.Random(args.seed)
        self.seconds = args.minutes * 60
        self.begun = time.monotonic()
        self.world = World(lab, self.random)
        self.crowds = Crowds(self.world)
        self.actions = Actions(self.world, self.crowds)
        self.sampler = Sampler(self.world.relay, self.begun)
        self.sample_s = 1.0 if args.minutes <= 10 else 2.0
        self.said = ""
        self.planned = {}

    def say(self, text):
        elapsed = int(time.monotonic() - self.begun)
        print(f"{elapsed // 60:3d}:{elapsed % 60:02d}  {text}", flush=True)

    def sample(self, phase):
        self.world.settle()
        return self.sampler.sample(phase)

    def idle(self):
        """Before anybody is there."""
        touch_heap(self.world.relay.process.pid)
        time.sleep(1.0)
        self.before = self.sample("idle")
        # Frames that came before there was a port to take them.
        self.early = self.kernel_gap()

    def open(self):
        self.say("opening")
        self.actions.open()
        self.crowds.open(int(self.seconds) + 60)
        self.sample("opening")

    def churn(self):
        world, now = self.world, time.monotonic()
        end = self.begun + self.seconds - CLOSING_S
        plan = collections.deque(self.actions.schedule(now, end))
        self.planned = collections.Counter(kind for _, kind in plan)
        sample_at, report_at, say_at = now, now, now + 10
        while time.monotonic() < end:
            next_at = plan[0][0] if plan else end
            world.turn(min(next_at, sample_at, report_at, end))
            now = time.monotonic()
            if plan and now >= plan[0][0]:
                self.act(plan.popleft()[1])
            if now >= report_at:
                for stream in world.clients.streams:
                    stream.owner.report()
                report_at = now + REPORT_S
            if now >= sample_at:
                self.sample("churn")
                sample_at = max(sample_at + self.sample_s, time.monotonic() + self.sample_s / 2)
            if now >= say_at:
                self.progress()
                say_at = now + (10 if self.seconds <= 120 else 30)

    def act(self, kind):
        world = self.world
        self.sampler.mark(kind)
        before = len(world.problems)
        world.attempt(getattr(self.actions, kind))
        world.count(kind)
        for _, text in world.problems[before:]:
            self.say(f"{kind}: {text}")

    def progress(self):
        last, ledger = self.sampler.samples[-1], self.world.ledger
        self.say(f"{last['sessions']} sessions, {last['rss_kb'] / 1024:.1f} MB, "
                 f"{ledger.heard} copies heard, {len(ledger.missing)} missing, "
                 f"{sum(self.world.done.values())} things happened")

    def close(self):
        """Everybody leaves; wait until the relay has noticed."""
        world = self.world
        self.say("closing")
        self.actions.close()
        patience = time.monotonic() + CONSENT_TIMEOUT_S + 20
        while time.monotonic() < patience:
            world.turn(time.monotonic() + 0.5)
            last = self.sample("closing")
            if world.waiting() == 0 and self.at_rest(last):
                break
        # Until two readings agree: nothing moves any more.
        world.ledger.finish()
        counters, again = None, self.sampler.counters()
        while counters != again and time.monotonic() < patience + 10:
            self.end = self.sample("closing")
            self.kernel_lost = max(0, self.kernel_gap() - self.early)
            counters, again = again, self.sampler.counters()
        self.counters = again

    def kernel_gap(self):
        """Frames that reached the interface and did not get into the port."""
        kernel = kernel_figures(self.world.lab)
        return kernel["frames"] - kernel["held"] - self.sampler.counters()["rx_packets"][1]

    def at_rest(self, sample):
        return all(sample[k] == 0 for k in ("sessions", "rooms", "views_waiting",
                                            "sessions_pending")) and \
            not checks.pools_off(self.before, sample)

    def stop(self):
        try:
            self.said, self.status = self.world.relay.stop(), 0
        except Failure as failure:
            self.said = str(failure)
            self.status = self.world.relay.process.popen.returncode

    def facts(self):
        world, ledger = self.world, self.world.ledger
        events = world.relay.events()
        problems = collections.defaultdict(list)
        for check, text in world.problems:
            problems[check].append(text)
        crowd_heard, crowd_lost, crowd_wrong = lost_by_stayers(self.crowds.reports)
        return types.SimpleNamespace(
            samples=self.sampler.samples, idle=self.before, end=self.end, counters=self.counters,
            status=self.status, said=self.said,
            kernel_lost=self.kernel_lost,
            kernel_dropped_out=kernel_figures(world.lab)["dropped_out"],
            largest_room=checks.peak(self.sampler.samples, "largest_room"),
            due=ledger.due, heard=ledger.heard, missing=len(ledger.missing), late=ledger.late,
            never=ledger.never, bad=world.bad, duplicates=ledger.duplicates, strays=ledger.strays,
            forbidden=ledger.forbidden, ghosts=len(world.ghosts), refusals=world.refusals,
            problems=problems, done=dict(world.done), planned=dict(self.planned),
            crowd_heard=crowd_heard, crowd_lost=crowd_lost, crowd_wrong=crowd_wrong,
            crowd_socket_drops=sum(p["socket_drops"] for _, r in self.crowds.reports
                                   for p in r["participants"]),
            killed=self.crowds.killed, everybody=world.everybody,
            ends={e.get("participant") for e in events if e["event"] == "end"},
            end_reasons=collections.Counter(e["reason"] for e in events if e["event"] == "end"),
            events=collections.Counter(e["event"] for e in events))


def write(soak, args, verdicts):
    """Samples, what happened, and the figure."""
    os.makedirs(args.out, exist_ok=True)
    soak.sampler.write(os.path.join(args.out, "samples.csv"))
    with open(os.path.join(args.out, "soak.json"), "w", encoding="utf-8") as file:
        json.dump({"seed": args.seed, "minutes": args.minutes, "marks": soak.sampler.marks,
                   "checks": [dict(zip(("name", "what", "passed", "figure"), v))
                              for v in verdicts], "notes": soak.world.ledger.notes,
                   "crowds": soak.crowds.reports}, file, indent=1)
    if args.figure:
        path = os.path.join(args.out, "soak.png")
        figure.draw(path, soak.sampler.samples, soak.sampler.marks, args.seed)
        print(f"figure: {os.path.relpath(path)}, samples.csv and soak.json beside it")
        if args.save:
            os.makedirs(args.save, exist_ok=True)
            figure.draw(os.path.join(args.save, "soak.png"), soak.sampler.samples,
                        soak.sampler.marks, args.seed)


def run(args):
    """The exit status."""
    verdicts = []
    with Lab(args.build, "soak") as lab:
        soak = Soak(lab, args)
        ended = False
        try:
            soak.idle()
            soak.open()
            soak.churn()
            soak.close()
            soak.stop()
            verdicts = checks.judge(soak.facts())
            ended = True
        except KeyboardInterrupt:
            pass
        finally:
            # The rest is short, and cleans up.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            if len(soak.sampler.samples) > 2:
                write(soak, args, verdicts)
    if not ended:
        print("soak: interrupted, nothing judged")
        return 130
    for note in soak.world.ledger.notes[:20]:
        print(f"  note: {note}")
    for name, what, passed, text in verdicts:
        print(f"{'ok  ' if passed else 'FAIL'} {name}: {what}\n       {text}")
    failed = [v[0] for v in verdicts if not v[2]]
    print(f"soak: {len(verdicts) - len(failed)} of {len(verdicts)} checks hold after "
          f"{args.minutes:g} min, seed {args.seed}" +
          (f"; FAILED: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


def interrupted(number, frame):
    raise KeyboardInterrupt  # so that every `with` cleans up


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--build", default="build")
    parser.add_argument("--out", default="out/soak")
    parser.add_argument("--save", metavar="DIR")
    parser.add_argument("--no-figure", dest="figure", action="store_false")
    parser.add_argument("--self-test", action="store_true")
    args = parser.parse_args()
    args.build = os.path.abspath(args.build)
    if args.self_test:
        return selftest.main()
    if args.minutes < 1:
        parser.error("less than a minute shows nothing")
    signal.signal(signal.SIGINT, interrupted)
    signal.signal(signal.SIGTERM, interrupted)
    try:
        return run(args)
    except Failure as failure:
        print(f"soak: FAILED: {failure}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
