# SPDX-License-Identifier: BSD-3-Clause
"""What scripts/pktgen/build_pcap makes, played into a relay by an AF_PACKET socket or by Pktgen-DPDK."""

import os
import re
import shlex
import socket
import struct
import subprocess
import time

from endpoint import Clients, rtp
from lab import PORT, RELAY4, RELAY6, RELAY_MAC, expect, run
from relay import Relay, in_lab, test
from test_load import classes, expect_sums
from test_static import V4, V6, Trunk, ports, wait_open

ROOMS, PUBLISHERS, SUBSCRIBERS, SSRCS, PACKETS = 3, 2, 4, 2, 24
FIRST_SSRC, FIRST_SUBSCRIBER = 0x1000, 20000
BOTH = ("--relay", f"{RELAY4}:{PORT}", "--source", V4, "--relay", f"[{RELAY6}]:{PORT}",
        "--source", V6)
SHAPE = ("--rooms", ROOMS, "--publishers", PUBLISHERS, "--subscribers", SUBSCRIBERS)


def build_pcap(lab, *arguments):
    return run(os.path.join(lab.root, "scripts", "pktgen", "build_pcap"), *map(str, arguments))


def frames_of(path):
    """The frames of a pcap file."""
    with open(path, "rb") as file:
        data = file.read()
    expect(struct.unpack_from("<IHH", data) == (0xA1B2C3D4, 2, 4), "the file's header")
    at, frames = 24, []
    while at < len(data):
        length = struct.unpack_from("<I", data, at + 8)[0]
        frames.append(data[at + 16:at + 16 + length])
        at += 16 + length
    return frames


def generated_relay(lab, where, settings, name="plenum"):
    """A relay with the static endpoints that build_pcap prints, all of them open."""
    relay = Relay(lab, name=name, start=False, **settings)
    printed = build_pcap(lab, *where, *SHAPE, "--print-config")
    with open(relay.conf, "a", encoding="utf-8") as file:
        file.write(printed)
    relay.start()
    families = where.count("--relay")
    wait_open(relay, ROOMS * families * (PUBLISHERS + SUBSCRIBERS), 20)
    return relay


def expect_copies(relay, frames, each):
    """All of the frames were media, and each made so many copies."""
    counters = relay.counters()
    expect_sums(counters)
    for name, due in (("media", frames), ("copies_due", frames * each),
                      ("copies_sent", frames * each)):
        expect(counters[name] == due, f"{name}: {counters[name]}, not {due}: {counters}")


def replay_both(lab):
    """IPv4 and IPv6, byte by byte."""
    path = os.path.join(lab.dir, "both.pcap")
    build_pcap(lab, *BOTH, *SHAPE, "--mac", RELAY_MAC, "--ssrcs", SSRCS, "--packets", PACKETS,
               "--size", "12,200,1452", "-o", path)
    frames = frames_of(path)
    expect(len(frames) == 2 * ROOMS * PUBLISHERS * SSRCS * PACKETS, f"{len(frames)} frames")
    relay = generated_relay(lab, BOTH, {})
    clients = Clients(lab)
    row = [[clients.client(address, "", "", port=FIRST_SUBSCRIBER + room * SUBSCRIBERS + i)
            for address in (V4, V6) for i in range(SUBSCRIBERS)] for room in range(ROOMS)]
    sender = lab.socket(lab.outside, socket.AF_PACKET, socket.SOCK_RAW)
    sender.bind(("p0", 0))
    clients.run(1.2)  # neighbours are known by then
    for frame in frames:
        sender.send(frame)
        clients.run(0.001)
    clients.run(0.5)
    per_family = ROOMS * PUBLISHERS * SSRCS
    for room, subscribers in enumerate(row):
        for subscriber in subscribers:
            for i in range(2 * per_family):
                mine = i % per_family // (PUBLISHERS * SSRCS) == room
                subscriber.expect_exactly(FIRST_SSRC + i, range(PACKETS) if mine else ())
    expect_copies(relay, len(frames), 2 * SUBSCRIBERS)
    relay.stop()


