# SPDX-License-Identifier: BSD-3-Clause
"""The operator's side: configuration, commands, reload, drain, signals."""

import os
import re
import signal
import stat
import subprocess
import time

from endpoint import Clients, Stream
from lab import RELAY4, expect
from relay import FULL, SECRET, Relay, in_lab, test, write_secret

PORTS = ({"device": "net_af_packet0,iface=d0", "addresses": ({"address": RELAY4 + "/16"},)},)

# What is wrong; the key that the message names; a word of what it says is allowed.
BAD_VALUES = (
    ({"udp_port": 70000}, "udp_port", "65535"),
    ({"udp_port": "seven"}, "udp_port", "65535"),
    ({"consent_timeout": 1}, "consent_timeout", "5"),
    ({"no_such_key": 1}, "no_such_key", ""),
    ({"idle": "sometimes"}, "idle", "busy"),
    ({"rooms": ({"pattern": "*", "dscp": 64},)}, "dscp", "63"),
    ({"rooms": ({"pattern": "*", "rtcp": "maybe"},)}, "rtcp", "opaque"),
    ({"limits": {"sessions": 0}}, "sessions", "1"),
    ({"ports": ({"device": "net_null0", "addresses": ({"address": "198.18.0.1"},)},)}, "address",
     "/"),
    ({"ports": ()}, "ports", ""),
    ({"secrets": []}, "secrets", ""),
)


def try_plenum(relay, *arguments, timeout=20):
    """Exit status and everything said."""
    done = subprocess.run(["ip", "netns", "exec", relay.lab.inside, relay.program, *arguments],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=timeout, text=True, check=False)
    return done.returncode, done.stdout


def expect_refusal(relay, *words):
    """It does not start: exit 1, one line for the operator with these words."""
    status, said = try_plenum(relay, "-f", relay.conf)
    expect(status == 1, f"exit {status}, expected 1: {said}")
    for word in words:
        expect(word in said, f"nothing of {word!r} in: {said}")


@test()
@in_lab
def bad_config(lab, long):
    """a wrong value: exit 1 before any port opens, naming file, line, key and what is allowed"""
    relay = Relay(lab, start=False)
    good = dict(relay.settings)
    for change, key, allowed in BAD_VALUES:
        relay.settings = {**good, **change}
        relay.configure()
        for arguments in (("--check", "-f", relay.conf), ("-f", relay.conf)):
            status, said = try_plenum(relay, *arguments)
            expect(status == 1, f"{change}: exit {status}: {said}")
            expect(re.search(re.escape(relay.conf) + r"(:\d+)?: ", said) and key in said
                   and allowed in said, f"{change}: {said}")
            expect("EAL" not in said, f"{change}: EAL had begun: {said}")
    relay.settings = good
    relay.configure()
    status, said = try_plenum(relay, "--check", "-f", relay.conf)
    expect(status == 0 and re.search(r"pool|mbuf", said), f"--check: exit {status}: {said}")
    with open(relay.conf, "a", encoding="utf-8") as file:
        file.write("this is = no libconfig\n")
    expect_refusal(relay, relay.conf + ":")


@test()
@in_lab
def memory_estimate(lab, long):
    """--check says the memory that a relay of the same file takes, by default and with large tables"""
    large = ({"tuning": {"park_entries": 8192}},
             {"limits": {"sessions": 200000, "rooms": 50000, "participants": 10000},
              "tuning": {"ring_size": 4096}})
    figures = []
    for settings in ({}, *large):
        relay = Relay(lab, start=False, **settings)
        status, said = try_plenum(relay, "--check", "-f", relay.conf)
        expect(status == 0, f"--check: exit {status}: {said}")
        estimate = int(re.search(r"^memory: (\d+) MB", said, re.M).group(1))
        relay.start()
        used, got = map(int, re.search(r"^heap: (\d+) of (\d+) bytes", relay.ctl("show memory"),
                                       re.M).groups())
        relay.stop()
        # EAL got that much; pools and tables fit, and rooms have some left to grow.
        expect(used < estimate << 20 <= got + (1 << 20), f"{settings}: {estimate} MB, {used} of {got}")
        figures.append((estimate, used / (1 << 20)))
    # Every part counts by itself: none hides in what is set aside for EAL.
    for settings, figure in zip(large, figures[1:]):
        said, took = (after - before for before, after in zip(figures[0], figure))
        expect(took <= said + 1 and said < took * 1.5, f"{settings}: {said} MB more said, {took} took")


