# SPDX-License-Identifier: BSD-3-Clause
"""Who comes in and who does not, over the wire: each answer's code, and what goes on afterwards."""

import os
import time

from endpoint import CONTROLLED, Clients, Stream, credential, rtp
from lab import expect
from relay import Relay, in_lab, test, write_secret


def flows(clients, sender, hearer, ssrc):
    """Does a packet of `sender` reach `hearer`?"""
    before = hearer.count
    sender.send(rtp(ssrc, 0x10000 + hearer.count, 100))
    clients.run(0.15)
    return hearer.count > before


@test()
@in_lab
def credentials(lab, long):
    """valid ones of both secrets come in; tampered, expired, foreign and barred ones do not"""
    second = os.path.join(lab.dir, "second")
    write_secret(second, b"the other secret, during a rotation")
    relay = Relay(lab, secrets=[os.path.join(lab.dir, "secret"), second])
    clients = Clients(lab)

    def attempt(ufrag, pwd, want, codes=()):
        client = clients.client("198.18.0.2", ufrag, pwd)
        client.join(timeout=1.0 if not want else 5.0, want=want)
        expect(set(client.errors) <= set(codes), f"errors {client.errors}, allowed {codes}")
        expect(want or not codes or client.errors, f"no error, expected one of {codes}")
        return client

    attempt(*relay.credential("r", "one"), True)
    attempt(*relay.credential("r", "two", secret=b"the other secret, during a rotation"), True)
    attempt(*relay.credential("r", "three", secret=b"a secret that the relay never saw"), False,
            (401,))
    ufrag, pwd = relay.credential("r", "four")
    attempt(relay.credential("r", "admin")[0], pwd, False, (401,))
    attempt(ufrag, pwd[:-1] + ("A" if pwd[-1] != "A" else "B"), False, (401,))
    # Told so for an hour; after that the worker's filter takes it for noise: silence.
    attempt(*relay.credential("r", "five", expiry=int(time.time()) - 1), False, (401,))
    attempt(*relay.credential("r", "five", expiry=int(time.time()) - 3700), False)
    attempt("bm90IGEgY3JlZGVudGlhbA", pwd, False)
    # `plenum credential` and the two lines of any app server agree.
    minted = dict(line.split("=", 1) for line in relay.mint("r", "six", "b").splitlines())
    attempt(minted["ufrag"], minted["pwd"], True)
    relay.stop()


@test()
@in_lab
def stun_answers(lab, long):
    """487 for a controlled agent, 420, 486 for a full room, never more bytes out than in"""
    relay = Relay(lab, rooms=[{"pattern": "small", "max": 2}, {"pattern": "*"}])
    clients = Clients(lab)
    client = clients.client("198.18.0.2", *relay.credential("r", "a"))
    client.request(role=CONTROLLED)
    clients.run(0.3)
    expect(client.errors == [487], f"controlled agent: {client.errors}")
    client.errors.clear()
    client.request(extra=b"\x7f\xff\0\4abcd")
    clients.run(0.3)
    expect(client.errors == [420], f"unknown mandatory attribute: {client.errors}")
    client.errors.clear()
    client.request(extra=b"\xff\xff\0\4abcd")
    clients.run(0.3)
    expect(client.errors == [] and client.last_ok, "unknown optional attribute not ignored")
    for i in range(2):
        clients.client("198.18.0.2", *relay.credential("small", f"m{i}")).join()
    late = clients.client("198.18.0.2", *relay.credential("small", "late"))
    late.join(timeout=1, want=False)
    expect(late.errors == [486], f"full room: {late.errors}")
    relay.stop()


@test()
@in_lab
def roles(lab, long):
    """publishers hear nothing, subscribers' media goes nowhere, SSRCs have one owner"""
    relay = Relay(lab)
    clients = Clients(lab)
    both, publisher, subscriber = (clients.client("198.18.0.2", *relay.credential("r", n, n[0]))
                                   for n in ("both", "publisher", "subscriber"))
    for client in (both, publisher, subscriber):
        client.join()
    expect(flows(clients, both, subscriber, 1), "no media from role b to role s")
    expect(flows(clients, publisher, both, 2), "no media from role p to role b")
    expect(publisher.count == 0, "media to role p")
    expect(not flows(clients, subscriber, both, 3), "media from role s")
    expect(relay.counter("role") == 1, "not counted")
    expect(not flows(clients, publisher, subscriber, 1), "media with somebody else's SSRC")
    expect(relay.counter("ssrc_foreign") == 1, "not counted")
    stranger = clients.client("198.18.0.2", *relay.credential("r", "stranger"))
    expect(not flows(clients, stranger, both, 4), "media from an address without a session")
    expect(relay.counter("no_session") >= 1, "not counted")
    relay.stop()


