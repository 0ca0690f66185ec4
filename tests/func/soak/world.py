# SPDX-License-Identifier: BSD-3-Clause
"""The relay under soak and what surrounds it: two networks, secrets that rotate, participants."""

import heapq
import itertools
import os
import struct
import time

import endpoint
from endpoint import Clients, credential
from lab import RELAY_MAC, Failure, run
from ledger import FOREVER, Ledger, Published, Spans
from relay import GATEWAY4, GATEWAY6, SECRET, Relay, write_secret

CONSENT_TIMEOUT_S = 10
# Often enough that one lost check ends nobody.
endpoint.CONSENT_S = 3.0
PLACES = {"near4": "198.18.0.2", "near6": "fd00:198:18::2", "far4": "198.19.0.2",
          "far6": "fd00:198:19::2"}
# After this long a gateway's new address is known: promised are 10 s and 2 s on a quiet machine.
SETTLED_S = {False: 12.0, True: 6.0}
ROOMS = ("soak-a", "soak-b", "soak-c", "soak-d")
CROWD_ROOM = "crowd"
# A second's worth of frames per queue: the test's own load must not overflow it, whoever else
# has the CPUs.
DEVICE = "net_af_packet0,iface=d0,qpairs=2,framecnt=2048"
# Small tables, so that each entry is used again many times.
LIMITS = {"rooms": 64, "sessions": 96, "participants": 64, "view_backlog": 1024,
          "neighbours": 256, "bars": 64}


class SoakClients(Clients):
    """One loop for the sockets of both networks; streams go on in it whatever is waited for."""

    def __init__(self, lab, far):
        super().__init__(lab)
        self.far = far
        self.streams = []
        self.ports = itertools.cycle(range(20000, 30000))

    def run(self, seconds, streams=()):
        super().run(seconds, [*self.streams, *streams])

    def at(self, place, ufrag, pwd, **options):
        self.namespace = self.far if place.startswith("far") else self.lab.outside
        # No port twice within minutes: the relay holds who vanished for its peer until consent
        # ends, and lets nobody else in from there.
        options.setdefault("port", next(self.ports))
        return self.client(PLACES[place], ufrag, pwd, **options)


class Participant:
    """A member of a room, through all of its sessions and addresses."""

    def __init__(self, world, room, name, role, place):
        self.world, self.room, self.name, self.role, self.place = world, room, name, role, place
        self.client = self.stream = None
        self.ufrag = self.pwd = self.secret = None
        self.certain = Spans()         # certainly a member
        self.ended = FOREVER           # may hear nothing that is sent later
        self.closed_at = FOREVER       # its socket is gone
        self.received = {}
        self.absent = set()            # (SSRC, number) of what it did not hear, due or not
        self.first = {}                # SSRC: what was settled when it came
        self.heard_count = self.due_count = 0
        self.busy = False              # something is being done to it
        self.founder = False

    @property
    def publishes(self):
        return self.role in "pb"

    @property
    def hears(self):
        return self.role in "sb"

    def open(self, ufrag, pwd, timeout=8.0):
        """A (new) socket comes in with this credential; the old socket, if any."""
        old = self.client
        if old:
            old.consent_due = None  # its checks nominate, and would move the session back
        self.certain.close(time.monotonic())
        client = self.world.clients.at(self.place, ufrag, pwd)
        client.received = self.received
        client.join(timeout=timeout)
        self.client = client
        if ufrag != self.ufrag:
            self.ufrag, self.pwd, self.secret = ufrag, pwd, self.world.secret
        if self.stream:
            self.stream.client = client
        self.certain.open(time.monotonic())
        return old

    def publish(self, ssrc, rate, size):
        self.stream = Published(self, ssrc, rate, size)
        self.world.clients.streams.append(self.stream)
        self.world.ledger.add_stream(self.stream)

    def stop_sending(self):
        if self.stream and self.stream in self.world.clients.streams:
            self.stream.stop()
            self.world.clients.streams.remove(self.stream)

    def report(self):
        """A sender report for its stream."""
        now = int(time.monotonic() * 1000) & 0xFFFFFFFF
        if self.stream and self.stream.sent and self.stream.limit is None:
            self.client.send(struct.pack("!BBHIIIIII", 0x80, 200, 6, self.stream.ssrc, now, 0, now,
                                         self.stream.sent, self.stream.sent * self.stream.size))

    def close(self):
        """Its socket goes."""
        if self.closed_at == FOREVER:
            now = time.monotonic()
            self.certain.close(now)
            self.closed_at = now
            self.stop_sending()
            self.world.bad += self.client.bad
            self.client.leave()