@test()
@in_lab
def bad_surroundings(lab, long):
    """no such device, secret readable by others, too few hugepages, second relay: one clear line"""
    relay = Relay(lab, start=False)
    good = dict(relay.settings)

    def changed(**settings):
        relay.settings = {**good, **settings}
        relay.configure()
        return relay

    expect_refusal(changed(ports=({**PORTS[0], "device": "net_af_packet0,iface=none"},)), "none")
    expect_refusal(changed(secrets=["/nonexistent/secret"]), "/nonexistent/secret")
    open_secret = os.path.join(lab.dir, "open")
    write_secret(open_secret, SECRET)
    os.chmod(open_secret, 0o644)
    expect_refusal(changed(secrets=[open_secret]), open_secret, "chmod 600")
    short = os.path.join(lab.dir, "short")
    write_secret(short, b"too short")
    expect_refusal(changed(secrets=[short]), short)
    expect_refusal(changed(hugepages=True, memory_mb=60000), "hugepages")
    status, said = try_plenum(relay, "-f", "/nonexistent/plenum.conf")
    expect(status == 1 and "/nonexistent/plenum.conf" in said, said)
    changed().start()
    second = Relay(lab, name="second", start=False,
                   control_socket=relay.settings["control_socket"])
    status, said = try_plenum(second, "-f", second.conf)
    expect(status == 1 and relay.settings["control_socket"] in said, f"exit {status}: {said}")
    relay.stop()


@test()
@in_lab
def lcore_does_not_start(lab, long):
    """an lcore that cannot be launched: exit 1 at once, with the reason, and nothing left behind"""
    relay = Relay(lab, workers=2, queues=2, start=False,
                  tuning={"park_entries": 16, "ring_size": 64})
    for lcore, name in ((1, "slow path"), (2, "worker 0"), (3, "worker 1")):
        relay.start(wait=False, env={"NO_LAUNCH": str(lcore), "LD_PRELOAD": os.path.join(
            lab.build, "tests", "func", "no_launch.so")})
        end = time.monotonic() + 20
        while "start: " not in relay.process.errors():
            expect(time.monotonic() < end, f"lcore {lcore}: {relay.process.errors()}")
            time.sleep(0.02)
        begun = time.monotonic()
        status = relay.process.wait(30)
        took = time.monotonic() - begun
        said = relay.process.errors()
        expect(status == 1 and name in said and "missing" not in said, f"exit {status}: {said}")
        expect(took < 8, f"lcore {lcore}: {took:.1f} s until the end")
        expect(not os.path.exists(relay.settings["control_socket"]), "its control socket is left")
    relay.start()
    relay.stop()


@test()
@in_lab
def command_line(lab, long):
    """--help, --version, usage errors of plenum, plenum ctl and plenum credential"""
    relay = Relay(lab, start=False)
    for arguments in (("--help",), ("--version",), ("ctl", "--help"), ("credential", "--help")):
        status, said = try_plenum(relay, *arguments)
        expect(status == 0 and said, f"{arguments}: exit {status}: {said}")
    for arguments in ((), ("--nonsense",), ("-f",), ("nonsense",), ("ctl",), ("credential", "r"),
                      ("ctl", "--socket", relay.settings["control_socket"], "show room all")):
        status, said = try_plenum(relay, *arguments)
        expect(status not in (0, -signal.SIGSEGV) and said, f"{arguments}: exit {status}: {said}")


