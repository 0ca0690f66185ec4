# SPDX-License-Identifier: BSD-3-Clause
"""The original programs, unmodified, in the laboratory: how they are run, and what their output,
recordings and captures must be like (docs/interop.md)."""

import array
import datetime
import json
import math
import os
import re
import signal
import struct
import sys
import time

from lab import Failure, PORT, RELAY4, RELAY6, expect, run
from quic.scenarios import Target, endpoint
from wzp import exchanges, signals

RATE = 48000
FRAME = 960


class Programs:
    """What was found in a folder, against a target."""

    def __init__(self, folder, target):
        self.folder, self.target, self.lab = folder, target, target.lab

    @staticmethod
    def find(folder):
        """The folder, if the programs that are needed are in it."""
        folder = os.path.abspath(folder)
        for name in ("wzp-client", "wzp-analyzer"):
            expect(os.access(os.path.join(folder, name), os.X_OK),
                   f"{folder}: there is no program {name}")
        return folder

    def start(self, program, name, *options, v6=False):
        to = endpoint(self.target.addresses[v6], self.target.port)
        where = [to] if program == "wzp-client" else []
        return self.lab.start(
            self.target.namespace,
            [os.path.join(self.folder, program), *([] if where else [to]), *options, *where],
            self.target.name(name), env={"NO_COLOR": "1", "HOME": self.lab.dir})

    def client(self, name, *options, v6=False):
        return self.start("wzp-client", name, *options, v6=v6)

    def analyzer(self, name, *options):
        return self.start("wzp-analyzer", name, "--no-tui", *options)


def wait_line(process, text, timeout=15):
    """Until it says so."""
    end = time.monotonic() + timeout
    while text not in process.output():
        ended = process.popen.poll() is not None
        if ended:
            process._reader.join(1)
        if time.monotonic() > end or ended and text not in process.output():
            raise Failure(f"{process.name} does not say '{text}' in {timeout} s, but: "
                          f"{process.output()[-500:]}")
        time.sleep(0.02)


def expect_lines(process, wanted, unwanted=()):
    """Its output has these lines in this order, and none of those. Of a tuple any one will do."""
    lines, at = process.output().splitlines(), 0
    for texts in wanted:
        texts = texts if isinstance(texts, tuple) else (texts,)
        found = next((i for i in range(at, len(lines)) if any(t in lines[i] for t in texts)), None)
        expect(found is not None, f"{process.name}: no line '{texts[0]}' where it belongs: "
               f"{process.output()[-1500:]}")
        at = found + 1
    for text in unwanted:
        expect(text not in process.output(), f"{process.name} says '{text}'")


