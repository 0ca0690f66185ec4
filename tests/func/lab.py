# SPDX-License-Identifier: BSD-3-Clause
"""What a relay test needs around the relay: network namespaces joined by a veth pair, processes in
them, sockets in them, and a clean end whatever happens.

    relay namespace            outside namespace
    plenum on d0 ───── veth ───── p0 198.18.0.2..., fd00:198:18::2...
                                  └── routes (and translates) for clients behind a NAT
"""

import ctypes
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time

RELAY4, RELAY6, PORT = "198.18.0.1", "fd00:198:18::1", 7000
RELAY_MAC = "02:00:00:00:00:01"
CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class Failure(Exception):
    """A test's expectation that did not hold."""


def expect(condition, message):
    if not condition:
        raise Failure(message)


def run(*command, check=True, timeout=60):
    """Run to the end; its output, both streams as one."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=timeout, text=True)
    if check and done.returncode != 0:
        raise Failure(f"{' '.join(command)}: exit {done.returncode}: {done.stdout.strip()}")
    return done.stdout


class Process:
    """A program in a namespace; its standard output line by line, with the time of each line.
    With `talk`, tell() writes to its standard input."""

    def __init__(self, lab, namespace, command, name, env=None, talk=False):
        self.name, self.lab = name, lab
        self.lines = []
        self._arrived = threading.Condition()
        self.stderr_path = os.path.join(lab.dir, f"{name}.stderr")
        with open(self.stderr_path, "wb") as stderr:
            self.popen = subprocess.Popen(
                ["ip", "netns", "exec", namespace, *map(str, command)],
                stdin=subprocess.PIPE if talk else subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=stderr, env={**os.environ, **(env or {})})
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        lab.processes.append(self)

    @property
    def pid(self):
        return self.popen.pid  # `ip netns exec` becomes the program

    def _read(self):
        for line in self.popen.stdout:
            with self._arrived:
                self.lines.append((time.time(), line.decode(errors="replace").rstrip()))
                self._arrived.notify_all()
        with self._arrived:
            self._arrived.notify_all()

    def events(self, name=None):
        """Lines that are JSON objects, those with this `event` if given."""
        found = []
        for at, line in list(self.lines):
            if line.startswith("{"):
                event = json.loads(line)
                event.setdefault("t", at)
                if name is None or event.get("event") == name:
                    found.append(event)
        return found

    def wait_event(self, name, timeout, after=0.0):
        """The first event of this name later than `after`, None if there is none in time."""
        end = time.monotonic() + timeout
        while True:
            for event in self.events(name):
                if event["t"] > after:
                    return event
            with self._arrived:
                left = end - time.monotonic()
                if left <= 0 or self.popen.poll() is not None:
                    found = [e for e in self.events(name) if e["t"] > after]
                    return found[0] if found else None
                self._arrived.wait(min(left, 0.2))

    def tell(self, line):
        self.popen.stdin.write(line.encode() + b"\n")
        self.popen.stdin.flush()

    def wait(self, timeout):
        """Exit status; a Failure if it does not end in time."""
        try:
            status = self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} (pid {self.pid}) still runs after {timeout} s") from None
        self._reader.join(5)
        return status

    def stop(self, timeout=15, number=signal.SIGTERM):
        self.popen.send_signal(number)
        return self.wait(timeout)

    def output(self):
        return "\n".join(line for _, line in self.lines)

    def errors(self):
        with open(self.stderr_path, encoding="utf-8", errors="replace") as file:
            return file.read()


class Lab:
    """Namespaces, processes and files of one test. A context manager: everything goes at its end."""

    def __init__(self, build, name):
        self.build = build
        self.root = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
        self.name = name
        prefix = os.environ.get("RUN", f"plm{os.getpid()}")
        self.inside, self.outside = f"{prefix}{name}-relay", f"{prefix}{name}-out"
        self.processes = []
        self._namespaces = []
        self._close = []

    def __enter__(self):
        self._dir = tempfile.TemporaryDirectory(prefix=f"plm-{self.name}-")
        self.dir = self._dir.name
        try:
            self._wire()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind, value, trace):
        for process in reversed(self.processes):
            if process.popen.poll() is None:
                process.popen.kill()
                process.popen.wait()
        for close in reversed(self._close):
            close()
        for namespace in self._namespaces:
            run("ip", "netns", "del", namespace, check=False)
        said = [(p.name, p.popen.returncode, p.output()[-3000:] + "\n" + p.errors()[-3000:])
                for p in self.processes]
        self._dir.cleanup()
        # Last, since nobody may be there to read it any more.
        if kind is not None:
            for name, status, text in said:
                print(f"--- {name}: exit {status}\n{text.strip()}")

    def add_namespace(self, name):
        run("ip", "netns", "add", name)
        self._namespaces.append(name)
        run("ip", "-n", name, "link", "set", "lo", "up")

    def join(self, ns_a, if_a, ns_b, if_b):
        """A veth pair. Checksums are made by the kernel, since a DPDK port sees frames as they are."""
        run("ip", "link", "add", if_a, "netns", ns_a, "type", "veth", "peer", "name", if_b,
            "netns", ns_b)
        for namespace, interface in ((ns_a, if_a), (ns_b, if_b)):
            run("ip", "netns", "exec", namespace, "ethtool", "-K", interface, "tx", "off")
            run("ip", "-n", namespace, "link", "set", interface, "up")

    def _wire(self):
        self.add_namespace(self.inside)
        self.add_namespace(self.outside)
        # The relay brings its own IP: the kernel's stays away from d0.
        run("ip", "netns", "exec", self.inside, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1",
            "net.ipv6.conf.default.disable_ipv6=1")
        run("ip", "netns", "exec", self.outside, "sysctl", "-qw",
            "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0")
        self.join(self.inside, "d0", self.outside, "p0")
        run("ip", "-n", self.inside, "link", "set", "d0", "address", RELAY_MAC)
        self.add_address("198.18.0.2")
        self.add_address("fd00:198:18::2")

    def add_address(self, address):
        """One more own address for clients, on the relay's link."""
        if ":" in address:
            run("ip", "-n", self.outside, "addr", "add", address + "/64", "dev", "p0", "nodad")
        else:
            run("ip", "-n", self.outside, "addr", "add", address + "/16", "dev", "p0")
        return address

    def start(self, namespace, command, name, env=None, talk=False):
        return Process(self, namespace, command, name, env, talk)

    def socket(self, namespace, family, kind, proto=0):
        """A socket that lives in a namespace, for this very process."""
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
        try:
            if _libc.setns(there, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), f"setns to {namespace}")
            try:
                sock = socket.socket(family, kind, proto)
            finally:
                _libc.setns(here, CLONE_NEWNET)
        finally:
            os.close(here)
            os.close(there)
        self._close.append(sock.close)
        return sock

    def nft(self, *lines):
        for line in lines:
            run("ip", "netns", "exec", self.outside, "nft", line)

    def count_datagrams(self, port):
        """From now on count what arrives for a UDP port outside; returns how to read the count."""
        chain = f"port{port}"
        self.nft("add table inet seen",
                 f"add chain inet seen {chain} {{ type filter hook prerouting priority -300; }}",
                 f"add rule inet seen {chain} iifname p0 udp dport {port} counter")

        def read():
            listed = run("ip", "netns", "exec", self.outside, "nft", "list", "chain", "inet",
                         "seen", chain)
            return int(re.search(r"counter packets (\d+)", listed).group(1))
        return read
