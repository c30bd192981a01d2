"""A line with picows, which the extra `fast` brings: frames are read in C, and told in the turn that read them.

All frames that lie in picows's buffer come in one go. What is more than a turn may hold waits here, and meanwhile the
socket is not read.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import socket
from collections import deque

import picows
from picows import WSFrame, WSListener, WSMsgType, WSTransport

from gridbot.bybit.clocks import monotonic_ns
from gridbot.bybit.dialling import tls_context
from gridbot.bybit.line_base import LineBase, Refused, TooLong, TurnBudget
from gridbot.bybit.line_route import connected_socket, is_tls, proxy_for
from gridbot.bybit.socket_line import LineListener, LineSettings
from gridbot.core.strict_numbers import count_or_none
from gridbot.doors.plain_text import one_line

__all__ = ["PicowsLine"]

MOST_PIECES = 1_000
"""Of one message."""
LET_GO_S = 1.0
_SILENT = logging.Logger("picows", logging.CRITICAL + 1)
"""What picows would log we tell ourselves, and without what came in the frames."""
_TEXT, _MORE = WSMsgType.TEXT, WSMsgType.CONTINUATION


class _Ears(WSListener):
    """What picows calls."""

    def __init__(self, line: PicowsLine) -> None:
        self._line = line

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._line._connected(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        line = self._line
        if frame.msg_type is _TEXT and frame.fin and not (line._pieces or frame.rsv1 or frame.rsv2 or frame.rsv3):
            line._took(frame.get_payload_as_bytes(), frame.last_in_buffer)
            return
        try:
            line._took_other(frame)
        except TooLong as error:
            line._give_up(error)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._line._closed_by_peer()

    def pause_writing(self) -> None:
        """What waits is bounded by `LineSettings.max_unsent_bytes`."""

    def resume_writing(self) -> None:
        """The same."""


class PicowsLine(LineBase):
    """A `Line`; for `Dial`."""

    _transport: WSTransport | None = None

    _raw: socket.socket | None = None
    """The same connection from its first moment on."""

    def __init__(self, url: str, listener: LineListener, settings: LineSettings) -> None:
        self._budget = TurnBudget()
        self._left_over: deque[tuple[bytes, int]] = deque()
        self._pieces: list[bytes] = []
        self._pieces_size = 0
        self._has_closed = False
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        super().__init__(url, listener, settings)

    async def _connect(self) -> None:
        url = self._url
        try:
            self._transport, _ = await picows.ws_connect(
                lambda: _Ears(self),
                url,
                ssl_context=tls_context() if is_tls(url) else None,
                websocket_handshake_timeout=None,  # `connect_s` is for all of it
                logger_name=_SILENT,
                enable_auto_pong=False,
                max_frame_size=self._settings.max_message_bytes,
                max_redirects=0,
                proxy=proxy_for(url),
                socket_factory=self._dial,
            )
        except picows.WSHandshakeError as refused:
            status = _status_of(refused)
            if status is not None and status != 101:
                raise Refused(status) from None
            raise TooLong(f"the answer to the upgrade is no WebSocket's ({type(refused).__name__})") from None
        if self._transport.is_disconnected and not self._is_open:
            raise ConnectionResetError  # picows returns all the same

    async def _dial(self, target: picows.WSParsedURL) -> socket.socket:
        self._raw = await connected_socket(target.host, target.port)
        return self._raw

    async def _listen(self) -> None:
        await self._over
        assert self._transport is not None
        if self._transport.is_disconnected:
            try:
                await self._transport.wait_disconnected()
            except picows.WSProtocolError as error:
                raise TooLong(one_line(f"a frame breaks the protocol: {error}")) from None

    async def _let_go(self) -> None:
        if self._over.done():
            self._over.exception()  # nobody else may have asked
        if self._transport is not None:
            with contextlib.suppress(Exception):  # what it raises was the end of the line
                async with asyncio.timeout(LET_GO_S):
                    await self._transport.wait_disconnected()

    def _cut(self) -> None:
        self._left_over.clear()
        if self._transport is not None:
            self._transport.disconnect(False)
        elif self._raw is not None:
            with contextlib.suppress(OSError):  # what waits for the upgrade hears of its end
                self._raw.shutdown(socket.SHUT_RDWR)

    def _write_text(self, text: str) -> None:
        assert self._transport is not None
        self._transport.send(_TEXT, text)

    def _write_ping(self) -> None:
        assert self._transport is not None
        self._transport.send_ping()

    def _write_close(self) -> None:
        assert self._transport is not None
        self._transport.send_close(picows.WSCloseCode.OK)

    def _unsent_bytes(self) -> int:
        if self._transport is None:
            return 0
        return self._transport.underlying_transport.get_write_buffer_size()

    # ------------------------------------------------------------------ what picows tells

    def _connected(self, transport: WSTransport) -> None:
        """The first messages may follow in the same turn, before `ws_connect` returns."""
        self._transport = transport
        if self._is_muted:
            self._cut()
        else:
            self._opened()

    def _took(self, data: bytes, is_last: bool) -> None:
        if len(data) > self._settings.max_message_bytes:
            self._give_up(TooLong("a message is longer than allowed"))  # picows goes on for some ms after it saw that
            return
        budget = self._budget
        budget.left -= len(data) + TurnBudget.EACH  # `TurnBudget.take`, which is a step more
        if self._left_over or budget.left <= 0:
            budget.left = TurnBudget.FULL
            self._keep(data)
            return
        self.has_more = not is_last
        if is_last:
            budget.left = TurnBudget.FULL
        self._heard(data, monotonic_ns())

    def _took_other(self, frame: WSFrame) -> None:
        kind = frame.msg_type
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            raise TooLong("a frame breaks the protocol: it is compressed, which nobody has asked for")
        if kind is WSMsgType.PONG:
            self._ponged()
        elif kind is WSMsgType.PING:
            self._guarded_write(functools.partial(self._write_pong, frame.get_payload_as_bytes()))
        elif kind is WSMsgType.CLOSE:
            if not self._is_muted:
                self._guarded_write(self._write_close)
            self._closed_by_peer()
        else:
            self._took_piece(frame)

    def _write_pong(self, payload: bytes) -> None:
        assert self._transport is not None
        self._transport.send_pong(payload)

    def _took_piece(self, frame: WSFrame) -> None:
        """A piece of a message, or a binary one."""
        if (frame.msg_type is _MORE) is not bool(self._pieces):
            raise TooLong("a frame breaks the protocol: a piece of a message, or a message within another")
        data = frame.get_payload_as_bytes()
        self._pieces.append(data)
        self._pieces_size += len(data)
        if self._pieces_size > self._settings.max_message_bytes or len(self._pieces) > MOST_PIECES:
            raise TooLong("a message has too many pieces, or is longer than allowed")
        if frame.fin:
            whole = b"".join(self._pieces)
            self._pieces.clear()
            self._pieces_size = 0
            self._took(whole, frame.last_in_buffer)

    def _closed_by_peer(self) -> None:
        """After what is left over."""
        self._has_closed = True
        if not self._over.done() and not self._left_over:
            self._over.set_result(None)

    def _give_up(self, error: TooLong) -> None:
        if not self._over.done():
            self._over.set_exception(error)

    # ------------------------------------------------------------------ more than a turn may hold

    def _keep(self, data: bytes) -> None:
        if not self._left_over:
            self._pause(True)
            self._loop.call_soon(self._next_turn)
        self._left_over.append((data, monotonic_ns()))

    def _next_turn(self) -> None:
        left, budget = self._left_over, TurnBudget()
        while left:
            data, received_ns = left.popleft()
            self.has_more = bool(left)
            self._heard(data, received_ns)
            if left and not budget.take(len(data)):
                self._loop.call_soon(self._next_turn)
                return
        if self._has_closed:
            self._closed_by_peer()
        elif not self._is_muted:
            self._pause(False)

    def _pause(self, paused: bool) -> None:
        transport = self._transport.underlying_transport if self._transport is not None else None
        if transport is not None and not transport.is_closing():
            if paused:
                transport.pause_reading()
            else:
                transport.resume_reading()


def _status_of(refused: picows.WSHandshakeError) -> int | None:
    """The HTTP status in the first line of the answer, whatever picows thinks of it; None without one."""
    first = (refused.raw_header or b"").split(b"\r\n", 1)[0].split(b" ")
    return count_or_none(first[1].decode("ascii", "replace")) if len(first) > 1 else None
