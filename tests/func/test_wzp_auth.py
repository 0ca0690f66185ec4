# SPDX-License-Identifier: BSD-3-Clause
"""Tokens of WZP clients, validated by a real HTTP server; and rooms that list who may join."""

import json
import os
import re
import sys
import time

from lab import PORT, RELAY4, RELAY6, expect, run
from quic.scenarios import Target
from relay import Relay, in_lab, test
from test_quic import CLIENT4, CLIENT6
from test_surfaces import with_telemetry
from wzp import signals
from wzp.exchanges import expect_same
from wzp.standin import Client

TIMEOUT_S = 5
# What a request that hangs would make of anything that has to wait for it.
SOON_S = 3
# As many tokens at once as the relay of the tests validates.
REQUESTS = 6


class AuthServer:
    """tests/util/auth_server.py on the loopback of the relay's namespace."""

    def __init__(self, lab, address="127.0.0.1"):
        self.lab, self.address, self.port, self.process = lab, address, 0, None
        self.log = os.path.join(lab.dir, f"auth-{address.replace(':', '_')}.log")
        self.starts = 0
        self.start()

    def start(self):
        self.starts += 1
        path = os.path.join(self.lab.root, "tests", "util", "auth_server.py")
        self.process = self.lab.start(
            self.lab.inside, [sys.executable, path, "--address", self.address,
                              "--port", str(self.port), "--log", self.log],
            f"auth-{self.address.replace(':', '_')}-{self.starts}", talk=True)
        end = time.monotonic() + 20
        while not self.process.lines:
            expect(time.monotonic() < end, f"no auth server: {self.process.errors()}")
            time.sleep(0.02)
        self.port = int(self.process.lines[0][1])

    def kill(self):
        self.process.popen.kill()
        self.process.popen.wait()

    @property
    def url(self):
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"http://{host}:{self.port}/validate"

    def asked(self, token):
        """How often it was asked for this one."""
        with open(self.log, encoding="utf-8") as file:
            asked = [json.loads(line) for line in file if line.endswith("\n")]
        wrong = [one for one in asked if one["wrong"]]
        expect(not wrong, f"requests that are not of the form: {wrong}")
        return sum(one["token"] == token for one in asked)


class Guarded(Target):
    """A relay that asks for tokens, and the server that it asks."""

    def __init__(self, lab, server, rooms=(), **wzp):
        super().__init__(lab, lab.outside, (RELAY4, RELAY6), PORT, (CLIENT4, CLIENT6))
        self.relay, self.telemetry = with_telemetry(
            lab, lab.name, rooms=rooms,
            quic={"connections": 100, "identity": f"{lab.dir}/identity"},
            wzp={"auth_url": server.url, "auth_timeout": TIMEOUT_S, "auth_requests": REQUESTS,
                 **wzp})


def own_token(client, more=""):
    return f"of:{client.identity.fingerprint}{more}"


def refused(client, token, least=0.0, most=SOON_S):
    """It comes with a token and is closed, after so long."""
    client.connect()
    begun = time.monotonic()
    client.signal({"AuthToken": {"token": token}})
    client.offer()
    client.expect_refused()
    took = time.monotonic() - begun
    expect(least <= took <= most, f"{token}: refused after {took:.1f} s, not {least} to {most}")
    expect(client.relay is None and not client.updates, f"{token}: it heard of the room")
    return took


def soon(what, *arguments):
    begun = time.monotonic()
    what(*arguments)
    took = time.monotonic() - begun
    expect(took < SOON_S, f"{what.__name__}{arguments}: took {took:.1f} s")


