"""A `Line` by aiohttp's client."""

from __future__ import annotations

import asyncio

import aiohttp

from gridbot import background
from gridbot.bybit.clocks import monotonic_ns
from gridbot.bybit.error_mapping import from_http_status
from gridbot.bybit.socket_line import Line, LineListener, LineSettings
from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error

__all__ = ["PlainLine", "dial"]

GOODBYE_S = 0.5


class PlainLine:
    """A line by aiohttp's client."""

    def __init__(self, url: str, listener: LineListener, settings: LineSettings) -> None:
        self._url = url
        self._listener: LineListener | None = listener
        self._settings = settings
        self._socket: aiohttp.ClientWebSocketResponse[bool] | None = None
        self._ping_timer: asyncio.TimerHandle | None = None
        self._task = background.start(self._run(), name="a WebSocket connection")

    @property
    def is_open(self) -> bool:
        """Whether a text would be sent now."""
        return self._listener is not None and self._socket is not None and not self._socket.closed

    @property
    def is_over(self) -> bool:
        """Whether nothing of it is left."""
        return self._task.done()

    def send(self, text: str) -> None:
        """Send a text."""
        if self._socket is not None and self.is_open:
            self._write(self._socket.send_str(text))

    def leave(self) -> None:
        """Close politely, in the background."""
        self._listener = None
        background.start(self._say_goodbye(), name="the end of a WebSocket connection")

    def abandon(self) -> None:
        """Cut it."""
        self._listener = None
        self._task.cancel()

    # ------------------------------------------------------------------ inside

    def _write(self, sending: object) -> None:
        """aiohttp writes to the transport in the first step of this coroutine; the rest only waits for the buffer."""
        try:
            sending.send(None)  # type: ignore[attr-defined]
        except StopIteration:
            return
        except Exception as error:  # noqa: BLE001 - a connection that is going; reported as its end
            self._end(make_error(f"connection lost ({type(error).__name__})", ErrorKind.RETRY))
            return
        sending.close()  # type: ignore[attr-defined]

    async def _say_goodbye(self) -> None:
        try:
            async with asyncio.timeout(GOODBYE_S):
                if self._socket is not None:
                    await self._socket.close()
        except (TimeoutError, aiohttp.ClientError, ConnectionError):
            pass
        finally:
            self._task.cancel()

    async def _run(self) -> None:
        timeout = aiohttp.ClientTimeout(total=None, connect=self._settings.connect_s)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.ws_connect(
                    self._url,
                    autoping=False,
                    compress=0,
                    decode_text=False,
                    max_msg_size=self._settings.max_message_bytes,
                ) as socket,
            ):
                await self._listen(socket)
        except aiohttp.WSServerHandshakeError as error:
            refused = from_http_status(error.status, "the exchange refused the connection")
            kind = ErrorKind.RETRY if refused.kind is ErrorKind.AMBIGUOUS else refused.kind
            self._end(make_error(refused.message, kind, http_status=error.status))
        except ConnectionRefusedError:
            self._end(make_error("nothing listens at the exchange's address", ErrorKind.RETRY))
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            self._end(make_error(f"connection lost ({type(error).__name__})", ErrorKind.RETRY))
        finally:
            if self._ping_timer is not None:
                self._ping_timer.cancel()

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse[bool]) -> None:
        self._socket = socket
        if self._listener is not None:
            self._ping_timer = asyncio.get_running_loop().call_later(self._settings.ping_interval_s, self._ping)
            self._listener.on_open()
        async for message in socket:
            listener = self._listener
            if listener is None:
                return
            if message.type is aiohttp.WSMsgType.TEXT:
                listener.on_message(message.data, monotonic_ns())
            elif message.type is aiohttp.WSMsgType.PING:
                self._write(socket.pong(message.data))
            elif message.type is aiohttp.WSMsgType.PONG:
                self._pong()
                listener.on_pong()
            elif message.type is aiohttp.WSMsgType.ERROR:
                break
        self._end(make_error("the exchange closed the connection", ErrorKind.RETRY))

    def _ping(self) -> None:
        if self._socket is not None and self.is_open:
            self._write(self._socket.ping())
            loop = asyncio.get_running_loop()
            self._ping_timer = loop.call_later(self._settings.ping_timeout_s, self._silent)

    def _pong(self) -> None:
        if self._ping_timer is not None:
            self._ping_timer.cancel()
            self._ping_timer = asyncio.get_running_loop().call_later(self._settings.ping_interval_s, self._ping)

    def _silent(self) -> None:
        self._end(make_error("no pong in time", ErrorKind.RETRY))
        self._task.cancel()

    def _end(self, error: ExchangeError) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.on_end(error)


def dial(url: str, listener: LineListener, settings: LineSettings) -> Line:
    """Connect."""
    return PlainLine(url, listener, settings)