@test()
@in_lab
def replay_and_replacement(lab, long):
    """a replayed request changes nothing; a participant that comes back replaces its old session"""
    relay = Relay(lab)
    clients = Clients(lab)
    hearer = clients.client("fd00:198:18::2", *relay.credential("r", "hearer"))
    first = clients.client("198.18.0.2", *relay.credential("r", "crashed"))
    hearer.join()
    first.join()
    expect(flows(clients, first, hearer, 0x77), "no media before")
    recorded = first.request()
    clients.run(0.2)
    thief = clients.client("198.18.0.2", *relay.credential("r", "crashed"))
    thief.requests[recorded[8:20]] = len(recorded)
    thief.send(recorded)
    clients.run(0.3)
    expect(flows(clients, first, hearer, 0x77), "a replayed request moved the session")
    expect(not flows(clients, thief, hearer, 0x78), "a replayed request opened a way in")

    again = clients.client("198.18.0.2",
                           *relay.credential("r", "crashed", expiry=int(time.time()) + 1234))
    again.join()
    expect(not flows(clients, first, hearer, 0x77), "the old session still sends")
    expect(flows(clients, again, hearer, 0x77), "the SSRC was not freed")
    expect(any(e.get("reason") == "replaced" for e in relay.events()), "no event says replaced")
    relay.stop()


@test(beside=True)
@in_lab
def moving(lab, long):
    """a session follows its nominated tuple at once, and an un-nominated one after 10 s of silence"""
    relay = Relay(lab)
    clients = Clients(lab)
    talker = clients.client("198.18.0.2", *relay.credential("r", "talker"))
    identity = relay.credential("r", "mover")
    old = clients.client("198.18.0.2", *identity)
    new = clients.client("fd00:198:18::2", *identity)
    talker.join()
    old.join()
    expect(flows(clients, talker, old, 1), "no media before the move")
    clients.run(1.1)  # at most one move a second
    old.consent_due = None
    new.join()
    expect(flows(clients, talker, new, 1), "did not follow the nomination")
    before = old.count
    expect(not flows(clients, talker, old, 1) and old.count == before, "still sends to the old one")
    third = clients.client("198.18.0.2", *identity, nominate=False)
    new.consent_due = None
    moved_after = None
    begun = time.monotonic()
    stream = Stream(talker, 2, 20, 100)
    while moved_after is None and time.monotonic() - begun < 14:
        third.request()
        clients.run(0.5, [stream])
        if third.count:
            moved_after = time.monotonic() - begun
    expect(moved_after is not None, "did not follow although the old tuple was silent")
    expect(9 < moved_after < 12.5, f"moved after {moved_after:.1f} s of silence, expected 10")
    relay.stop()


@test()
@in_lab
def source_limit(lab, long):
    """one /64 opens no more sessions than it may; silence and a counter beyond, other hosts go on"""
    relay = Relay(lab, limits={"sessions_per_net6": 3})
    clients = Clients(lab)
    lab.add_address("fd00:198:18::9")
    for i, address in enumerate(("fd00:198:18::2", "fd00:198:18::2", "fd00:198:18::9")):
        clients.client(address, *relay.credential("r", f"six{i}")).join()
    late = clients.client("fd00:198:18::2", *relay.credential("r", "late"))
    late.join(timeout=1, want=False)
    expect(late.errors == [], f"an answer: {late.errors}")
    expect(relay.counter("admit_source") > 0, "not counted")
    for i in range(5):
        clients.client("198.18.0.2", *relay.credential("r", f"four{i}")).join()
    relay.ctl("kick r six0")
    late.join()
    relay.stop()
