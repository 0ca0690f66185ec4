# SPDX-License-Identifier: BSD-3-Clause
"""The relay as a host on its link: ping, neighbours, a gateway that fails over, bad packets."""

import socket
import struct
import time

from endpoint import Clients, Stream, rtp
from lab import PORT, RELAY4, RELAY6, RELAY_MAC, expect, run
from relay import GATEWAY4, GATEWAY6, Relay, in_lab, test

FAILOVER_S = 10   # found out by the probe every 5 s
ANNOUNCED_S = 2   # probed at once


@test()
@in_lab
def ping(lab, long):
    """ping and ping6 are answered, from on-link and through the gateway, small and large"""
    relay = Relay(lab)
    far = far_network(lab)
    for namespace in (lab.outside, far):
        for address in (RELAY4, RELAY6):
            for size in ("0", "56", "1400"):
                said = run("ip", "netns", "exec", namespace, "ping", "-n", "-c", "5", "-i", "0.02",
                           "-W", "2", "-s", size, address)
                expect(" 0% packet loss" in said, said)
    relay.stop()


def far_network(lab):
    """A namespace that reaches the relay through the gateway, which is the outside namespace."""
    name = lab.outside + "-far"
    for address in (GATEWAY4, GATEWAY6):
        lab.add_address(address)
    run("ip", "netns", "exec", lab.outside, "sysctl", "-qw", "net.ipv4.ip_forward=1",
        "net.ipv6.conf.all.forwarding=1")
    lab.add_namespace(name)
    lab.join(name, "n0", lab.outside, "w0")
    for namespace, interface, host in ((lab.outside, "w0", 1), (name, "n0", 2)):
        run("ip", "-n", namespace, "addr", "add", f"198.19.0.{host}/24", "dev", interface)
        run("ip", "-n", namespace, "addr", "add", f"fd00:198:19::{host}/64", "dev", interface,
            "nodad")
    run("ip", "-n", name, "route", "add", "default", "via", "198.19.0.1")
    run("ip", "-n", name, "-6", "route", "add", "default", "via", "fd00:198:19::1")
    return name


def longest_gap(client, since):
    """Seconds without media after a moment of the wall clock."""
    times = [since] + [t for t in client.arrivals if t > since]
    return max(b - a for a, b in zip(times, times[1:])) if len(times) > 1 else float("inf")


@test(beside=True)
@in_lab
def gateway_failover(lab, long):
    """a gateway that changes its MAC address is followed: in 10 s, at once if it says so"""
    relay = Relay(lab)
    far = Clients(lab, far_network(lab))
    near = Clients(lab)
    talker = near.client("198.18.0.2", *relay.credential("r", "talker"))
    hearers = [far.client(address, *relay.credential("r", f"hearer{i}"))
               for i, address in enumerate(("198.19.0.2", "fd00:198:19::2"))]
    talker.join()
    for hearer in hearers:
        hearer.join()
        hearer.arrivals = []
    # One loop for both namespaces' sockets.
    for hearer in hearers:
        near.add(hearer)
    stream = Stream(talker, 5, 50, 200)
    near.run(1, [stream])
    for announced, mac, limit in ((False, "02:00:00:00:0a:01", FAILOVER_S),
                                  (True, "02:00:00:00:0a:02", ANNOUNCED_S)):
        run("ip", "netns", "exec", lab.outside, "sysctl", "-qw",
            f"net.ipv4.conf.p0.arp_notify={int(announced)}",
            f"net.ipv6.conf.p0.ndisc_notify={int(announced)}")
        changed_at = time.time()
        run("ip", "-n", lab.outside, "link", "set", "p0", "address", mac)
        near.run(limit + 0.5, [stream])
        for hearer in hearers:
            name = hearer.sock.getsockname()[0]
            expect(hearer.arrivals and hearer.arrivals[-1] > time.time() - 1,
                   f"{name}: nothing {limit} s after the gateway's address changed "
                   f"(announced: {announced})")
            gap = longest_gap(hearer, changed_at)
            expect(gap <= limit, f"{name}: {gap:.1f} s without media (announced: {announced})")
            print(f"  {name}: {gap:.2f} s without media, announced: {announced}")
    relay.stop()