@test(beside=True)
@in_lab
def wzp_auth(lab, long):
    """Tokens, valid, invalid and others'; a server that is slow, dead, restarted: those in are not delayed"""
    server = AuthServer(lab)
    target = Guarded(lab, server, auth_cache=600)
    relay = target.relay
    room = target.name("guarded")

    with Client(target, room, "a", reads=True) as a, Client(target, room, "b", reads=True) as b, \
            Client(target, room, "again", reads=True, seed=bytes(32)) as first, \
            Client(target, room, "again", reads=True, seed=bytes(32)) as second:
        # Valid: in, and told of each other.
        soon(a.join, own_token(a))
        soon(b.join, own_token(b))
        b.wait_roster([a.member, b.member])
        # The same token again: it is known.
        soon(first.join, own_token(first))
        first.close()
        soon(second.join, own_token(second))
        a.wait_roster([a.member, b.member, second.member])
        second.close()
        a.wait_roster([a.member, b.member])
        expect(server.asked(own_token(first)) == 1, "a token that is known was asked for")
        expect(relay.counter("wzp_auth_cached") == 1, "wzp_auth_cached")

        # Invalid, of the wrong form, another's, none: closed, and no room hears of them.
        def comes(token):
            with Client(target, room, "bad") as client:
                return refused(client, token)

        before = len(a.rosters())
        cases = (("invalid", "wzp_auth_invalid"), ("status-401", "wzp_auth_invalid"),
                 ("valid", "wzp_identity"), (own_token(a), "wzp_identity"),
                 ("status-500", "wzp_auth_failed"), ("garbage", "wzp_auth_failed"),
                 ("redirect", "wzp_auth_failed"), ("reset", "wzp_auth_failed"),
                 ("gigabyte", "wzp_auth_failed"), ("no-fingerprint", "wzp_auth_failed"),
                 ("x" * 4097, "wzp_signal_malformed"))
        for token, counter in cases:
            counted = relay.counter(counter)
            comes(token)
            expect(relay.counter(counter) == counted + 1, f"{token[:20]}: {counter}")
        with Client(target, room, "none") as client:
            client.offer()
            client.expect_refused()
        expect(relay.counter("wzp_signal_order") == 1, "an offer in the place of a token")
        expect(len(a.rosters()) == before, f"the room was told: {a.rosters()[before:]}")
        # An invalid one is not asked for at once again, one that failed is.
        comes("invalid")
        comes("garbage")
        expect(server.asked("invalid") == 1 and server.asked("garbage") == 2, "what is kept")

        # A server that answers nobody in time, then none at all, then a new one, while a talks to b.
        sent = signals.tone(1, 50 * 14)
        playing = a.play(sent)
        slow(target, room, server)
        dead(target, room, server, first.identity)
        playing.join()
        expect_same(b.heard(len(sent)), sent, "b, beside slow and dead servers")
        expect(a.heard() == [], "a hears itself")

    surfaces(target, server)
    # A request that hangs does not hold the end up.
    with Client(target, room) as hangs:
        hangs.connect()
        hangs.signal({"AuthToken": {"token": "hang#end"}})
        end = time.monotonic() + 10
        while server.asked("hang#end") == 0 and time.monotonic() < end:
            time.sleep(0.02)
        soon(relay.stop)


def slow(target, room, server):
    """Those whose tokens are asked of a server that hangs end after their time, all others at once."""
    relay = target.relay
    failed = relay.counter("wzp_auth_failed")
    waiting = [Client(target, room, "slow") for _ in range(REQUESTS)]
    try:
        begun = time.monotonic()
        for i, client in enumerate(waiting):
            client.connect()
            client.signal({"AuthToken": {"token": f"slow:{TIMEOUT_S + 1}#{i}"}})
            client.offer()
        # One place is taken by each; who comes to the last but one gets in at once.
        while target.telemetry.ask("/plenum/wzp")["auth_in_flight"] < REQUESTS:
            expect(time.monotonic() < begun + SOON_S, "the tokens are not asked for")
            time.sleep(0.05)
        with Client(target, room, "late") as late:
            refused(late, own_token(late))
        expect(relay.counter("wzp_auth_busy") == 1, "one beyond as many as may be")
        for client in waiting:
            client.expect_refused()
            took = time.monotonic() - begun
            expect(TIMEOUT_S - 0.5 < took < TIMEOUT_S + 2, f"refused after {took:.1f} s")
        expect(relay.counter("wzp_auth_failed") == failed + REQUESTS, "wzp_auth_failed")
        with Client(target, room, "after") as after:
            soon(after.join, own_token(after))
    finally:
        for client in waiting:
            client.__exit__(None, None, None)


