# SPDX-License-Identifier: BSD-3-Clause
"""ICE agents that nobody here wrote (agents/README.md), each in a room of its own with one of our
clients, all at the same time: joining, staying, a byte-exact stream each way, switching roles,
a NAT that forgets its mapping, and credentials that are no good."""

import os
import socket
import struct
import threading
import time

from endpoint import Clients, Stream, stun_attributes, USE_CANDIDATE
from lab import PORT, RELAY4, RELAY6, expect, run
from relay import Relay, in_lab, test

RATE = 45        # of our client's stream: 1 000 packets in the short form's stay
REBOUND_S = 16   # 10 s of silence of the old address and the agent's next check
NOMINATED_S = 1
CONSENT_S = 30   # the relay's patience


class Case:
    """One agent's run. `kind` says what is tried; `expects` what shall come of it."""

    def __init__(self, agent, kind, *, v6=False, **options):
        self.agent, self.kind, self.v6, self.options = agent, kind, v6, options
        self.name = f"{agent}-{kind}"
        self.process = self.client = self.stream = None


def all_cases():
    for agent in ("aioice", "pion", "libnice"):
        if agent != "pion":  # knows regular nomination only
            yield Case(agent, "aggressive", nomination="aggressive")
        yield Case(agent, "regular", nomination="regular", v6=True)
        yield Case(agent, "controlled", role="controlled")
        yield Case(agent, "rebinding", nomination="regular")
        yield Case(agent, "tampered")
        yield Case(agent, "expired")
    yield Case("libnice", "alive", consent="off")
    yield Case("libnice", "strict", consent="off")


def command(lab, agent):
    here = os.path.join(lab.root, "tests", "func", "agents")
    return {"aioice": [os.path.join(lab.root, ".venv", "bin", "python3"),
                       os.path.join(here, "aioice_agent.py")],
            "pion": [os.path.join(lab.build, "tests", "func", "agent-pion")],
            "libnice": [os.path.join(lab.build, "tests", "func", "agent-libnice")]}[agent]


