# SPDX-License-Identifier: BSD-3-Clause
"""What the relay tells about itself: telemetry, lists in pages, losses of NICs."""

import contextlib
import ctypes
import fcntl
import json
import os
import pty
import re
import select
import shutil
import socket
import struct
import subprocess
import termios
import time

from endpoint import Clients, Stream, rtp
from lab import PORT, RELAY4, expect
from relay import Relay, in_lab, test
from test_rooms import Crowd
from test_worker import lcore_thread


class Telemetry:
    """A client of DPDK's telemetry socket, as dpdk-telemetry.py is one."""

    def __init__(self, lab, prefix):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(20)
        self.sock.connect(f"/var/run/dpdk/{prefix}/dpdk_telemetry.v2")
        self.size = json.loads(self.sock.recv(1024))["max_output_len"]
        lab._close.append(self.sock.close)

    def ask(self, command):
        self.sock.send(command.encode())
        said = self.sock.recv(self.size)
        expect(len(said) < self.size, f"{command}: an answer of {len(said)} bytes is cut")
        return json.loads(said)[command.split(",")[0]]


def with_telemetry(lab, name, **settings):
    """A relay whose telemetry socket is found under `name`, and who asks there."""
    prefix = f"plm-{os.getpid()}-{name}"
    relay = Relay(lab, eal=["--file-prefix", prefix], **settings)
    lab._close.append(lambda: shutil.rmtree(f"/var/run/dpdk/{prefix}", ignore_errors=True))
    return relay, Telemetry(lab, prefix)


def pages(telemetry, command, key):
    """Every row of a list, page by page."""
    rows, at, sizes = {}, 0, []
    while True:
        page = telemetry.ask(f"{command},{at}" if at else command)
        expect("error" not in page, f"{command}: {page}")
        expect(not set(rows) & set(page[key]), f"{command}: rows twice")
        rows.update(page[key])
        sizes.append(len(page[key]))
        at = page["next"]
        if at == 0:
            return rows, sizes


