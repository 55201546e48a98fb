"""One end of a stream: sections "Stream" and "Loss and resume" of relay/PROTOCOL.md."""

import asyncio

from wire import Reset, Type

WINDOW = 512 * 1024
PIECE = 128 * 1024
ACK_AFTER_S = 0.03


class Stream:
    def __init__(self, ends, key, peer, port, is_opener):
        """`ends(stream, reason)` is called once; reason None: by all its bytes."""
        self.key, self.peer, self.port, self.is_opener = key, peer, port, is_opener
        self.peer_incarnation = ""
        self.generation = 1
        self.link, self.label = None, 0
        self.is_open = False  # OPENED was sent or has come
        self.flows = False  # frames may be said on the label
        self.over = asyncio.get_running_loop().create_future()
        self._ends = ends
        # Sending: what is not acknowledged begins at `base`; `sent` of it is under way.
        self._unacked, self._base, self._sent, self._limit = bytearray(), 0, 0, 0
        self._fin, self._fin_said, self._fin_confirmed = None, False, False
        # Receiving.
        self.received, self.granted = 0, WINDOW
        self._acked, self._peer_fin, self._peer_fin_confirmed = 0, None, False
        self._unread, self._ack_timer = asyncio.Queue(), None
        self._changed = asyncio.Event()

    # ---- for the program ----

    async def write(self, data):
        while len(self._unacked) >= 2 * WINDOW and not self.over.done():
            self._changed.clear()
            await self._changed.wait()
        if not self.over.done():
            self._unacked += data
            self._pump()

    def end(self):
        self._fin = self._base + len(self._unacked)
        self._pump()

    async def read(self):
        """The next bytes, b'' at the end. Raises ConnectionResetError."""
        data = await self._unread.get()
        if data is None:
            raise ConnectionResetError(self.over.result())
        return data

    # ---- for the endpoint ----

    @property
    def has_ended_both_ways(self):
        return self._fin_said and self._peer_fin is not None

    def route(self, link, label):
        self.unroute()
        self.link, self.label = link, label
        link.streams[label] = self

    def unroute(self):
        if self.link is not None:
            self.link.streams.pop(self.label, None)
        self.link, self.flows = None, False

    def opened(self, incarnation, limit):
        self.peer_incarnation, self.is_open, self.flows, self._limit = incarnation, True, True, limit
        self._change()

    def entry_limit(self):
        """The credit of a RESUME or RESUMED: what was granted before does not count any more."""
        self.granted = self.received + WINDOW
        return self.granted

    def resumed(self, received, limit):
        self.is_open = self.flows = True
        self._acknowledge(received)
        self._sent, self._limit = received, limit
        self._fin_said = self._peer_fin_confirmed = False
        self._acked = self.received
        self._change()
        self._answer()

    def handle(self, kind, offset, payload):
        if kind == Type.DATA:
            if offset != self.received:
                raise ValueError(f"DATA at {offset}, {self.received} was to come")
            self.received += len(payload)
            self._unread.put_nowait(payload)
            if self.received - self._acked >= WINDOW // 4:
                self._answer()
            elif self._ack_timer is None:
                self._ack_timer = asyncio.get_running_loop().call_later(ACK_AFTER_S, self._answer)
        elif kind == Type.ACK:
            self._acknowledge(offset)
            self._change()
        elif kind == Type.CREDIT:
            self._limit = max(self._limit, offset)
            self._change()
        elif kind == Type.FIN:
            if self._peer_fin is None:
                self._unread.put_nowait(b"")
            self._peer_fin = offset
            self._answer()
        elif kind == Type.FIN_ACK:
            self._acknowledge(offset)
            self._fin_confirmed = True
            self._finish_as_acceptor()
        elif kind == Type.DONE:
            self.finish(None)
        elif kind == Type.RESET:
            self.link.send(Type.RESET_ACK, self.label)
            self.finish(Reset(offset).name)
        elif kind == Type.RECLAIM:
            self._limit = max(offset, self._sent)
            self.link.send(Type.RECLAIMED, self.label, self._limit)

    def finish(self, reason):
        if self.over.done():
            return
        self.unroute()
        self.over.set_result(reason)
        if reason is not None:
            self._unread.put_nowait(None)
        self._changed.set()
        self._ends(self, reason)

    # ---- inside ----

    def _change(self):
        self._changed.set()
        self._pump()

    def _pump(self):
        while self.flows:
            size = min(self._base + len(self._unacked), self._limit, self._sent + PIECE) - self._sent
            if size <= 0:
                break
            at = self._sent - self._base
            self.link.send(Type.DATA, self.label, self._sent, bytes(self._unacked[at : at + size]))
            self._sent += size
        if self.flows and self._fin == self._sent and not self._fin_said:
            self._fin_said = True
            self.link.send(Type.FIN, self.label, self._fin)

    def _acknowledge(self, offset):
        if offset > self._base:
            del self._unacked[: offset - self._base]
            self._base = offset

    def _answer(self):
        """ACK and CREDIT for what has come, FIN_ACK in their place at the end."""
        self._ack_timer = None
        if not self.flows:
            return
        if self._peer_fin == self.received:
            if not self._peer_fin_confirmed:
                self._peer_fin_confirmed = True
                self.link.send(Type.FIN_ACK, self.label, self._peer_fin)
                self._finish_as_acceptor()
        elif self.received > self._acked:
            self._acked = self.received
            self.link.send(Type.ACK, self.label, self.received)
            self.granted = self.received + WINDOW
            self.link.send(Type.CREDIT, self.label, self.granted)

    def _finish_as_acceptor(self):
        if not self.is_opener and self.flows and self._peer_fin_confirmed and self._fin_confirmed:
            self.link.send(Type.DONE, self.label)
            self.finish(None)
