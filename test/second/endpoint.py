"""An endpoint with one link of class bulk: sections "Link" and "Loss and resume" of relay/PROTOCOL.md."""

import asyncio
import os
import time

import msgpack
from stream import Stream
from wire import HEADER_BYTES, MAPS, PREAMBLE, Reset, Status, Type, frame, header

KEEPALIVE_S, SILENCE_S, BACK_OFF_S = 2, 6, 0.05


class Link:
    def __init__(self, reader, writer):
        self._reader, self._writer = reader, writer
        self.streams = {}
        self._next_label = 1
        self.sent_at = self.heard_at = time.monotonic()

    def send(self, kind, label=0, offset=0, payload=b""):
        self.sent_at = time.monotonic()
        if not self._writer.transport.is_closing():
            self._writer.write(frame(kind, label, offset, payload))

    async def receive(self):
        kind, size, label, offset = header(await self._reader.readexactly(HEADER_BYTES))
        payload = await self._reader.readexactly(size)
        self.heard_at = time.monotonic()
        return kind, label, offset, msgpack.decode(payload) if kind in MAPS else payload

    def new_label(self):
        label, self._next_label = self._next_label, self._next_label + 2
        return label

    def cut(self):
        self._writer.transport.abort()


async def dial(relay):
    scheme, _, rest = relay.partition(":")
    if scheme == "unix":
        reader, writer = await asyncio.open_unix_connection(rest)
    else:
        host, _, port = rest.removeprefix("//").rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(PREAMBLE)
    return Link(reader, writer)


