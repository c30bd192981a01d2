"""The trade socket's line without a kernel: requests to the paper exchange's channel, and its answers back.

The exchange's faults strike requests here as over HTTP, by the path that an operation stands for; those of the way
(REST is down or slow, the address is banned) do not.
"""

from __future__ import annotations

import contextvars
from typing import Any

import orjson

from gridbot.bybit.clocks import monotonic_ns
from gridbot.bybit.socket_line import LineListener, LineSettings
from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error
from gridbot.paper.streams.connections import ChannelKind
from gridbot.paper.streams.trade_channel import OPERATIONS
from gridbot.simulation.network import RequestFate
from gridbot.simulation.rest_link import refusal_text
from gridbot.simulation.wires import WireEnd, Wires

__all__ = ["TradeLink"]

CHANNEL = ChannelKind.TRADE


class TradeLink(WireEnd):
    """A `Line` for the worker, and for the exchange a `Connection`."""

    has_more = True

    def __init__(self, wires: Wires, listener: LineListener, settings: LineSettings) -> None:
        super().__init__(wires, CHANNEL, settings, named=False)
        self._listener: LineListener | None = listener
        self._up_s = 0.0
        self._loses_sent = False
        self._asked: tuple[str, dict[str, Any], RequestFate] | None = None
        """Path, arguments and fate of the request that the exchange answers now."""
        self.dial()

    # ------------------------------------------------------------------ what the worker calls

    @property
    def is_over(self) -> bool:
        """Whether nothing of it is left."""
        return self not in self._wires.links

    def send(self, text: str | bytes, *, delay_s: float = 0.0, ticker: str = "") -> None:
        """A text of the worker's to the exchange, or a frame of the exchange's to the worker."""
        if isinstance(text, bytes):
            self._answer(text, delay_s)
        elif self.is_open and not self._wires.network.is_dark(CHANNEL.value):
            self._leave_for_the_exchange(text)

    def leave(self) -> None:
        """A goodbye changes nothing here."""
        self.abandon()

    def abandon(self) -> None:
        """Cut it; what has left arrives all the same."""
        self._listener = None
        self.end()

    # ------------------------------------------------------------------ what the exchange calls

    def send_late(self, frame: bytes, late_s: float) -> None:
        """Send a frame later."""
        self._wires.loop.call_later(late_s, self._answer, frame, 0.0, context=_OUTSIDE)

    def asked(self) -> None:
        """A request has come: as many as the worker likes may be unanswered."""

    def answer(self, frame: bytes | None) -> None:
        """Send the answer to a request; None: it gets none."""
        if frame is not None:
            self._answer(frame, 0.0)

    # ------------------------------------------------------------------ what the wires call

    def end_by_peer(self) -> None:
        """The other side or the network ends it; what is on its way arrives, or does not."""
        self._loses_sent = self._wires.network.jitter() < 0.5
        self._tell_end("connection reset")

    # ------------------------------------------------------------------ inside

    def _tell_end(self, why: str) -> None:
        self.end()
        error = make_error(why, ErrorKind.RETRY)
        self._wires.loop.call_later(self._wires.network.latency(), self._ended, error, context=self.context)

    def _ended(self, error: ExchangeError) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.on_end(error)

    def _refused(self) -> None:
        self._tell_end("nothing listens at the exchange's address")

    def _no_pong(self) -> None:
        self._tell_end("no pong in time")

    def _opened(self) -> None:
        if self._listener is not None:
            self._listener.on_open()

    def _ponged(self) -> None:
        if self._listener is not None:
            self._listener.on_pong()

    # ------------------------------------------------------------------ there

    def _leave_for_the_exchange(self, text: str) -> None:
        wires, request = self._wires, orjson.loads(text)
        path = OPERATIONS.get(request["op"])
        fate = RequestFate(wires.network.latency(), 0.0)
        if path is not None:
            fate = wires.network.request(path, by_socket=True)
        if fate.before == "silent":
            return
        if fate.before:
            self._loses_sent = True
            self._tell_end("connection reset")
            return
        self._up_s = due_s = max(wires.loop.now_s + fate.there_s, self._up_s)
        wires.under_way += 1
        arrives = (text, path, request, fate, wires.loop.now_s)
        wires.loop.call_at(due_s, self._at_the_exchange, *arrives, context=_OUTSIDE)

    def _at_the_exchange(
        self, text: str, path: str | None, request: dict[str, Any], fate: RequestFate, sent_s: float
    ) -> None:
        self._wires.under_way -= 1
        if self._loses_sent:
            return
        venue = self._wires.venue
        if path is None:
            venue.channels.receive(self, text)  # type: ignore[arg-type]
            return
        params = request["args"][0]
        self._asked = path, params, fate
        if fate.code and not fate.code_after:
            self._answer(_refusal(request, fate, venue.now_ms()), 0.0)
        else:
            venue.note_asked(path, params, sent_s)
            venue.channels.receive(self, text)  # type: ignore[arg-type]
        self._asked = None

    # ------------------------------------------------------------------ back

    def _answer(self, frame: bytes, delay_s: float) -> None:
        wires = self._wires
        fate = RequestFate(0.0, wires.network.latency())
        if self._asked is not None:
            path, params, fate = self._asked
            if fate.code and fate.code_after:
                frame = _refusal(orjson.loads(frame), fate, wires.venue.now_ms())
            wires.venue.note_answer(path, params, orjson.loads(frame))
            if fate.after == "silent":
                return
            if fate.after:
                self._tell_end("connection reset")
                return
        if not self.is_open or wires.network.is_dark(CHANNEL.value):
            return
        for way_s in wires.network.answer(fate.back_s) if self._asked is not None else (fate.back_s,):
            wires.under_way += 1
            wires.loop.call_later(delay_s + way_s, self._arrives, frame, context=_OUTSIDE)

    def _arrives(self, frame: bytes) -> None:
        self._wires.under_way -= 1
        if self.is_open:
            self._wires.loop.call_soon(self._told, frame, context=self.context)

    def _told(self, frame: bytes) -> None:
        if self._listener is not None and self.is_open:
            self._listener.on_message(frame, monotonic_ns())


_OUTSIDE = contextvars.Context()


def _refusal(request: dict[str, Any], fate: RequestFate, now_ms: int) -> bytes:
    header: dict[str, str] = {"Timenow": str(now_ms)}
    if fate.code == 10006:
        header |= {"X-Bapi-Limit": "10", "X-Bapi-Limit-Status": "0"}
        header["X-Bapi-Limit-Reset-Timestamp"] = str(now_ms + 1000)
    return orjson.dumps(
        {
            "reqId": request["reqId"],
            "op": request["op"],
            "retCode": fate.code,
            "retMsg": refusal_text(fate.code),
            "data": {},
            "retExtInfo": {},
            "header": header,
        }
    )
