# SPDX-License-Identifier: BSD-3-Clause
"""A QUIC client made of aioquic for the relay tests; README.md says what every peer here does and
prints."""

import argparse
import asyncio
import hashlib
import json
import ssl
import struct
import sys

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.buffer import Buffer
from aioquic.quic import events
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.tls import Epoch, SignatureAlgorithm

MTU = 1350
FRAME_LEN = 3  # a DATAGRAM frame's type and length
SIGNATURES = {"ed25519": SignatureAlgorithm.ED25519,
              "p256": SignatureAlgorithm.ECDSA_SECP256R1_SHA256}


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def payload(sender, number, size):
    """Datagram `number` of a sender; every byte follows from both."""
    first = number + sender
    return struct.pack("!QI", number, sender) + bytes((first + i) & 0xFF for i in range(12, size))


class Connection(QuicConnection):
    """Accepts signatures of one kind only, if asked to; keeps the server's transport parameters."""

    def __init__(self, config, signature):
        self.signature = signature
        self.parameters = {}
        super().__init__(configuration=config)

    def _parse_transport_parameters(self, data, from_session_ticket=False):
        super()._parse_transport_parameters(data, from_session_ticket)
        buf = Buffer(data=data)
        while not buf.eof():
            name = buf.pull_uint_var()
            self.parameters[f"{name:#x}"] = buf.pull_bytes(buf.pull_uint_var()).hex()

    def _initialize(self, peer_cid):
        super()._initialize(peer_cid)
        if self.signature:
            self.tls._signature_algorithms = [SIGNATURES[self.signature]]


class Peer(QuicConnectionProtocol):
    def __init__(self, quic, args):
        super().__init__(quic)
        self.args = args
        self.established = asyncio.get_running_loop().create_future()
        self.ended = asyncio.get_running_loop().create_future()
        self.received, self.key_updates, self.key_phase = [], 0, 0
        self.sent = self.flooded = 0
        self.closing = False

    def max_datagram(self):
        """aioquic does not tell, and a datagram that is too long stops its queue for ever."""
        quic = self._quic
        room = MTU - 1 - len(quic._peer_cid.cid) - 2 - 16
        return min(room, quic._remote_max_datagram_frame_size or 0) - FRAME_LEN

    def look_at_keys(self):
        phase = self._quic._cryptos[Epoch.ONE_RTT].key_phase
        self.key_updates += phase != self.key_phase
        self.key_phase = phase

    def datagram_received(self, data, addr):
        super().datagram_received(data, addr)
        if self.established.done():
            self.look_at_keys()

    def quic_event_received(self, event):
        if isinstance(event, events.HandshakeCompleted):
            say("connected", alpn=event.alpn_protocol, max_datagram=self.max_datagram(),
                cipher=f"TLS_{self._quic.tls.key_schedule.cipher_suite.name}",
                version=f"{self._quic._version:#x}", parameters=self._quic.parameters)
            self.established.set_result(True)
        elif isinstance(event, events.DatagramFrameReceived):
            self.received.append(event.data)
            if not self.args.count:
                say("datagram", hex=event.data.hex())
        elif isinstance(event, events.StreamDataReceived):
            say("stream", id=event.stream_id, hex=event.data.hex(), fin=event.end_stream)
        elif isinstance(event, events.ConnectionTerminated):
            application = event.frame_type is None
            by = "local" if self.closing else "peer"
            if event.reason_phrase == "Idle timeout":
                by = "timeout"
            say("closed", code=event.error_code, reason=event.reason_phrase, by=by,
                application=application)
            self.ended.done() or self.ended.set_result(True)

    # Commands: each says "done" when it is.

    def send(self, data, command="send"):
        if len(data) > self.max_datagram():
            say("error", command=command, what=f"{len(data)} bytes are too long")
            return False
        self._quic.send_datagram_frame(data)
        self.transmit()
        self.sent += 1
        return True

    async def flood(self, nb, size, pps):
        loop = asyncio.get_running_loop()
        due = loop.time()
        for _ in range(nb):
            if not self.send(payload(self.args.sender, self.flooded, size), "flood"):
                return False
            self.flooded += 1
            due += 1 / pps
            await asyncio.sleep(max(0, due - loop.time()))
        return True

    async def rebind(self):
        """A new port under the same connection ids: what a NAT does."""
        old = self._transport
        await bind(self, self.args)
        old.close()

    async def obey(self, line):
        word, *rest = line.split()
        if word == "send":
            if not self.send(bytes.fromhex(rest[0])):
                return
        elif word == "flood":
            if not await self.flood(*map(int, rest)):
                return
        elif word == "rebind":
            await self.rebind()
            self._quic.send_ping(0)
            self.transmit()
        elif word == "migrate":
            await self.rebind()
            self.change_connection_id()
        elif word == "keyupdate":
            self.request_key_update()
        elif word == "stream":
            stream = self._quic.get_next_available_stream_id()
            self._quic.send_stream_data(stream, bytes.fromhex(rest[0]), end_stream=True)
            self.transmit()
        elif word == "stats":
            self.look_at_keys()
            say("stats", sent=self.sent, received=len(self.received),
                sha256=hashlib.sha256(b"".join(sorted(self.received))).hexdigest(),
                key_updates=self.key_updates, max_datagram=self.max_datagram(),
                rtt_us=round(1e6 * self._quic._loss._rtt_smoothed))
        elif word == "close":
            self.closing = True
            self._quic.close(error_code=int(rest[0]), reason_phrase=" ".join(rest[1:]))
            self.transmit()
        else:
            say("unsupported", command=word)
            return
        say("done", command=word)