class Endpoint:
    def __init__(self, relay, address, token, accept=None):
        """`relay`: unix:/path or tcp://host:port. `accept(stream)`: a coroutine for each stream that a peer opens;
        absent: all are refused."""
        self.address = address
        self.resumes = 0
        self._relay, self._token, self._accept = relay, token, accept
        self._incarnation, self._counter, self._ids = os.urandom(8).hex(), 0, 0
        self._streams, self._ended = {}, {}
        self._tasks = set()
        self._link, self._is_up = None, asyncio.Event()

    async def start(self):
        self._spawn(self._live())
        self._spawn(self._keep_alive())
        await self._is_up.wait()

    async def open(self, to, port):
        await self._is_up.wait()
        self._ids += 1
        stream = Stream(self._forget, (self.address, self._incarnation, self._ids), to, port, True)
        self._streams[stream.key] = stream
        stream.route(self._link, self._link.new_label())
        self._link.send(Type.OPEN, stream.label, stream.granted, {"to": to, "port": port, "id": self._ids})
        return stream

    def cut(self):
        if self._link is not None:
            self._link.cut()

    async def close(self):
        if self._link is not None:
            self._link.send(Type.GOODBYE)
            await asyncio.sleep(0.1)
        for task in self._tasks:
            task.cancel()

    def _spawn(self, coroutine):
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _forget(self, stream, reason):
        self._streams.pop(stream.key, None)
        self._ended[stream.key] = Status.ended if reason is None else Status.lost

    # ---- links ----

    async def _live(self):
        while True:
            link = None
            try:
                link = await dial(self._relay)
                await self._greet(link)
                self._link = link
                self._is_up.set()
                self._resume()
                while True:
                    self._handle(link, *await link.receive())
            except (OSError, asyncio.IncompleteReadError):
                pass  # the link is lost, streams are not
            self._link = None
            self._is_up.clear()
            for stream in list(self._streams.values()):
                if link is not None and stream.link is link:
                    stream.unroute()
            await asyncio.sleep(BACK_OFF_S)

    async def _greet(self, link):
        self._counter += 1
        hello = {"versions": [1, 1], "token": self._token, "incarnation": self._incarnation, "counter": self._counter}
        link.send(Type.HELLO, payload={**hello, "class": "bulk", "mode": "attach"})
        kind, _, reason, payload = await link.receive()
        if kind == Type.CLOSE:
            raise ConnectionRefusedError(f"{reason}: {payload.decode()}")

    async def _keep_alive(self):
        while True:
            await asyncio.sleep(0.3)
            link, now = self._link, time.monotonic()
            if link is not None and now - link.sent_at > KEEPALIVE_S:
                link.send(Type.PING)
            if link is not None and now - link.heard_at > SILENCE_S:
                link.cut()

    # ---- frames ----

    def _handle(self, link, kind, label, offset, payload):
        if kind == Type.OPEN:
            self._handle_open(link, label, offset, payload)
        elif kind == Type.RESUME:
            self._handle_resume(link, payload)
        elif kind == Type.RESUMED:
            self._handle_resumed(link, payload)
        elif kind == Type.ROUTE_DOWN:
            for each in payload["labels"]:
                if each in link.streams:
                    link.streams[each].unroute()
            self._resume()
        elif kind == Type.GONE:
            for stream in list(self._streams.values()):
                if stream.peer == payload["address"] and payload["incarnation"] in ("", stream.peer_incarnation):
                    if stream.link is not None:
                        link.send(Type.RESET, stream.label, Reset.gone)
                    stream.finish("gone")
        elif label in link.streams:
            stream = link.streams[label]
            if kind == Type.OPENED:
                stream.opened(payload["incarnation"], offset)
            else:
                stream.handle(kind, offset, payload)
        elif kind == Type.RESET:
            link.send(Type.RESET_ACK, label)

    def _handle_open(self, link, label, limit, asked):
        if self._accept is None:
            link.send(Type.RESET, label, Reset.refused)
            return
        key = (asked["from"], asked["incarnation"], asked["id"])
        if key in self._streams or key in self._ended:
            link.send(Type.RESET, label, Reset.lost)
            return
        stream = self._take(key, asked["port"])
        stream.route(link, label)
        link.send(Type.OPENED, label, stream.granted, {"incarnation": self._incarnation})
        stream.opened(asked["incarnation"], limit)

    def _take(self, key, port):
        stream = Stream(self._forget, key, key[0], port, False)
        stream.peer_incarnation = key[1]
        self._streams[key] = stream
        self._spawn(self._accept(stream))
        return stream

    def _resume(self):
        """Only the opener does."""
        groups = {}
        for stream in self._streams.values():
            if stream.is_opener and stream.link is None and self._link is not None:
                groups.setdefault((stream.peer, stream.peer_incarnation), []).append(stream)
        for (peer, incarnation), streams in groups.items():
            entries = []
            for stream in streams:
                stream.generation += 1
                stream.route(self._link, self._link.new_label())
                port = 0 if stream.is_open else stream.port
                entries.append(
                    [stream.label, stream.key[2], stream.generation, stream.received, stream.entry_limit(), port]
                )
            self._link.send(Type.RESUME, payload={"peer": peer, "incarnation": incarnation, "entries": entries})

    def _handle_resume(self, link, asked):
        entries, live = [], []
        for label, number, generation, received, limit, port in asked["entries"]:
            key = (asked["peer"], asked["incarnation"], number)
            stream = self._streams.get(key)
            if stream is None and port != 0 and key not in self._ended and self._accept is not None:
                stream = self._take(key, port)
            elif stream is None or generation <= stream.generation:
                entries.append([label, generation, self._ended.get(key, Status.lost), 0, 0])
                continue
            stream.route(link, label)
            stream.generation = generation
            entries.append([label, generation, Status.live, stream.received, stream.entry_limit()])
            live.append((stream, received, limit))
        link.send(Type.RESUMED, payload={"incarnation": self._incarnation, "entries": entries})
        for stream, received, limit in live:
            stream.resumed(received, limit)

    def _handle_resumed(self, link, answer):
        for label, generation, status, received, limit in answer["entries"]:
            stream = link.streams.get(label)
            if stream is None or stream.generation != generation:
                continue
            if status == Status.live:
                self.resumes += 1
                stream.peer_incarnation = answer["incarnation"]
                stream.resumed(received, limit)
            else:
                stream.finish(None if status == Status.ended and stream.has_ended_both_ways else "lost")