@test()
@in_lab
def commands(lab, long):
    """the control socket's commands answer, wrong ones fail with usage, its mode is 0600"""
    relay = Relay(lab, workers=2, queues=2)
    clients = Clients(lab)
    members = [clients.client("198.18.0.2", *relay.credential("room-1", f"m{i}"))
               for i in range(3)]
    for member in members:
        member.join()
    clients.run(1.5, [Stream(members[0], 7, 100, 200)])
    mode = stat.S_IMODE(os.stat(relay.settings["control_socket"]).st_mode)
    expect(mode == 0o600, f"control socket has mode {mode:o}")
    for command, pattern in (("show port info all", "net_af_packet0"),
                             ("show port stats all", "net_af_packet0"), ("show room all", "room-1"),
                             ("show room room-1", "m0"), ("show session all", "m1"),
                             ("show lcore all", "busy"), ("show drops all", "no_session"),
                             ("show latency", "p99"), ("help", "show room")):
        said = relay.ctl(command)
        expect(re.search(pattern, said), f"{command}: nothing like {pattern!r} in:\n{said}")
    for command in ("show", "show room", "show nothing", "kick", "nonsense", "drain soon"):
        status, said = try_plenum(relay, "ctl", "--socket", relay.settings["control_socket"], command)
        expect(status != 0 and said, f"{command}: exit {status}: {said}")
    expect(relay.counter("media") >= 100, "no media counted")
    relay.ctl("clear")
    expect(relay.counter("media") == 0, "clear did not clear")
    relay.ctl("stop")
    before = members[1].count
    clients.run(0.5, [Stream(members[0], 7, 100, 200)])
    expect(members[1].count == before, "forwards although stopped")
    relay.ctl("start")
    clients.run(0.5, [Stream(members[0], 7, 100, 200)])
    expect(members[1].count > before, "does not forward although started")
    relay.ctl("quit")
    expect(relay.process.wait(20) == 0, "quit did not end it well")


@test()
@in_lab
def kick(lab, long):
    """a kicked participant is out and stays out until its credential expires"""
    relay = Relay(lab)
    clients = Clients(lab)
    talker, victim = (clients.client("198.18.0.2", *relay.credential("r", n))
                      for n in ("talker", "victim"))
    talker.join()
    victim.join()
    stream = Stream(talker, 1, 100, 200)
    clients.run(0.5, [stream])
    expect(victim.count > 0, "no media before the kick")
    relay.ctl("kick r victim")
    clients.run(0.2, [stream])
    before = victim.count
    clients.run(0.5, [stream])
    expect(victim.count == before, f"{victim.count - before} packets after the kick")
    victim.join(timeout=1, want=False)
    expect(set(victim.errors) == {403}, f"came back with {victim.errors}")
    relay.stop()
    # Who comes back at the limit has a spare session: shown and kicked by its ID like any other.
    relay = Relay(lab, name="small", limits={"sessions": 1})
    clients = Clients(lab)
    for index, life in enumerate((1000, 2000)):
        victim = clients.client("198.18.0.2", *relay.credential(
            "r", "victim", expiry=int(time.time()) + life))
        victim.join()
        session = re.search(r"^(\S+) .* victim ", relay.ctl("show session all"), re.M)[1]
        expect(session.startswith(f"{index}."), f"join {index} has session {session}")
        expect(f"session {session}: victim" in relay.ctl(f"show session {session}"), session)
    expect("barred" in relay.ctl(f"kick {session}"), f"kick {session}")
    victim.join(timeout=1, want=False)
    expect(set(victim.errors) == {403}, f"came back with {victim.errors}")
    for session in ("2.1", f"{(1 << 32) - 1}.1"):
        for command in ("show session", "kick"):
            said = relay.ctl(f"{command} {session}", check=False)
            expect(f"there is no session {session}" in said, f"{command} {session}: {said}")
    relay.stop()