def endpoint(text):
    host, port = text.rsplit(":", 1)
    return host.strip("[]"), int(port)


async def bind(peer, args):
    local = args.local or ("::" if ":" in args.connect[0] else "0.0.0.0")
    await asyncio.get_running_loop().create_datagram_endpoint(lambda: peer, local_addr=(local, 0))


async def stay(args):
    config = QuicConfiguration(
        is_client=True, alpn_protocols=[args.alpn], server_name=args.name,
        verify_mode=ssl.CERT_NONE, max_datagram_frame_size=65535, max_datagram_size=MTU,
        quantum_readiness_test=args.big_hello)
    config.supported_versions = [1]
    if args.version:
        config.original_version = args.version
        config.supported_versions = [args.version, 1]
    quic = Connection(config, args.signature)
    peer = Peer(quic, args)
    await bind(peer, args)
    host, port = args.connect
    quic.connect((host, port, 0, 0) if ":" in host else (host, port),
                 now=asyncio.get_running_loop().time())
    peer.transmit()

    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    async def obey_all():
        await peer.established
        while line := await reader.readline():
            if line.strip():
                await peer.obey(line.decode())

    obeying = asyncio.ensure_future(obey_all())
    await asyncio.wait([peer.ended, obeying], return_when=asyncio.FIRST_COMPLETED)
    if obeying.done() and obeying.exception():
        raise obeying.exception()
    obeying.cancel()


def main():
    parser = argparse.ArgumentParser(description="a QUIC client made of aioquic")
    parser.add_argument("--connect", required=True, type=endpoint, help="ADDR:PORT, [ADDR]:PORT")
    parser.add_argument("--name", required=True, help="server name to ask for")
    parser.add_argument("--alpn", default="wzp", help="application protocol")
    parser.add_argument("--local", help="own address")
    parser.add_argument("--sender", type=int, default=0, help="number that marks own floods")
    parser.add_argument("--version", type=lambda v: int(v, 0), help="version to offer first")
    parser.add_argument("--signature", choices=sorted(SIGNATURES), help="the only one to accept")
    parser.add_argument("--big-hello", action="store_true", help="one that takes two packets")
    parser.add_argument("--count", action="store_true", help="do not print every datagram")
    asyncio.run(stay(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
