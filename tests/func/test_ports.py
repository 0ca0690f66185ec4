# SPDX-License-Identifier: BSD-3-Clause
"""Ports in trouble: a peer that dies and comes back, a link that goes, an interface that vanishes,
a setting that a driver refuses; and clients that are spread over queues."""

import os
import socket
import time

from endpoint import Clients, Stream
from lab import Failure, expect, run
from relay import Relay, in_lab, test, write_secret
import wire

ADDRESSES = ("198.18.0.2", "fd00:198:18::2")


def per_worker(relay, counter):
    """A counter's value at each worker."""
    for line in relay.ctl("show counters").splitlines():
        words = line.split()
        if words and words[0] == counter:
            return [int(word) for word in words[3:-1]]
    raise Failure(f"no counter {counter}")


@test("30 s instead of 4")
@in_lab
def clients_over_queues(lab, long):
    """a port of 2 queues brings 24 talkers to both workers, and all of their media arrives"""
    relay = Relay(lab, workers=2, queues=2)
    clients = Clients(lab)
    rooms = [[clients.client(ADDRESSES[i % 2], *relay.credential(f"room{r}", f"p{i}"))
              for i in range(4)] for r in range(6)]
    for member in (m for members in rooms for m in members):
        member.join()
    streams = [[Stream(m, 0x100 * r + i, 25, 300) for i, m in enumerate(members)]
               for r, members in enumerate(rooms)]
    before = per_worker(relay, "rx_packets")
    clients.run(30 if long else 4, [s for room in streams for s in room])
    clients.run(0.5)
    for members, theirs in zip(rooms, streams):
        for member in members:
            for stream in theirs:
                if stream.client is not member:
                    member.expect_exactly(stream.ssrc, stream.numbers())
    sent = sum(s.sent for room in streams for s in room)
    got = [b - a for a, b in zip(before, per_worker(relay, "rx_packets"))]
    expect(min(got) > sent / 10, f"{sent} packets sent, the workers' queues had {got}")
    said = relay.stop()
    expect("no RSS over UDP ports" in said, f"the way of spreading is not told: {said[-500:]}")


class Room:
    """Two participants, of IPv4 and IPv6, and a stream of each, over whatever port there is."""

    def __init__(self, lab, relay, rate=200):
        self.relay = relay
        self.clients = Clients(lab)
        self.members = [self.clients.client(address, *relay.credential("r", f"p{i}"))
                        for i, address in enumerate(ADDRESSES)]
        for member in self.members:
            member.join()
        self.streams = [Stream(m, 0xC0 + i, rate, 400) for i, m in enumerate(self.members)]

    def talk(self, seconds):
        self.clients.run(seconds, self.streams)

    def talk_until(self, line, times):
        """Until the relay has said this so often, and no more often."""
        end = time.monotonic() + 15
        while self.relay.process.errors().count(line) < times and time.monotonic() < end:
            self.talk(0.1)
        expect_line(self.relay, line, times)

    def hears(self):
        """The number of media packets that each member has had so far."""
        return [member.count for member in self.members]

    def expect_media(self, what, timeout=10):
        """From now on, both hear each other again."""
        before = self.hears()
        end = time.monotonic() + timeout
        while any(now < then + 20 for now, then in zip(self.hears(), before)):
            expect(time.monotonic() < end, f"{what}: heard {before}, {timeout} s later "
                   f"{self.hears()}")
            self.talk(0.2)
        expect(all(member.bad == 0 for member in self.members), f"{what}: wrong bytes")

    def expect_silence(self, what):
        self.talk(0.3)
        before = self.hears()
        self.talk(1)
        expect(self.hears() == before, f"{what}: media without a link: {before}, {self.hears()}")


def expect_line(relay, line, times=1):
    """The relay says this, once for each time that it was so."""
    end = time.monotonic() + 5
    while relay.process.errors().count(line) < times and time.monotonic() < end:
        time.sleep(0.1)
    said = relay.process.errors()
    expect(said.count(line) == times, f"{said.count(line)} times and not {times}: {line}\n{said}")


def expect_sums(relay):
    """Copies due = sent + dropped by reason, once nothing moves any more."""
    counters = relay.ctl("show counters")
    sums, dropped = {}, 0
    for line in counters.splitlines()[1:]:
        name, kind, value = line.split()[:3]
        sums[name] = int(value)
        dropped += int(value) if kind == "copy_drop" else 0
    expect(sums["copies_due"] == sums["copies_sent"] + dropped,
           f"{sums['copies_due']} copies due, {sums['copies_sent']} sent, {dropped} dropped")
    return sums