@test()
@in_lab
def reload(lab, long):
    """secrets change by reload and SIGHUP; a bad file changes nothing and says why"""
    relay = Relay(lab)
    clients = Clients(lab)
    second = os.path.join(lab.dir, "second")
    write_secret(second, b"the second secret, for a rotation")

    def admitted(secret, who):
        client = clients.client("198.18.0.2", *relay.credential("r", who, secret=secret))
        return client.join(timeout=1, want=None)

    old, new = SECRET, b"the second secret, for a rotation"
    expect(admitted(old, "a") and not admitted(new, "b"), "before")
    relay.configure(secrets=[relay.secret, second])
    relay.ctl("reload")
    expect(admitted(old, "c") and admitted(new, "d"), "both, during the rotation")
    relay.configure(secrets=[second])
    relay.process.popen.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    expect(not admitted(old, "e") and admitted(new, "f"), "after SIGHUP")
    os.chmod(second, 0o644)
    status, said = try_plenum(relay, "ctl", "--socket", relay.settings["control_socket"], "reload")
    expect(status != 0 and "chmod 600" in said, f"bad file: exit {status}: {said}")
    expect(admitted(new, "g"), "a bad file changed something")
    events = open(relay.events_path, encoding="utf-8").read() + relay.process.errors() + \
        relay.process.output()
    for secret in (old, new):
        expect(secret.decode() not in events, "a secret was printed")
    relay.stop()


@test()
@in_lab
def drain(lab, long):
    """draining: no newcomers, BYE for publishers, every mbuf back, exit 0"""
    relay = Relay(lab)
    clients = Clients(lab)
    talker, hearer = (clients.client("198.18.0.2", *relay.credential("r", n))
                      for n in ("talker", "hearer"))
    talker.join()
    hearer.join()
    clients.run(0.5, [Stream(talker, 0xABCD, 100, 1200)])
    relay.ctl("drain 2")
    late = clients.client("198.18.0.2", *relay.credential("r", "late"))
    late.join(timeout=0.8, want=False)
    clients.run(3)
    byes = [p for p in hearer.rtcp if b"\xcb" in p[1::4] and b"\0\0\xab\xcd" in p]
    expect(byes, f"no BYE for the publisher, {len(hearer.rtcp)} RTCP packets")
    expect(relay.process.wait(20) == 0, "exit status")
    said = relay.process.output() + relay.process.errors()
    expect(FULL in said, f"nothing of full pools: {said[-300:]}")


@test()
@in_lab
def signals(lab, long):
    """SIGINT and SIGTERM drain while media flows; a second one ends at once"""
    for number in (signal.SIGINT, signal.SIGTERM):
        relay = Relay(lab, name=f"plenum{int(number)}")
        clients = Clients(lab)
        talker, hearer = (clients.client("198.18.0.2", *relay.credential("r", n))
                          for n in ("talker", "hearer"))
        talker.join()
        hearer.join()
        flow = [Stream(talker, 1, 500, 1200)]
        clients.run(0.5, flow)
        relay.process.popen.send_signal(number)
        clients.run(0.5, flow)
        expect(relay.process.wait(20) == 0, f"signal {number}: exit status")
        said = relay.process.output() + relay.process.errors()
        expect(FULL in said, f"nothing of full pools: {said[-300:]}")
        for client in (talker, hearer):
            client.leave()
    relay = Relay(lab, name="twice")
    clients = Clients(lab)
    clients.client("198.18.0.2", *relay.credential("r", "stays")).join()
    relay.ctl("drain 30")
    begun = time.monotonic()
    relay.process.popen.send_signal(signal.SIGTERM)
    time.sleep(0.1)
    relay.process.popen.send_signal(signal.SIGTERM)
    relay.process.wait(5)
    expect(time.monotonic() - begun < 3, "a second signal does not end it at once")


@test()
@in_lab
def command_file(lab, long):
    """--cmdline-file runs the same commands at start"""
    path = os.path.join(lab.dir, "commands")
    with open(path, "w", encoding="utf-8") as file:
        file.write("show port info all\nshow lcore all\n")
    relay = Relay(lab, start=False)
    relay.start("--cmdline-file", path)
    deadline = time.monotonic() + 5
    said = ""
    while "net_af_packet0" not in said or "busy" not in said:
        expect(time.monotonic() < deadline, f"no answers: {said[-500:]}")
        time.sleep(0.05)
        said = relay.process.output()
    relay.stop()
