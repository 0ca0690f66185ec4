# SPDX-License-Identifier: BSD-3-Clause
"""What clients of the WZP protocol do in a relay's rooms, with the stand-in (standin.py) against any
Target: the exchanges of the protocol's acceptance test, and a crowd that comes and goes."""

import collections
import contextlib
import time

from lab import expect
from wzp import signals
from wzp.standin import Client

PRESENT = 6     # of the crowd at a time
EACH = 4        # packets that each of the crowd sends


def expect_same(heard, sent, who):
    """The same packets in the same order, byte for byte."""
    if heard == sent:
        return
    missing = collections.Counter(sent) - collections.Counter(heard)
    foreign = collections.Counter(heard) - collections.Counter(sent)
    expect(False, f"{who}: {len(heard)} packets for {len(sent)}, {sum(missing.values())} missing, "
                  f"{sum(foreign.values())} that nobody sent or twice, first "
                  f"{next((p.hex() for p in foreign), None)}; else another order")


def one_way(target, seconds=10, v6=False):
    """One sends a tone, one records, one looks on; neither of them reads what the relay says"""
    room, sent = target.name("acc"), signals.tone(1, 50 * seconds)
    with Client(target, room, v6=v6) as records, \
            Client(target, room, "analyzer") as looks, Client(target, room) as sends:
        records.join()
        looks.join()
        sends.join()
        playing = sends.play(sent)
        playing.join()
        sends.close()
        for listener in (records, looks):
            expect_same(listener.heard(len(sent)), sent, "recorder")
            expect(listener.ids == [1], f"streams that were read: {listener.ids}")
        expect(sends.heard() == [], "the sender hears itself")
        records.close("shutdown")
        looks.close()


def both_ways(target, seconds=5, v6=False):
    """Two send and record, say Hangup and stay for two seconds more: each hears all of the other"""
    room = target.name("two")
    with Client(target, room, "watches", reads=True) as watches, \
            Client(target, room, v6=v6) as a, Client(target, room) as b:
        # An update that is not out yet is replaced by the next: one change at a time.
        watches.join()
        watches.wait_roster([watches.member])
        a.join()
        watches.wait_roster([watches.member, a.member])
        b.join()
        watches.wait_roster([watches.member, a.member, b.member])
        sent = signals.tone(2, 50 * seconds), signals.tone(3, 50 * seconds)
        first = a.play(sent[0])
        time.sleep(0.5)
        second = b.play(sent[1])
        first.join()
        a.hangup()  # while the other one still talks
        second.join()
        watches.wait_roster([watches.member, b.member])
        b.hangup()
        time.sleep(1.5)
        a.close(hung_up=True)
        b.close(hung_up=True)
        expect_same(a.heard(len(sent[1])), sent[1], "a")
        expect_same(b.heard(len(sent[0])), sent[0], "b")
        heard = collections.Counter(watches.heard(len(sent[0]) + len(sent[1])))
        expect(heard == collections.Counter(sent[0] + sent[1]), "the third one misses some")
        watches.wait(lambda: len(watches.updates) >= 5, "five updates")
        expect(watches.rosters() == [
            [watches.member], [watches.member, a.member], [watches.member, a.member, b.member],
            [watches.member, b.member], [watches.member]], f"rosters: {watches.rosters()}")
        watches.close()


def version(target):
    """Asked for its version, the relay writes its build's name on stream 3 and closes"""
    with Client(target, "version") as asks:
        asks.expect_refused()
        asks.wait(lambda: asks.messages, "version")
        expect(asks.ids == [3] and len(asks.messages) == 1, f"streams {asks.ids}")
        said = asks.messages[0]
        expect(0 < len(said) <= 256 and said.isascii() and said.decode().isprintable(), f"{said}")
        return said.decode()


def ping(target):
    """A connection that asks how far the relay is: closed at once"""
    with Client(target, "ping") as asks:
        asks.expect_refused()
        expect(not asks.ids, f"streams {asks.ids}")


def silence(target, v6=False):
    """The room of who asks for none; comfort noise between a few packets of sound"""
    sent = signals.silence()
    # An address is no server name: there is none in the ClientHello.
    with Client(target, target.addresses[v6], v6=v6) as nameless, \
            Client(target, "default") as sends:
        nameless.join()
        sends.join()
        sends.play(sent).join()
        expect_same(nameless.heard(len(sent)), sent, "the one without a room's name")
        sends.close()
        nameless.close()