def peer_dies(lab, long, plugged):
    """A peer that is killed under load, with whatever it holds, and started anew; several times."""
    relay = plugged.relay(workers=1)
    name = plugged.device.split(",", maxsplit=1)[0]
    room = Room(lab, relay)
    room.expect_media("before")
    deaths = 5 if long else 2
    for death in range(1, deaths + 1):
        room.talk(0.2)
        plugged.cut()
        room.talk_until(f"port {name}: the link is down", death)
        room.expect_silence("the peer is dead")
        plugged.plug()
        room.talk_until(f"port {name}: the link is up", death)
        room.expect_media(f"after death {death}")
    plugged.cut()
    room.clients.run(1.5)
    expect_sums(relay)
    relay.stop()


@test("5 deaths instead of 2", beside=True)
@in_lab
def memif_peer_dies(lab, long):
    """a memif peer is killed under load: the relay says so, goes on, and takes it back"""
    peer_dies(lab, long, wire.memif(lab))


@test("5 deaths instead of 2", beside=True)
@in_lab
def vhost_peer_dies(lab, long):
    """the same of the driver of a guest behind vhost"""
    peer_dies(lab, long, wire.vhost(lab))


@test("5 deaths instead of 2", beside=True)
@in_lab
def virtio_peer_dies(lab, long):
    """the same of the switch behind virtio-user, with our descriptors in its hands"""
    peer_dies(lab, long, wire.virtio_user(lab, server=True))


@test()
@in_lab
def virtio_peer_gone(lab, long):
    """the switch of a virtio-user that connects is gone for good: said, and the end is in order"""
    plugged = wire.virtio_user(lab)
    relay = plugged.relay()
    room = Room(lab, relay)
    room.expect_media("before")
    plugged.cut()
    room.talk(2)
    expect_line(relay, "port net_virtio_user0: the link is down")
    expect_sums(relay)
    relay.stop()


@test("10 s of death instead of 3", beside=True)
@in_lab
def one_dead_port(lab, long):
    """what is due to a port without a link is dropped and counted; the other port loses nothing"""
    lab.join(lab.inside, "d1", lab.outside, "p1")
    run("ip", "-n", lab.outside, "addr", "add", "198.19.0.2/16", "dev", "p1")
    far = wire.memif(lab, interface="d1")
    relay = Relay(lab, idle="sleep", tuning={"park_entries": 16}, ports=(
        {"device": "net_af_packet0,iface=d0", "addresses": wire.GATEWAYS},
        {"device": far.device, "addresses": ({"address": "198.19.0.1/16"},)}))
    far.plug()
    wire.wait_link(relay, "up", count=2)
    clients = Clients(lab)
    talker, near = [clients.client(a, *relay.credential("r", f"near{i}"))
                    for i, a in enumerate(ADDRESSES)]
    hearer = clients.client("198.19.0.2", *relay.credential("r", "far"), relay="198.19.0.1")
    for member in (talker, near, hearer):
        member.join()
    stream = Stream(talker, 7, 1500, 300)
    clients.run(1, [stream])
    expect(hearer.count > 1000, f"only {hearer.count} packets over memif")
    far.cut()
    clients.run(10 if long else 3, [stream])
    expect_line(relay, "port net_memif0: the link is down")
    dropped = relay.counter("copy_link")
    expect(dropped > 1000, f"only {dropped} copies dropped for want of a link")
    dead, sent = hearer.count, stream.sent
    far.plug()
    clients.run(3, [stream])
    wire.wait_link(relay, "up", count=2)
    clients.run(1, [stream])
    clients.run(0.5)
    expect(hearer.count > dead + 500, f"{hearer.count - dead} packets after the peer's return")
    # Nothing of what was due meanwhile is sent late: a buffer full at most.
    late = [n for n in hearer.received[7] if sent - 2000 < n < sent]
    expect(len(late) < 200, f"{len(late)} packets of a dead link sent late")
    near.expect_exactly(7, stream.numbers())
    far.cut()
    clients.run(1.5)
    expect_sums(relay)
    relay.stop()


@test(beside=True)
@in_lab
def interface_loses_link(lab, long):
    """an interface goes down and up again under af_packet: said once each, media goes on"""
    relay = Relay(lab)
    room = Room(lab, relay)
    room.expect_media("before")
    for times in (1, 2):
        run("ip", "-n", lab.outside, "link", "set", "p0", "down")
        time.sleep(1.5)  # clients could not even ask
        expect_line(relay, "port net_af_packet0: the link is down", times)
        run("ip", "-n", lab.outside, "link", "set", "p0", "up")
        lab.add_address(ADDRESSES[1])  # the kernel takes IPv6 addresses with the link
        room.talk(1.5)
        expect_line(relay, "port net_af_packet0: the link is up", times)
        room.expect_media(f"link down and up, {times}")
    relay.stop()


