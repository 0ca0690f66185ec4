# SPDX-License-Identifier: BSD-3-Clause
"""What a worker must not do while it forwards: system calls, allocations, locks. The port is a pcap
file in memory that never ends, so that forwarding is all there is to see."""

import os
import socket
import struct
import time

from endpoint import binding_request, rtp
from lab import PORT, RELAY4, expect, run
from relay import Relay, in_lab, test
from test_network import checksum

PCAP_MAC = "02:70:63:61:70:00"  # of the first net_pcap port


def ethernet(source, payload, ethertype, to=PCAP_MAC):
    return bytes.fromhex(to.replace(":", "")) + source + struct.pack("!H", ethertype) + payload


def datagram(mac, source, port, payload):
    ends = socket.inet_aton(source) + socket.inet_aton(RELAY4)
    udp = struct.pack("!HHHH", port, PORT, 8 + len(payload), 0) + payload
    udp_sum = checksum(ends + struct.pack("!HH", 17, len(udp)) + udp) or 0xFFFF
    udp = udp[:6] + struct.pack("!H", udp_sum) + udp[8:]
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + ends
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    return ethernet(mac, head + udp, 0x0800)


def write_pcap(path, frames):
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for data in frames:
            file.write(struct.pack("<IIII", 0, 0, len(data), len(data)) + data)


def frames_of_a_room(relay_credential, members, packets):
    """Members answer ARP (whoever asked), join, and one of them talks; again and again."""
    people = []
    for i in range(members):
        mac, address = bytes([2, 0, 0, 0, 9, i]), f"198.18.9.{i + 1}"
        people.append((mac, address, 30000 + i))
        arp = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2) + mac + socket.inet_aton(address) + \
            bytes.fromhex(PCAP_MAC.replace(":", "")) + socket.inet_aton(RELAY4)
        yield ethernet(mac, arp + bytes(18), 0x0806)
    for i, who in enumerate(people):
        yield datagram(*who, binding_request(*relay_credential("steady", f"m{i}")))
    for n in range(packets):
        yield datagram(*people[0], rtp(0xBEEF, n, 200 if n % 2 else 1200))


def lcore_thread(pid, lcore):
    """The thread of an lcore as EAL names it: 1 is the slow path, workers begin at 2."""
    names = {}
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/comm", encoding="ascii") as file:
            names[file.read().strip()] = int(tid)
    expect(f"rte-worker-{lcore}" in names, f"no thread of lcore {lcore}: {names}")
    return names[f"rte-worker-{lcore}"]


def interposed(path, tid):
    """The counts of a thread, from the file that tests/util/interpose.c writes."""
    with open(path, "rb") as file:
        table = file.read()
    for at in range(0, len(table), 32):
        slot = struct.unpack_from("<QQQQ", table, at)
        if slot[0] == tid:
            return dict(zip(("allocations", "frees", "locks"), slot[1:]))
    return {"allocations": 0, "frees": 0, "locks": 0}  # never called any of them


@test("10 s instead of 3")
@in_lab
def no_system_calls(lab, long):
    """a forwarding worker makes no system call, calls no allocator and takes no pthread lock"""
    seconds = 10 if long else 3
    pcap = os.path.join(lab.dir, "steady.pcap")
    counts = os.path.join(lab.dir, "interpose")
    relay = Relay(
        lab, start=False,
        ports=({"device": f"net_pcap0,rx_pcap={pcap},infinite_rx=1", "queues": 1,
                "addresses": ({"address": RELAY4 + "/16"},)},),
        rooms=({"pattern": "*", "packets_per_s": "unlimited", "bits_per_s": "unlimited"},),
        idle="busy")
    write_pcap(pcap, frames_of_a_room(relay.credential, members=10, packets=400))
    relay.start(env={"LD_PRELOAD": os.path.join(lab.build, "tests", "func", "interpose.so"),
                     "INTERPOSE_FILE": counts})
    pid, tid = relay.process.pid, lcore_thread(relay.process.pid, 2)
    sent = relay.counter("copies_sent")
    before = interposed(counts, tid)
    traced = run("timeout", "-s", "INT", str(seconds), "strace", "-c", "-p", str(tid), check=False)
    after = interposed(counts, tid)
    forwarded = relay.counter("copies_sent") - sent
    calls = [line for line in traced.splitlines() if line[:6].strip().replace(".", "").isdigit()]
    expect("attached" in traced, f"strace: {traced}")
    expect(not calls, f"thread {tid} of {pid} made system calls:\n{traced}")
    expect(after == before, f"before {before}, after {after}")
    expect(forwarded > 10000 * seconds, f"only {forwarded} copies in {seconds} s")
    print(f"  {forwarded / seconds / 1e6:.2f} million copies/s meanwhile; since its start: {after}")
    relay.stop()