@test(beside=True)
@in_lab
def telemetry(lab, long):
    """DPDK's telemetry socket tells lcores, ports, rooms, sessions, drops and latency as they are"""
    relay, asks = with_telemetry(lab, "telemetry", workers=2, queues=2,
                                 limits={"admissions_per_s": 100000})
    clients = Clients(lab)
    members = [clients.client("198.18.0.2", *relay.credential("room-1", f"m{i}"))
               for i in range(40)]
    others = [clients.client("fd00:198:18::2", *relay.credential(f"r.{i}", "alone", "p"))
              for i in range(36)]
    for member in members + others:
        member.join()
    stream = Stream(members[0], 7, 200, 200)
    clients.run(2.5, [stream])

    listed = asks.ask("/")
    for name in ("lcores", "ports", "rooms", "room", "sessions", "drops", "counters", "latency"):
        expect(f"/plenum/{name}" in listed, f"/plenum/{name} is not in {listed}")
    lcores = asks.ask("/plenum/lcores")
    expect(set(lcores) == {"main", "slow_path", "worker0", "worker1"}, f"lcores: {lcores}")
    expect(lcores["worker1"]["turns"] > 0 and lcores["worker1"]["stalled"] == 0, f"{lcores}")
    port = asks.ask("/plenum/ports")["port0"]
    expect(port["name"] == "net_af_packet0" and port["link_up"] == 1, f"port: {port}")
    expect(port["rx_packets"] >= stream.sent and port["tx_packets"] >= 39 * stream.sent, f"{port}")
    port = asks.ask("/plenum/ports,0")
    expect(port["queue0"]["rx_packets"] + port["queue1"]["rx_packets"] == port["rx_packets"] and
           port["queue1"]["worker"] == 1, f"queues: {port}")

    rooms, sizes = pages(asks, "/plenum/rooms", "rooms")
    expect(len(rooms) == 37 and sizes == [32, 5], f"{len(rooms)} rooms in pages of {sizes}")
    expect({r["name"] for r in rooms.values()} == {"room-1"} | {f"r.{i}" for i in range(36)},
           f"rooms: {rooms}")
    room = asks.ask("/plenum/room,room-1")
    expect((room["members"], room["publishers"], room["subscribers"]) == (40, 40, 40), f"{room}")
    expect(120 <= room["rx_packets_per_s"] <= 280 and room["rtcp"] == "clear", f"{room}")
    expect(asks.ask("/plenum/room,r.3")["subscribers"] == 0, "who only publishes subscribes")
    sessions, sizes = pages(asks, "/plenum/sessions,room-1", "sessions")
    expect(len(sessions) == 40 and sizes == [32, 8], f"{len(sessions)} sessions in {sizes}")
    talker = next(s for s in sessions.values() if s["participant"] == "m0")
    expect(talker["role"] == "both" and talker["address"].startswith("198.18.0.2:"), f"{talker}")
    expect(talker["rx_packets_per_s"] > 100, f"{talker}")
    known = relay.ctl("show session all")
    expect(all(s["session"] in known for s in sessions.values()), "sessions that ctl does not know")

    drops, counters = asks.ask("/plenum/drops"), asks.ask("/plenum/counters")
    expect(counters["media"] == stream.sent, f"media: {counters['media']} of {stream.sent}")
    expect("media" not in drops and drops["no_session"] == counters["no_session"], f"{drops}")
    parts = [asks.ask(f"/plenum/counters,{lcore}") for lcore in ("0", "1", "slow_path")]
    expect(sum(p["media"] for p in parts) == stream.sent and
           parts[2]["stun_admitted"] == 76, f"parts: {parts}")
    latency = asks.ask("/plenum/latency")
    expect(latency["all"]["samples"] > 0 and
           0 < latency["all"]["p50_ns"] <= latency["all"]["p999_ns"], f"latency: {latency}")
    # What is wrong is said, and harms nobody.
    for command in ("room", "room,none", "room," + "x" * 300, "rooms,x", "rooms,-1", "ports,1",
                    "ports,0x0", "sessions", "sessions,none", "sessions,room-1,y", "drops,9",
                    "counters,slow"):
        said = asks.ask("/plenum/" + command)
        expect(said is None or set(said) == {"error"}, f"{command}: {said}")
    relay.ctl("clear")
    expect(asks.ask("/plenum/counters")["media"] == 0, "clear did not clear")
    relay.stop()


@test()
@in_lab
def telemetry_end(lab, long):
    """clients that ask without a break while the relay ends neither hold it up nor break it"""
    relay, first = with_telemetry(lab, "end")
    more = [Telemetry(lab, f"plm-{os.getpid()}-end") for _ in range(4)]
    relay.process.popen.terminate()
    asked = 0
    try:
        while relay.process.popen.poll() is None:
            for client in [first, *more]:
                client.sock.send(b"/plenum/counters")
            for client in [first, *more]:
                asked += len(client.sock.recv(client.size)) > 0
    except OSError:
        pass  # it is gone
    relay.stop(0)
    expect(asked > 0, "nobody was answered")


@contextlib.contextmanager
def halted(tid):
    """One thread stands still, as it would with its CPU taken away: a tracer's halt (ptrace(2))."""
    seize, interrupt, detach, wall = 0x4206, 0x4207, 17, 0x40000000
    libc = ctypes.CDLL(None, use_errno=True)

    def ptrace(request):
        expect(libc.ptrace(request, tid, None, None) == 0,
               f"ptrace({request:#x}, {tid}): {os.strerror(ctypes.get_errno())}")

    ptrace(seize)
    ptrace(interrupt)
    os.waitpid(tid, wall)
    try:
        yield
    finally:
        ptrace(detach)