def spelling(target):
    """Upper and lower case are one room; another room hears nothing"""
    room, sent = target.name("case"), signals.tone(4, 20)
    with Client(target, room.upper(), "Große", reads=True) as upper, \
            Client(target, room, "klein", reads=True) as lower, \
            Client(target, room + "-other") as other:
        upper.join()
        lower.join()
        other.join()
        lower.wait_roster([upper.member, lower.member])
        lower.play(sent).join()
        expect_same(upper.heard(len(sent)), sent, "the upper-case one")
        expect(other.heard() == [], "another room heard it")
        for client in (upper, lower, other):
            client.close()


class Guest:
    """A member that is no stand-in: it came first, and will go last."""

    reads = False

    def __init__(self, identity, alias):
        self.member = (identity.fingerprint, alias)


class Crowd:
    """A room in which one after the other comes and goes, and what it was like after each change."""

    def __init__(self, guests):
        self.present, self.history = list(guests), []
        self.begun = {}  # where in history each one's own updates begin

    def _changed(self):
        roster = [one.member for one in self.present]
        self.history.append(roster)
        for one in self.present:
            if one.reads:
                one.wait_roster(roster)

    def joins(self, client):
        client.offer()
        client.answered()  # before the next one offers
        self.present.append(client)
        self.begun[client] = len(self.history)
        self._changed()

    def leaves(self, client, reason="normal close"):
        """After it got every update since it came, once, in order."""
        self.present.remove(client)
        client.close(reason)
        if client.reads:
            want, got = self.history[self.begun[client]:], client.rosters()
            expect(got == want, f"{client.alias}: {len(got)} updates for {len(want)}, first other "
                   f"one: {next((i for i, (g, w) in enumerate(zip(got, want)) if g != w), None)}")
            # One stream a message, opened by the relay, the answer's first.
            expect(sorted(client.ids) == list(range(1, 4 * len(got) + 2, 4)), f"{client.ids}")
        self._changed()


def sequence(packet):
    return int.from_bytes(packet[2:4], "big")


def expect_gapless(client, heard):
    """Of one that talks all the time there is no gap from the first packet heard to the last."""
    numbers = [sequence(packet) for packet in heard]
    expect(numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else True,
           f"{client.alias} heard {len(numbers)} packets of who talks all the time: {numbers}")
    return len(numbers) > 0


def crowd(target, nb=200, room=None, guests=(), listens=False):
    """`nb` come and go, one after the other, beside a recorder that reads nothing and one that talks
    all the time. Those who record hear everybody; who reads gets every RoomUpdate. A crowd that only
    listens needs guests to hear. The number of changes, what the crowd sent and what was sent beside."""
    room = room or target.name("crowd")
    with contextlib.ExitStack() as stay:
        def client(alias, **how):
            return stay.enter_context(Client(target, room, alias, **how))

        state, sent, spoken = Crowd(guests), [], []
        records, talks = ([], []) if listens else ([client(None)], [client("talks")])
        watches = [client("watches", reads=True), client("watches6", reads=True, v6=True)]
        for one in (*records, *watches, *talks):
            state.joins(one)
        first = len(state.present)
        stop, heard_some = [], 0

        def endless():
            for packet in signals.tone(5, 50 * 120):
                if stop:
                    return
                spoken.append(packet)
                yield packet
        playing = [one.answered().play(endless()) for one in talks]
        coming, of_crowd = collections.deque(), set()
        for i in range(nb + PRESENT):
            while len(coming) < 4 and i + len(coming) < nb:  # these are connecting meanwhile
                number = i + len(coming)
                coming.append(client(f"n{number}", reads=True, v6=number % 2 == 1))
            if i < nb:
                one = coming.popleft()
                state.joins(one)
                packets = [] if listens else signals.tone(100 + i, EACH)
                sent += packets
                of_crowd.update(packets)
                for packet in packets:
                    one.send(packet)
            if i >= PRESENT:
                gone = state.present[first]
                heard_some += expect_gapless(gone, [p for p in gone.heard() if p not in of_crowd])
                state.leaves(gone, "shutdown" if i % 3 else "normal close")
                gone.__exit__(None, None, None)
        stop.append(True)
        for thread in playing:
            thread.join()
        for one in (*records, *watches):
            heard = one.heard(len(sent) + len(spoken))
            expect_same([p for p in heard if p in of_crowd], sent, one.alias)
            others = [p for p in heard if p not in of_crowd]
            expect(expect_gapless(one, others), f"{one.alias} did not hear who talks all the time")
            expect(listens or others == spoken, f"{one.alias}: {len(others)} of {len(spoken)}")
        expect(heard_some > nb // 2, f"{heard_some} of {nb} heard who talks all the time")
        for one in (*talks, *records, *watches[::-1]):
            state.leaves(one)
        return len(state.history), sent, spoken
