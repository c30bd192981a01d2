"""The account's two streams: public tickers, private order, execution, position and wallet.

Everything happens on the loop. What comes lies in the `Mailbox` until `drain` takes it. A watchdog
gives up a dead connection and makes a new one after a back-off; once that is up, a `Gap` states how long the stream was
not received. Bybit replays nothing: after a `Gap`, what happened meanwhile is read by REST (docs/bybit_streams.md 5.5).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence

from gridbot import background
from gridbot.bybit.clocks import monotonic_s, wall_ms
from gridbot.bybit.connection_life import Life, Manners
from gridbot.bybit.endpoints import Credentials, Endpoints
from gridbot.bybit.event_times import Horizon
from gridbot.bybit.line_choice import dial_line
from gridbot.bybit.mailbox import Mailbox
from gridbot.bybit.parse_market import parse_public_trade
from gridbot.bybit.private_frames import DEAD_MAN_TOPIC, PRIVATE_TOPICS, read_private
from gridbot.bybit.raw_fields import RowProblem, parse_rows
from gridbot.bybit.socket_line import Dial, Line, LineSettings
from gridbot.bybit.stream_connection import StreamConnection
from gridbot.bybit.stream_settings import StreamSettings
from gridbot.bybit.stream_talk import Topics
from gridbot.exchange.failures import ErrorKind, make_error
from gridbot.exchange.requests import PublicTrade
from gridbot.exchange.stream_news import ConnectionState, Drained, Gap, PrivateEvent, StreamHealth

__all__ = ["StreamSet"]

log = logging.getLogger(__name__)

STOP_S = 1.5
TICKER_LATE_S = 30.0
STALL_S = 0.5
"""A timer that is so late says that our own loop stood still."""
READ_S = 1.0
"""Time for what lies in the sockets after that."""


class StreamSet:
    """The streams of an account for some symbols (`ports.Streams`).

    `on_wake` is called on `loop` when there is something to `drain`, once until it is drained; trades alone do not
    count. `clock_offset_ms` is added to our clock when signing in (give it `rest.clock_offset_ms`). `dial` makes the
    connections.
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
        dial: Dial = dial_line,
    ) -> None:
        self._symbols = tuple(dict.fromkeys(symbols))
        settings = settings or StreamSettings()
        self._limits = settings.limits
        self._mailbox = Mailbox(loop, on_wake)
        self._changed = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None
        self._missed: list[Gap] = []
        public = ("tickers", "publicTrade") if settings.public_trades else ("tickers",)
        self._topics = {name: [f"{name}.{symbol}" for symbol in self._symbols] for name in public}
        wanted = (*PRIVATE_TOPICS, DEAD_MAN_TOPIC) if settings.dead_man else PRIVATE_TOPICS
        private_topics: Topics = {topic: [topic] for topic in wanted}

        of_lines = LineSettings(
            ping_interval_s=settings.ping_interval_s,
            ping_timeout_s=settings.ping_timeout_s,
            connect_s=settings.limits.connect_s,
        )

        def dial_public(life: Life) -> Line:
            return dial(endpoints.ws_public, life, of_lines)

        def dial_private(life: Life) -> Line:
            return dial(endpoints.ws_private, life, of_lines)

        sign_in = (settings.private_auth_expire_s, clock_offset_ms)
        self._horizon = Horizon(lambda: wall_ms() + clock_offset_ms())
        shared = (self._mailbox, self._changed.set, settings, self._horizon)
        self._public = StreamConnection("public", Manners("public", self._topics, None, *sign_in), dial_public, *shared)
        self._private = StreamConnection(
            "private",
            Manners("private", private_topics, credentials, *sign_in, optional=frozenset({DEAD_MAN_TOPIC})),
            dial_private,
            *shared,
        )
        self._connections = self._wanted()

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
        """Close both; returns within two seconds even when the other side hangs: then they are cut."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None
        lines = [line for connection in self._connections if (line := connection.close()) is not None]
        for line in lines:
            line.leave()
        deadline_s = monotonic_s() + STOP_S
        while any(not line.is_over for line in lines) and monotonic_s() < deadline_s:
            await asyncio.sleep(0.005)
        for line in lines:
            line.abandon()

    # ------------------------------------------------------------------ symbols that come and go

    def follow(self, symbol: str) -> None:
        """Hear of one more symbol; the other topics go on."""
        if symbol in self._symbols:
            return
        self._symbols += (symbol,)
        topics = [f"{name}.{symbol}" for name in self._topics]
        for (_, wanted), topic in zip(self._topics.items(), topics, strict=True):
            wanted.append(topic)
        if self._public in self._connections:
            self._public.also(topics)
        else:
            self._connections = self._wanted()
            self._public.connect()

    def forget(self, symbol: str) -> None:
        """Hear of it no more."""
        if symbol not in self._symbols:
            return
        self._symbols = tuple(each for each in self._symbols if each != symbol)
        topics = [f"{name}.{symbol}" for name in self._topics]
        for (_, wanted), topic in zip(self._topics.items(), topics, strict=True):
            wanted.remove(topic)
        self._public.ticker_s.pop(symbol, None)
        if self._symbols:
            self._public.no_more(topics)
            return
        self._connections = self._wanted()
        line = self._public.close()
        if line is not None:
            line.abandon()

    def _wanted(self) -> tuple[StreamConnection, ...]:
        return (self._public, self._private) if self._symbols else (self._private,)

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
            if connection.gaps:
                gaps += connection.gaps
                connection.gaps.clear()
        trades: list[PublicTrade] = []
        if self._mailbox.trades:
            read, _ = parse_rows(parse_public_trade, self._mailbox.take_trades(), id_field="i")
            trades = self._horizon.bounded(read)
        return Drained(tickers, private, gaps, trades)

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

    @property
    def dead_man_refused(self) -> str:
        """Why the exchange does not take the topic of its disconnect-cancel-all; "" while it does, or is not asked."""
        return self._private.refused.get(DEAD_MAN_TOPIC, "")

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

    async def _until_ready(self) -> None:
        deadline_s = monotonic_s() + self._limits.connect_s
        while True:
            self._changed.clear()
            for connection in self._connections:
                if connection.state is ConnectionState.LOST:
                    raise connection.failure()
            if all(connection.state is ConnectionState.READY for connection in self._connections):
                return
            left_s = deadline_s - monotonic_s()
            if left_s <= 0:  # on a full machine the news and the end of the time may come at once: news first
                waiting = ", ".join(f"{connection.kind} {connection.state}" for connection in self._connections)
                raise make_error(
                    f"expected both streams within {self._limits.connect_s:.0f} s, got: {waiting}", ErrorKind.RETRY
                )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._changed.wait()

    async def _keep_alive(self) -> None:
        while True:
            self._changed.clear()
            wait_s = self._limits.check_s
            for connection in self._connections:
                try:
                    wait_s = min(wait_s, connection.step(monotonic_s()))
                except Exception as error:  # noqa: BLE001 - reported; the watchdog must go on
                    background.report(f"the watchdog of the {connection.kind} stream", error)
            await self._change_within(wait_s)

    async def _change_within(self, wait_s: float) -> None:
        """Wait until something has changed, at most so long.

        When we were away (stopped, or busy) the time is not the exchange's, and what has come meanwhile is read first.
        """
        while True:
            due_s = monotonic_s() + max(0.0, wait_s)
            try:
                async with asyncio.timeout(max(0.0, wait_s)):
                    await self._changed.wait()
            except TimeoutError:
                pass
            now_s = monotonic_s()
            if now_s - due_s < STALL_S:
                return
            for connection in self._connections:
                connection.excuse(due_s, now_s)
            wait_s = min(self._limits.check_s, READ_S)
            self._changed.clear()

    def _note_missed(self, topic: str, problems: Sequence[RowProblem]) -> None:
        log.error("%s message: %d rows unreadable, asking by REST instead: %s", topic, len(problems), problems[0])
        now_ms = wall_ms()
        self._missed.append(Gap("private", now_ms, now_ms))
