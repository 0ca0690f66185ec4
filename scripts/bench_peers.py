# SPDX-License-Identifier: BSD-3-Clause
"""The same job by other relays: one publisher, 100 subscribers, 200 bytes; CPU time per packet that arrived.

Each relay is a process of its own in one network namespace, publisher and subscribers are in another,
a veth pair between them. All are up at the same time, and take turns: a publication of some seconds
each, again and again, so that what the machine does meanwhile hits all of them. What counts is the CPU
time of the relay's process (user and system; the kernel's work of delivering is in it, since a veth
delivers in the sender's context) by the packets that arrived.

    kernel            recvmmsg() and sendmmsg(): bench/udp.c
    janus             VideoRoom with rtp_forward. Its publisher must speak WebRTC: a second Janus, which
                      is not counted, takes the RTP (Streaming) and publishes it
    rtpengine         publish and subscribe of its NG protocol; userspace, no kernel module
    plenum_af_packet  net_af_packet on a veth of its own, one worker that sleeps when idle
    plenum            the same across virtio-user and vhost: dpdk-testpmd is the other side, and
                      carries the frames to that veth. It polls a whole CPU, so this is measured when
                      the others are through, in turns with the kernel's relay

Then the same at load: each relay on the last CPU alone, at the highest rate at which it lost nothing in
two tries, found by going up; generator and sink have the first CPU.

    plenum            its port is net_virtio_user0, plenum-load's net_vhost0 the other side; both are
                      started anew each time, so that nothing of them runs in the others' turns

    bench_peers.py --build DIR [--rounds N] [--json FILE] [--report FILE]

Exit 0: every relay was measured; 1: one was not, or lost packets; 2: nothing could be measured.
"""

import argparse
import http.client
import json
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "func"))

# pylint: disable=wrong-import-position
from lab import PORT, RELAY4, RELAY_MAC, Failure, Lab, expect, run  # noqa: E402
from relay import Relay  # noqa: E402
from test_rooms import Crowd  # noqa: E402

SUBSCRIBERS, SIZE, PER_SECOND, SECONDS = 100, 200, 1000, 1.5
PACKETS = int(PER_SECOND * SECONDS)
LOSS_MAX = 0.01
# At load: rates to try are so many times the one before.
STEP, STEPS_MAX, TRY_SECONDS = 1.2, 20, 1.0
# Of the veth that has the kernel's IP at both ends.
HERE, THERE = "198.19.0.1", "198.19.0.2"
# WebRTC's header extension that names the stream: it comes on top of what the feeder is given.
JANUS_EXTENSION = 8
# How long bench-udp waits for the last copies.
LOAD_TAIL = 0.3
JANUS_PLUGINS = ("audiobridge", "duktape", "echotest", "lua", "nosip", "recordplay", "sip", "textroom",
                 "videocall", "voicemail")
JANUS_TRANSPORTS = ("mqtt", "nanomsg", "pfunix", "rabbitmq", "websockets")
JANUS_EVENTS = ("gelfevh", "mqttevh", "nanomsgevh", "rabbitmqevh", "sampleevh", "wsevh")


def package_version(package):
    return run("dpkg-query", "-Wf", "${Version}", package).strip()


def cpu_ns(pid):
    """CPU time of a process so far, all threads; the clock of clock_getcpuclockid(3)."""
    return time.clock_gettime_ns((~pid << 3) | 2)


def pin(pid, cpu):
    """All threads of a process."""
    for task in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(task), {cpu})


def wait_line(process, word, timeout):
    end = time.monotonic() + timeout
    while not any(line.startswith(word) for _, line in process.lines):
        expect(process.popen.poll() is None and time.monotonic() < end,
               f"{process.name} does not start: {(process.output() + process.errors())[-500:]}")
        time.sleep(0.02)