class Nat:
    """Translates what clients in networks behind the outside namespace send to the relay."""

    def __init__(self, lab):
        self.lab = lab
        run("ip", "netns", "exec", lab.outside, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        lab.nft("add table ip nat",
                "add chain ip nat post { type nat hook postrouting priority 100; }")
        self.networks = 0

    def network(self, port):
        """A namespace with one client address behind the NAT, seen from outside at `port`."""
        self.networks += 1
        n = self.networks
        name = f"{self.lab.outside}-n{n}"
        self.lab.add_namespace(name)
        self.lab.join(name, "n0", self.lab.outside, f"w{n}")
        run("ip", "-n", self.lab.outside, "addr", "add", f"198.19.{n}.1/24", "dev", f"w{n}")
        run("ip", "-n", name, "addr", "add", f"198.19.{n}.2/24", "dev", "n0")
        run("ip", "-n", name, "route", "add", "default", "via", f"198.19.{n}.1")
        self.lab.nft(f"add chain ip nat client{n}",
                     f"add rule ip nat post ip saddr 198.19.{n}.2 oifname p0 jump client{n}",
                     f"add rule ip nat client{n} udp dport {PORT} masquerade to :{port}")
        return name, f"198.19.{n}.2"

    def rebind(self, address, port):
        """Forget the mapping; the next packet gets another port."""
        n = address.split(".")[2]
        self.lab.nft(f"flush chain ip nat client{n}",
                     f"add rule ip nat client{n} udp dport {PORT} masquerade to :{port}")
        run("ip", "netns", "exec", self.lab.outside, "conntrack", "-D", "-s", address)


class Nominations(threading.Thread):
    """When a check with USE-CANDIDATE first left for the relay, by source port."""

    def __init__(self, lab):
        super().__init__(daemon=True)
        self.first = {}
        self.sock = lab.socket(lab.outside, socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.sock.bind(("p0", 0x0003))
        self.sock.settimeout(0.5)
        self.ended = threading.Event()

    def run(self):
        while not self.ended.is_set():
            try:
                frame = self.sock.recv(2048)
            except TimeoutError:
                continue
            if len(frame) < 62 or frame[12:14] != b"\x08\x00" or frame[23] != 17:
                continue
            source, to = struct.unpack_from("!HH", frame, 34)
            message = frame[42:]
            if to == PORT and message[:2] == b"\0\1" and USE_CANDIDATE in stun_attributes(message):
                self.first.setdefault(source, time.time())

    def stop(self):
        self.ended.set()
        self.join()


def start(lab, relay, clients, nat, case, number, seconds):
    """Put our client and the agent into a room of their own."""
    room = f"{'alive' if case.kind == 'alive' else 'ice'}-{case.name}"
    case.client = clients.client("fd00:198:18::2" if case.v6 else "198.18.0.2",
                                 *relay.credential(room, "ours"))
    case.client.join()
    expiry = int(time.time()) - 5 if case.kind == "expired" else None
    ufrag, pwd = relay.credential(room, "agent", expiry=expiry)
    if case.kind == "tampered":
        ufrag = relay.credential(room, "admin")[0]
    namespace, local = lab.outside, case.client.sock.getsockname()[0]
    if case.kind == "rebinding":
        case.port = 40000 + number
        namespace, local = nat.network(case.port)
        case.local = local
    case.ssrc = 0x1CE000 + number
    options = {"relay": RELAY6 if case.v6 else RELAY4, "port": PORT, "ufrag": ufrag, "pwd": pwd,
               "local": local, "ssrc": case.ssrc, "rate": 50, "seconds": seconds, **case.options}
    arguments = [word for key, value in options.items() for word in (f"--{key}", value)]
    case.process = lab.start(namespace, command(lab, case.agent) + arguments, case.name)


def check_refused(case):
    expect(not case.process.events("connected"), "connected with a credential that is no good")
    expect(case.client.count == 0, f"{case.client.count} packets came through")


def check_streams(case, done):
    """Both streams whole: what our client sent is what the agent got, and the other way round."""
    expect(done["bad"] == 0 and done["duplicates"] == 0, f"agent: {done}")
    expect(done["received"] == case.stream.sent,
           f"agent got {done['received']} of {case.stream.sent} packets")
    expect(case.stream.sent >= 1000, f"only {case.stream.sent} packets were sent")
    case.client.expect_exactly(case.ssrc, range(done["sent"]))


def check_rebinding(case, done, nominations, ended_at):
    """Media came back both ways, in time; a break too short to be noticed is none."""
    nominated = nominations.first.get(case.port + 1000)
    resumed = {"to the agent": [e["t"] for e in case.process.events("resumed")],
               "from the agent": case.client.resumed}
    flowing = {"to the agent": done["received"] > case.stream.sent - REBOUND_S * RATE,
               "from the agent": case.client.last_media > ended_at - 1}
    late = {}
    for way, times in resumed.items():
        back = max([t for t in times if t > case.rebound_at], default=case.rebound_at)
        late[way] = back - case.rebound_at
        expect(flowing[way], f"media {way} never came back")
        expect(late[way] <= REBOUND_S, f"media {way} came back after {late[way]:.1f} s")
        if nominated is not None:
            expect(back - nominated <= NOMINATED_S,
                   f"media {way} came back {back - nominated:.1f} s after the nomination")
    expect(done["bad"] == 0 and done["duplicates"] == 0 and case.client.bad == 0, f"{done}")
    how = "no nomination" if nominated is None else \
        f"nominated after {nominated - case.rebound_at:.1f} s"
    print(f"  {case.name}: media back after " +
          " and ".join(f"{s:.1f} s {way}" for way, s in late.items()) + f" ({how})")


def check_default_libnice(case, ended_at):
    """It asks once and never again: enough for a room with consent = alive alone."""
    if case.kind == "alive":
        expect(ended_at - case.client.last_media < 1, "dropped from a room that is alive")
    else:
        stayed = case.client.last_media - case.client.resumed[0]
        expect(CONSENT_S - 2 < stayed < CONSENT_S + 2,
               f"its media went through for {stayed:.1f} s, consent lasts {CONSENT_S}")


@test("each agent stays 120 s instead of 36", beside=True)
@in_lab
def ice_agents(lab, long):
    """aioice, pion/ice and libnice: join, stay, 487, NAT rebinding, bad credentials, consent"""
    stay = 120 if long else 36
    relay = Relay(lab, rooms=[{"pattern": "alive-*", "consent": "alive"}, {"pattern": "*"}])
    clients, nat, nominations = Clients(lab), Nat(lab), Nominations(lab)
    nominations.start()
    cases = list(all_cases())
    for number, case in enumerate(cases):
        start(lab, relay, clients, nat, case, number, 3 * stay)
    welcome = [c for c in cases if c.kind not in ("tampered", "expired")]
    problems = []
    end = time.monotonic() + 15
    while time.monotonic() < end and \
            not all(c.process.events("connected") for c in welcome):
        clients.run(0.2)
    for case in welcome:
        if case.process.events("connected"):
            case.stream = Stream(case.client, 0x5EA000 + case.ssrc, RATE, 200)
        else:
            problems.append(f"{case.name}: did not connect in 15 s")
    welcome = [c for c in welcome if c.stream]
    streams = [c.stream for c in welcome]
    clients.run(4, streams)
    for case in welcome:
        if case.kind == "rebinding":
            case.rebound_at = time.time()
            nat.rebind(case.local, case.port + 1000)
    clients.run(stay - 4, streams)

    clients.run(0.5)  # what is under way arrives; the agents go on sending
    ended_at = time.time()
    for case in cases:
        case.process.popen.terminate()
    clients.run(2)
    nominations.stop()
    for case in cases:
        try:
            case.process.wait(10)
            done = (case.process.events("done") or [None])[0]
            if case.kind in ("tampered", "expired"):
                check_refused(case)
            elif case not in welcome:
                continue
            elif case.kind in ("alive", "strict"):
                check_default_libnice(case, ended_at)
            else:
                expect(done is not None, "ended without its report")
                expect(not case.process.events("failed"), "lost its connection")
                if case.kind == "rebinding":
                    check_rebinding(case, done, nominations, ended_at)
                else:
                    check_streams(case, done)
        except Exception as error:
            problems.append(f"{case.name}: {error}")
    relay.stop()
    expect(not problems, f"{len(problems)} of {len(cases)} cases: " + "; ".join(problems))
