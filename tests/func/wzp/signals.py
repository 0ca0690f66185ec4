# SPDX-License-Identifier: BSD-3-Clause
"""Signals and media of the WZP protocol as a client makes and checks them. Written from the protocol,
and from nothing that the relay is made of."""

import hashlib
import hmac
import json
import os
import struct

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lab import expect


def profile(codec, fec, ms=20, frames=5):
    return {"codec": codec, "fec_ratio": fec, "frame_duration_ms": ms, "frames_per_block": frames}


GOOD = profile("Opus24k", 0.2)
PROFILES = [profile("Opus64k", 0.1), profile("Opus48k", 0.1), profile("Opus32k", 0.1), GOOD,
            profile("Opus6k", 0.5, 40, 10), profile("Codec2_1200", 1.0, 40, 8)]
HEADER = struct.Struct("!BBHIBBBB")


def hkdf(ikm, info, size=32):
    """HKDF-SHA256 without a salt, one block (RFC 5869)."""
    key = hmac.digest(bytes(32), ikm, "sha256")
    return hmac.digest(key, info + b"\x01", "sha256")[:size]


def raw(public):
    return public.public_bytes(Encoding.Raw, PublicFormat.Raw)


def fingerprint(public):
    """As text, of 32 bytes."""
    text = hashlib.sha256(public).hexdigest()[:32]
    return ":".join(text[i:i + 4] for i in range(0, 32, 4))


class Identity:
    """Who a client is: keys that follow from a seed."""

    def __init__(self, seed=None):
        self.key = Ed25519PrivateKey.from_private_bytes(
            hkdf(seed or os.urandom(32), b"warzone-ed25519"))
        self.public = raw(self.key.public_key())
        self.fingerprint = fingerprint(self.public)

    def offer(self, alias=None, ephemeral=None):
        secret = X25519PrivateKey.from_private_bytes(ephemeral or os.urandom(32))
        public = raw(secret.public_key())
        return {"CallOffer": {
            "identity_pub": list(self.public), "ephemeral_pub": list(public),
            "signature": list(self.key.sign(public + b"call-offer")),
            "supported_profiles": PROFILES, "alias": alias}}


def text(message):
    """A message as clients write it: compact, fields in their order, UTF-8."""
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode()


def frame(message):
    """A message, or JSON that is there already, with its length."""
    body = message if isinstance(message, bytes) else text(message)
    return struct.pack("!I", len(body)) + body


def read_frame(stream):
    """What a stream of the relay's had to say; its bytes must be exactly those of the protocol."""
    expect(len(stream) >= 4, f"a stream of {len(stream)} bytes: {stream.hex()}")
    size, body = struct.unpack("!I", stream[:4])[0], stream[4:]
    expect(size == len(body), f"a frame of {size} bytes on a stream with {len(body)}")
    message = json.loads(body)
    expect(text(message) == body, f"not the protocol's own spelling: {body[:200]}")
    return message


def check_answer(message):
    """A CallAnswer whose signature is right; the relay's fingerprint."""
    expect(list(message) == ["CallAnswer"], f"not a CallAnswer: {message}")
    answer = message["CallAnswer"]
    expect(list(answer) == ["identity_pub", "ephemeral_pub", "signature", "chosen_profile"],
           f"fields {list(answer)}")
    expect(answer["chosen_profile"] == GOOD, f"{answer['chosen_profile']}")
    public, ephemeral = bytes(answer["identity_pub"]), bytes(answer["ephemeral_pub"])
    expect(len(public) == len(ephemeral) == 32 and len(answer["signature"]) == 64, "wrong sizes")
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(bytes(answer["signature"]),
                                                          ephemeral + b"call-answer")
    except InvalidSignature:
        expect(False, "the CallAnswer's signature is wrong")
    return fingerprint(public)


def read_update(message):
    """A RoomUpdate's [(fingerprint, alias)] in its order; None for another message."""
    if list(message) != ["RoomUpdate"]:
        return None
    update = message["RoomUpdate"]
    expect(list(update) == ["count", "participants"], f"fields {list(update)}")
    for one in update["participants"]:
        expect(list(one) == ["fingerprint", "alias", "relay_label"], f"fields {list(one)}")
        expect(one["relay_label"] is None, f"{one}: there is one relay")
    expect(update["count"] == len(update["participants"]),
           f"count {update['count']} of {len(update['participants'])}")
    return [(one["fingerprint"], one["alias"]) for one in update["participants"]]


def media(sequence, timestamp, payload, codec=0):
    """A media packet: header and payload."""
    return HEADER.pack(codec << 2, 0, sequence & 0xFFFF, timestamp, 0, 0, 0, 0) + payload


def tone(sender, nb):
    """What a client sends that plays a tone: `nb` packets of 41 to 107 bytes, 20 ms apart. Content
    follows from sender and number."""
    packets = []
    for i in range(nb):
        size = 29 + (37 * i + 11 * sender) % 67
        content = hashlib.sha512(struct.pack("!II", sender, i)).digest()
        packets.append(media(i, 20 * i, (content + content)[:size]))
    return packets


def silence():
    """What a client sends in five seconds of silence: 5 packets of sound, 24 of comfort noise; 68
    bytes of payload."""
    packets = [media(i, 20 * i, bytes([0xF8, 0xFF, 0xFE]) * 2 + bytes(3 - (i == 4)))
               for i in range(5)]
    return packets + [media(5 + i, 200 * (i + 1), b"\x32", codec=5) for i in range(24)]