class World:
    """Everything of one run."""

    def __init__(self, lab, random):
        self.lab, self.random = lab, random
        self.clients = SoakClients(lab, self._gateway(lab))
        self.uncertain_far = []        # times in which the gateway's address is in doubt
        self.ledger = Ledger(self._uncertain)
        self.members = {room: [] for room in ROOMS}
        self.everybody = []            # names of all who ever came in
        self.ghosts = []               # sockets that had to be silent
        self.bad = 0
        self.problems = []             # (check, text): what an action found wrong
        self.done = {}                 # kind of action: how often
        self.refusals = {}             # STUN code: how many expected ones were seen
        self._due = []                 # a heap of (when, order, function)
        self._serial = 0
        self.secret, self.previous_secret, self.stale_secret = SECRET, None, None
        self.secrets_made = 0
        self.relay = Relay(
            lab, workers=2, queues=2, consent_timeout=CONSENT_TIMEOUT_S, limits=LIMITS,
            # A stall is a worker that hangs, not a CPU that somebody else has for a while; a turn
            # of few copies makes small bursts wait for the next one.
            tuning={"stall_ms": 5000, "turn_copies": 64},
            ports=({"device": DEVICE, "queues": 2,
                    "addresses": ({"address": "198.18.0.1/16", "gateway": GATEWAY4},
                                  {"address": "fd00:198:18::1/64", "gateway": GATEWAY6})},))

    @staticmethod
    def _gateway(lab):
        """A namespace on the same wire with a MAC address of its own: the gateway, and in it the
        addresses that the relay reaches through it."""
        name = lab.outside + "-gw"
        lab.add_namespace(name)
        run("ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv6.conf.all.accept_dad=0",
            "net.ipv6.conf.default.accept_dad=0")
        run("ip", "-n", lab.outside, "link", "add", "gw0", "link", "p0", "type", "macvlan", "mode",
            "bridge")
        run("ip", "-n", lab.outside, "link", "set", "gw0", "netns", name)
        run("ip", "netns", "exec", name, "ethtool", "-K", "gw0", "tx", "off")
        run("ip", "-n", name, "link", "set", "gw0", "up")
        for address in (GATEWAY4 + "/16", GATEWAY6 + "/64", PLACES["far4"] + "/32",
                        PLACES["far6"] + "/128"):
            run("ip", "-n", name, "addr", "add", address, "dev", "gw0",
                *(["nodad"] if ":" in address else []))
        return name

    def _uncertain(self, participant, at):
        return participant.place.startswith("far") and \
            any(begin <= at <= end for begin, end in self.uncertain_far)

    def gateway_settled(self):
        now = time.monotonic()
        return not any(begin <= now <= end for begin, end in self.uncertain_far)

    # --- time ------------------------------------------------------------------------------------

    def later(self, seconds, function):
        self._serial += 1
        heapq.heappush(self._due, (time.monotonic() + seconds, self._serial, function))

    def turn(self, until):
        """Serve everybody until then, and what is due meanwhile."""
        while time.monotonic() < until:
            due = min(until, self._due[0][0] if self._due else until)
            self.clients.run(max(0.0, min(0.5, due - time.monotonic())))
            while self._due and self._due[0][0] <= time.monotonic():
                self.attempt(heapq.heappop(self._due)[2])

    def attempt(self, function):
        """What fails is a problem of the run, not its end."""
        try:
            function()
        except Failure as failure:
            self.problem("actions", f"{getattr(function, '__name__', 'later')}: {failure}")
        if self.relay.process.popen.poll() is not None:
            raise Failure(f"plenum ended with {self.relay.process.popen.returncode}: "
                          f"{self.relay.process.errors()[-500:]}")

    def waiting(self):
        return len(self._due)

    def problem(self, check, text):
        self.problems.append((check, text))
        self.ledger.note(f"{check}: {text}")

    def count(self, kind):
        self.done[kind] = self.done.get(kind, 0) + 1

    # --- people ----------------------------------------------------------------------------------

    def name(self, prefix):
        self._serial += 1
        return f"{prefix}{self._serial}"

    def mint(self, room, name, role, ttl=3600, secret=None):
        return credential(secret or self.secret, room, name, role, int(time.time()) + ttl)

    def admit(self, room, role, place, ttl=3600, prefix="m"):
        """A new participant comes in, and publishes if it may."""
        who = Participant(self, room, self.name(prefix), role, place)
        who.open(*self.mint(room, who.name, role, ttl))
        self.everybody.append(who.name)
        self.members[room].append(who)
        if who.hears:
            self.ledger.add_hearer(who)
        if who.publishes:
            self._serial += 1
            who.publish(0x50000000 + self._serial, self.random.choice((20, 25, 30)),
                        self.random.choice((60, 160, 300, 700, 1150)))
        return who

    def part(self, who):
        """It is no member any more, or will soon not be; nobody is to choose it."""
        now = time.monotonic()
        who.certain.close(now)
        if who in self.members[who.room]:
            self.members[who.room].remove(who)
        return now

    def choose(self, *, founders=False, role=None):
        """A participant to do something to, None if there is none."""
        found = [m for members in self.members.values() for m in members if not m.busy and
                 (founders or not m.founder) and (role is None or m.role in role) and
                 (self.gateway_settled() or not m.place.startswith("far"))]
        return self.random.choice(found) if found else None

    def refused(self, ufrag, pwd, code, what):
        """A newcomer with this credential is told `code`."""
        client = self.clients.at(self.random.choice(("near4", "near6")), ufrag, pwd)
        client.join(timeout=8.0, want=None)
        if client.errors and set(client.errors) == {code} and client.last_ok is None:
            self.refusals[code] = self.refusals.get(code, 0) + 1
        else:
            self.problem("refusals", f"{what}: got {client.errors or 'no error'}, admitted: "
                         f"{client.last_ok is not None}; expected {code}")
        client.leave()

    # --- those who should hear nothing more ------------------------------------------------------

    def ghost(self, client, why, after=1.5):
        """From `after` on this socket gets nothing, for two seconds more. Then it is closed."""
        client.consent_due = None

        def begin():
            self.ghosts.append(client)
            client.ghost_count = client.count

        def end():
            if client.count != client.ghost_count:
                self.problem("ghosts", f"{client.count - client.ghost_count} packets to one that "
                             f"{why}")
            self.bad += client.bad
            client.leave()
        self.later(after, begin)
        self.later(after + 2, end)

    # --- the operator ----------------------------------------------------------------------------

    def rotate(self):
        """A new secret; the last one verifies on, the one before does not."""
        self.secrets_made += 1
        path = os.path.join(self.lab.dir, f"secret{self.secrets_made}")
        self.stale_secret, self.previous_secret = self.previous_secret, self.secret
        fresh = f"secret number {self.secrets_made} of a long run".encode()
        write_secret(path, fresh)
        old_paths = self.relay.settings["secrets"]
        self.relay.configure(secrets=[path, old_paths[0]])
        os.chmod(path, 0o644)
        try:
            self.relay.ctl("reload")
            self.problem("actions", "reload took a secret that everybody may read")
        except Failure:
            pass
        os.chmod(path, 0o600)
        self.relay.ctl("reload")
        self.relay.secret = path
        self.secret = fresh
        for stale in old_paths[1:]:
            os.unlink(stale)

    def change_gateway(self, announced, mac):
        name = self.clients.far
        run("ip", "netns", "exec", name, "sysctl", "-qw",
            f"net.ipv4.conf.gw0.arp_notify={int(announced)}",
            f"net.ipv6.conf.gw0.ndisc_notify={int(announced)}")
        now = time.monotonic()
        # From a little before: what is under way goes astray as well.
        self.uncertain_far.append((now - 1.0, now + SETTLED_S[announced]))
        del self.uncertain_far[:-4]
        run("ip", "-n", name, "link", "set", "gw0", "address", mac)

    def garbage(self, rate, seconds, seed):
        return self.lab.start(self.lab.outside, [
            os.path.join(self.lab.build, "tests", "func", "garbage"), "--interface", "p0",
            "--mac", RELAY_MAC, "--ip4", "198.18.0.1", "--ip6", "fd00:198:18::1", "--port", 7000,
            "--rate", rate, "--seconds", seconds, "--seed", seed], f"garbage{seed}")

    def forget(self, process):
        """A process that has ended."""
        process.popen.stdout.close()
        os.unlink(process.stderr_path)
        self.lab.processes.remove(process)

    def settle(self, everything=False):
        """Judge what was sent; trim what would grow in this very program."""
        self.ledger.settle(time.monotonic(), everything)
        for client in self.clients.all:
            client.rtcp.clear()
            del client.resumed[:-1]
            if len(client.requests) > 16:
                for transaction in list(client.requests)[:-8]:
                    del client.requests[transaction]
        self.lab._close = [close for close in self.lab._close if close.__self__.fileno() >= 0]
