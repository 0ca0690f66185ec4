#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""An auth server for tests, as good or as bad as the token that it is asked for says.

    auth_server.py [--address A] [--port N] [--tls CERTIFICATE KEY] [--log FILE]

It prints its port and runs until its standard input ends. The log has a line of JSON per request.
"""

import argparse
import http.server
import json
import os
import socket
import ssl
import struct
import sys
import threading
import time

FINGERPRINT = "9983:c2ce:0b17:4a5d:77f0:21c4:5e9a:b3d6"
VALID = {"valid": True, "fingerprint": FINGERPRINT, "alias": "manwe"}
JSON = "application/json"


def answer(**changes):
    """The bytes of a good answer, but for what is changed; None takes a key away."""
    return json.dumps({k: v for k, v in {**VALID, **changes}.items() if v is not None}).encode()


# token: (status, body). What stands behind a "#" makes a token another one, and no more.
ANSWERS = {
    "valid": (200, answer()),
    "created": (201, answer()),
    "no-alias": (200, answer(alias=None)),
    "null-alias": (200, b'{"valid":true,"fingerprint":"%s","alias":null}' % FINGERPRINT.encode()),
    "long-alias": (200, answer(alias="a" * 63 + "\u00e4" * 10)),
    "extra-keys": (200, answer(eth_address="0x0", roles=["a", {"b": 1}])),
    "invalid": (200, b'{"valid":false}'),
    "invalid-with-more": (200, answer(valid=False)),
    "status-400": (400, b"what?"),
    "status-401": (401, b'{"valid":true}'),
    "status-404": (404, answer()),
    "status-408": (408, answer()),
    "status-429": (429, answer()),
    "status-500": (500, answer()),
    "status-503": (503, b""),
    "status-204": (204, b""),
    "redirect": (302, answer()),
    "garbage": (200, b"\x00\xff{{{{"),
    "empty": (200, b""),
    "not-utf8": (200, b'{"valid":true,"fingerprint":"%s","alias":"\xff"}' % FINGERPRINT.encode()),
    "array": (200, b"[true]"),
    "deep": (200, b"[" * 30000),
    "no-valid": (200, answer(valid=None)),
    "valid-is-text": (200, answer(valid="true")),
    "valid-is-number": (200, answer(valid=1)),
    "valid-twice": (200, b'{"valid":false,"valid":true,"fingerprint":"%s"}' % FINGERPRINT.encode()),
    "no-fingerprint": (200, answer(fingerprint=None)),
    "fingerprint-is-number": (200, answer(fingerprint=7)),
    "fingerprint-short": (200, answer(fingerprint=FINGERPRINT[:-1])),
    "fingerprint-upper": (200, answer(fingerprint=FINGERPRINT.upper())),
    "alias-is-number": (200, answer(alias=7)),
    "two-objects": (200, answer() + answer()),
    "just-fits": (200, answer(filler="x" * 64000)),
    "too-large": (200, answer(filler="x" * 65536)),
}

# Bytes in the place of an answer.
RAW = {
    "no-http": b"220 mail.test ESMTP\r\n",
    "ends-early": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"valid\":",
    "ends-at-once": b"",
    "version-9": b"HTTP/9.9 200 OK\r\n\r\n",
    "bad-length": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}",
}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    nb_connections = 0
    log = None
    lock = threading.Lock()

    def setup(self):
        super().setup()
        self.nb_requests = 0
        with Handler.lock:
            Handler.nb_connections += 1
            self.connection_id = Handler.nb_connections

    def log_message(self, *args):
        pass

    def wrong(self, body):
        """What is wrong with the request, by what the protocol says of it."""
        try:
            said = json.loads(body)
        except ValueError:
            return "not JSON"
        if self.path != "/validate":
            return "path"
        if self.headers.get_all("Content-Type") != [JSON]:
            return "content type"
        if "Authorization" in self.headers or "Expect" in self.headers:
            return "headers"
        if set(said) != {"token"} or not isinstance(said["token"], str):
            return "keys"
        # As small as it can be written, and in UTF-8.
        if json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode() != body:
            return "form"
        return None

    def say(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", JSON)
        self.send_header("Content-Length", str(len(body)))
        if status == 302:
            self.send_header("Location", f"http://{self.headers['Host']}/elsewhere")
        self.end_headers()
        self.wfile.write(body)

    def begin(self, *headers):
        self.send_response(200)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.nb_requests += 1
        wrong = self.wrong(body)
        token = json.loads(body)["token"] if wrong is None else ""
        if Handler.log is not None:
            with Handler.lock:
                Handler.log.write(json.dumps({"at": time.monotonic(), "token": token,
                                              "wrong": wrong}) + "\n")
                Handler.log.flush()
        if wrong is not None:
            self.say(500, b"wrong: " + wrong.encode())
        elif token.split("#")[0] in ANSWERS:
            self.say(*ANSWERS[token.split("#")[0]])
        elif token in RAW:
            self.wfile.write(RAW[token])
            self.close_connection = True
        elif token.startswith("of:"):
            self.say(200, answer(fingerprint=token[3:].split("#")[0]))
        elif token.startswith("says:"):  # what came after it, as an alias
            self.say(200, answer(alias=token[5:]))
        elif token.startswith("slow:"):
            time.sleep(float(token[5:].split("#")[0]))
            self.say(200, answer())
        else:
            getattr(self, "do_" + token.split("#")[0].replace("-", "_"), self.unknown)()

    def unknown(self):
        self.say(200, b'{"valid":false}')

    def do_where(self):
        """How many connections there were up to this one, and its how manieth request this is."""
        self.say(200, answer(alias=f"{self.connection_id}.{self.nb_requests}"))

    def do_hang(self):
        self.connection.recv(1)  # until the client goes
        self.close_connection = True

    def do_reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())
        self.close_connection = True

    def do_reset_within(self):
        self.begin(("Content-Length", "1000"))
        self.wfile.write(b'{"valid":true,')
        self.do_reset()

    def do_trickle(self):
        """A good answer, a byte every tenth of a second."""
        self.begin(("Content-Length", str(len(answer()))))
        for byte in answer():
            time.sleep(0.1)
            self.wfile.write(bytes([byte]))

    def do_trickle_headers(self):
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for i in range(1000):
            time.sleep(0.05)
            self.wfile.write(b"X-%d: y\r\n" % i)

    def do_headers(self):
        """Headers without end."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            self.wfile.write(b"X-Header: " + b"y" * 1000 + b"\r\n")

    def do_continue(self):
        """Interim answers without end."""
        while True:
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def do_gigabyte(self):
        self.begin(("Content-Length", str(1 << 30)))
        for _ in range(1 << 10):
            self.wfile.write(b" " * (1 << 20))

    def do_endless(self):
        self.begin(("Connection", "close"))
        while True:
            self.wfile.write(b" " * 65536)

    def chunks(self, pieces):
        self.begin(("Transfer-Encoding", "chunked"))
        for piece in pieces:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def do_chunked(self):
        self.chunks([bytes([byte]) for byte in answer()])

    def do_chunked_endless(self):
        self.begin(("Transfer-Encoding", "chunked"))
        while True:
            self.wfile.write(b"10000\r\n" + b" " * 65536 + b"\r\n")

    def do_chunked_badly(self):
        self.begin(("Transfer-Encoding", "chunked"))
        self.wfile.write(b"zz\r\n")
        self.close_connection = True

    def do_until_the_end(self):
        """Neither length nor chunks."""
        self.begin(("Connection", "close"))
        self.wfile.write(answer())
        self.close_connection = True


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def handle_error(self, request, client_address):
        pass  # clients give up, which is what is tested


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tls", nargs=2, metavar=("CERTIFICATE", "KEY"))
    parser.add_argument("--log")
    args = parser.parse_args()
    if args.log:
        Handler.log = open(args.log, "a", encoding="utf-8")
    if ":" in args.address:
        Server.address_family = socket.AF_INET6
    server = Server((args.address, args.port), Handler)
    if args.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*args.tls)
        server.socket = context.wrap_socket(server.socket, server_side=True,
                                            do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
