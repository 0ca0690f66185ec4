# SPDX-License-Identifier: BSD-3-Clause
"""Who should have heard which packet, and who did. A packet is due to a hearer when it was sent
well inside the time in which both were certainly members; near a membership change either is right.
Each packet is settled once, some seconds after it was sent, and forgotten: a long run must not grow
for want of that."""

import array
import time
from bisect import bisect_right

from endpoint import Stream

GRACE_S = 3.0    # from sending a packet to judging it
LATE_S = 20.0    # until when one that comes late is still told from one that comes twice
MARGIN_S = 1.0   # how far from a membership change a packet must be to be judged
FOREVER = float("inf")


class Spans:
    """Times in which something certainly holds."""

    def __init__(self):
        self.spans = []

    def open(self, now):
        self.spans.append([now + MARGIN_S, FOREVER])

    def close(self, now):
        """It holds no longer, or not certainly."""
        if self.spans and self.spans[-1][1] == FOREVER:
            self.spans[-1][1] = now - MARGIN_S
            del self.spans[:-4]

    def hold(self, at):
        return any(begin <= at <= end for begin, end in reversed(self.spans))


class Published(Stream):
    """A participant's stream that remembers when each packet left, until that is settled."""

    def __init__(self, owner, ssrc, rate, size):
        super().__init__(owner.client, ssrc, rate, size)
        self.owner = owner
        self.settled = 0          # packets below are judged and forgotten
        self.times = array.array("d")
        self.ended = FOREVER      # nobody may hear what was sent later
        self.closed_at = FOREVER  # nothing is sent any more

    def turn(self, now):
        before = self.sent
        due = super().turn(now)
        if self.sent > before:
            self.times.extend([time.monotonic()] * (self.sent - before))
        return due

    def stop(self):
        self.limit = self.sent
        self.closed_at = time.monotonic()


class Ledger:
    """Every stream and every hearer of the rooms."""

    def __init__(self, uncertain):
        self.uncertain = uncertain  # (participant, when): is its path in doubt?
        self.hearers = {}           # room: participants that hear
        self.streams = {}           # room: streams
        self.missing = {}           # (hearer, ssrc, number): when it was sent
        self.heard = self.due = self.late = 0
        self.duplicates = self.strays = self.forbidden = 0
        self.bad = 0                # of participants that are gone
        self.never = []             # hearers that were due something and heard nothing
        self.notes = []

    def add_hearer(self, participant):
        self.hearers.setdefault(participant.room, []).append(participant)

    def add_stream(self, stream):
        self.streams.setdefault(stream.owner.room, []).append(stream)

    def note(self, text):
        if len(self.notes) < 200:
            self.notes.append(text)

    def settle(self, now, everything=False):
        """Judge what was sent long enough ago."""
        until = now if everything else now - GRACE_S
        for room, streams in self.streams.items():
            hearers = self.hearers.get(room, [])
            for stream in streams:
                end = stream.settled + bisect_right(stream.times, until)
                for hearer in hearers:
                    if hearer is not stream.owner:
                        self._settle_one(stream, hearer, end)
                del stream.times[:end - stream.settled]
                stream.settled = end
            self._strays(hearers, {stream.ssrc for stream in streams})
            self.streams[room] = [s for s in streams if s.closed_at > until - LATE_S]
            for hearer in hearers:
                self._forget(hearer, {stream.ssrc: stream for stream in self.streams[room]})
            for hearer in [h for h in hearers if h.closed_at < until - GRACE_S]:
                self.remove_hearer(hearer)

    def finish(self):
        """Nothing more will be heard."""
        for hearers in self.hearers.values():
            for hearer in [*hearers]:
                self.remove_hearer(hearer)

    def remove_hearer(self, hearer):
        self.hearers[hearer.room].remove(hearer)
        if hearer.due_count > 0 and hearer.heard_count == 0:
            self.never.append(f"{hearer.name} ({hearer.place})")

    def _settle_one(self, stream, hearer, end):
        got = hearer.received.get(stream.ssrc, {})
        first = hearer.first.setdefault(stream.ssrc, stream.settled)
        for number in [n for n in got if n < stream.settled]:
            # Later than the grace allows, or once more.
            copies = got.pop(number)
            if number < first or (stream.ssrc, number) in hearer.absent:
                hearer.absent.discard((stream.ssrc, number))
                self.missing.pop((hearer.name, stream.ssrc, number), None)
                copies -= 1
                self.late += 1
            self.duplicates += copies
        for number in range(stream.settled, end):
            sent_at = stream.times[number - stream.settled]
            copies = got.pop(number, 0)
            if copies > 1:
                self.duplicates += copies - 1
                self.note(f"{hearer.name}: {copies} of {stream.ssrc:#x} packet {number}")
            if copies and sent_at > min(stream.ended, hearer.ended) + MARGIN_S:
                self.forbidden += 1
                self.note(f"{hearer.name} heard {stream.owner.name} after the end of one of them")
            self.heard += copies > 0
            hearer.heard_count += copies > 0
            if not copies:
                hearer.absent.add((stream.ssrc, number))
            if stream.owner.certain.hold(sent_at) and hearer.certain.hold(sent_at) and \
                    not self.uncertain(stream.owner, sent_at) and \
                    not self.uncertain(hearer, sent_at):
                self.due += 1
                hearer.due_count += 1
                if not copies:
                    self.missing[(hearer.name, stream.ssrc, number)] = sent_at
                    self.note(f"{hearer.name} ({hearer.place}) lacks packet {number} of "
                              f"{stream.owner.name} ({stream.owner.place}), sent at {sent_at:.3f}")

    @staticmethod
    def _forget(hearer, known):
        """What can hardly come any more."""
        for ssrc in [s for s in hearer.received if s not in known and not hearer.received[s]]:
            del hearer.received[ssrc]
        if len(hearer.absent) > 1000:
            hearer.absent = {(ssrc, number) for ssrc, number in hearer.absent if ssrc in known and
                             number > known[ssrc].settled - LATE_S * known[ssrc].rate}

    def _strays(self, hearers, known):
        for hearer in hearers:
            for ssrc in [s for s in hearer.received if s not in known]:
                self.strays += sum(hearer.received.pop(ssrc).values())
                self.note(f"{hearer.name} heard {ssrc:#x}, which is not of its room")
