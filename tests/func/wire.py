# SPDX-License-Identifier: BSD-3-Clause
"""What a port that is no interface of the kernel is plugged into: a dpdk-testpmd that moves every
frame between the port's other end and d0 (or `interface`), so that clients are sockets as ever.

    plenum ── memif, or vhost and virtio-user ── testpmd ── af_packet on d0 ── veth ── p0
"""

import os
import signal
import time

from lab import RELAY4, RELAY6, RELAY_MAC, expect, run
from relay import Relay

GATEWAYS = ({"address": RELAY4 + "/16", "gateway": "198.18.0.254"},
            {"address": RELAY6 + "/64", "gateway": "fd00:198:18::fe"})
LINK_S = 15


class Wire:
    """The two ends: `relay` is the relay's device, `other` the one of testpmd. "PATH" in both is a
    socket in the lab's folder."""

    def __init__(self, lab, relay, other, peer_first=False, interface="d0"):
        self.lab = lab
        self.interface = interface
        self.peer_first = peer_first  # "listens": once its socket is there
        self.socket = os.path.join(lab.dir, "wire.sock")
        self.device = relay.replace("PATH", self.socket)
        self.other = other.replace("PATH", self.socket)
        self.runs = 0
        self.process = None

    def relay(self, queues=1, nic=None, **settings):
        """A relay that is plugged in."""
        ports = ({"device": self.device, "queues": queues, "addresses": GATEWAYS, **(nic or {})},)
        if self.peer_first:
            self.plug(queues)
        if self.peer_first == "listens":
            self.wait_listening()
        relay = Relay(self.lab, ports=ports, idle="sleep", **settings)
        if not self.peer_first:
            self.plug(queues)
        wait_link(relay, "up")
        return relay

    def plug(self, queues=1):
        """Start testpmd. It polls without rest, so it stays off the workers' CPU."""
        self.runs += 1
        cpu = min(os.sched_getaffinity(0))
        name = f"testpmd{self.runs}"
        self.process = self.lab.start(self.lab.inside, [
            "dpdk-testpmd", "--lcores", f"0@{cpu},1@{cpu}", "--no-pci", "--no-huge", "-m", "256",
            "--file-prefix", f"plm{os.getpid()}{name}", "--vdev", self.other,
            "--vdev", f"net_af_packet0,iface={self.interface},qpairs={queues}", "--",
            "--no-mlockall", "--total-num-mbufs=8192", "--forward-mode=io", "--auto-start",
            f"--rxq={queues}", f"--txq={queues}", "--stats-period=3600"], name)

    def cut(self):
        """The peer dies as it stands."""
        self.process.popen.send_signal(signal.SIGKILL)
        self.process.wait(5)

    def wait_listening(self, timeout=LINK_S):
        end = time.monotonic() + timeout
        while not os.path.exists(self.socket):
            expect(time.monotonic() < end, f"no socket: {self.process.errors()[-500:]}")
            time.sleep(0.05)


def memif(lab, **options):
    return Wire(lab, "net_memif0,role=server,socket=PATH,socket-abstract=no",
                "net_memif0,role=client,socket=PATH,socket-abstract=no", **options)


def vhost(lab, queues=1):
    """The relay is the vhost server; what plugs in is a guest's driver, virtio-user."""
    return Wire(lab, f"net_vhost0,iface=PATH,queues={queues}",
                f"net_virtio_user0,path=PATH,queues={queues},mac=02:00:00:00:77:01")


def virtio_user(lab, queues=1, server=False):
    """The relay is what a guest is; the vhost server is a switch's. Whoever listens, the relay
    starts only with its peer there."""
    here, there = (",server=1", ",client=1") if server else ("", "")
    return Wire(lab, f"net_virtio_user0,path=PATH,queues={queues},mac={RELAY_MAC}{here}",
                f"net_vhost0,iface=PATH,queues={queues}{there}",
                peer_first="connects" if server else "listens")


def wait_link(relay, state, timeout=LINK_S, count=1):
    """Until that many ports are in this state, "up" or "down"."""
    end = time.monotonic() + timeout
    while relay.ctl("show port info all").count(f"link {state}") < count:
        expect(time.monotonic() < end, f"link not {state} in {timeout} s")
        time.sleep(0.1)


def clients_behind(lab, interface):
    """Clients reach the relay through this interface of its namespace instead of d0."""
    run("ip", "-n", lab.outside, "link", "del", "p0")
    run("ip", "-n", lab.inside, "link", "set", interface, "netns", lab.outside)
    run("ip", "-n", lab.outside, "link", "set", interface, "name", "p0", "address",
        "02:00:00:00:00:02", "up")
    run("ip", "netns", "exec", lab.outside, "ethtool", "-K", "p0", "tx", "off")
    lab.add_address("198.18.0.2")
    lab.add_address("fd00:198:18::2")
