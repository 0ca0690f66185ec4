# SPDX-License-Identifier: BSD-3-Clause
"""What happens during a soak, again and again, in an order that follows from the seed."""

import time

from world import CONSENT_TIMEOUT_S, PLACES, ROOMS

ROUND_S = 22.0
MEMBERS_MAX = 8
# A round is this deck, shuffled and spread over ROUND_S.
DECK = ("join", "join", "join", "leave", "vanish", "crowd_ends", "crowd_killed", "expired",
        "short_lived", "replace", "move", "kick", "reload", "gateway", "garbage", "burst", "burst")
# These need time to be judged: not in the last part of the churn.
SLOW = {"gateway": 9.0, "short_lived": 4.0, "kick": 3.0}
GARBAGE_PPS, GARBAGE_S = 500, 2
BURST_S = 2.0
MACS = 0x02000000A000


class Actions:
    """Each method is one thing that happens."""

    def __init__(self, world, crowds):
        self.world, self.crowds, self.random = world, crowds, world.random
        self.gateways = 0

    def schedule(self, begin, end):
        """(when, kind) for the whole run."""
        plan = []
        while begin < end:
            deck = list(DECK)
            self.random.shuffle(deck)
            for i, kind in enumerate(deck):
                at = begin + (i + self.random.uniform(0.1, 0.9)) * ROUND_S / len(deck)
                latest = end - SLOW.get(kind, 1.0)
                # What comes too late in a short run comes early instead.
                if at > latest and begin + ROUND_S > latest > begin:
                    at = self.random.uniform(begin, latest)
                if at <= latest:
                    plan.append((at, kind))
            begin += ROUND_S
        return sorted(plan)

    def place(self):
        """An address for a newcomer; behind the gateway only while its MAC address is known."""
        places = list(PLACES)
        return self.random.choice(places if self.world.gateway_settled() else places[:2])

    def open(self):
        """The founders: in each room one member at each place, two of whom publish."""
        for i, room in enumerate(ROOMS):
            for j, place in enumerate(PLACES):
                self.world.admit(room, "bbss"[(i + j) % 4], place, prefix="f").founder = True

    def join(self):
        rooms = [r for r in ROOMS if len(self.world.members[r]) < MEMBERS_MAX]
        if rooms:
            room = self.random.choice(rooms)
            talkers = sum(m.publishes for m in self.world.members[room])
            role = self.random.choice("bps" if talkers < 4 else "s")
            self.world.admit(room, role, self.place())

    def _chosen(self, **kind):
        """Somebody to do something to; a newcomer where there is nobody."""
        return self.world.choose(**kind) or self.world.admit(
            self.random.choice(ROOMS), "b", self.place())

    def leave(self, who=None, then=None):
        """Falls silent, but listens: hears on until consent ends it, and then nothing."""
        who = who or self._chosen()
        who.stop_sending()
        who.client.consent_due = None
        self.world.part(who)
        who.ended = time.monotonic() + CONSENT_TIMEOUT_S + 1.0

        def ended():
            self.world.ghost(who.client, f"left ({who.name})", after=0.5)
            who.closed_at = time.monotonic()
            if then:
                then()
        self.world.later(CONSENT_TIMEOUT_S + 1.0, ended)

    def vanish(self):
        """Its socket is gone from one moment to the next."""
        who = self._chosen()
        self.world.part(who)
        who.close()

    def crowd_ends(self):
        self.crowds.come_and_go(kill=False)

    def crowd_killed(self):
        self.crowds.come_and_go(kill=True)

    def expired(self):
        """A newcomer whose credential expired."""
        world = self.world
        ago = self.random.choice((1, 30, 3000))
        world.refused(*world.mint(self.random.choice(ROOMS), world.name("late"), "b", -ago), 401,
                      f"credential expired {ago} s ago")

    def short_lived(self):
        """Its credential expires while it is in: it stays. Afterwards it opens nothing."""
        world = self.world
        who = world.admit(self.random.choice(ROOMS), "b", self.place(), ttl=3, prefix="brief")
        who.busy = True  # it cannot move

        def silent():
            self.leave(who, lambda: world.refused(who.ufrag, who.pwd, 401,
                                                  f"{who.name}'s credential, expired in use"))
        world.later(6.0, silent)

    def replace(self):
        """Back from another port with another credential, as after a crash."""
        who = self._chosen(founders=True)
        old = who.open(*self.world.mint(who.room, who.name, who.role,
                                        self.random.randint(600, 3000)))
        self.world.ghost(old, f"was replaced ({who.name})")

    def move(self):
        """The same session from another port."""
        who = self._chosen(founders=True)
        who.busy = True
        old = who.open(who.ufrag, who.pwd)
        self.world.ghost(old, f"moved ({who.name})")
        self.world.later(2.0, lambda: setattr(who, "busy", False))

    def burst(self):
        """A publisher sends two seconds' packets at once: more copies than a turn makes."""
        who = self._chosen(founders=True, role="bp")
        who.stream.begun -= BURST_S

    def kick(self):
        """A newcomer is put out, though it sends on, and is barred until it has another credential.
        Its first one is of two minutes, so that the relay forgets bars as well."""
        world = self.world
        who = world.admit(self.random.choice(ROOMS), "b", self.place(), ttl=120, prefix="k")
        who.busy = True

        def out():
            world.part(who)
            world.relay.ctl(f"kick {who.room} {who.name}")
            who.ended = who.stream.ended = time.monotonic()
            world.ghost(who.client, f"was kicked ({who.name})")
            world.later(2.0, gone)
            world.later(3.6, barred)

        def gone():
            who.stop_sending()  # until now it went on as if nothing had happened
            who.closed_at = time.monotonic()

        def barred():
            # Unless its secret went meanwhile: that is found out first.
            known = who.secret in (world.secret, world.previous_secret)
            world.refused(who.ufrag, who.pwd, 403 if known else 401, f"{who.name}, kicked")
            again = world.clients.at("near4", *world.mint(who.room, who.name, "s", ttl=1800))
            again.join(timeout=8.0)
            again.leave()
        world.later(4.0, out)

    def reload(self):
        """Another secret; who holds a credential of the last one still comes in."""
        world = self.world
        before = world.secret
        world.rotate()
        name = world.name("rotated")
        who = world.clients.at("near4", *world.mint(ROOMS[0], name, "s", secret=before))
        who.join(timeout=8.0)
        world.everybody.append(name)
        who.leave()
        if world.stale_secret:
            credential = world.mint(ROOMS[0], world.name("stale"), "s", secret=world.stale_secret)
            world.refused(*credential, 401, "a secret of two reloads ago")

    def gateway(self):
        """It is another machine from now on, which says so or does not."""
        if not self.world.gateway_settled():
            self.world.later(3.0, self.gateway)
        else:
            self.gateways += 1
            mac = f"{MACS + self.gateways % 4096:012x}"
            self.world.change_gateway(self.gateways % 2 == 1,
                                      ":".join(mac[i:i + 2] for i in range(0, 12, 2)))

    def garbage(self):
        process = self.world.garbage(GARBAGE_PPS, GARBAGE_S, self.random.randrange(1 << 30))

        def ended():
            status = process.wait(20)
            if status != 0:
                self.world.problem("actions", f"the generator of garbage: exit {status}")
            self.world.forget(process)
        self.world.later(GARBAGE_S + 1.5, ended)

    # --- the end ---------------------------------------------------------------------------------

    def close(self):
        """Nobody sends any more, then nobody is there any more."""
        world = self.world
        for stream in [*world.clients.streams]:
            stream.owner.stop_sending()
        world.turn(time.monotonic() + 2.0)
        world.settle(everything=True)
        for members in world.members.values():
            for who in [*members]:
                if not who.busy:  # else it is about to leave by itself
                    world.part(who)
                    who.close()
        self.crowds.close()
