"""The fast path for plain requests: parsed and answered at once, without a task or a response object.

aiohttp's server costs about 140 us of CPU a request, more than the exchange itself. A connection begins here; whatever
is not a plain API request (WebSocket upgrade, control, chunked body, faults to inject) goes to aiohttp together
with its connection, which stays there.

    connected ── plain request: answered, header and body in one write ──> connected
        ├─────── its answers are not read or wait for the disk, or it waits for its turn: reads no further ──> connected
        └─────── anything else: `set_protocol(aiohttp's)`, bytes handed on ──> aiohttp
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from time import monotonic

from aiohttp import web

from gridbot.core.strict_numbers import count_or_none
from gridbot.paper.api.callers import Caller
from gridbot.paper.api.dispatch import Reply
from gridbot.paper.server.open_callers import OpenCallers
from gridbot.paper.server.stranger_turns import StrangerTurns
from gridbot.paper.streams.outgoing import Outgoing

__all__ = ["Answer", "FastHttp", "parse_head"]

MAX_HEAD = 16_384
MAX_BODY = 1 << 20
MAX_HELD = 100
"""Answers of one connection that wait for the disk."""
IN_A_TURN = 64
"""Requests of one connection that are answered in a turn of the loop; the others of a piece wait for the next."""

Answer = Callable[[str, str, dict[str, str], bytes, Caller], Reply | None]
"""(verb, target, headers with upper-case names, body, who asks) to a reply; None: not by the fast path."""


def parse_head(head: bytes) -> tuple[str, str, dict[str, str]] | None:
    """(verb, target, headers) of an HTTP/1.1 request head; None for anything unusual."""
    lines = head.decode("latin-1").split("\r\n")
    parts = lines[0].split(" ")
    if len(parts) != 3 or parts[2] != "HTTP/1.1" or not parts[1].startswith("/v5/"):
        return None
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        name = name.upper()
        if not colon or name in headers or name != name.strip():  # twice, or a line that goes on
            return None
        headers[name] = value.strip()
    if "UPGRADE" in headers or "TRANSFER-ENCODING" in headers or "EXPECT" in headers:
        return None
    if headers.get("CONNECTION", "keep-alive").lower() != "keep-alive":
        return None
    return parts[0], parts[1], headers


class FastHttp(asyncio.Protocol):
    """One connection until it turns out to need aiohttp."""

    def __init__(
        self,
        answer: Answer,
        aiohttp_server: web.Server,
        callers: OpenCallers,
        outgoing: Outgoing,
        refusal: Callable[[], Reply],
        turns: StrangerTurns,
    ) -> None:
        """When `outgoing` keeps what they tell, answers leave once it is kept, and become `refusal` if it cannot be."""
        self._answer = answer
        self._outgoing = outgoing
        self._keeps = outgoing.keeps
        self._refusal = refusal
        self._aiohttp_server = aiohttp_server
        self._callers = callers
        self._turns = turns
        self._buffer = b""
        self._head: tuple[str, str, dict[str, str]] | None = None  # parsed, while its body is still coming
        self._transport: asyncio.Transport | None = None
        self._caller = Caller("")
        self._held = 0
        self._is_full = False  # the client does not read
        self._stopped = False
        self._waits = False  # for its turn

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._caller = self._callers.opened(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._callers.closed(self._transport)

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        self._go_on()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._waits:
            return
        began_s, known, served = monotonic(), self._caller.known, 0
        while self._buffer:
            if self._is_full or self._held >= MAX_HELD:
                self._stop()
                break
            if served >= IN_A_TURN:
                self._waits = True
                self._stop()
                asyncio.get_running_loop().call_soon(self._in_turn)
                break
            if not self._turns.may_go_on(self._caller, served):
                self._waits = True
                self._stop()
                self._turns.wait(self._in_turn)
                break
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self._buffer) > MAX_HEAD:
                    self._hand_over()
                break
            request = self._head or parse_head(self._buffer[:end])
            length = None if request is None else count_or_none(request[2].get("CONTENT-LENGTH", "0"))
            if request is None or length is None or length > MAX_BODY:
                self._hand_over()
                return
            total = end + 4 + length
            if len(self._buffer) < total:
                self._head = request
                break
            self._head = None
            reply = self._answer(*request, self._buffer[end + 4 : total], self._caller)
            if reply is None:
                self._hand_over()
                return
            served += 1
            self._buffer = self._buffer[total:]
            self._send(reply)
        self._caller.unfinished = bool(self._buffer)
        if not known:
            self._turns.spent(monotonic() - began_s)

    def _in_turn(self) -> None:
        self._waits = False
        self._go_on()

    def _send(self, reply: Reply) -> None:
        settled = self._outgoing.settled() if self._keeps else True
        if settled:
            self._write(reply)
        elif settled is None:
            self._held += 1
            self._outgoing.hold(partial(self._release, reply), self._refuse_held)
        else:
            self._write(self._refusal())

    def _release(self, reply: Reply) -> None:
        self._held -= 1
        self._write(reply)
        self._go_on()

    def _refuse_held(self) -> None:
        self._release(self._refusal())

    def _stop(self) -> None:
        """Read nothing more until what was answered is read."""
        assert self._transport is not None
        self._stopped = self._caller.unfinished = True
        self._transport.pause_reading()

    def _go_on(self) -> None:
        if (
            self._stopped
            and not self._waits
            and not self._is_full
            and self._transport is not None
            and not self._transport.is_closing()
        ):
            self._stopped = False
            self._transport.resume_reading()
            self.data_received(b"")

    def _write(self, reply: Reply) -> None:
        assert self._transport is not None
        head = f"HTTP/1.1 {reply.status} {_REASONS.get(reply.status, 'Error')}\r\nContent-Type: application/json\r\n"
        for name, value in reply.headers.items():
            head += f"{name}: {value}\r\n"
        self._transport.write(f"{head}Content-Length: {len(reply.body)}\r\n\r\n".encode() + reply.body)

    def _hand_over(self) -> None:
        assert self._transport is not None
        self._caller.unfinished = False
        protocol = self._aiohttp_server()
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        protocol.data_received(self._buffer)
        self._buffer = b""


_REASONS = {200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found"}