@test()
@in_lab
def telemetry_waits(lab, long):
    """while telemetry waits for a slow path that stands still, what needs none is answered"""
    relay, asks = with_telemetry(lab, "waits")
    with halted(lcore_thread(relay.process.pid, 1)):
        begun = time.monotonic()
        asks.sock.send(b"/plenum/counters")
        time.sleep(0.2)
        for _ in range(3):
            relay.ctl("show port info all")
        took = time.monotonic() - begun
        expect("does not answer" in asks.sock.recv(asks.size).decode(), "who answered?")
        waited = time.monotonic() - begun
        expect(waited > 1.5 and took < 1.2, f"commands took {took:.1f} s, telemetry {waited:.1f} s")
    expect("media" in asks.ask("/plenum/counters"), "the slow path goes on, and is not asked")
    relay.stop()


@test()
@in_lab
def paged_lists(lab, long):
    """lists by index and number of rows; at a terminal answers wait for a key after each page"""
    relay = Relay(lab, limits={"admissions_per_s": 100000})
    clients = Clients(lab)
    for i in range(25):
        clients.client("198.18.0.2", *relay.credential(f"room-{i}", "alone")).join()
    for i in range(15):
        clients.client("198.18.0.2", *relay.credential("room-0", f"m{i}")).join()

    def walk(command, nb_head):
        """Names of all rows, 10 at a time."""
        names, at = [], 0
        while True:
            lines = relay.ctl(f"{command} {at} 10").splitlines()
            more = re.fullmatch(r"next: (\d+)", lines[-1])
            rows = lines[nb_head:-1] if more else lines[nb_head:]
            expect(len(rows) == 10 or not more, f"{command} {at}: {len(rows)} rows, and more")
            names += [row.split()[0] for row in rows]
            if not more:
                return names
            at = more.group(1)

    for command, nb_head, nb in (("show room all", 1, 25), ("show session all", 1, 40),
                                 ("show room room-0", 3, 16)):
        whole = [row.split()[0] for row in relay.ctl(command).splitlines()[nb_head:]]
        paged = walk(command, nb_head)
        expect(len(whole) == nb and paged == whole, f"{command}: {len(paged)} rows by pages, "
               f"{len(whole)} of {nb} at once")
    expect("next" not in relay.ctl("show room all 1000 5"), "rooms behind the last")
    expect("no room" in relay.ctl("show room none 0 5", check=False), "a room that is none")
    relay.stop()

    # A terminal of 12 rows.
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 250, 0, 0))
    process = subprocess.Popen(["ip", "netns", "exec", lab.inside, relay.program, "-f", relay.conf],
                               stdin=slave, stdout=slave, stderr=subprocess.DEVNULL)
    lab._close.append(process.kill)

    def read_until(text):
        said, end = "", time.monotonic() + 20
        while text not in said:
            expect(time.monotonic() < end, f"no {text!r} in {said[-500:]!r}")
            if select.select([master], [], [], 0.2)[0]:
                said += os.read(master, 4096).decode(errors="replace")
        return said

    def keys(text):
        os.write(master, text.encode())

    read_until("plenum> ")
    keys("show counters\n")
    said = read_until("--more--")
    expect("rx_packets" in said and said.count("\n") == 12, f"first page: {said!r}")
    began = time.monotonic()
    expect("worker 0" in relay.ctl("show lcore all"), "no answer beside a page")
    expect(time.monotonic() - began < 5, "a page that waits for a key holds up others")
    keys(" ")
    said = read_until("--more--")
    expect(said.count("\n") == 11, f"second page: {said!r}")
    keys("q")
    read_until("plenum> ")
    keys("quit\n")
    expect(process.wait(20) == 0, "quit did not end it well")
    os.close(master)
    os.close(slave)


