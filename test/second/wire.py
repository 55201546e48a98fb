"""Frames of relay/PROTOCOL.md, section "Frame", and the token of a HELLO."""

import base64
import enum
import hashlib
import hmac
import json
import struct
import time

import msgpack

PREAMBLE = b"\xf5SLR"
_HEADER = struct.Struct(">IIQ")
HEADER_BYTES = _HEADER.size


class Type(enum.IntEnum):
    HELLO, WELCOME, CLOSE, PING, GO_AWAY, GOODBYE, STAY = range(0x01, 0x08)
    OPEN, OPENED, MOVED, RESUME, RESUMED, RESET, RESET_ACK = range(0x10, 0x17)
    FIN, FIN_ACK, RECLAIM, RECLAIMED, DONE = range(0x17, 0x1C)
    DATA, ACK, CREDIT = range(0x20, 0x23)
    ROUTE_DOWN, GONE, WATCH, RETIRE = range(0x30, 0x34)


MAPS = {Type[name] for name in "HELLO WELCOME OPEN OPENED MOVED RESUME RESUMED ROUTE_DOWN GONE WATCH RETIRE".split()}


class Reset(enum.IntEnum):
    refused, unknown, gone, overloaded, forbidden, aborted, lost, timeout, shutdown, violation = range(1, 11)


class Status(enum.IntEnum):
    """Of an entry of RESUMED."""

    ended, live, lost = range(3)


def frame(kind, label=0, offset=0, payload=b""):
    body = msgpack.encode(payload) if isinstance(payload, dict) else payload
    return _HEADER.pack(kind << 24 | len(body), label, offset) + body


def header(data):
    """Type, length, label and offset of 16 bytes."""
    first, label, offset = _HEADER.unpack(data)
    return Type(first >> 24), first & 0xFFFFFF, label, offset


def token(secret, key_name, app, address):
    """A JWT, HS256, for an executor's address; `secret`: bytes."""
    claims = {"app": app, "addr": address, "gen": 0, "role": "executor", "exp": int(time.time()) + 600}
    signed = _part({"alg": "HS256", "kid": key_name}) + b"." + _part(claims)
    mac = hmac.new(secret, signed, hashlib.sha256).digest()
    return (signed + b"." + _base64url(mac)).decode()


def _part(claims):
    return _base64url(json.dumps(claims).encode())


def _base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")
