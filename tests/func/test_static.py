# SPDX-License-Identifier: BSD-3-Clause
"""Endpoints without STUN, what a reload changes, and VLANs."""

import re
import select
import socket
import struct
import subprocess
import time

from endpoint import Clients, Stream, binding_request, rtp
from lab import PORT, RELAY4, RELAY6, RELAY_MAC, expect
from relay import GATEWAY4, GATEWAY6, Relay, in_lab, test
from test_worker import datagram

OTHER4 = "198.18.0.3"
V4, V6 = "198.18.0.2", "fd00:198:18::2"


def ports(**more):
    return ({"device": "net_af_packet0,iface=d0",
             "addresses": ({"address": RELAY4 + "/16", "gateway": GATEWAY4},
                           {"address": RELAY6 + "/64", "gateway": GATEWAY6},
                           {"address": OTHER4 + "/16"}), **more},)


def static(participant, role, port, address=V4, **more):
    return {"room": "studio", "participant": participant, "role": role, "address": address,
            "udp_port": port, **more}


def gear(clients, port, address=V4):
    """A socket that never asks to be let in."""
    return clients.client(address, "", "", port=port)


def refused(relay, command, *words):
    """A command fails, and says these words."""
    done = subprocess.run(["ip", "netns", "exec", relay.lab.inside, relay.program, "ctl", "--socket",
                           relay.settings["control_socket"], command], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20, text=True,
                          check=False)
    expect(done.returncode == 1, f"{command}: exit {done.returncode}: {done.stdout}")
    for word in words:
        expect(word in done.stdout, f"{command}: nothing of {word!r} in: {done.stdout}")


def wait_open(relay, number, timeout=5):
    """Until so many static endpoints are open and no other one."""
    end = time.monotonic() + timeout
    while True:
        listed = relay.ctl("show static all").splitlines()[1:]
        if len(listed) == number and all("waits" not in line for line in listed):
            return
        expect(time.monotonic() < end, f"not {number} static endpoints:\n" + "\n".join(listed))
        time.sleep(0.05)


@test(beside=True)
@in_lab
def static_endpoints(lab, long):
    """endpoints without STUN send and hear, are bound to an own address, and stay until drained"""
    relay = Relay(lab, ports=ports(), trusted_network=True, consent_timeout=5, static=(
        static("cam", "p", 5004, packets_per_s=400),
        static("recorder", "s", 5006),
        static("viewer", "s", 5008, V6),
        static("generator", "s", 6000, count=20)))
    clients = Clients(lab)
    cam, recorder = gear(clients, 5004), gear(clients, 5006)
    viewer = gear(clients, 5008, V6)
    row = [gear(clients, 6000 + i) for i in range(20)]
    browser = clients.client(V4, *relay.credential("studio", "browser"))
    silent = clients.client(V4, *relay.credential("studio", "silent"))
    wait_open(relay, 23)
    browser.join()
    silent.join()
    silent.consent_due = None
    clients.run(1.2, [Stream(cam, 9, 100, 100, limit=20)])  # neighbours are known by then
    stream = Stream(cam, 7, 200, 700, limit=400)
    clients.run(2.5, [stream])
    for hearer in (recorder, viewer, browser, *row):
        hearer.received.pop(9, None)
        hearer.expect_exactly(7, stream.numbers())
    clients.run(0.3, [Stream(browser, 8, 100, 300, limit=20)])
    recorder.expect_exactly(7, stream.numbers())
    recorder.expect_exactly(8, range(20))
    expect(cam.count == 0, "a publisher hears something")

    # Bound to one own address, and to its role and rate.
    before = relay.counters()
    cam.sock.sendto(rtp(7, 1000, 200), (OTHER4, PORT))
    recorder.send(rtp(10, 1000, 200))
    for number in range(1000):
        cam.send(rtp(7, 2000 + number, 100))
    clients.run(0.5)
    after = relay.counters()
    for name, least in (("no_session", 1), ("role", 1), ("rate_packets", 300)):
        expect(after[name] - before[name] >= least,
               f"{name} counted {after[name] - before[name]} times, expected {least} or more")
    expect(1000 not in recorder.received[7], "a packet to another own address was forwarded")

    impostor = clients.client(V4, *relay.credential("studio", "cam"))
    impostor.join(timeout=1, want=False)
    expect(set(impostor.errors) == {403}, f"its name was refused with {impostor.errors}")
    clients.run(0.3)  # the event log is written a little later
    expect(any(e.get("reason") == "static endpoint" for e in relay.events()), "no such event")
    refused(relay, "kick studio cam", "static endpoint", "reload")
    expect(re.search(r"^cam .*static", relay.ctl("show room studio"), re.M), "show room")
    line = next(text for text in relay.ctl("show session all").splitlines() if " cam " in text)
    expect(line.endswith("static"), f"show session all: {line}")
    expect("no consent" in relay.ctl(f"show session {line.split()[0]}"), "show session")

    # Consent has run out for who needs one.
    clients.run(3.5)
    expect(" silent " not in relay.ctl("show session all"), "a silent agent is still there")
    wait_open(relay, 23)
    begun = time.monotonic()
    relay.ctl("drain 60")
    browser.leave()
    relay.process.wait(30)
    expect(time.monotonic() - begun < 25, "a drain waits for static endpoints")
    expect("every mempool is full again" in relay.process.errors(), relay.process.errors()[-300:])


