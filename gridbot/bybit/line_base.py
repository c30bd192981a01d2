"""What all lines over a real socket have in common: their life, pings, words for errors. Libraries stand below."""

from __future__ import annotations

import abc
import asyncio
import ssl
from collections.abc import Callable

from gridbot import background
from gridbot.bybit.error_mapping import from_http_status
from gridbot.bybit.socket_line import LineListener, LineSettings
from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error

__all__ = ["LineBase", "Refused", "TooLong", "TurnBudget"]

CLOSED = "the exchange closed the connection"
LONGEST_TICK_S = 1.0


class Refused(Exception):
    """The exchange answered the upgrade with another HTTP status than 101."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class TooLong(Exception):
    """A message is longer than allowed, or breaks the protocol; the text says which."""


class TurnBudget:
    """How much of what has come may be told in one turn of the loop: other things get theirs."""

    __slots__ = ("left",)

    FULL = 256_000
    EACH = 1_000

    def __init__(self) -> None:
        self.left = self.FULL

    def take(self, size: int) -> bool:
        """Count a message of so many bytes; False when the turn is used up, which begins a new one."""
        self.left -= size + self.EACH
        if self.left > 0:
            return True
        self.left = self.FULL
        return False


class LineBase(abc.ABC):
    """A `Line`. Its task connects, listens, and lets go of everything; a timer sends the pings.

    Time in which our own loop did not run (it was busy, or the process stopped) is not the other side's: each tick of
    the timer counts for two ticks at most, and after a stall what lies in the socket is read before the next one.
    """

    def __init__(self, url: str, listener: LineListener, settings: LineSettings) -> None:
        self._url = url
        self._listener = listener
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._is_muted = False
        self._is_open = False
        self.has_more = True
        """See `Line`."""
        self._tick_s = min(LONGEST_TICK_S, settings.ping_interval_s / 4, settings.ping_timeout_s / 4)
        self._ticked_s = 0.0
        self._since_ping_s = 0.0
        self._awaiting_s: float | None = None
        """For how long a pong has been awaited."""
        self._timer: asyncio.TimerHandle | None = None
        self._work = background.start(self._live(), name="a socket of the exchange")

    # ------------------------------------------------------------------ for its owner (`Line`)

    @property
    def is_open(self) -> bool:
        return self._is_open

    @property
    def is_over(self) -> bool:
        return self._work.done()

    def send(self, text: str) -> None:
        if self._is_open:
            self._guarded_write(lambda: self._write_text(text))

    def leave(self) -> None:
        was_open, self._is_open, self._is_muted = self._is_open, False, True
        if not was_open:
            self.abandon()
            return
        self._guarded_write(self._write_close)
        self._set_timer(self._settings.goodbye_s, self.abandon)

    def abandon(self) -> None:
        self._is_open, self._is_muted = False, True
        self._stop_timer()
        self._cut()
        self._work.cancel()

    # ------------------------------------------------------------------ for the libraries below

    @abc.abstractmethod
    async def _connect(self) -> None:
        """Connect, sockets and upgrade and all. Raises what it likes; `Refused` for an HTTP status."""

    @abc.abstractmethod
    async def _listen(self) -> None:
        """Tell what comes (`_heard`, `_ponged`) and return when the other side has closed, with `TooLong` or OSError
        when there is another reason."""

    @abc.abstractmethod
    async def _let_go(self) -> None:
        """Close whatever is left, at once."""

    @abc.abstractmethod
    def _cut(self) -> None:
        """End the socket without a word; safe at any time, and more than once."""

    @abc.abstractmethod
    def _write_text(self, text: str) -> None:
        """Write it now, or let it wait in the buffer of the transport."""

    @abc.abstractmethod
    def _write_ping(self) -> None:
        """A ping frame."""

    @abc.abstractmethod
    def _write_close(self) -> None:
        """A close frame with code 1000."""

    @abc.abstractmethod
    def _unsent_bytes(self) -> int:
        """What waits in the buffer of the transport."""

    def _heard(self, data: bytes, received_ns: int) -> None:
        if not self._is_muted:
            try:
                self._listener.on_message(data, received_ns)
            except Exception as error:  # noqa: BLE001 - reported; one message must not end a line
                background.report("a message of the exchange could not be used", error)

    def _ponged(self) -> None:
        self._awaiting_s = None
        if not self._is_muted:
            self._tell(self._listener.on_pong)

    def _guarded_write(self, write: Callable[[], None]) -> None:
        """Write; a failure ends the line, and so does a peer that does not read."""
        try:
            write()
            unsent = self._unsent_bytes()
        except Exception as error:  # noqa: BLE001 - told as the end of the line
            self._fail(in_words(error))
            return
        if unsent > self._settings.max_unsent_bytes:
            self._fail(make_error(f"the exchange does not read: {unsent} bytes wait", ErrorKind.RETRY))

    # ------------------------------------------------------------------ inside

    async def _live(self) -> None:
        error: ExchangeError | None = None
        try:
            async with asyncio.timeout(self._settings.connect_s):
                await self._connect()
            self._opened()
            await self._listen()
        except asyncio.CancelledError:
            if not self._is_muted:
                raise
        except Exception as failure:  # noqa: BLE001 - told as the end of the line
            error = in_words(failure, is_connected=self._is_open)
        finally:
            self._stop_timer()
            self._fail(error or make_error(CLOSED, ErrorKind.RETRY))
            await self._let_go()

    def _opened(self) -> None:
        """Once: a library may say it before `_connect` returns, when messages follow at once."""
        if self._is_muted or self._is_open:
            return
        self._is_open = True
        self._ticked_s = self._loop.time()
        self._set_timer(self._tick_s, self._tick)
        self._tell(self._listener.on_open)

    def _tick(self) -> None:
        now_s = self._loop.time()
        passed_s = min(now_s - self._ticked_s, 2 * self._tick_s)
        self._ticked_s = now_s
        self._set_timer(self._tick_s, self._tick)
        self._since_ping_s += passed_s
        if self._awaiting_s is not None:
            self._awaiting_s += passed_s
            if self._awaiting_s > self._settings.ping_timeout_s:
                self._fail(make_error("no pong in time", ErrorKind.RETRY))
                return
        if self._since_ping_s >= self._settings.ping_interval_s:
            self._since_ping_s = 0.0
            if self._awaiting_s is None:
                self._awaiting_s = 0.0
            self._guarded_write(self._write_ping)

    def _fail(self, error: ExchangeError) -> None:
        """The line is over: tell it once, and cut."""
        was_muted, self._is_muted, self._is_open = self._is_muted, True, False
        self._stop_timer()
        self._cut()
        if not was_muted:
            if self._work is not asyncio.current_task():
                self._work.cancel()
            self._tell(lambda: self._listener.on_end(error))

    def _tell(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - reported; the line goes on
            background.report("a listener of a socket", error)

    def _set_timer(self, delay_s: float, step: Callable[[], None]) -> None:
        self._stop_timer()
        self._timer = self._loop.call_later(delay_s, step)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def in_words(error: BaseException, *, is_connected: bool = True) -> ExchangeError:
    """Errors of connecting and reading. Nothing here is ambiguous: what was sent is the business of who sent it."""
    if isinstance(error, ExchangeError):
        return error
    if isinstance(error, Refused):
        refused = from_http_status(error.status, "the exchange refused the stream")
        if refused.kind is ErrorKind.AMBIGUOUS:
            return make_error(refused.message, ErrorKind.RETRY, http_status=error.status)
        return refused
    if isinstance(error, TooLong):
        return make_error(str(error), ErrorKind.RETRY)
    cause: BaseException | None = error
    for _ in range(5):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return make_error(f"its certificate is not to be trusted: {cause.verify_message}", ErrorKind.RETRY)
        if isinstance(cause, ConnectionRefusedError):
            return make_error("nothing listens at the exchange's address", ErrorKind.RETRY)
        cause = cause.__cause__ or cause.__context__ if cause is not None else None
    if isinstance(error, TimeoutError) and not is_connected:
        return make_error("no connection in time", ErrorKind.RETRY)
    return make_error(f"connection lost ({type(error).__name__})", ErrorKind.RETRY)
