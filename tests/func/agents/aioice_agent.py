# SPDX-License-Identifier: BSD-3-Clause
"""An ICE agent made of aioice for the relay tests; README.md says what every agent here does and
prints."""

import argparse
import asyncio
import json
import signal
import struct
import sys
import time

import aioice

PAYLOAD_LEN = 160
GAP_S = 0.4
RAMP = bytes(range(256)) * 9


def say(event, **fields):
    print(json.dumps({"event": event, "t": time.time(), **fields}), flush=True)


def packet(ssrc, number, size):
    """Packet `number` of a stream: the number is the timestamp, every byte follows from it."""
    first = (number + ssrc) & 0xFF
    return struct.pack("!BBHII", 0x80, 96, number & 0xFFFF, number, ssrc) + RAMP[first:first + size]


class Tally:
    def __init__(self):
        self.seen = set()
        self.duplicates = self.bad = 0
        self.last = None

    def take(self, pkt):
        now = time.monotonic()
        number, ssrc = struct.unpack_from("!II", pkt, 4) if len(pkt) >= 12 else (0, 0)
        if len(pkt) < 12 or pkt != packet(ssrc, number, len(pkt) - 12):
            self.bad += 1
        elif (ssrc, number) in self.seen:
            self.duplicates += 1
        else:
            self.seen.add((ssrc, number))
        if self.last is None or now - self.last > GAP_S:
            say("resumed")
        self.last = now


async def receive(conn, tally):
    while True:
        tally.take(await conn.recv())


async def send(conn, args, sent):
    due = time.monotonic()
    while True:
        await conn.send(packet(args.ssrc, sent[0], PAYLOAD_LEN))
        sent[0] += 1
        due += 1 / args.rate
        await asyncio.sleep(max(0, due - time.monotonic()))


async def stay(args):
    loop = asyncio.get_running_loop()
    end = loop.create_future()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: end.done() or end.set_result(None))
    loop.call_later(args.seconds, lambda: end.done() or end.set_result(None))

    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: [args.local]
    conn = aioice.Connection(ice_controlling=args.role == "controlling")
    # aioice nominates aggressively unless it knows that the other side is lite.
    conn.remote_is_lite = args.nomination == "regular"
    conn.remote_username = args.ufrag
    conn.remote_password = args.pwd
    await conn.gather_candidates()
    await conn.add_remote_candidate(aioice.Candidate(
        foundation="1", component=1, transport="udp", priority=2130706431,
        host=args.relay, port=args.port, type="host"))
    await conn.add_remote_candidate(None)

    tally, sent, tasks, connected = Tally(), [0], [], False
    try:
        connecting = asyncio.ensure_future(conn.connect())
        await asyncio.wait([connecting, end], return_when=asyncio.FIRST_COMPLETED)
        if connecting.done():
            connecting.result()
            connected = True
            say("connected")
            tasks.append(asyncio.ensure_future(receive(conn, tally)))
            if args.ssrc:
                tasks.append(asyncio.ensure_future(send(conn, args, sent)))
            await asyncio.wait([end, *tasks], return_when=asyncio.FIRST_COMPLETED)
            if not end.done():
                say("failed", why=str(tasks[0].exception() if tasks[0].done()
                                      else tasks[1].exception()))
        else:
            connecting.cancel()
    except ConnectionError as error:
        say("failed", why=str(error))
    for task in tasks:
        task.cancel()
    await conn.close()
    say("done", connected=connected, sent=sent[0], received=len(tally.seen),
        duplicates=tally.duplicates, bad=tally.bad)


def main():
    parser = argparse.ArgumentParser(description="an ICE agent made of aioice")
    parser.add_argument("--relay", required=True, help="address of the relay")
    parser.add_argument("--port", type=int, required=True, help="UDP port of the relay")
    parser.add_argument("--local", required=True, help="own address")
    parser.add_argument("--ufrag", required=True, help="of the credential")
    parser.add_argument("--pwd", required=True, help="of the credential")
    parser.add_argument("--role", choices=("controlling", "controlled"), default="controlling")
    parser.add_argument("--nomination", choices=("aggressive", "regular"), default="aggressive")
    parser.add_argument("--consent", choices=("on",), default="on", help="aioice always asks")
    parser.add_argument("--ssrc", type=int, default=0, help="to send with; 0 sends nothing")
    parser.add_argument("--rate", type=int, default=50, help="packets a second to send")
    parser.add_argument("--seconds", type=float, default=10, help="how long to stay")
    asyncio.run(stay(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