@test()
@in_lab
def reload_settings(lab, long):
    """a reload brings, ends and replaces static endpoints and follows limits; a bad one does nothing"""
    first = (static("cam", "p", 5004), static("gone", "s", 5006), static("mover", "s", 5008))
    relay = Relay(lab, ports=ports(), trusted_network=True, static=first,
                  limits={"sessions": 100, "participants": 10})
    clients = Clients(lab)
    cam, gone, mover, new, moved = (gear(clients, port) for port in (5004, 5006, 5008, 5010, 5012))
    wait_open(relay, 3)

    def ids():
        return {line.split()[1]: line.split()[-1]
                for line in relay.ctl("show static all").splitlines()[1:]}

    def heard():
        for client in clients.all:
            client.received.clear()
        clients.run(0.5, [Stream(cam, 7, 100, 200, limit=20)])
        return {port for client, port in ((gone, 5006), (mover, 5008), (new, 5010), (moved, 5012))
                if client.received}

    clients.run(1.2, [Stream(cam, 7, 100, 200, limit=20)])
    expect(heard() == {5006, 5008}, f"before: {heard()}")
    before = ids()
    second = (static("cam", "p", 5004), static("mover", "s", 5012), static("new", "s", 5010))
    relay.configure(static=second, limits={"sessions": 100, "participants": 4})
    said = relay.ctl("reload")
    expect("3 static endpoints" in said, said)
    wait_open(relay, 3)
    clients.run(0.3)
    expect(heard() == {5010, 5012}, f"after: {heard()}")
    after = ids()
    expect(after["cam"] == before["cam"], "an endpoint that did not change was replaced")
    expect(after["mover"] != before["mover"], "one that changed was not")
    expect(any(e.get("reason") == "removed" and e.get("participant") == "gone"
               for e in relay.events()), "no event of its end")

    # The limit holds: one more, and no second one.
    clients.client(V4, *relay.credential("studio", "fourth")).join()
    fifth = clients.client(V4, *relay.credential("studio", "fifth"))
    fifth.join(timeout=1, want=False)
    expect(set(fifth.errors) == {486}, f"beyond the limit: {fifth.errors}")

    # Whatever is wrong with the file, nothing changes.
    good = dict(relay.settings)
    for change, key, word in (
            ({"trusted_network": False}, "static[0]", "trusted_network"),
            ({"static": second + (static("more", "s", 5004),)}, "static[3].udp_port", "static[0]"),
            ({"static": second + (static("cam", "s", 5020),)}, "static[3].participant", "static[0]"),
            ({"static": (static("more", "s", 5020, "198.19.0.1"),),
              "ports": ({**ports()[0], "addresses": ({"address": RELAY4 + "/16"},)},)},
             "static[0].address", "outside"),
            ({"static": (static("more", "s", 5020, relay=OTHER4),),
              "ports": ({**ports()[0], "addresses": ({"address": OTHER4 + "/16"},)},)},
             "static[0].port", "restart"),
            ({"limits": {"sessions": 101}}, "limits.sessions", "restart"),
            ({"limits": {"sessions": 100, "participants": 4, "neighbours": 5000}},
             "limits.neighbours", "restart"),
            ({"limits": {"sessions": 0}}, "limits.sessions", "1 to")):
        relay.configure(**{**good, **change})
        refused(relay, "reload", relay.conf + ":", key, word, "nothing changed")
        expect(ids() == after, f"{change} changed something")
    relay.configure(**{**good, "static": (), "limits": {"sessions": 100, "participants": 10}})
    relay.ctl("reload")
    wait_open(relay, 0)
    fifth.errors.clear()
    fifth.join()
    relay.stop()