def replay_vlan(lab):
    """With an 802.1Q tag, there and back."""
    where = ("--relay", f"{RELAY4}:{PORT}", "--source", Trunk.ADDRESS)
    path = os.path.join(lab.dir, "vlan.pcap")
    build_pcap(lab, *where, *SHAPE, "--mac", RELAY_MAC, "--source-mac", Trunk.MAC.hex(":"),
               "--vlan", 100, "--packets", PACKETS, "--size", 300, "-o", path)
    frames = frames_of(path)
    relay = generated_relay(lab, where, {"ports": ports(vlan=100)}, "plenum-vlan")
    trunk = Trunk(lab)
    trunk.run(1.2)
    for frame in frames:
        trunk.sock.send(frame)
        trunk.run(0.002)
    trunk.run(0.5)
    for i in range(ROOMS * SUBSCRIBERS):
        first = FIRST_SSRC + i // SUBSCRIBERS * PUBLISHERS
        got = sorted(trunk.got.get(FIRST_SUBSCRIBER + i, []))
        expect(got == sorted(rtp(ssrc, number, 300) for ssrc in range(first, first + PUBLISHERS)
                             for number in range(PACKETS)),
               f"subscriber {i}: {len(got)} packets, or wrong ones")
    expect(trunk.tags == {100}, f"copies came with the tags {trunk.tags}")
    expect_copies(relay, len(frames), SUBSCRIBERS)
    relay.stop()


def refusals(lab):
    """What it cannot do is said in a line."""
    good = ["--relay", "198.18.0.1:7000", "--source", "198.18.0.2", "--print-config"]
    for arguments, word in (
            (("--source", "198.18.0.2", "--print-config"), "--relay"),
            ((*good[:4],), "--mac and --output"),
            ((*good, "--mac", "03:00:00:00:00:01"), "group address"),
            ((*good, "--size", "11"), "12 to 1452"),
            ((*good, "--vlan", "4095"), "1 to 4094"),
            ((*good, "--source", "fd00::2"), "not of the same families"),
            ((*good, "--source", "198.18.0.3"), "two addresses of IPv4"),
            ((*good, "--rooms", "600"), "1200 rows"),
            ((*good, "--rooms", "100", "--subscribers", "500"), "end above 65535"),
            ((*good, "--publisher-port", "20005"), "overlap"),
            ((*good, "--ssrcs", "9"), "1 to 8"),
            ((*good[:4], "--mac", RELAY_MAC, "-o", "/nowhere/x.pcap"), "No such file")):
        done = subprocess.run([os.path.join(lab.root, "scripts", "pktgen", "build_pcap"), *arguments],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=20, text=True, check=False)
        said = done.stderr.strip().splitlines()
        expect(done.returncode != 0 and said and word in said[-1],
               f"{arguments}: exit {done.returncode}, not {word!r}: {done.stderr}")


def send_flat_out(lab, path, seconds):
    """As fast as one thread of Python can."""
    sender = lab.socket(lab.outside, socket.AF_PACKET, socket.SOCK_RAW)
    sender.bind(("p0", 0))
    frames, sent, end = frames_of(path), 0, time.monotonic() + seconds
    while time.monotonic() < end:
        for frame in frames:
            try:
                sender.send(frame)
                sent += 1
            except OSError:  # ENOBUFS
                time.sleep(0.001)
    return sent


def run_pktgen(lab, path, seconds, vdev, *commands):
    """Pktgen plays the file over and over. It wants a terminal, which script(1) is."""
    folder = os.environ["PKTGEN_DIR"]
    program = next((p for p in (os.path.join(folder, *tail, "pktgen") for tail in
                                (("app",), (), ("build", "app"), ("Builddir", "app")))
                    if os.path.isfile(p)), None)
    expect(program, f"PKTGEN_DIR={folder}: there is neither pktgen nor app/pktgen")
    script = os.path.join(lab.dir, "pktgen.cmd")
    with open(script, "w", encoding="ascii") as file:
        file.write("\n".join((*commands, f"set 0 rate {os.environ.get('PKTGEN_RATE', '100')}",
                              "start 0", f"delay {seconds * 1000}", "stop 0", "delay 500",
                              "quit", "")))
    cpu = min(os.sched_getaffinity(0))
    line = shlex.join([program, "--lcores", f"0@{cpu},1@{cpu}", "--no-huge", "-m", "2048",
                       "--no-pci", "--file-prefix", f"pg{os.getpid()}", "--vdev", vdev,
                       "--", "-m", "1.0", "-s", f"0:{path}", "-f", script])
    process = lab.start(lab.outside, ["script", "-qfec", line, "/dev/null"], "pktgen",
                        {"TERM": "xterm"})
    status = process.wait(seconds + 60)
    expect(status == 0, f"pktgen: exit {status}: {process.output()[-500:]}")