def interface_vanishes(lab, device):
    relay = Relay(lab, ports=({"device": f"{device},iface=d0", "queues": 1,
                               "addresses": wire.GATEWAYS},))
    room = Room(lab, relay)
    room.expect_media("before")
    run("ip", "-n", lab.outside, "link", "del", "p0")
    expect_line(relay, "its interface is gone; it needs a restart when that is back")
    # Another one of that name is not the one that the driver holds.
    lab.join(lab.inside, "d0", lab.outside, "p0")
    time.sleep(1.5)
    expect("link down" in relay.ctl("show port info all"), "a new interface taken for the old one")
    expect_sums(relay)
    relay.stop()


@test()
@in_lab
def interface_vanishes_af_packet(lab, long):
    """the interface under af_packet is deleted: the relay says so and still ends as it should"""
    interface_vanishes(lab, "net_af_packet0")


@test()
@in_lab
def interface_vanishes_af_xdp(lab, long):
    """the same under af_xdp"""
    interface_vanishes(lab, "net_af_xdp0")


# Device, settings of the port, settings of the relay, what is said. All before any traffic.
REFUSED = (
    ("net_af_xdp0,iface=d0", {"mtu": 9000}, {}, "MTU 9000 asked for, net_af_xdp offers "),
    ("net_af_xdp0,iface=d0", {"chain": "on"}, {}, "ports[0].chain: net_af_xdp0 sends chained"),
    ("net_af_xdp0,iface=d0", {"queues": 2}, {"workers": 2},
     "2 queues asked for, the device has 1; add queue_count=2"),
    ("net_af_packet0,iface=d0", {"queues": 2}, {"workers": 2},
     "2 queues asked for, the device has 1; add qpairs=2"),
    ("net_af_packet0,iface=nowhere", {}, {}, "no such device; does its interface exist"),
    ("net_tap0,iface=t0", {"mtu": 9216}, {}, "MTU 9216"),
    ("net_memif0,role=server,socket=PATH", {"mtu": 9000}, {},
     "ports[0].device: net_memif0 has buffers of 2048 bytes, must have bsize=9018"),
    ("net_memif0,role=server,socket=/nowhere/sock,socket-abstract=no", {}, {},
     "no such device; is its socket's folder there"),
    ("net_vhost0,iface=BUSY", {}, {}, "is another process's"),
    ("net_vhost0,iface=FILE", {}, {}, "is there and is no socket"),
    ("net_virtio_user0,path=/nowhere/sock", {}, {}, "no such device; is the vhost server there"),
)


@test()
@in_lab
def refused_ports(lab, long):
    """an MTU, queues, chains or sockets that a port cannot have: exit 1, one line, no traffic"""
    busy = os.path.join(lab.dir, "busy.sock")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(busy)
    listener.listen(1)
    plain = os.path.join(lab.dir, "plain")
    write_secret(plain, b"")
    problems = []
    for device, nic, settings, said in REFUSED:
        device = device.replace("PATH", os.path.join(lab.dir, "wire.sock")) \
            .replace("BUSY", busy).replace("FILE", plain)
        relay = Relay(lab, start=False, name="refused", **settings, ports=(
            {"device": device, "queues": 1, "addresses": wire.GATEWAYS, **nic},))
        relay.start(wait=False)
        status = relay.process.wait(20)
        lines = [line for line in relay.process.errors().splitlines()
                 if line.startswith("plenum: ")]
        if status != 1 or len(lines) != 1 or said not in lines[0]:
            problems.append(f"{device} {nic}: exit {status}, not {said!r} but {lines}")
    listener.close()
    expect(not problems, "; ".join(problems))


@test()
@in_lab
def left_over_socket(lab, long):
    """a relay that was killed leaves its vhost socket; the next one starts over it"""
    plugged = wire.vhost(lab)
    relay = plugged.relay()
    plugged.cut()
    relay.process.popen.kill()
    relay.process.wait(5)
    expect(os.path.exists(plugged.socket), "the socket went with the relay")
    relay = plugged.relay(name="again")
    room = Room(lab, relay)
    room.expect_media("over a left-over socket")
    relay.stop()