@test()
@in_lab
def nic_losses(lab, long):
    """what the NIC misses is shown by port, and beside it the largest rooms that it concerns"""
    # Of the drivers on veth this one tells what its ring of 2 MB had no room for.
    relay = Relay(lab, idle="sleep", ports=({
        "device": "net_pcap0,rx_iface_in=d0,tx_iface=d0",
        "addresses": ({"address": "198.18.0.1/16"},)},))
    clients = Clients(lab)
    for room, nb in (("small", 2), ("large", 5)):
        for i in range(nb):
            clients.client("198.18.0.2", *relay.credential(room, f"m{i}")).join()
    expect("missed by the NIC" not in relay.ctl("show drops"), "losses before there are any")
    relay.ctl("stop")
    clients.run(1, [Stream(clients.all[0], 7, 20000, 1200)])
    relay.ctl("start")
    stats = relay.ctl("show port stats all")
    missed = int(stats.splitlines()[1].split()[3])
    expect(missed > 1000, f"{missed} of 24 MB missed:\n{stats}")
    said = relay.ctl("show drops")
    expect(re.search(rf"port net_pcap0: missed by the NIC: {missed}, .*concerned: 0; "
                     r"their largest rooms: large \(5 members\), small \(2 members\)", said), said)
    relay.ctl("clear")
    expect("missed by the NIC" not in relay.ctl("show drops"), "clear did not clear")
    relay.stop()


def read_pcap(path):
    """[(time, bytes on the wire, frame)] of a pcap file of Ethernet frames."""
    with open(path, "rb") as file:
        content = file.read()
    magic, _, _, _, _, _, link = struct.unpack_from("<IHHiIII", content)
    expect(magic == 0xA1B2C3D4 and link == 1, f"{path}: magic {magic:#x}, link type {link}")
    frames, at = [], 24
    while at < len(content):
        seconds, micros, kept, length = struct.unpack_from("<IIII", content, at)
        frames.append((seconds + micros / 1e6, length, content[at + 16:at + 16 + kept]))
        at += 16 + kept
    return frames


def write_pcap(path, datagrams):
    """A capture of Ethernet frames: [(seconds, port, payload)]."""
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for at, port, payload in datagrams:
            frame = b"\2\0\0\0\0\1\2\0\0\0\0\2\x08\0" + struct.pack(
                "!BBHHHBBH4s4sHHHH", 0x45, 0, 28 + len(payload), 0, 0, 64, 17, 0,
                b"\xc6\x13\0\1", b"\xc6\x13\0\2", 4000, port, 8 + len(payload), 0) + payload
            file.write(struct.pack("<IIII", 1000 + int(at), int(at % 1 * 1e6), len(frame),
                                   len(frame)) + frame)


@test(beside=True)
@in_lab
def publish_pcap(lab, long):
    """plenum-client publish --pcap: byte for byte with the capture's timing; on and on with --loop"""
    relay = Relay(lab)
    clients = Clients(lab)
    capture = os.path.join(lab.dir, "capture.pcap")
    # A stream with a pause of half a second, another one on another port, and what is none.
    sent = [(n * 0.01 + (0.5 if n >= 50 else 0), 5004, rtp(1, n, 900)) for n in range(100)]
    sent += [(n * 0.01, 5006, rtp(2, n, 300)) for n in range(100)]
    sent += [(n * 0.01, 53, bytes((n, 1, 1, 0, 0, 1)) + bytes(20)) for n in range(200)]
    write_pcap(capture, sorted(sent))
    program = os.path.join(lab.build, "app", "client", "plenum-client")

    def client(verb, name, *arguments):
        return lab.start(lab.outside, [
            program, verb, "--relay", f"{RELAY4}:{PORT}", "--secret", relay.secret, "--room", "room",
            "--participant", name, "--json", *arguments], name)

    listener = clients.client("fd00:198:18::2", *relay.credential("room", "listener", "s"))
    listener.join()
    listener.arrivals = []
    publisher = client("publish", "publisher", "--pcap", capture)
    clients.run(2.5)
    expect(publisher.wait(10) == 0, f"publish: {publisher.errors()}")
    for ssrc in (1, 2):
        listener.expect_exactly(ssrc, range(100))
    expect(len(listener.rtcp) >= 2, "no BYE at the end")
    gaps = [b - a for a, b in zip(listener.arrivals, listener.arrivals[1:])]
    span = listener.arrivals[-1] - listener.arrivals[0]
    expect(1.45 < span < 1.7 and len([g for g in gaps if g > 0.1]) <= 2, f"{span} s, gaps {gaps}")
    said = json.loads(publisher.output().splitlines()[-1])
    expect(said["totals"]["sent"] == 200, f"sent: {said['totals']}")

    # One port of it, again and again: one stream without a loss or a restart.
    follower = client("subscribe", "follower", "--until-bye", "--expect-streams", "1")
    publisher = client("publish", "publisher", "--pcap", capture, "--pcap-port", "5006", "--loop",
                       "--duration", "3.5")
    expect(publisher.wait(15) == 0 and follower.wait(15) == 0,
           f"loop: {publisher.errors()} {follower.errors()}")
    stream = json.loads(follower.output().splitlines()[-1])["participants"][0]["streams"][0]
    expect(stream["received"] >= 300 and stream["unique"] == stream["received"] and
           stream["lost"] == stream["restarts"] == stream["reordered"] == 0, f"{stream}")

    for datagrams, words in (([d for d in sent if d[1] == 53], "no RTP in 200 frames"),
                             ([], "no RTP in 0 frames")):
        write_pcap(capture, datagrams)
        refused = client("publish", "refused", "--pcap", capture)
        expect(refused.wait(10) == 1 and words in refused.errors(), refused.errors())
    refused = client("publish", "refused", "--pcap", relay.conf)
    expect(refused.wait(10) == 1 and relay.conf in refused.errors(), refused.errors())
    relay.stop()