def expect_books(relay, what, least, each):
    """After a flood: what the relay says adds up, and it had something to do."""
    time.sleep(1)
    counters, kinds = relay.counters(), classes()
    dropped = sum(n for name, n in counters.items() if kinds.get(name) == "RX_DROP")
    lost = sum(n for name, n in counters.items() if kinds.get(name) == "COPY_DROP")
    print(f"  {what}: received {counters['rx_packets']} = slow path {counters['to_ctl']} + media "
          f"{counters['media']} + rtcp {counters['rtcp']} + dropped {dropped}\n"
          f"    copies due {counters['copies_due']} = sent {counters['copies_sent']} + dropped {lost}")
    expect_sums(counters)
    expect(counters["media"] >= least, f"only {counters['media']} packets were media, not {least}")
    expect(counters["copies_due"] == counters["media"] * each,
           f"copies due are not media × {each}: {counters}")
    expect(counters["copies_sent"] > 0, f"no copy was sent: {counters}")


def flood_af_packet(lab, seconds):
    """Over a veth, IPv4 and IPv6, by Pktgen or by ourselves."""
    path = os.path.join(lab.dir, "flood.pcap")
    build_pcap(lab, *BOTH, *SHAPE, "--mac", RELAY_MAC, "-o", path)
    relay = generated_relay(lab, BOTH, {})
    # The copies end here, or else the kernel answers each by ICMP.
    lab.nft("add table inet sink",
            "add chain inet sink seen { type filter hook prerouting priority -300; }",
            f"add rule inet sink seen udp dport >= {FIRST_SUBSCRIBER} counter drop")
    time.sleep(1.2)
    if os.environ.get("PKTGEN_DIR"):
        run_pktgen(lab, path, seconds, "net_af_packet0,iface=p0")
        expect_books(relay, "pktgen, af_packet", 1000, 2 * SUBSCRIBERS)
    else:
        sent = send_flat_out(lab, path, seconds)
        expect_books(relay, "PKTGEN_DIR is not set; a socket", sent // 10, 2 * SUBSCRIBERS)
    relay.stop()


def flood_virtio_user(lab, seconds):
    """Into vhost, faster than the relay can: Pktgen answers ARP itself, hence IPv4 only."""
    port = os.path.join(lab.dir, "vhost")
    where = ("--relay", f"{RELAY4}:{PORT}", "--source", V4)
    relay = generated_relay(lab, where, {"ports": ({
        "device": f"net_vhost0,iface={port}", "queues": 1,
        "addresses": ({"address": RELAY4 + "/16"},)},)}, "plenum-vhost")
    mac = re.search(r" mac ([0-9A-Fa-f:]{17}),", relay.ctl("show port info all"))[1]
    path = os.path.join(lab.dir, "vhost.pcap")
    build_pcap(lab, *where, *SHAPE, "--mac", mac, "-o", path)
    run_pktgen(lab, path, seconds, f"net_virtio_user0,path={port}", f"set 0 src ip {V4}/16",
               "enable 0 process", "delay 3000")
    expect_books(relay, "pktgen, virtio-user", 1000, SUBSCRIBERS)
    relay.stop()


@test("flat out for 60 s; where PKTGEN_DIR names its folder, by Pktgen-DPDK, over two kinds of port")
@in_lab
def pktgen(lab, long):
    """a pcap of static endpoints, IPv4, IPv6 and VLAN: every copy arrives; flat out the books agree"""
    refusals(lab)
    if not long:
        replay_both(lab)
        replay_vlan(lab)
        return
    seconds = int(os.environ.get("PKTGEN_SECONDS", "60"))
    flood_af_packet(lab, seconds)
    if os.environ.get("PKTGEN_DIR"):
        flood_virtio_user(lab, seconds)