def expect_sound(path, samples, seconds):
    """A recording of the tone: as many samples, loud, 440 crossings of zero a second."""
    pcm = array.array("h")
    with open(path, "rb") as file:
        pcm.frombytes(file.read())
    if sys.byteorder == "big":
        pcm.byteswap()
    expect(len(pcm) == samples, f"{path}: {len(pcm)} samples for {samples}")
    rms = math.sqrt(sum(s * s for s in pcm) / len(pcm))
    silent = pcm.count(0)
    rising = []
    for second in range(1, seconds - 1):
        part = pcm[second * RATE:(second + 1) * RATE + 1]
        rising.append(sum(a < 0 <= b for a, b in zip(part, part[1:])))
    expect(rms > 4000 and silent < RATE // 100, f"{path}: RMS {rms:.0f}, {silent} samples of silence")
    expect(all(439 <= r <= 441 for r in rising), f"{path}: crossings {rising}")
    return rms


def read_capture(path):
    """An analyzer's capture: (its JSON head, [packets])."""
    with open(path, "rb") as file:
        content = file.read()
    expect(content[:4] == b"WZP\x01", f"{path}: not a capture")
    (size,) = struct.unpack_from("<I", content, 4)
    head, at, packets = json.loads(content[8:8 + size]), 8 + size, []
    while at < len(content):
        _, size = struct.unpack_from("<QI", content, at)
        packets.append(content[at + 12:at + 12 + size])
        at += 12 + size
    expect(at == len(content) and all(packets), f"{path}: cut off")
    return head, packets


def expect_tone(packets, nb):
    """Every packet of a tone, in order, as its sender wrote it."""
    heads = [struct.unpack("!HHI4s", p[:12]) for p in packets]
    expect([h[1] for h in heads] == list(range(nb)), f"sequence numbers: {[h[1] for h in heads]}")
    expect(all(b[2] - a[2] == 20 for a, b in zip(heads, heads[1:])), "timestamps are not 20 apart")
    expect(all(h[0] == 0 and h[3] == bytes(4) for h in heads), "a header is not as it was written")
    expect(all(41 <= len(p) <= 107 for p in packets), "sizes")


CONNECTED = ("Connected to relay", "crypto handshake complete")
RECORDING = "recording received audio (Ctrl+C to stop and save)"
NOTHING = "no audio received, nothing to write"


def sender_lines(seconds):
    frames = 50 * seconds
    progress = [f"send progress frame={n} source={n} repair=0" for n in range(250, frames + 1, 250)]
    return [*CONNECTED, f"sending 440Hz tone seconds={seconds} frames={frames}", *progress,
            f"tone send complete total_source={frames} total_repair=0"]


def expect_end(process, timeout=30):
    status = process.wait(timeout)
    expect(status == 0, f"{process.name}: exit {status}: {process.output()[-800:]}")
    process.lab.processes.remove(process)  # what is said of it now has its output


def stop_recorder(process):
    """Interrupted, it says so and writes what it has."""
    process.popen.send_signal(signal.SIGINT)
    expect_end(process)
    # Two of its tasks see the signal; when the one is quicker, the other sees the connection's end.
    expect_lines(process, ["SIGINT received, closing connection..."], [NOTHING])
    expect_lines(process, [("Ctrl+C received, saving recording...", "connection closed by remote"),
                           "recording saved"])


def saved(path, samples):
    return f"recording saved file={path} samples={samples}"


def one_way(programs, seconds=10, v6=False):
    """A and C: one sends, one records, the analyzer writes down every packet"""
    lab, room, frames = programs.lab, programs.target.name("acc"), 50 * seconds
    path, capture = os.path.join(lab.dir, f"{room}.raw"), os.path.join(lab.dir, f"{room}.wzp")
    records = programs.client("recorder", "--room", room, "--record", path, v6=v6)
    looks = programs.analyzer("analyzer", "--room", room, "--duration", str(3 * seconds),
                              "--capture", capture)  # a busy machine plays slower
    wait_line(records, RECORDING)
    time.sleep(1)
    sends = programs.client("sender", "--room", room, "--send-tone", str(seconds), v6=v6)
    expect_end(sends, timeout=4 * seconds)
    time.sleep(1)
    stop_recorder(records)
    expect_lines(sends, sender_lines(seconds), ["send error"])
    samples = (frames - 2) * FRAME
    expect_lines(records, [*CONNECTED, RECORDING,
                           *(f"recv progress frames={n} samples={n * FRAME}"
                             for n in range(250, frames - 2, 250)),
                           f'{saved(path, samples)} duration="{samples / RATE:.1f}s" '
                           f"bytes={2 * samples}"])
    rms = expect_sound(path, samples, seconds)
    expect_end(looks, timeout=3 * seconds)
    expect(re.search(rf"^  Stream 0: {frames} pkts, 0\.0% loss", looks.output(), re.M) or
           re.search(rf"^  Stream 0: {frames} pkts, 0\.0% loss", looks.errors(), re.M),
           f"analyzer: {looks.output()[-500:]} {looks.errors()[-500:]}")
    said = (looks.output() + looks.errors()).strip().splitlines()[-2:]
    expect(f"Total packets: {frames} | Participants: 1" in " ".join(said), f"analyzer: {said}")
    head, packets = read_capture(capture)
    expect((head["room"], head["version"]) == (room, 1), f"{head}")
    expect_tone(packets, frames)
    return f"{samples // FRAME} of {frames} frames recorded, RMS {rms:.0f}, capture exact, " \
           f"{sum(len(p) - 12 for p in packets)} bytes of payload"


def said_at(process, text):
    """The time in front of a line, in seconds."""
    line = next(line for line in process.output().splitlines() if text in line)
    return datetime.datetime.fromisoformat(line.split()[0].replace("Z", "+00:00")).timestamp()


def both_ways(programs, seconds=5, v6=False):
    """B: two send and record at once, and end by themselves. What one has sent before the other was in
    the room is not for it"""
    room, frames = programs.target.name("two"), 50 * seconds
    samples, frames_of = (frames - 2) * FRAME, []
    paths = [os.path.join(programs.lab.dir, f"{room}-{i}.raw") for i in (0, 1)]
    both = [programs.client(f"both-{i}", "--room", room, "--send-tone", str(seconds), "--record",
                            path, v6=v6) for i, path in enumerate(paths)]
    for process in both:
        expect_end(process, timeout=8 * seconds)
    for process, other, path in zip(both, both[::-1], paths):
        late = said_at(process, CONNECTED[-1]) - said_at(other, "sending 440Hz tone")
        missed = math.ceil((late + 0.005) / 0.02) if late > -0.005 else 0
        (found,) = re.findall(r"recording saved file=\S+ samples=(\d+)", process.output())
        expect(samples - missed * FRAME <= int(found) <= samples,
               f"{found} samples for {samples}, who came {late:.3f} s after the other's first packet")
        expect_lines(process, [*CONNECTED, f"tone send complete total_source={frames} "
                               "total_repair=0", "connection closed by remote",
                               saved(path, found)], ["send error", NOTHING])
        expect(f"bytes={2 * int(found)}" in process.output(), f"{process.output()[-300:]}")
        expect_sound(path, int(found), seconds)
        frames_of.append(int(found) // FRAME)
    return f"{frames_of[0]} and {frames_of[1]} of {frames} frames recorded"


def small_ones(programs, v6=False):
    """E: the relay's version; five seconds of silence in the room `default`"""
    asks = programs.client("asks", "--version-check")  # which knows no IPv6
    quiet = programs.client("quiet", v6=v6)
    expect_end(asks)
    said = asks.output().split()
    to = endpoint(programs.target.addresses[False], programs.target.port)
    expect(len(said) == 2 and said[0] == to, f"version: {asks.output()}")
    expect_end(quiet)
    expect_lines(quiet, [*CONNECTED,
                         "done — closing total_source=29 total_repair=0 total_bytes=68"],
                 ["send error"])
    return f"version {said[1]}, 29 packets of silence"


def spelling(programs, v6=False):
    """E: upper-case and lower-case spellings of one room name meet; another room hears nothing"""
    room = programs.target.name("case")
    path, none = (os.path.join(programs.lab.dir, f"{room}-{what}.raw") for what in ("lower", "no"))
    records = programs.client("lower", "--room", room, "--record", path)
    other = programs.client("other", "--room", room + "-other", "--record", none)
    wait_line(records, RECORDING)
    wait_line(other, RECORDING)
    sends = programs.client("upper", "--room", room.upper(), "--send-tone", "4", v6=v6)
    expect_end(sends)
    time.sleep(0.5)
    stop_recorder(records)
    other.popen.send_signal(signal.SIGINT)
    expect_end(other)
    expect_lines(other, [NOTHING])
    expect(not os.path.exists(none), "another room was recorded")
    expect_sound(path, 198 * FRAME, 4)
    return "one room in both spellings, nothing in another one"


def crowd(programs, nb, seconds=10):
    """Half of `nb` stand-ins come and go while one records and one plays a tone, half of them talk
    themselves; the analyzer writes down every packet. None of the three programs reads anything"""
    lab, room, frames = programs.lab, programs.target.name("crowd"), 50 * seconds
    path, capture = os.path.join(lab.dir, f"{room}.raw"), os.path.join(lab.dir, f"{room}.wzp")
    seeds = [os.urandom(32) for _ in range(3)]
    looking, *others = [exchanges.Guest(signals.Identity(seed), alias)
                        for seed, alias in zip(seeds, ("analyzer", None, None))]
    looks = programs.analyzer("analyzer", "--seed", seeds[0].hex(), "--room", room, "--duration",
                              str(5 * seconds), "--capture", capture)
    time.sleep(1)  # it does not say when it has joined
    records = programs.client("recorder", "--seed", seeds[1].hex(), "--room", room, "--record", path)
    wait_line(records, RECORDING)
    # One that also records says goodbye; one that only sends is gone at times before it did.
    sends = programs.client("sender", "--seed", seeds[2].hex(), "--room", room, "--send-tone",
                            str(seconds), "--record", path + ".none")
    wait_line(sends, "sending 440Hz tone")
    time.sleep(0.5)
    changes, *_ = exchanges.crowd(programs.target, nb // 2, room, (looking, *others), listens=True)
    expect(sends.popen.poll() is None, "the tone was over before the crowd was")
    expect_end(sends, timeout=4 * seconds)
    expect_lines(sends, sender_lines(seconds), ["send error"])
    time.sleep(1)
    stop_recorder(records)
    samples = (frames - 2) * FRAME
    expect_lines(records, [saved(path, samples)])
    expect_sound(path, samples, seconds)
    more, sent, spoken = exchanges.crowd(programs.target, nb - nb // 2, room, (looking,))
    expect_end(looks, timeout=5 * seconds)
    _, packets = read_capture(capture)
    expect_tone(packets[:frames], frames)
    of_crowd = set(sent)
    exchanges.expect_same([p for p in packets[frames:] if p in of_crowd], sent, "capture")
    exchanges.expect_same([p for p in packets[frames:] if p not in of_crowd], spoken, "capture")
    return f"{nb} came and went, {changes + more} changes: {samples // FRAME} of {frames} frames " \
           f"recorded, {len(packets)} packets captured"


class OriginalRelay(Target):
    """The original relay on the kernel's sockets, in the relay's namespace: what is expected of a
    relay is tried on it first."""

    def __init__(self, lab, folder):
        locals = ("198.18.0.2", "fd00:198:18::2")
        super().__init__(lab, lab.outside, (RELAY4, RELAY6), PORT, locals)
        run("ip", "netns", "exec", lab.inside, "sysctl", "-qw", "net.ipv6.conf.d0.disable_ipv6=0",
            "net.ipv6.conf.d0.accept_dad=0")
        run("ip", "-n", lab.inside, "addr", "add", RELAY4 + "/16", "dev", "d0")
        run("ip", "-n", lab.inside, "addr", "add", RELAY6 + "/64", "dev", "d0", "nodad")
        self.process = lab.start(
            lab.inside, [os.path.join(folder, "wzp-relay"), "--listen", f"[::]:{PORT}",
                         "--identity", os.path.join(lab.dir, "identity")],
            "wzp-relay", env={"NO_COLOR": "1", "HOME": lab.dir})
        wait_line(self.process, "istening")

    def stop(self):
        self.process.popen.send_signal(signal.SIGTERM)
        self.process.wait(10)
