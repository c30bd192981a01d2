"""A line with aiohttp's WebSocket client, which the plain installation has.

Reading is a task that awaits one message after another; aiohttp stops reading the socket while more than a hundred kB
wait for it. Writing: aiohttp's `send_str` is a coroutine, yet without compression it waits for nothing but room in the
buffer, of which there is enough: what may wait there is bounded by us. So it is run to its end at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Coroutine, Sized
from typing import Any

import aiohttp
from aiohttp import WSMsgType, abc

from gridbot.bybit.clocks import monotonic_ns
from gridbot.bybit.dialling import tls_context
from gridbot.bybit.line_base import LineBase, Refused, TooLong, TurnBudget
from gridbot.bybit.line_route import addresses, make_socket, proxy_for
from gridbot.doors.plain_text import one_line

__all__ = ["AiohttpLine"]


class _Names(abc.AbstractResolver):
    """Looks names up as `line_route` does."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[abc.ResolveResult]:
        return [
            abc.ResolveResult(hostname=host, host=address, port=port, family=of, proto=0, flags=socket.AI_NUMERICHOST)
            for of, address in await addresses(host, port)
        ]

    async def close(self) -> None:
        """Nothing to close."""


async def _refuse_redirect(*_: Any) -> None:
    raise TooLong("the exchange sends us to another address")


class AiohttpLine(LineBase):
    """A `Line`; for `Dial`."""

    _session: aiohttp.ClientSession | None = None
    _socket: aiohttp.ClientWebSocketResponse[bool] | None = None
    _transport: asyncio.Transport | None = None
    _waiting: Sized | None = None

    async def _connect(self) -> None:
        trace = aiohttp.TraceConfig()
        trace.on_request_redirect.append(_refuse_redirect)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=tls_context(),
                resolver=_Names(),
                force_close=True,
                socket_factory=lambda row: make_socket(row[0]),
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            trace_configs=[trace],
        )
        try:
            self._socket = await self._session.ws_connect(
                self._url,
                autoping=False,
                autoclose=False,
                compress=0,
                decode_text=False,
                max_msg_size=self._settings.max_message_bytes,
                proxy=proxy_for(self._url),
                timeout=aiohttp.ClientWSTimeout(ws_close=self._settings.goodbye_s),
            )
        except aiohttp.WSServerHandshakeError as refused:
            if refused.status != 101:
                raise Refused(refused.status) from None
            raise TooLong("the answer to the upgrade is no WebSocket's") from None
        connection = self._socket._response.connection
        self._transport = connection.transport if connection is not None else None
        if self._transport is not None:  # what may wait is bounded by us, so aiohttp never waits for room
            self._transport.set_write_buffer_limits(high=2 * self._settings.max_unsent_bytes)
        # Not public, and only a hint: without it a message is taken for one of several.
        self._waiting = getattr(getattr(self._socket, "_reader", None), "_buffer", None)

    async def _listen(self) -> None:
        opened = self._socket
        assert opened is not None
        receive, budget, waiting = opened.receive, TurnBudget(), self._waiting
        text, binary = WSMsgType.TEXT, WSMsgType.BINARY
        while True:
            kind, data, _ = await receive()
            if kind is text or kind is binary:
                self.has_more = waiting is None or len(waiting) > 0
                self._heard(data, monotonic_ns())  # bytes, as asked for
                if not budget.take(len(data)):
                    await asyncio.sleep(0)
            elif kind is WSMsgType.PONG:
                self._ponged()
            elif kind is WSMsgType.PING:
                self._guarded_write(lambda answer=data: _run(opened.pong(answer)))  # type: ignore[misc]
                if not budget.take(0):
                    await asyncio.sleep(0)
            elif kind is WSMsgType.ERROR:
                raise TooLong(one_line(f"a frame breaks the protocol: {data}"))
            else:
                if kind is WSMsgType.CLOSE and not self._is_muted:
                    self._guarded_write(self._write_close)
                return

    async def _let_go(self) -> None:
        session, self._session = self._session, None
        if self._socket is not None:
            self._socket._response.close()  # else its connection complains to the loop when it is collected
        if session is not None:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                await session.close()

    def _cut(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _write_text(self, text: str) -> None:
        assert self._socket is not None
        _run(self._socket.send_str(text))

    def _write_ping(self) -> None:
        assert self._socket is not None
        _run(self._socket.ping())

    def _write_close(self) -> None:
        assert self._socket is not None
        _run(self._socket.send_frame((1000).to_bytes(2, "big"), WSMsgType.CLOSE))

    def _unsent_bytes(self) -> int:
        return 0 if self._transport is None else self._transport.get_write_buffer_size()


def _run(write: Coroutine[Any, Any, None]) -> None:
    try:
        write.send(None)
    except StopIteration:
        return
    write.close()  # the frame is in the buffer all the same
