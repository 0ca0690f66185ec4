# SPDX-License-Identifier: BSD-3-Clause
"""Samples of a running plenum: what the kernel says of the process, what its own commands say."""

import csv
import json
import os
import re
import time

from lab import run

VIEWS = re.compile(r"views: (\d+) published, (\d+) of (\d+) wait")
HEAP = re.compile(r"heap: (\d+) of (\d+) bytes in use by (\d+) allocations")
SESSIONS = re.compile(r"sessions: (\d+) open, (\d+) ended")


def process_figures(pid):
    """RSS in kB, threads and open file descriptors."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        status = dict(line.split(":", 1) for line in file)
    return {"rss_kb": int(status["VmRSS"].split()[0]),
            "threads": int(status["Threads"]),
            "fds": len(os.listdir(f"/proc/{pid}/fd"))}


def memory_figures(text):
    """Mbufs in use per pool, views and sessions that wait to be freed: `show memory`."""
    found = {}
    for line in text.splitlines()[1:]:
        words = line.split()
        if len(words) == 4 and words[1].isdigit():
            found["pool_" + words[0]] = int(words[2])
    found["views_published"], found["views_waiting"], found["views_limit"] = \
        map(int, VIEWS.search(text).groups())
    found["heap_bytes"], found["heap_limit"], found["heap_allocations"] = \
        map(int, HEAP.search(text).groups())
    found["sessions"], found["sessions_pending"] = map(int, SESSIONS.search(text).groups())
    return found


def lcore_figures(text):
    """Busy share, parked and stalls per lcore: `show lcore all`."""
    found = {"stalled": text.count("STALLED")}
    for line in text.splitlines():
        match = re.match(r"(worker \d+|slow path) +\d+ \S+ +(\d+) +(\d+) +(\d+)", line)
        if match:
            name = match.group(1).replace(" ", "")
            found[f"busy_{name}"], found[f"turns_{name}"], found[f"parked_{name}"] = \
                map(int, match.groups()[1:])
    return found


def counter_table(text):
    """{name: (class, sum, [of each worker], slow path)}: `show counters`."""
    table = {}
    for line in text.splitlines()[1:]:
        words = line.split()
        if len(words) >= 5 and words[2].isdigit():
            numbers = [int(word) for word in words[2:] if word.isdigit()]
            table[words[0]] = (words[1], numbers[0], numbers[1:-1], numbers[-1])
    return table


def kernel_figures(lab):
    """Frames that reached the relay's interface, those that the kernel kept to join IPv4 fragments
    and how many frames it made of them, and copies that the veth dropped."""
    link = json.loads(run("ip", "-n", lab.inside, "-j", "-s", "link", "show", "d0"))[0]["stats64"]
    snmp = run("ip", "netns", "exec", lab.inside, "cat", "/proc/net/snmp").splitlines()
    names, values = (line.split()[1:] for line in snmp if line.startswith("Ip:"))
    ip = dict(zip(names, map(int, values)))
    return {"frames": link["rx"]["packets"], "held": ip["ReasmReqds"] - ip["ReasmOKs"],
            "dropped_out": link["tx"]["dropped"]}


def touch_heap(pid):
    """Read all of DPDK's memory, which has a fixed size, through the kernel. Afterwards it is
    resident, and RSS does not grow where the relay uses a page of it for the first time: what still
    grows is a leak. What is in use of it is told by the relay (`show memory`)."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, \
            open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            if "memfd:nohuge" in line:
                begin, end = (int(word, 16) for word in line.split()[0].split("-"))
                for at in range(begin, end, 1 << 20):
                    memory.seek(at)
                    memory.read(min(1 << 20, end - at))


def settled_figures(pid, usual):
    """The same, when the last command's connection is closed: its end may be a moment late."""
    for _ in range(20):
        found = process_figures(pid)
        if all(found[key] <= usual.get(key, found[key]) for key in ("fds", "threads")):
            break
        time.sleep(0.01)
    return found


class Sampler:
    """Takes samples, keeps them, writes them."""

    def __init__(self, relay, begun):
        self.relay = relay
        self.begun = begun
        self.samples = []
        self.marks = []  # (seconds, kind): what happened in between

    def mark(self, kind):
        self.marks.append((time.monotonic() - self.begun, kind))

    def sample(self, phase, keep=True):
        relay = self.relay
        sample = {"t": round(time.monotonic() - self.begun, 3), "phase": phase}
        sample.update(settled_figures(relay.process.pid,
                                      self.samples[0] if self.samples else {}))
        sample.update(memory_figures(relay.ctl("show memory")))
        sample.update(lcore_figures(relay.ctl("show lcore all")))
        members = [int(line.split()[1]) for line in relay.ctl("show room all").splitlines()[1:]]
        sample["rooms"], sample["largest_room"] = len(members), max(members, default=0)
        sample["events_bytes"] = os.path.getsize(relay.events_path)
        for name, row in counter_table(relay.ctl("show counters")).items():
            sample["c_" + name] = row[1]
        if keep:
            self.samples.append(sample)
        return sample

    def counters(self):
        return counter_table(self.relay.ctl("show counters"))

    def write(self, path):
        if not self.samples:
            return
        with open(path, "w", encoding="ascii", newline="") as file:
            writer = csv.DictWriter(file, list(self.samples[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.samples)