@test(beside=True)
@in_lab
def trace_room(lab, long):
    """trace room: the room's next packets, byte for byte, as a pcap file; nothing else, and an end"""
    traces = os.path.join(lab.dir, "traces")
    os.mkdir(traces)
    relay = Relay(lab, workers=2, queues=2, trace_dir="traces")
    clients = Clients(lab)

    def fails(command, *words):
        status = subprocess.run(
            ["ip", "netns", "exec", lab.inside, relay.program, "ctl", "--socket",
             relay.settings["control_socket"], command], stdout=subprocess.PIPE, text=True,
            check=False, timeout=30)
        expect(status.returncode == 1 and all(w in status.stdout for w in words),
               f"{command}: exit {status.returncode}: {status.stdout}")

    def trace(command):
        """Begin; the path that it says."""
        said = relay.ctl(command)
        return re.search(r" go to (\S+)", said).group(1)

    def wait_over():
        end = time.monotonic() + 5
        while ": running" in relay.ctl("show trace"):
            expect(time.monotonic() < end, "the trace does not end")
            clients.run(0.05)
        return relay.ctl("show trace")

    talker, _, six, other = (clients.client(address, *relay.credential(room, name))
                             for address, room, name in (("198.18.0.2", "room", "a"),
                                                         ("198.18.0.2", "room", "b"),
                                                         ("fd00:198:18::2", "room", "c"),
                                                         ("198.18.0.2", "other", "d")))
    for client in clients.all:
        client.join()
    clients.run(0.2)
    expect("none since" in relay.ctl("show trace"), "a trace before the first")
    fails("trace room none 10", "there is no room none")
    fails("trace stop", "no trace")

    # The first 300 of what two participants send, while another room talks, too.
    began = time.time()
    path = trace("trace room room 300")
    fails("trace room other 10", "there is one already", "room room: running")
    streams = [Stream(talker, 1, 300, 1000, 200), Stream(six, 2, 300, 200, 200),
               Stream(other, 3, 300, 200, 200)]
    clients.run(1, streams)
    said = wait_over()
    expect("complete, 300 of 300 packets written, 0 missed" in said, said)
    frames = read_pcap(path)
    expect(len(frames) == 300 and (os.stat(path).st_mode & 0o777) == 0o600, f"{len(frames)} frames")
    seen = {1: 0, 2: 0}
    for at, length, frame in frames:
        expect(began - 1 < at < time.time() + 1, f"a time of {at}")
        is_v6 = frame[12:14] == b"\x86\xdd"
        payload = frame[62 if is_v6 else 42:]
        ssrc = struct.unpack_from("!I", payload, 8)[0]
        expect(length == len(frame) and ssrc == (2 if is_v6 else 1), f"a frame of SSRC {ssrc}")
        expect(payload == rtp(ssrc, seen[ssrc], 200 if is_v6 else 1000), f"{ssrc}: wrong bytes")
        seen[ssrc] += 1
    expect(min(seen.values()) > 50, f"packets by SSRC: {seen}")
    for client, ssrc in ((clients.all[1], 1), (clients.all[1], 2)):
        client.expect_exactly(ssrc, range(200))

    # Stopped, out of time, room gone: the file is whole in any case.
    path = trace("trace room room 100000")
    clients.run(0.3, [Stream(talker, 1, 100, 200, 20)])
    said = relay.ctl("trace stop")
    expect("stopped, 20 of 100000" in said and len(read_pcap(path)) == 20, said)
    path = trace("trace room room 1000 1")
    clients.run(0.3, [Stream(talker, 1, 100, 200, 10)])
    time.sleep(1)
    expect("its time was up, 10 of 1000" in wait_over() and len(read_pcap(path)) == 10, "time")
    path = trace("trace room other 1000")
    clients.run(0.3, [Stream(other, 3, 100, 200, 10)])
    relay.ctl("kick other d")
    expect("the room closed, 10 of 1000" in wait_over() and len(read_pcap(path)) == 10, "gone")
    # While one runs, the relay may end.
    path = trace("trace room room 1000")
    clients.run(0.3, [Stream(talker, 1, 100, 200, 10)])
    relay.stop()
    expect(len(read_pcap(path)) == 10, "the file is not whole after the end")
    relay.configure(trace_dir="nothing here")
    status = subprocess.run([relay.program, "--check", "-f", relay.conf], stderr=subprocess.PIPE,
                            text=True, check=False, timeout=20)
    expect(status.returncode == 1 and "trace_dir" in status.stderr, status.stderr)
    relay.configure(trace_dir="")
    relay.start()
    clients.all[0].join()
    fails("trace room room 10", "set trace_dir")
    relay.stop()


