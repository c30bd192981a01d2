"""The account's two streams: public tickers, private order, execution, position and wallet.

pybit's threads put frames into the `Mailbox`; `drain`, on the loop, turns them into events. A watchdog on the loop
gives up a dead connection and makes a new one after a back-off; once that is up, a `Gap` states how long the stream was
not received. Bybit replays nothing: after a `Gap`, what happened meanwhile is read by REST (docs/bybit_streams.md 5.5).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence

from gridbot import background
from gridbot.bybit.clocks import monotonic_s, wall_ms
from gridbot.bybit.connection_life import Life
from gridbot.bybit.endpoints import Credentials, Endpoints
from gridbot.bybit.event_times import Horizon
from gridbot.bybit.mailbox import Mailbox, Ticker
from gridbot.bybit.parse_market import parse_public_trade, parse_ticker
from gridbot.bybit.private_frames import PRIVATE_TOPICS, read_private
from gridbot.bybit.raw_fields import RowProblem, parse_rows
from gridbot.bybit.stream_connection import StreamConnection
from gridbot.bybit.stream_settings import StreamSettings
from gridbot.bybit.stream_socket import BybitSocket, Topics
from gridbot.core.events import TickerEvent
from gridbot.doors.plain_text import one_line
from gridbot.exchange.failures import ErrorKind, make_error
from gridbot.exchange.stream_news import ConnectionState, Drained, Gap, PrivateEvent, StreamHealth

__all__ = ["StreamSet"]

log = logging.getLogger(__name__)

STOP_S = 1.5
TICKER_LATE_S = 30.0


class StreamSet:
    """The streams of an account for some symbols (`ports.Streams`).

    `on_wake` is called on `loop` when there is something to `drain`, once until it is drained; trades alone do not
    count. `clock_offset_ms` is added to our clock when signing in (give it `rest.clock_offset_ms`). `dial` makes a
    connection, as `BybitSocket` does.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        credentials: Credentials,
        symbols: Sequence[str],
        *,
        loop: asyncio.AbstractEventLoop,
        on_wake: Callable[[], None],
        clock_offset_ms: Callable[[], int] = lambda: 0,
        settings: StreamSettings | None = None,
        dial: Callable[..., BybitSocket] = BybitSocket,
    ) -> None:
        self._symbols = tuple(dict.fromkeys(symbols))
        self._loop = loop
        settings = settings or StreamSettings()
        self._limits = settings.limits
        self._mailbox = Mailbox(loop, on_wake)
        self._changed = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None
        self._missed: list[Gap] = []
        public = ("tickers", "publicTrade") if settings.public_trades else ("tickers",)
        public_topics: Topics = {name: [f"{name}.{symbol}" for symbol in self._symbols] for name in public}
        private_topics: Topics = {topic: [topic] for topic in PRIVATE_TOPICS}

        def public_socket(life: Life) -> BybitSocket:
            return dial(endpoints.ws_public, life, public_topics, settings=settings)

        def private_socket(life: Life) -> BybitSocket:
            return dial(
                endpoints.ws_private,
                life,
                private_topics,
                credentials,
                settings=settings,
                clock_offset_ms=clock_offset_ms,
            )

        self._horizon = Horizon(lambda: wall_ms() + clock_offset_ms())
        shared = (self._mailbox, self._wake_watchdog, settings, self._horizon)
        self._public = StreamConnection("public", public_topics, public_socket, *shared)
        self._private = StreamConnection("private", private_topics, private_socket, *shared)
        self._connections = (self._public, self._private) if self._symbols else (self._private,)

    # ------------------------------------------------------------------ life

    async def start(self) -> None:
        """Connect, sign in and subscribe. Returns when every topic is confirmed.

        Raises ExchangeError, with everything closed again: AUTH when the sign-in was refused, RETRY when there was no
        answer within `limits.connect_s`, the HTTP status's kind when the exchange refused the connection.
        """
        try:
            for connection in self._connections:
                connection.connect()
            await self._until_ready()
        except BaseException:
            await self.stop()
            raise
        self._watch = background.start(self._keep_alive(), name="the watchdog of the streams")

    async def stop(self) -> None:
        """Close both; returns within two seconds even when a socket hangs (its daemon thread is left behind)."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None
        sockets = [socket for connection in self._connections if (socket := connection.close()) is not None]
        for socket in sockets:
            socket.leave()
        deadline_s = monotonic_s() + STOP_S
        while any(socket.is_running for socket in sockets) and monotonic_s() < deadline_s:
            await asyncio.sleep(0.005)

    # ------------------------------------------------------------------ what came

    def drain(self) -> Drained:
        """Everything that has arrived since the last call, parsed. Call on the loop."""
        tickers, frames = self._mailbox.open()
        private: list[PrivateEvent] = []
        for frame in frames:
            try:
                events, problems = read_private(frame)
            except Exception as error:  # noqa: BLE001 - reported; the frames behind it are read
                background.report(f"reading a message of {frame.topic}", error)
                self._missed.append(Gap("private", wall_ms(), wall_ms()))
                continue
            private += self._horizon.bounded(events)
            if problems:
                self._note_missed(frame.topic, problems)
        gaps, self._missed = self._missed, []
        for connection in self._connections:
            gaps += connection.gaps
            connection.gaps.clear()
        trades, _ = parse_rows(parse_public_trade, self._mailbox.take_trades(), id_field="i")
        return Drained(list(_read_tickers(tickers)), private, gaps, self._horizon.bounded(trades))

    @property
    def health(self) -> StreamHealth:
        """Both streams as they are now."""
        now_s = monotonic_s()
        ages = {symbol: self._public.ticker_s.get(symbol) for symbol in self._symbols}
        return StreamHealth(
            public=self._public.health(now_s),
            private=self._private.health(now_s),
            ticker_age_s={symbol: None if at_s is None else max(0.0, now_s - at_s) for symbol, at_s in ages.items()},
        )

    @property
    def private_alive(self) -> bool:
        """Whether private events reach us now: signed in, subscribed, and a sign of life within `limits.pong_s`."""
        health = self._private.health(monotonic_s())
        return health.is_ready and health.alive_age_s is not None and health.alive_age_s <= self._limits.pong_s

    def problems(self) -> list[str]:
        """What is wrong with the streams, in sentences; empty when all is well."""
        health = self.health
        found = [
            f"{name} stream is down for {of.down_s:.0f} s: {of.error or of.state}"
            for name, of in (("public", health.public), ("private", health.private))
            if not of.is_ready and (self._symbols or name == "private")
        ]
        if health.public.is_ready:
            found += [
                f"no ticker of {symbol} for {age_s:.0f} s"
                for symbol, age_s in health.ticker_age_s.items()
                if age_s is not None and age_s > TICKER_LATE_S
            ]
        return found

    # ------------------------------------------------------------------ inside

    def _wake_watchdog(self) -> None:
        """From any thread: have the watchdog check now."""
        try:
            self._loop.call_soon_threadsafe(self._changed.set)
        except RuntimeError:  # the loop is closed
            return

    async def _until_ready(self) -> None:
        deadline_s = monotonic_s() + self._limits.connect_s
        while True:
            self._changed.clear()
            for connection in self._connections:
                if connection.state is ConnectionState.LOST:
                    raise connection.failure()
            if all(connection.state is ConnectionState.READY for connection in self._connections):
                return
            try:
                async with asyncio.timeout(deadline_s - monotonic_s()):
                    await self._changed.wait()
            except TimeoutError:
                waiting = ", ".join(f"{connection.kind} {connection.state}" for connection in self._connections)
                raise make_error(
                    f"expected both streams within {self._limits.connect_s:.0f} s, got: {waiting}", ErrorKind.RETRY
                ) from None

    async def _keep_alive(self) -> None:
        while True:
            self._changed.clear()
            wait_s = self._limits.check_s
            for connection in self._connections:
                try:
                    wait_s = min(wait_s, connection.step(monotonic_s()))
                except Exception as error:  # noqa: BLE001 - reported; the watchdog must go on
                    background.report(f"the watchdog of the {connection.kind} stream", error)
            try:
                async with asyncio.timeout(max(0.0, wait_s)):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _note_missed(self, topic: str, problems: Sequence[RowProblem]) -> None:
        log.error("%s message: %d rows unreadable, asking by REST instead: %s", topic, len(problems), problems[0])
        now_ms = wall_ms()
        self._missed.append(Gap("private", now_ms, now_ms))


def _read_tickers(tickers: Sequence[Ticker]) -> Iterator[TickerEvent]:
    for ticker in tickers:
        try:
            yield parse_ticker(ticker.fields, ticker.sent_ms, ticker.received_ns)
        except ValueError as error:
            log.warning("ticker of %s left out: %s", one_line(str(ticker.fields.get("symbol"))), error)
