# SPDX-License-Identifier: BSD-3-Clause
"""A stand-in for the original command line client: the same exchanges on quinn, the QUIC stack
that the original is made of (quic/README.md). It has the original's habit: after CallAnswer it takes
no stream of the relay's any more. With `reads` it takes all of them, and knows every RoomUpdate."""

import contextlib
import json
import threading
import time

from lab import Failure, expect
from quic.scenarios import PATIENCE_S, command, endpoint
from wzp import signals

FRAME_S = 0.02
ALL = 1 << 30


class Client:
    """A connection to a Target. A context manager: it is killed at the end if it is still there."""

    def __init__(self, target, room, alias=None, *, v6=False, reads=False, seed=None):
        self.room, self.alias, self.reads, self.lab = room, alias, reads, target.lab
        self.identity = signals.Identity(seed)
        self.member = (self.identity.fingerprint, alias)
        self.process = target.lab.start(
            target.namespace,
            command(target.lab, "quinn") + [
                "--connect", endpoint(target.addresses[v6], target.port), "--name", room,
                "--local", target.locals[v6], "--streams", ALL if reads else 1],
            target.name("wzp"), talk=True)
        self._lock = threading.Lock()
        self._read, self._streams, self._written = 0, {}, threading.Lock()
        self.connected, self.closed, self.relay, self.stats = False, None, None, None
        self.updates = []    # each RoomUpdate's members, in the order of their streams
        self.messages = []   # everything else
        self.datagrams = []  # (when, bytes)
        self.ids = []        # of the relay's streams, as they ended

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.process.popen.poll() is None:
            self.process.popen.kill()
            self.process.popen.wait()
        with contextlib.suppress(BrokenPipeError):  # what an ended one was not told
            self.process.popen.stdin.close()
        if kind is None and self.process in self.lab.processes:
            self.lab.processes.remove(self.process)

    def _take(self, at, event):
        if event["event"] == "datagram":
            self.datagrams.append((at, bytes.fromhex(event["hex"])))
        elif event["event"] == "stream":
            self._streams[event["id"]] = self._streams.get(event["id"], b"") + \
                bytes.fromhex(event["hex"])
            if event["fin"]:
                self._stream(event["id"], self._streams.pop(event["id"]))
        elif event["event"] == "connected":
            self.connected = True
        elif event["event"] == "closed":
            self.closed = event
        elif event["event"] == "stats":
            self.stats = event
        elif event["event"] in ("error", "unsupported"):
            # What is sent while the connection ends fails.
            self.messages.append(event)

    def _stream(self, stream, content):
        self.ids.append(stream)
        if stream % 4 == 3:
            self.messages.append(content)
            return
        message = signals.read_frame(content)
        if stream == 1:
            self.relay = signals.check_answer(message)
            return
        members = signals.read_update(message)
        if members is None:
            self.messages.append(message)
        else:
            self.updates.append((stream, members))
            self.updates.sort(key=lambda update: update[0])  # streams may overtake each other

    def look(self):
        """Read what came in the meantime."""
        with self._lock:
            lines = self.process.lines
            while self._read < len(lines):
                at, line = lines[self._read]
                self._read += 1
                self._take(at, json.loads(line))

    def wait(self, there, what, timeout=PATIENCE_S):
        """Until there() is true."""
        end = time.monotonic() + timeout
        arrived = self.process._arrived
        while True:
            seen = self._read
            self.look()
            if there():
                return
            left = end - time.monotonic()
            ended = self.process.popen.poll() is not None
            if left <= 0 or ended and self._read == seen:
                raise Failure(f"{self.process.name} in {self.room}: no {what} in {timeout} s; "
                              f"closed: {self.closed}, {len(self.updates)} updates, the last "
                              f"{[alias for _, m in self.updates[-1:] for _, alias in m]}, "
                              f"messages: {self.messages[-2:]}, {self.process.errors()[-200:]}")
            with arrived:
                if len(self.process.lines) == self._read:
                    arrived.wait(min(left, 0.1))

    def tell(self, *words):
        with self._written:
            self.process.tell(" ".join(map(str, words)))

    def signal(self, message):
        """On a stream of its own."""
        self.tell("stream", signals.frame(message).hex())

    def connect(self):
        self.wait(lambda: self.connected, "connection")
        return self

    def offer(self):
        self.connect()
        self.signal(self.identity.offer(self.alias))

    def answered(self):
        self.wait(lambda: self.relay, "CallAnswer")
        return self

    def join(self, token=None):
        self.connect()
        if token is not None:
            self.signal({"AuthToken": {"token": token}})
        self.offer()
        return self.answered()

    def rosters(self):
        """What the RoomUpdates said so far."""
        self.look()
        return [members for _, members in self.updates]

    def wait_roster(self, members, timeout=PATIENCE_S):
        """Until the latest RoomUpdate names exactly these, in this order."""
        self.wait(lambda: self.updates and self.updates[-1][1] == members,
                  f"update with {[alias for _, alias in members]}", timeout)

    def send(self, packet):
        self.tell("send", packet.hex())

    def play(self, packets):
        """One packet every 20 ms. Returns a thread."""
        def run():
            due = time.monotonic()
            for packet in packets:
                self.send(packet)
                due += FRAME_S
                time.sleep(max(0, due - time.monotonic()))
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def heard(self, nb=0, timeout=PATIENCE_S):
        """The datagrams so far, once there are `nb`."""
        self.wait(lambda: len(self.datagrams) >= nb, f"{nb} datagrams", timeout)
        return [packet for _, packet in self.datagrams]

    def hangup(self):
        """The second stream of a client: id 4."""
        self.signal({"Hangup": {"reason": "Normal"}})

    def close(self, reason="normal close", hung_up=False):
        """The relay closes first when who has hung up takes long about it."""
        with contextlib.suppress(*([BrokenPipeError] if hung_up else [])):
            self.tell("close", 0, reason)
        self.wait(lambda: self.closed, "end")
        expect(self.closed["by"] == "local" or
               hung_up and self.closed["code"] == 0 and self.closed["reason"] == "hangup",
               f"{self.room}: {self.closed}")

    def expect_refused(self):
        """The relay closed the connection as it refuses."""
        self.wait(lambda: self.closed, "end")
        said = (self.closed["by"], self.closed["application"], self.closed["code"])
        expect(said == ("peer", True, 0), f"{self.room}: {self.closed}")
