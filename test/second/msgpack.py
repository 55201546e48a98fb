"""As much of msgpack as frames have: nil, booleans, integers, floats, strings, lists, maps."""

import struct

# By the first byte: the form of a number, the width of the size of what is long.
_NUMBERS = dict(zip(range(0xCA, 0xD4), [">f", ">d", ">B", ">H", ">I", ">Q", ">b", ">h", ">i", ">q"]))
_WIDTHS = {0xD9: 1, 0xDA: 2, 0xDB: 4, 0xDC: 2, 0xDD: 4, 0xDE: 2, 0xDF: 4}


def encode(value):
    if value is None or isinstance(value, bool):
        return {None: b"\xc0", False: b"\xc2", True: b"\xc3"}[value]
    if isinstance(value, int):
        return bytes([value]) if value < 128 else b"\xcf" + struct.pack(">Q", value)
    if isinstance(value, str):
        text = value.encode()
        return b"\xda" + struct.pack(">H", len(text)) + text
    if isinstance(value, (list, tuple)):
        return b"\xdc" + struct.pack(">H", len(value)) + b"".join(map(encode, value))
    pairs = b"".join(encode(key) + encode(each) for key, each in value.items())
    return b"\xde" + struct.pack(">H", len(value)) + pairs


def decode(data):
    value, end = _value(data, 0)
    if end != len(data):
        raise ValueError("something follows the value")
    return value


def _value(data, at):
    kind, at = data[at], at + 1
    if kind < 0x80:
        return kind, at
    if kind < 0xC0:
        size = kind & (0x1F if kind >= 0xA0 else 0x0F)
        return _map(data, at, size) if kind < 0x90 else _list(data, at, size) if kind < 0xA0 else _text(data, at, size)
    if kind >= 0xE0:
        return kind - 256, at
    if kind in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[kind], at
    if kind in _NUMBERS:
        form = _NUMBERS[kind]
        (number,) = struct.unpack_from(form, data, at)
        return int(number) if number == int(number) else number, at + struct.calcsize(form)
    width = _WIDTHS[kind]
    size, at = int.from_bytes(data[at : at + width], "big"), at + width
    return _text(data, at, size) if kind <= 0xDB else _list(data, at, size) if kind <= 0xDD else _map(data, at, size)


def _text(data, at, size):
    return data[at : at + size].decode(), at + size


def _list(data, at, size):
    found = []
    for _ in range(size):
        value, at = _value(data, at)
        found.append(value)
    return found, at


def _map(data, at, size):
    found = {}
    for _ in range(size):
        key, at = _value(data, at)
        found[key], at = _value(data, at)
    return found, at