class Trunk:
    """A host of its own on the outer end of the wire, which puts a VLAN tag into its frames and notes
    those of what comes: not every kernel has VLAN devices. `got` maps UDP port to payloads."""

    ADDRESS, MAC = "198.18.77.2", bytes.fromhex("020000000077")
    SOL_PACKET, PACKET_AUXDATA, PACKET_OUTGOING, VLAN_VALID = 263, 8, 4, 0x10

    def __init__(self, lab):
        self.sock = lab.socket(lab.outside, socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.sock.setsockopt(self.SOL_PACKET, self.PACKET_AUXDATA, 1)
        self.sock.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
        self.sock.bind(("p0", 0))
        self.sock.setblocking(False)
        self.got, self.tags = {}, set()

    def put(self, frame, tag=b"\x81\0\0\x64"):
        self.sock.send(frame[:12] + tag + frame[12:])

    def send(self, port, payload, **options):
        frame = datagram(self.MAC, self.ADDRESS, port, payload)
        self.put(bytes.fromhex(RELAY_MAC.replace(":", "")) + frame[6:], **options)

    def run(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not select.select([self.sock], [], [], max(0, end - time.monotonic()))[0]:
                return
            data, ancillary, _, source = self.sock.recvmsg(2048, 128)
            tag = None
            for level, kind, value in ancillary:
                if (level, kind) == (self.SOL_PACKET, self.PACKET_AUXDATA):
                    status, _, _, _, _, tci, _ = struct.unpack("=IIIHHHH", value)
                    tag = tci if status & self.VLAN_VALID else None
            if source[2] != self.PACKET_OUTGOING and data[6:12] == bytes.fromhex(
                    RELAY_MAC.replace(":", "")):
                self.take(data, tag)

    def take(self, data, tag):
        if data[12:14] == b"\x81\0":
            data, tag = data[:12] + data[16:], struct.unpack_from("!H", data, 14)[0]
        self.tags.add(tag)
        own = socket.inet_aton(self.ADDRESS)
        if data[12:14] == b"\x08\x06" and data[20:22] == b"\0\1" and data[38:42] == own:
            self.put(data[6:12] + self.MAC + data[12:20] + b"\0\2" + self.MAC + own + data[22:32])
        elif data[12:14] == b"\x08\0" and data[23] == 17 and data[30:34] == own:
            port, length = struct.unpack_from("!HH", data, 36)
            self.got.setdefault(port, []).append(data[42:34 + length])


@test()
@in_lab
def vlan(lab, long):
    """a port with a VLAN hears what carries its tag and sends it with everything; nothing else"""
    relay = Relay(lab, ports=ports(vlan=100), trusted_network=True,
                  static=(static("gear", "p", 5004, Trunk.ADDRESS),
                          static("screen", "s", 5006, Trunk.ADDRESS)))
    trunk = Trunk(lab)
    wait_open(relay, 2)
    trunk.run(1.2)
    expect(trunk.tags == {100}, f"ARP came with the tags {trunk.tags}")
    trunk.send(5008, binding_request(*relay.credential("studio", "agent")))
    trunk.run(0.3)
    expect([p[:2] for p in trunk.got.get(5008, [])] == [b"\1\1"], f"STUN: {trunk.got.get(5008)}")
    sizes = (100, 900, 1400)
    sent = [rtp(7, number, sizes[number % 3]) for number in range(90)]
    for packet in sent:
        trunk.send(5004, packet)
        trunk.run(0.005)
    trunk.run(0.5)
    expect(trunk.got[5006] == sent, f"{len(trunk.got[5006])} of {len(sent)} packets, or changed ones")
    expect(trunk.got[5008][1:] == sent, f"{len(trunk.got[5008]) - 1} packets to the agent")
    expect(trunk.tags == {100}, f"frames came with the tags {trunk.tags}")
    expect(", vlan 100" in relay.ctl("show port info all"), "show port info")

    # The same frames in another VLAN, with a priority alone, and in none.
    for tag in (b"\x81\0\0\x65", b"\x81\0\xe0\0", b""):
        before = relay.counters()
        for number in range(10):
            trunk.send(5004, rtp(7, 1000 + number, 200), tag=tag)
        trunk.run(0.3)
        after = relay.counters()
        expect(after["vlan"] - before["vlan"] >= 10, f"{tag}: not counted")
        expect(after["media"] == before["media"], f"{tag}: forwarded")
    relay.stop()
