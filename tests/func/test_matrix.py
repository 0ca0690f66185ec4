# SPDX-License-Identifier: BSD-3-Clause
"""Byte-exact delivery over IPv4 and IPv6, for each way workers and queues may be dealt out, and
each kind of port that carries frames on a machine without a NIC."""

from endpoint import Clients, Stream
from lab import expect
from relay import Relay, in_lab, test
import wire

ADDRESSES = ("198.18.0.2", "fd00:198:18::2", "198.18.0.2", "fd00:198:18::2")
# Room, publisher, SSRC, packets a second, bytes: from far below the size that is copied to above.
PUBLICATIONS = (("alpha", 0, 0xA0, 250, 1200), ("alpha", 1, 0xA1, 100, 60),
                ("beta", 0, 0xB0, 250, 1200), ("beta", 1, 0xB1, 100, 320))


def deliver(lab, long, relay=None, **settings):
    relay = relay or Relay(lab, **settings)
    clients = Clients(lab)
    rooms = {room: [clients.client(address, *relay.credential(room, f"p{i}"))
                    for i, address in enumerate(ADDRESSES)] for room in ("alpha", "beta")}
    for member in rooms["alpha"] + rooms["beta"]:
        member.join()
    streams = [(room, Stream(rooms[room][i], ssrc, rate, size))
               for room, i, ssrc, rate, size in PUBLICATIONS]
    clients.run(30 if long else 3, [stream for _, stream in streams])
    clients.run(0.5)
    for room, members in rooms.items():
        for member in members:
            theirs = {s.ssrc: s for r, s in streams if r == room and s.client is not member}
            expect(set(member.received) == set(theirs),
                   f"{room}: got streams {sorted(member.received)}, expected {sorted(theirs)}")
            for ssrc, stream in theirs.items():
                member.expect_exactly(ssrc, stream.numbers())
    relay.stop()


@test("30 s instead of 3")
@in_lab
def relay_1_worker(lab, long):
    """every byte to every other participant, IPv4 and IPv6: 1 worker"""
    deliver(lab, long, workers=1, queues=1)


@test("30 s instead of 3")
@in_lab
def relay_2_workers_2_queues(lab, long):
    """the same with 2 workers, each with a queue of its own"""
    deliver(lab, long, workers=2, queues=2)


@test("30 s instead of 3")
@in_lab
def relay_2_workers_1_queue(lab, long):
    """the same with 2 workers on one queue: packets cross both ways"""
    deliver(lab, long, workers=2, queues=1)


@test("30 s instead of 3")
@in_lab
def relay_memif(lab, long):
    """the same over memif, whose other end is another process"""
    deliver(lab, long, wire.memif(lab).relay())


@test("30 s instead of 3")
@in_lab
def relay_memif_2_workers(lab, long):
    """the same over memif with a queue for each of 2 workers"""
    deliver(lab, long, wire.memif(lab).relay(queues=2, workers=2))


@test("30 s instead of 3")
@in_lab
def relay_vhost(lab, long):
    """the same over vhost, with a guest's driver (virtio-user) in another process"""
    deliver(lab, long, wire.vhost(lab).relay())


@test("30 s instead of 3")
@in_lab
def relay_virtio_user(lab, long):
    """the same over virtio-user, with a switch's vhost in another process"""
    deliver(lab, long, wire.virtio_user(lab).relay())


@test("30 s instead of 3")
@in_lab
def relay_virtio_user_2_workers(lab, long):
    """the same over virtio-user with a queue for each of 2 workers"""
    deliver(lab, long, wire.virtio_user(lab, queues=2).relay(queues=2, workers=2))


@test("30 s instead of 3")
@in_lab
def relay_af_xdp(lab, long):
    """the same over af_xdp, which gets linear copies alone"""
    relay = Relay(lab, ports=({"device": "net_af_xdp0,iface=d0", "queues": 1,
                               "addresses": wire.GATEWAYS},))
    expect("chained TX no" in relay.ctl("show port info all"), "af_xdp is sent chained frames")
    deliver(lab, long, relay)


@test("30 s instead of 3")
@in_lab
def relay_tap(lab, long):
    """the same over tap with 2 queues and 2 workers: the kernel deals clients out to both"""
    relay = Relay(lab, workers=2, ports=({"device": "net_tap0,iface=t0", "queues": 2,
                                          "addresses": wire.GATEWAYS},))
    wire.clients_behind(lab, "t0")
    deliver(lab, long, relay)
