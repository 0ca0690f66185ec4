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
        watches.join()
        a.join()
        b.join()
        sent = signals.tone(2, 50 * seconds), signals.tone(3, 50 * seconds)
        first = a.play(sent[0])
        time.sleep(0.5)
        second = b.play(sent[1])
        first.join()
        a.hangup()  # while the other one still talks
        second.join()
        b.hangup()
        time.sleep(1.5)
        a.close()
        b.close()
        expect_same(a.heard(len(sent[1])), sent[1], "a")
        expect_same(b.heard(len(sent[0])), sent[0], "b")
        heard = collections.Counter(watches.heard(len(sent[0]) + len(sent[1])))
        expect(heard == collections.Counter(sent[0] + sent[1]), "the third one misses some")
        watches.wait_roster([watches.member])
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


class Crowd:
    """A room in which one after the other comes and goes, in the order that is checked."""

    def __init__(self):
        self.present, self.history, self.sent = [], [], []
        self.begun = {}  # where in history each one's own updates begin

    def joins(self, client):
        client.offer()
        self.present.append(client)
        self._note(client)

    def _note(self, client):
        roster = [c.member for c in self.present]
        self.begun.setdefault(client, len(self.history))
        self.history.append(roster)
        for one in self.present:
            if one.reads:
                one.wait_roster(roster)

    def leaves(self, client, reason="normal close"):
        self.present.remove(client)
        client.close(reason)
        self.expect_all(client, len(self.history))
        self.history.append([c.member for c in self.present])
        for one in self.present:
            if one.reads:
                one.wait_roster(self.history[-1])

    def expect_all(self, client, end):
        """It got every update between its own coming and going, once, in order."""
        if client.reads:
            want, got = self.history[self.begun[client]:end], client.rosters()
            expect(got == want, f"{client.alias}: {len(got)} updates for {len(want)}, first other "
                   f"one: {next((i for i, (g, w) in enumerate(zip(got, want)) if g != w), None)}")


def crowd(target, nb=200):
    """`nb` come and go, one after the other, beside a recorder that never reads, and one that talks
    all the time. The recorder hears everybody; who reads gets every RoomUpdate"""
    room = target.name("crowd")
    talk = signals.tone(5, 50 * 120)
    with contextlib.ExitStack() as stay:
        def client(alias, **how):
            return stay.enter_context(Client(target, room, alias, **how))

        state = Crowd()
        records, talks = client(None), client("talks")
        watches = [client("watches", reads=True), client("watches6", reads=True, v6=True)]
        for one in (records, *watches, talks):
            state.joins(one)
        records.answered()
        talks.answered()
        stop = []

        def endless():
            for packet in talk:
                if stop:
                    return
                state.spoken = packet
                yield packet
        playing = talks.play(endless())
        coming = collections.deque()
        for i in range(nb + PRESENT):
            while len(coming) < 4 and i + len(coming) < nb:  # these are connecting meanwhile
                coming.append(client(f"n{i + len(coming)}", reads=True, v6=(i + len(coming)) % 2 == 1))
            if i < nb:
                one = coming.popleft()
                state.joins(one)
                packets = signals.tone(100 + i, EACH)
                state.sent += packets
                for packet in packets:
                    one.send(packet)
            if i >= PRESENT:
                gone = state.present[4]
                expect_gapless(gone, talk)
                state.leaves(gone, "shutdown" if i % 3 else "normal close")
                gone.__exit__(None, None, None)
        stop.append(True)
        playing.join()
        spoken = talk[:talk.index(state.spoken) + 1]
        expect_same([p for p in records.heard(len(state.sent) + len(spoken))
                     if p not in set(spoken)], state.sent, "recorder")
        for one in (records, *watches):
            heard = collections.Counter(one.heard(len(state.sent) + len(spoken)))
            expect(heard == collections.Counter(state.sent + spoken),
                   f"{one.alias}: {sum(heard.values())} packets")
        for one in (talks, records, *watches[::-1]):
            state.leaves(one)
        return len(state.history), len(spoken)


def expect_gapless(client, talk):
    """From its first packet of who talks all the time to its last there is no gap."""
    numbers = {packet: i for i, packet in enumerate(talk)}
    found = [numbers[p] for p in client.heard() if p in numbers]
    expect(found and found == list(range(found[0], found[0] + len(found))),
           f"{client.alias} heard {len(found)} packets of who talks, from {found[:1]} on: a gap")