class Load:
    """Publisher and subscribers of a relay that takes plain RTP."""

    def __init__(self, lab, name, source, target, first_port, size=SIZE):
        program = os.path.join(lab.build, "bench", "bench-udp")
        self.popen = subprocess.Popen(
            ["ip", "netns", "exec", lab.outside, program, "load", f"{THERE}:{source}",
             f"{target[0]}:{target[1]}", f"{THERE}:{first_port}", str(SUBSCRIBERS)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.name, self.size = name, size
        lab._close.append(self.close)  # pylint: disable=protected-access
        expect(self.popen.stdout.readline() == "ready\n", f"the subscribers of {name} do not start")

    def close(self):
        self.popen.kill()
        self.popen.wait()

    def publish(self, packets, per_second=PER_SECOND):
        """How many packets were sent, and how many arrived."""
        self.popen.stdin.write(f"{per_second} {self.size} {packets}\n")
        self.popen.stdin.flush()
        words = self.popen.stdout.readline().split()
        expect(len(words) == 6, f"the subscribers of {self.name} have gone")
        return int(words[1]), int(words[3])


def tail(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()[-500:]


class Peer:
    """A relay that is measured."""

    name = ""
    path = "kernel sockets over veth"
    first_rate = 1000  # where the search for one begins

    def __init__(self):
        self.pid = 0
        self.load = None
        self.idle_ms_per_s = 0.0

    def publish(self, packets, per_second=PER_SECOND):
        return self.load.publish(packets, per_second)

    def pin(self, relay_cpu, load_cpu):
        """The relay on one CPU, what loads it on the other."""
        pin(self.pid, relay_cpu)
        pin(self.load.popen.pid, load_cpu)

    def revive(self):
        """After an overload: until it is as before."""
        time.sleep(0.5)  # what still waits in its socket

    def loaded(self, per_second, seconds):
        """The same at a rate of its own: (ns per delivery, sent, arrived, CPU time by time)."""
        before, begun = cpu_ns(self.pid), time.monotonic()
        packets = int(per_second * seconds)
        sent, arrived = self.publish(packets, per_second)
        spent, took = cpu_ns(self.pid) - before, time.monotonic() - begun - LOAD_TAIL
        expect(arrived > 0, f"{self.name}: nothing arrived")
        expect(took < seconds * 1.15, f"{self.name}: {per_second} packets/s could not be sent")
        return spent / arrived, sent, arrived, spent / 1e9 / took

    def watch_idle(self):
        """What the process takes when there is nothing to do: a loop that polls takes something."""
        before, begun = cpu_ns(self.pid), time.monotonic()
        time.sleep(1)
        self.idle_ms_per_s = (cpu_ns(self.pid) - before) / 1e6 / (time.monotonic() - begun)

    def sample(self):
        """(ns per delivery, sent, arrived) of one publication."""
        before = cpu_ns(self.pid)
        sent, arrived = self.publish(PACKETS)
        spent = cpu_ns(self.pid) - before
        expect(arrived > 0, f"{self.name}: nothing arrived")
        return spent / arrived, sent, arrived


class Kernel(Peer):
    name = "kernel"

    def __init__(self, lab):
        super().__init__()
        self.version = os.uname().release
        process = lab.start(lab.inside, [
            os.path.join(lab.build, "bench", "bench-udp"), "relay", f"{HERE}:7100",
            f"{THERE}:10000", SUBSCRIBERS], self.name)
        wait_line(process, "ready", 5)
        self.pid = process.pid
        self.load = Load(lab, self.name, 9000, (HERE, 7100), 10000)


# --- Janus ------------------------------------------------------------------------------------

class Janus:
    """A Janus process and one session of its HTTP interface."""

    def __init__(self, lab, namespace, name, address, ports):
        self.lab, self.namespace = lab, namespace
        folder = os.path.join(lab.dir, name)
        os.mkdir(folder)
        disable = lambda names: ",".join(f"libjanus_{n}.so" for n in names)
        library = "/usr/lib/" + os.path.basename(os.path.dirname(
            next(p for p in self._libraries() if os.path.isdir(p)))) + "/janus"
        write(folder, "janus.jcfg", f"""
general: {{ configs_folder = "{folder}" plugins_folder = "{library}/plugins"
  transports_folder = "{library}/transports" events_folder = "{library}/events"
  loggers_folder = "{library}/loggers" debug_level = 3 debug_colors = false session_timeout = 0
  server_name = "{name}" }}
media: {{ ipv6 = false rtp_port_range = "{ports}" }}
nat: {{ ice_enforce_list = "{address}" nice_debug = false full_trickle = false }}
plugins: {{ disable = "{disable(JANUS_PLUGINS)}" }}
transports: {{ disable = "{disable(JANUS_TRANSPORTS)}" }}
loggers: {{ disable = "libjanus_jsonlog.so" }}
events: {{ broadcast = false disable = "{disable(JANUS_EVENTS)}" }}
""")
        write(folder, "janus.transport.http.jcfg", """
general: { json = "compact" base_path = "/janus" http = true port = 8088 ip = "127.0.0.1" https = false }
admin: { admin_http = false admin_https = false }
""")
        for plugin in ("videoroom", "streaming"):
            write(folder, f"janus.plugin.{plugin}.jcfg", "general: { }\n")
        self.process = lab.start(namespace, ["janus", "-F", folder, "-C",
                                             os.path.join(folder, "janus.jcfg")], name)
        self.name = name
        self.session = f"/janus/{self._first_answer()['data']['id']}"

    @staticmethod
    def _libraries():
        return (f"/usr/lib/{name}/janus" for name in sorted(os.listdir("/usr/lib")))

    def _first_answer(self):
        end = time.monotonic() + 15
        while True:
            try:
                return self.call("/janus", {"janus": "create"})
            except OSError:
                expect(self.process.popen.poll() is None and time.monotonic() < end,
                       f"{self.name} does not start: "
                       f"{(self.process.output() + self.process.errors())[-800:]}")
                time.sleep(0.1)

    def _http(self, method, path, body=None):
        sock = self.lab.socket(self.namespace, socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.settimeout(15)
            sock.connect(("127.0.0.1", 8088))
            connection = http.client.HTTPConnection("127.0.0.1", 8088)
            connection.sock = sock
            connection.request(method, path, body and json.dumps(body),
                               {"Content-Type": "application/json"} if body else {})
            return json.loads(connection.getresponse().read())
        finally:
            sock.close()

    def call(self, path, message):
        answer = self._http("POST", path, {"transaction": "t", **message})
        expect(answer["janus"] in ("success", "ack"), f"{self.name}: {answer}")
        return answer

    def attach(self, plugin):
        answer = self.call(self.session, {"janus": "attach", "plugin": f"janus.plugin.{plugin}"})
        return f"{self.session}/{answer['data']['id']}"

    def event(self, wanted, timeout=15):
        """The next event of which wanted() is true."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            event = self._http("GET", f"{self.session}?maxev=1")
            if wanted(event):
                return event
        raise Failure(f"{self.name}: no such event in {timeout} s")

    def message(self, handle, body, jsep=None):
        """A request to a plugin; its answer, whether it comes at once or as an event."""
        answer = self.call(handle, {"janus": "message", "body": body,
                                    **({"jsep": jsep} if jsep else {})})
        if answer["janus"] == "ack":
            answer = self.event(lambda e: e["janus"] == "event" and e.get("transaction") == "t")
        said = answer["plugindata"]["data"]
        expect("error" not in said, f"{self.name}: {body['request']}: {said.get('error')}")
        return answer


def write(folder, name, text):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        file.write(text)


class JanusPeer(Peer):
    name = "janus"

    def __init__(self, lab):
        super().__init__()
        self.version = package_version("janus")
        relay = Janus(lab, lab.inside, "janus", HERE, "20000-20099")
        feeder = Janus(lab, lab.outside, "janus-feeder", THERE, "20000-20099")
        # The feeder's stream becomes an offer, which the relay's room answers as a publisher's.
        stream = feeder.attach("streaming")
        feeder.message(stream, {"request": "create", "type": "rtp", "id": 1, "media": [
            {"type": "audio", "mid": "a", "port": 9102, "pt": 111, "codec": "opus"}]})
        offer = feeder.message(stream, {"request": "watch", "id": 1})["jsep"]
        room = relay.attach("videoroom")
        relay.message(room, {"request": "create", "room": 1, "publishers": 1, "audiocodec": "opus",
                             "secret": "s"})
        joined = relay.message(room, {"request": "join", "ptype": "publisher", "room": 1})
        publisher = joined["plugindata"]["data"]["id"]
        answer = relay.message(room, {"request": "publish"}, offer)["jsep"]
        feeder.message(stream, {"request": "start"}, answer)
        for janus in (relay, feeder):
            janus.event(lambda e: e["janus"] == "webrtcup")
        mid = re.search(r"a=mid:(\S+)", answer["sdp"]).group(1)
        for i in range(SUBSCRIBERS):
            relay.message(room, {"request": "rtp_forward", "room": 1, "secret": "s",
                                 "publisher_id": publisher, "host": THERE, "host_family": "ipv4",
                                 "streams": [{"mid": mid, "port": 11000 + 2 * i}]})
        self.pid = relay.process.pid
        self.feeder = feeder
        self.load = Load(lab, self.name, 9100, (THERE, 9102), 11000, SIZE - JANUS_EXTENSION)

    def pin(self, relay_cpu, load_cpu):
        super().pin(relay_cpu, load_cpu)
        pin(self.feeder.process.pid, load_cpu)


# --- rtpengine --------------------------------------------------------------------------------

def bencode(value):
    if isinstance(value, dict):
        return b"d" + b"".join(bencode(k) + bencode(value[k]) for k in sorted(value)) + b"e"
    if isinstance(value, list):
        return b"l" + b"".join(map(bencode, value)) + b"e"
    if isinstance(value, int):
        return b"i%de" % value
    raw = value.encode()
    return b"%d:%s" % (len(raw), raw)


def bdecode(data, at=0):
    """(value, where it ends)."""
    kind = data[at:at + 1]
    if kind == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1:end]), end + 1
    if kind in (b"d", b"l"):
        items, at = [], at + 1
        while data[at:at + 1] != b"e":
            item, at = bdecode(data, at)
            items.append(item)
        return (dict(zip(items[::2], items[1::2])) if kind == b"d" else items), at + 1
    colon = data.index(b":", at)
    end = colon + 1 + int(data[at:colon])
    return data[colon + 1:end].decode(), end


def sdp(port, direction):
    return "\r\n".join(("v=0", f"o=- 1 1 IN IP4 {THERE}", "s=bench", f"c=IN IP4 {THERE}", "t=0 0",
                        f"m=audio {port} RTP/AVP 111", "a=rtpmap:111 opus/48000/2",
                        f"a={direction}", ""))


class RtpenginePeer(Peer):
    name = "rtpengine"

    def __init__(self, lab):
        super().__init__()
        self.lab, self.cpus = lab, None
        self.version = package_version("rtpengine-daemon")
        process = lab.start(lab.inside, [
            "rtpengine", "--config-file=none", "--foreground", "--log-stderr", "--log-level=4",
            "--table=-1", f"--interface={HERE}", "--listen-ng=127.0.0.1:2223", "--port-min=30000",
            "--port-max=30999", "--timeout=3600", "--silent-timeout=3600"], self.name)
        self.process, self.pid = process, process.pid
        self.sock = lab.socket(lab.inside, socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.connect(("127.0.0.1", 2223))
        self.cookie = 0
        self._wait()
        answer = self.call("publish", **{"from-tag": "publisher", "sdp": sdp(9200, "sendonly")})
        port = int(re.search(r"m=audio (\d+)", answer["sdp"]).group(1))
        for i in range(SUBSCRIBERS):
            offer = self.call("subscribe request", **{"from-tag": "publisher",
                                                      "to-tag": f"subscriber-{i}"})
            self.call("subscribe answer", **{"to-tag": offer["to-tag"],
                                             "sdp": sdp(12000 + 2 * i, "recvonly")})
        self.load = Load(lab, self.name, 9200, (HERE, port), 12000)

    def pin(self, relay_cpu, load_cpu):
        super().pin(relay_cpu, load_cpu)
        self.cpus = relay_cpu, load_cpu

    def revive(self):
        # It has given the stream up.
        self.load.close()
        self.process.stop()
        cpus = self.cpus
        self.__init__(self.lab)
        self.pin(*cpus)
        self.publish(PER_SECOND)

    def _wait(self):
        end = time.monotonic() + 15
        while True:
            try:
                self.call("ping", timeout=0.5)
                return
            except OSError:
                expect(self.process.popen.poll() is None and time.monotonic() < end,
                       f"rtpengine does not start: {self.process.errors()[-500:]}")
                time.sleep(0.1)

    def call(self, command, timeout=10, **more):
        self.cookie += 1
        if command != "ping":
            more = {"call-id": "bench", "ICE": "remove", **more}
        self.sock.settimeout(timeout)
        self.sock.send(b"%d " % self.cookie + bencode({"command": command, **more}))
        while True:
            cookie, _, answer = self.sock.recv(65536).partition(b" ")
            if int(cookie) == self.cookie:
                break
        said = bdecode(answer)[0]
        expect(said["result"] in ("ok", "pong"), f"rtpengine: {command}: {said}")
        return said


# --- Plenum -----------------------------------------------------------------------------------

class PlenumPeer(Peer):
    name = "plenum_af_packet"
    path = "net_af_packet over veth"

    def __init__(self, lab, **settings):
        super().__init__()
        self.lab = lab
        self.relay = Relay(lab, name=self.name, **settings)
        self.version = run(self.relay.program, "--version").split()[-1]
        self.pid = self.relay.process.pid
        self.subscribers = Crowd(lab, self.relay, "subscribe", "bench", f"{self.name}-subscriber",
                                 SUBSCRIBERS, "--interval", "0.25")
        self.subscribers.wait_ready()
        self.nb_publishers = 0

    def received(self):
        """What the subscribers have in their next report."""
        event = self.subscribers.process
        seen = len(event.lines)
        end = time.monotonic() + 5
        while len(event.lines) <= seen + 1:
            expect(time.monotonic() < end, "plenum's subscribers say nothing any more")
            time.sleep(0.02)
        return json.loads(event.lines[seen + 1][1])["totals"]["received"]

    def sample(self):
        before = self.received()
        self.nb_publishers += 1
        cpu = cpu_ns(self.pid)
        publisher = Crowd(self.lab, self.relay, "publish", "bench", f"{self.name}-{self.nb_publishers}",
                          1, "--generate", f"pps={PER_SECOND},size={SIZE},count={PACKETS}",
                          "--linger", "0.1", "--start-delay", "0.02")
        sent = publisher.report(timeout=30, stop=False)["totals"]["sent"]
        spent = cpu_ns(self.pid) - cpu
        arrived = self.received() - before
        expect(arrived > 0, f"{self.name}: nothing arrived")
        return spent / arrived, sent, arrived

    def stop(self):
        self.subscribers.report()
        self.relay.stop()


class PlenumVirtio(PlenumPeer):
    name = "plenum"
    path = "virtio-user and vhost"

    def __init__(self, lab):
        path = os.path.join(lab.dir, "vhost.sock")
        self.prefix = os.path.basename(lab.dir)
        cpus = sorted(os.sched_getaffinity(0))
        log = os.path.join(lab.dir, "testpmd.log")
        # It ends with its standard input, which is ours. The relay's worker has the last CPU.
        with open(log, "wb") as out:
            self.bridge = subprocess.Popen(
                ["ip", "netns", "exec", lab.inside, "dpdk-testpmd", "--no-pci", "--no-huge", "-m", "512",
                 "--file-prefix", self.prefix, "--lcores", f"0@{cpus[-1]},1@{cpus[0]}",
                 "--no-telemetry", "--vdev", f"net_vhost0,iface={path}", "--vdev",
                 "net_af_packet0,iface=d0", "--", "--forward-mode=io", "--auto-start", "--nb-cores=1",
                 "--total-num-mbufs=8192"],
                stdin=subprocess.PIPE, stdout=out, stderr=out)
        lab._close.append(self._end_bridge)  # pylint: disable=protected-access
        end = time.monotonic() + 15
        while not os.path.exists(path):
            expect(self.bridge.poll() is None and time.monotonic() < end,
                   f"dpdk-testpmd does not start: {tail(log)}")
            time.sleep(0.05)
        super().__init__(lab, idle="sleep", ports=({
            "device": f"net_virtio_user0,path={path},mac={RELAY_MAC},queue_size=1024",
            "addresses": ({"address": RELAY4 + "/16"},)},))

    def stop(self):
        super().stop()
        self._end_bridge()

    def _end_bridge(self):
        self.bridge.kill()
        self.bridge.wait()
        shutil.rmtree(f"/var/run/dpdk/{self.prefix}", ignore_errors=True)


class PlenumLoad(Peer):
    """Started for each sample, and plenum-load with it, which is vhost's side and so comes first."""

    name = "plenum"
    path = "virtio-user and vhost"
    first_rate = 40000

    def __init__(self, lab):
        super().__init__()
        self.lab, self.load_cpu, self.process = lab, 0, None
        self.socket = os.path.join(lab.dir, "load.sock")
        self.json = os.path.join(lab.dir, "load.json")
        self.relay = Relay(lab, name="plenum-load", start=False, idle="sleep", rooms=(
            {"pattern": "*", "packets_per_s": "unlimited", "bits_per_s": "unlimited"},), ports=({
                "device": f"net_virtio_user0,path={self.socket},mac={RELAY_MAC},queue_size=1024",
                "addresses": ({"address": RELAY4 + "/16"},)},))
        self.version = run(self.relay.program, "--version").split()[-1]

    def pin(self, relay_cpu, load_cpu):
        self.relay.configure(workers=[relay_cpu], main_cpu=load_cpu, slow_cpu=load_cpu)
        self.load_cpu = load_cpu

    def revive(self):
        for process in (self.process, self.relay.process):
            if process and process.popen.poll() is None:
                process.stop()

    @staticmethod
    def _seconds(load):
        """The live table's lines so far, each as (s, sent/s, garbage/s, received/s...)."""
        lines = [line.split() for _, line in list(load.lines)]
        return [list(map(float, words)) for words in lines
                if len(words) == 9 and words[0].replace(".", "").isdigit()]

    def _wait_second(self, load, number):
        """CPU time so far, and the line, when the table has this line."""
        end = time.monotonic() + 30
        while len(self._seconds(load)) < number:
            expect(load.popen.poll() is None and time.monotonic() < end,
                   f"plenum-load: {load.output()[-300:]} {load.errors()[-300:]}")
            time.sleep(0.002)
        return cpu_ns(self.relay.process.pid), self._seconds(load)[number - 1]

    def loaded(self, per_second, seconds):
        """What happens between the first and the second line of the table, which is a second."""
        for path in (self.socket, self.json):
            if os.path.exists(path):
                os.unlink(path)
        self.process = load = self.lab.start(self.lab.outside, [
            os.path.join(self.lab.build, "app", "load", "plenum-load"), "--no-huge", "--cpu",
            self.load_cpu, "--vdev", f"net_vhost0,iface={self.socket}", "--relay", RELAY4 + f":{PORT}",
            "--address", "198.18.1.1", "--secret", self.relay.secret, "--room", "bench",
            "--subscribers", SUBSCRIBERS, "--size", SIZE, "--rate", per_second, "--duration", 2.1,
            "--warm-up", 0, "--json", self.json], "plenum-load-load")
        end = time.monotonic() + 10
        while not os.path.exists(self.socket):
            expect(load.popen.poll() is None and time.monotonic() < end,
                   f"plenum-load does not start: {load.errors()[-300:]}")
            time.sleep(0.01)
        self.relay.start()
        before, first = self._wait_second(load, 1)
        after, second = self._wait_second(load, 2)
        status = load.wait(30)
        expect(status == 0, f"plenum-load: exit {status}: {load.errors()[-300:]}")
        self.relay.stop()
        with open(self.json, encoding="utf-8") as file:
            found = json.load(file)["run"]
        took = second[0] - first[0]
        # Lost is counted for the whole run, CPU time by what arrived meanwhile.
        return ((after - before) / (second[3] * took), found["sent"] + found["unsent"],
                found["received"], (after - before) / 1e9 / took)


# --- all of them ------------------------------------------------------------------------------

def stat(values):
    """Median and its 95 % interval, as bench/sample.c has it."""
    values = sorted(values)
    n = len(values)
    median = values[n // 2] if n % 2 else (values[n // 2 - 1] + values[n // 2]) / 2
    half = 1.96 * math.sqrt(n) / 2
    low = max(math.floor((n - 1) / 2 - half), 0)
    high = min(math.ceil((n - 1) / 2 + half), n - 1)
    return median, [values[low], values[high]]


PEERS = ((Kernel, None, None), (JanusPeer, "janus", "janus"),
         (RtpenginePeer, "rtpengine", "rtpengine-daemon"), (PlenumPeer, None, None))
VIRTIO = ((PlenumVirtio, "dpdk-testpmd", "dpdk-dev"),)


def start_all(lab, kinds, problems):
    peers = []
    for kind, program, package in kinds:
        if program and not shutil.which(program):
            problems.append(f"{kind.name}: not installed (Debian: {package}; scripts/setup --peers)")
            continue
        try:
            peer = kind(lab)
            peer.sample()  # nobody's first packets count
            peer.watch_idle()
            peers.append(peer)
        except (Failure, OSError, KeyError, AttributeError, ValueError) as error:
            if kind is Kernel:
                raise
            problems.append(f"{kind.name}: {error}")
    return peers


def measure(lab, rounds, problems):
    """The rows of peers[]."""
    # The kernel's own IP, with its offloads as they are, unlike on the veth that plenum has.
    run("ip", "link", "add", "d1", "netns", lab.inside, "type", "veth", "peer", "name", "p1", "netns",
        lab.outside)
    for namespace, interface, address in ((lab.inside, "d1", HERE), (lab.outside, "p1", THERE)):
        run("ip", "-n", namespace, "addr", "add", f"{address}/24", "dev", interface)
        run("ip", "-n", namespace, "link", "set", interface, "up")
    peers = start_all(lab, PEERS, problems)
    rows = take_turns(peers, rounds, problems)
    for peer in peers:
        if isinstance(peer, PlenumPeer):
            peer.stop()
    virtio = start_all(lab, VIRTIO, problems)
    if virtio:
        rows += take_turns(peers[:1] + virtio, rounds, problems)[1:]
        virtio[0].stop()
    return rows + measure_load(lab, [p for p in peers if not isinstance(p, PlenumPeer)], rounds,
                               problems)


def take_turns(peers, rounds, problems):
    """Rows of relays that run at the same time; the first is the kernel's."""
    peers = list(peers)
    samples = {peer.name: [] for peer in peers}
    for number in range(rounds):
        print(f"peers: round {number + 1} of {rounds}", file=sys.stderr)
        for peer in tuple(peers):
            try:
                samples[peer.name].append(peer.sample())
            except Failure as failure:
                if peer is peers[0]:
                    raise
                peers.remove(peer)
                problems.append(f"given up in round {number + 1}: {failure}")
    rows = []
    for peer in peers:
        ns, ns_ci = stat([s[0] for s in samples[peer.name]])
        x, x_ci = stat([s[0] / k[0] for s, k in zip(samples[peer.name], samples["kernel"])])
        due = sum(s[1] for s in samples[peer.name]) * SUBSCRIBERS
        arrived = sum(s[2] for s in samples[peer.name])
        rows.append({"name": peer.name, "at": f"{PER_SECOND} pps", "version": peer.version, "path": peer.path,
                     "ns_per_delivery": round(ns, 1),
                     "ns_per_delivery_ci95": [round(v, 1) for v in ns_ci],
                     "x_kernel": round(x, 4), "x_kernel_ci95": [round(v, 4) for v in x_ci],
                     "idle_ms_per_s": round(peer.idle_ms_per_s, 1), "per_second": PER_SECOND,
                     "due": due, "arrived": arrived, "rounds": rounds})
        if arrived < due * (1 - LOSS_MAX):
            problems.append(f"{peer.name}: {due - arrived} of {due} packets did not arrive")
    return rows


def loses_nothing(peer, rate):
    """In one try of two: the machine may do something else during the other."""
    for _ in range(2):
        try:
            _, sent, arrived, _ = peer.loaded(rate, TRY_SECONDS)
            lost = sent * SUBSCRIBERS - arrived
            print(f"peers: {peer.name}, {rate} packets/s: {lost} lost", file=sys.stderr)
        except Failure as failure:
            print(f"peers: {failure}", file=sys.stderr)
            lost = -1
        if lost == 0:
            return True
        peer.revive()
    return False


def find_rate(peer, problems):
    """The highest rate, of those a STEP apart, at which nothing is lost, and once more nothing."""
    rates = [int(peer.first_rate * STEP ** i) for i in range(STEPS_MAX)]
    good = 0
    while good < len(rates) and loses_nothing(peer, rates[good]):
        good += 1
    while good > 0 and not loses_nothing(peer, rates[good - 1]):
        good -= 1
    if not good:
        problems.append(f"{peer.name}: lost packets at {rates[0]} packets/s already")
    return rates[good - 1] if good else 0


def measure_load(lab, peers, rounds, problems):
    """The rows of relays at a rate of their own; the first is the kernel's."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        problems.append("at load: needs two CPUs")
        return []
    peers = [*peers, PlenumLoad(lab)]
    rates, samples = {}, {peer.name: {} for peer in peers}
    for peer in tuple(peers):
        peer.pin(cpus[-1], cpus[0])
        rates[peer.name] = find_rate(peer, problems)
        if not rates[peer.name]:
            peers.remove(peer)
    for number in range(rounds):
        print(f"peers: at load, round {number + 1} of {rounds}", file=sys.stderr)
        for peer in peers:
            try:
                sample = peer.loaded(rates[peer.name], SECONDS)
            except Failure as failure:
                print(f"peers: {failure}", file=sys.stderr)
                sample = None
            if sample and abs(sample[1] * SUBSCRIBERS - sample[2]) <= sample[2] * LOSS_MAX:
                samples[peer.name][number] = sample
                continue
            # It was too much after all, or the machine did something else: begin anew below.
            rates[peer.name] = int(rates[peer.name] / STEP)
            samples[peer.name].clear()
            peer.revive()
    return [load_row(peer, rates[peer.name], samples, problems) for peer in peers
            if "kernel" in samples and set(samples[peer.name]) & set(samples["kernel"])]


def load_row(peer, rate, samples, problems):
    mine, kernel = samples[peer.name], samples["kernel"]
    ns, ns_ci = stat([s[0] for s in mine.values()])
    x, x_ci = stat([mine[i][0] / kernel[i][0] for i in mine if i in kernel])
    due = sum(s[1] for s in mine.values()) * SUBSCRIBERS
    arrived = int(sum(s[2] for s in mine.values()))
    if len(mine) < 5:
        problems.append(f"{peer.name}: only {len(mine)} samples at load")
    return {"name": peer.name, "at": "load", "version": peer.version, "path": peer.path,
            "ns_per_delivery": round(ns, 1), "ns_per_delivery_ci95": [round(v, 1) for v in ns_ci],
            "x_kernel": round(x, 4), "x_kernel_ci95": [round(v, 4) for v in x_ci],
            "busy_ms_per_s": round(stat([1e3 * s[3] for s in mine.values()])[0], 1),
            "per_second": rate, "due": due, "arrived": arrived, "rounds": len(mine)}


def report_load(rows, out):
    print("\nAt load: each relay on a CPU of its own, at the highest rate at which it lost nothing in two "
          f"tries of {TRY_SECONDS:.0f} s, rates a factor {STEP} apart.\n\n"
          "| relay | packets/s in | ns per delivery | × kernel sockets | CPU time, ms per s | lost |\n"
          "|---|---|---|---|---|---|", file=out)
    for row in rows:
        low, high = row["ns_per_delivery_ci95"]
        x_low, x_high = row["x_kernel_ci95"]
        print(f"| {row['name']} | {row['per_second']} "
              f"| {row['ns_per_delivery']:.0f} ({low:.0f}–{high:.0f}) "
              f"| {row['x_kernel']:.3f} ({x_low:.3f}–{x_high:.3f}) "
              f"| {row['busy_ms_per_s']:.0f} | {row['due'] - row['arrived']} of {row['due']} |", file=out)


def report(rows, problems, out):
    loaded = [row for row in rows if row["at"] == "load"]
    rows = [row for row in rows if row["at"] != "load"]
    print(f"\n### The same job by other relays\n\nOne publisher, {SUBSCRIBERS} subscribers, {SIZE} B, "
          f"{PER_SECOND} packets a second in turns of {SECONDS} s: CPU time of the relay's process by "
          "packets that arrived. \"Idle\" is its CPU time when nothing is to be done, and in the "
          "first figure, too.\n\n"
          "| relay | version | across | ns per delivery | × kernel sockets | idle, ms per s | lost |\n"
          "|---|---|---|---|---|---|---|", file=out)
    for row in rows:
        low, high = row["ns_per_delivery_ci95"]
        x_low, x_high = row["x_kernel_ci95"]
        print(f"| {row['name']} | {row['version']} | {row['path']} "
              f"| {row['ns_per_delivery']:.0f} ({low:.0f}–{high:.0f}) "
              f"| {row['x_kernel']:.2f} ({x_low:.2f}–{x_high:.2f}) "
              f"| {row['idle_ms_per_s']:.0f} | {row['due'] - row['arrived']} of {row['due']} |", file=out)
    if loaded:
        report_load(loaded, out)
    for problem in problems:
        print(f"\nNot as it should be: {problem}", file=out)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", help="add peers[] to this file, which may exist")
    parser.add_argument("--report", help="append the table to this file")
    args = parser.parse_args()
    # Told to end, it takes its namespaces along.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    problems = []
    with Lab(os.path.abspath(args.build), "peers") as lab:
        rows = measure(lab, args.rounds, problems)
    report(rows, problems, sys.stdout)
    if args.report:
        with open(args.report, "a", encoding="utf-8") as file:
            report(rows, problems, file)
    if args.json:
        whole = {}
        if os.path.exists(args.json) and os.path.getsize(args.json) > 0:
            with open(args.json, encoding="utf-8") as file:
                whole = json.load(file)
        whole["peers"] = rows
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(whole, file, indent=2)
            file.write("\n")
    return 1 if problems else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Failure, OSError) as error:
        print(f"bench_peers: {error}", file=sys.stderr)
        sys.exit(2)