def dead(target, room, server, known):
    """Without a server who is known gets in, others are refused at once; with a new one all goes on."""
    server.kill()
    for i in range(2):
        with Client(target, room, "dead") as client:
            refused(client, own_token(client), most=SOON_S)
    with Client(target, room, "known", seed=bytes(32)) as client:
        expect(client.identity.fingerprint == known.fingerprint, "another identity")
        soon(client.join, own_token(client))
    said = target.relay.ctl("show wzp")
    expect("onnect" in said.split("last error")[1], f"show wzp: {said}")
    server.start()
    with Client(target, room, "restarted") as client:
        soon(client.join, own_token(client))


def surfaces(target, server):
    """The prompt and telemetry say what came of them."""
    relay, told = target.relay, target.telemetry.ask("/plenum/wzp")
    said = relay.ctl("show wzp")
    figures = dict(zip(("asked", "valid", "invalid", "failed", "not taken"), map(int, re.search(
        r"(\d+) asked, (\d+) valid, (\d+) invalid, (\d+) failed, (\d+) not taken",
        said).groups())))
    counters = relay.counters()
    expect(server.url in said and f"0 of {REQUESTS}" in said, f"show wzp: {said}")
    expect(figures["asked"] == told["auth_asked"] == counters["wzp_auth_asked"] ==
           figures["valid"] + figures["invalid"] + figures["failed"], f"{said} {told} {counters}")
    expect(figures["not taken"] == told["auth_busy"] == counters["wzp_auth_busy"] == 1,
           f"{said} {told}")
    expect(told["auth_valid"] == figures["valid"] and told["auth_requests_max"] == REQUESTS,
           f"{said} {told}")
    drops = relay.ctl("show drops")
    for name in ("wzp_auth_invalid", "wzp_auth_failed", "wzp_auth_busy", "wzp_identity"):
        expect(name in drops, f"show drops: no {name}")


@test(beside=True)
@in_lab
def wzp_auth_any(lab, long):
    """auth_identity = any: who has a token is who it was given to; asked again when its time is over; IPv6"""
    run("ip", "netns", "exec", lab.inside, "sysctl", "-qw", "net.ipv6.conf.lo.disable_ipv6=0")
    server = AuthServer(lab, "::1")
    target = Guarded(lab, server, auth_identity="any", auth_cache=2)
    room, other = target.name("any"), signals.Identity().fingerprint
    with Client(target, room, "sees", reads=True) as sees:
        sees.join(own_token(sees))
        for asked in (1, 1, 2):
            if asked == 2:
                time.sleep(2)
            with Client(target, room, "c", v6=True) as client:
                client.join(f"of:{other}")
                sees.wait_roster([sees.member, (other, "c")])
                client.close()
            expect(server.asked(f"of:{other}") == asked, f"not asked {asked} times")
            sees.wait_roster([sees.member])
    target.relay.stop()


@test(beside=True)
@in_lab
def wzp_allow(lab, long):
    """A room that lists identities lets in no others, however its name is written; other rooms do"""
    listed, owner = signals.Identity(bytes(32)).fingerprint, signals.Identity(b"1" * 32).fingerprint
    relay = Relay(lab, rooms=({"pattern": "board-*", "allow": [owner, listed]},),
                  quic={"connections": 100, "identity": f"{lab.dir}/identity"},
                  wzp={"open_rooms": True})
    target = Target(lab, lab.outside, (RELAY4, RELAY6), PORT, (CLIENT4, CLIENT6))
    with Client(target, "board-1", "in", reads=True, seed=bytes(32)) as inside, \
            Client(target, "BOARD-1", "owner", seed=b"1" * 32) as other:
        inside.join()
        other.join()
        for room in ("board-1", "Board-1", "board-2", "board-1."):
            with Client(target, room, "out") as client:
                client.offer()
                client.expect_refused()
                expect(client.relay is None, f"{room}: answered")
        expect(relay.counter("wzp_acl") == 4, f"wzp_acl {relay.counter('wzp_acl')}")
        with Client(target, "boards", "elsewhere") as client:
            client.join()
        inside.wait_roster([inside.member, other.member])
        expect(len(inside.rosters()) == 2, f"{inside.rosters()}")
    relay.stop()  # the last events are written by then
    refusals = [e for e in relay.events() if e["event"] == "refuse" and e["reason"] == "wzp_acl"]
    expect(len(refusals) == 4 and all(e["room"].startswith("board-") for e in refusals),
           f"{refusals}")