@test()
@in_lab
def trace_spread_room(lab, long):
    """trace room of a room over two workers: what both take, in the order of time"""
    traces = os.path.join(lab.dir, "traces")
    os.mkdir(traces)
    relay = Relay(lab, workers=2, queues=2, spread_above=1, trace_dir="traces")
    crowds = []
    for name in ("a", "b"):
        crowds.append(Crowd(lab, relay, "publish", "wide", name, 1, "--generate",
                            "pps=4000,size=200", "--duration", "8"))
        crowds[-1].wait_ready()
    expect("members by worker: 0: 1 1: 1\n" in relay.ctl("show room wide"), "both on one worker")
    time.sleep(0.5)
    for wanted in (100, 400):
        said = relay.ctl(f"trace room wide {wanted}")
        end = time.monotonic() + 5
        while ": running" in relay.ctl("show trace"):
            expect(time.monotonic() < end, "the trace does not end")
            time.sleep(0.05)
        frames = read_pcap(re.search(r" go to (\S+)", said).group(1))
        expect(len(frames) == wanted, f"{len(frames)} of {wanted} frames")
        seen, late, newest = {}, 0, 0
        for at, _, frame in frames:
            ssrc = struct.unpack_from("!I", frame, 42 + 8)[0]
            seen[ssrc] = seen.get(ssrc, 0) + 1
            late += at < newest
            newest = max(newest, at)
        # Workers and the thread that writes share CPUs, so some come late, but no worker's as a rule.
        expect(len(seen) == 2 and min(seen.values()) >= wanted / 4, f"packets by SSRC: {seen}")
        expect(late <= wanted / 4, f"{late} of {wanted} frames stand behind younger ones")
    for crowd in crowds:
        crowd.report()
    relay.stop()