def frame(payload, ethertype=0x0800, to=RELAY_MAC):
    return bytes.fromhex(to.replace(":", "")) + bytes.fromhex("020000000099") + \
        struct.pack("!H", ethertype) + payload


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv4(payload, *, port=PORT, source="198.18.0.2", version=0x45, length=None, proto=17,
         header_sum=None, udp_sum=None, udp_length=None, to=RELAY4):
    """An IPv4 UDP frame, wrong in the one way that is asked for."""
    options = b"\1\1\1\0" if version == 0x46 else b""
    udp_length = 8 + len(payload) if udp_length is None else udp_length
    udp = struct.pack("!HHHH", 12345, port, udp_length, 0) + payload
    ends = socket.inet_aton(source) + socket.inet_aton(to)
    if udp_sum is None:
        udp_sum = checksum(ends + struct.pack("!HH", 17, len(udp)) + udp) or 0xFFFF
    udp = udp[:6] + struct.pack("!H", udp_sum) + udp[8:]
    length = 20 + len(options) + len(udp) if length is None else length
    head = struct.pack("!BBHHHBBH", version, 0, length, 0, 0, 64, proto, 0) + ends + options
    header_sum = checksum(head) if header_sum is None else header_sum
    return frame(head[:10] + struct.pack("!H", header_sum) + head[12:] + udp)


def ipv6(payload, *, next_header=17, udp_sum=None, length=None):
    udp = struct.pack("!HHHH", 12345, PORT, 8 + len(payload), 0) + payload
    ends = socket.inet_pton(socket.AF_INET6, "fd00:198:18::2") + \
        socket.inet_pton(socket.AF_INET6, RELAY6)
    if udp_sum is None:
        udp_sum = checksum(ends + struct.pack("!IHBB", len(udp), 0, 0, 17) + udp) or 0xFFFF
    udp = udp[:6] + struct.pack("!H", udp_sum) + udp[8:]
    return frame(struct.pack("!IHBB", 6 << 28, len(udp) if length is None else length, next_header,
                             64) + ends + udp, 0x86DD)


MEDIA = rtp(9, 9, 100)
BAD_PACKETS = (
    ("l2_foreign", frame(b"x" * 60, to="02:11:22:33:44:55")),
    ("l2_type", frame(b"x" * 60, 0x88B5)),
    ("l2_short", frame(b"\x45\0\0")),
    ("ip_version", ipv4(MEDIA, version=0x65)),
    ("ip_length", ipv4(MEDIA, length=2000)),
    ("ip_options", ipv4(MEDIA, version=0x46)),
    ("ip_options", ipv6(MEDIA, next_header=0)),
    ("ip_fragment", ipv6(MEDIA, next_header=44)),  # af_packet holds IPv4's back to join them
    ("ip_checksum", ipv4(MEDIA, header_sum=0x1234)),
    ("ip_source", ipv4(MEDIA, source="224.0.0.9")),
    ("ip_source", ipv4(MEDIA, source="127.0.0.1")),
    ("ip_foreign", ipv4(MEDIA, to="198.18.77.77")),
    ("ip_proto", ipv4(MEDIA, proto=6)),
    ("udp_length", ipv4(MEDIA, udp_length=500)),
    ("udp_length", ipv4(MEDIA, udp_length=3)),
    ("udp_checksum", ipv4(MEDIA, udp_sum=0x4321)),
    ("udp_checksum", ipv6(MEDIA, udp_sum=0)),
    ("udp_port", ipv4(MEDIA, port=PORT + 1)),
    ("empty", ipv4(b"")),
    ("first_byte", ipv4(b"\x0f" + MEDIA)),
    ("no_session", ipv4(MEDIA)),
    ("no_session", ipv4(MEDIA, udp_sum=0)),  # no checksum is fine over IPv4
    ("stun_filter", ipv4(b"\0\1\0\0" + b"\x21\x12\xa4\x42" + b"t" * 12)),
    ("stun_filter", ipv4(b"\0\1\0\0" + b"cooo" + b"t" * 12)),
)


@test()
@in_lab
def bad_packets(lab, long):
    """every kind of packet that is wrong in one way moves its own counter and nothing else"""
    relay = Relay(lab)
    wire = lab.socket(lab.outside, socket.AF_PACKET, socket.SOCK_RAW)
    wire.bind(("p0", 0))
    problems = []
    for counter, packet in BAD_PACKETS:
        before = relay.counters()
        for _ in range(3):
            wire.send(packet)
        end = time.monotonic() + 1
        while relay.counter(counter) < before.get(counter, 0) + 3 and time.monotonic() < end:
            time.sleep(0.02)
        after = relay.counters()
        moved = {name: after[name] - before.get(name, 0) for name in DROPS
                 if after.get(name, 0) != before.get(name, 0)}
        others = {name for name in moved if name not in AMBIENT} - {counter}
        if moved.get(counter, 0) < 3 or (moved[counter] > 3 and counter not in AMBIENT) or others:
            problems.append(f"expected 3 of {counter}, got {moved}")
    expect(not problems, "; ".join(problems))
    relay.stop()


# What the kernel outside sends by itself (IGMP, MLD) moves these too.
AMBIENT = {"ip_foreign", "ip_proto", "ip_options"}
DROPS = sorted({name for name, _ in BAD_PACKETS} |
               {"rtp_malformed", "rtcp_malformed", "role", "ssrc_foreign"})
