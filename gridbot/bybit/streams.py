"""The account's two streams: public tickers, private order, execution, position and wallet.

pybit's threads put frames into the `Mailbox`; `drain`, on the loop, turns them into events. A watchdog on the loop
gives up a dead connection and makes a new one after a back-off; when that stands, a `Gap` tells how long nobody
listened. Bybit replays nothing: whoever sees a `Gap` asks by REST what happened meanwhile (docs/bybit.md 5.5).
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from gridbot.bybit.endpoints import Credentials, Endpoints
from gridbot.bybit.mailbox import Mailbox, PrivateFrame, Ticker
from gridbot.bybit.parse_account import parse_execution, parse_order, parse_position, parse_wallet
from gridbot.bybit.parse_market import parse_public_trade, parse_ticker
from gridbot.bybit.raw_fields import Row, RowProblem, parse_rows
from gridbot.bybit.stream_connection import Life, StreamConnection
from gridbot.bybit.stream_socket import BybitSocket, Topics
from gridbot.bybit.watchdog import Limits
from gridbot.core.events import ExecutionEvent, TickerEvent, WalletEvent
from gridbot.exchange.failures import ErrorKind, make_error
from gridbot.exchange.stream_news import ConnectionState, Drained, Gap, PrivateEvent, StreamHealth

__all__ = ["StreamSet"]

log = logging.getLogger(__name__)

PRIVATE_TOPICS = ("order", "execution", "position", "wallet")
STOP_S = 1.5
TICKER_LATE_S = 30.0


class StreamSet:
    """`on_wake` is called on `loop` when there is something to `drain`, once until it is drained.

    `clock_offset_ms` is added to our clock when signing in (give it `rest.clock_offset_ms`); `private_auth_expire` in
    seconds. `limits` are the watchdog's. `public_trades`: also hear the market's trades; they wake nobody.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        credentials: Credentials,
        symbols: Sequence[str],
        *,
        loop: asyncio.AbstractEventLoop,
        on_wake: Callable[[], None],
        public_trades: bool = False,
        private_auth_expire: int = 10,
        clock_offset_ms: Callable[[], int] = lambda: 0,
        ping_interval: float = 20.0,
        ping_timeout: float = 10.0,
        limits: Limits | None = None,
        luck: Callable[[], float] = random.random,
    ) -> None:
        self._symbols = tuple(dict.fromkeys(symbols))
        self._loop = loop
        self._limits = limits or Limits()
        self._mailbox = Mailbox(loop, on_wake)
        self._changed = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None
        self._missed: list[Gap] = []
        public = ("tickers", "publicTrade") if public_trades else ("tickers",)
        public_topics: Topics = {name: [f"{name}.{symbol}" for symbol in self._symbols] for name in public}
        private_topics: Topics = {topic: [topic] for topic in PRIVATE_TOPICS}

        def public_socket(life: Life) -> BybitSocket:
            return BybitSocket(
                endpoints.ws_public, life, public_topics, ping_interval=ping_interval, ping_timeout=ping_timeout
            )

        def private_socket(life: Life) -> BybitSocket:
            return BybitSocket(
                endpoints.ws_private,
                life,
                private_topics,
                credentials,
                private_auth_expire=private_auth_expire,
                clock_offset_ms=clock_offset_ms,
                ping_interval=ping_interval,
                ping_timeout=ping_timeout,
            )

        shared = (self._mailbox, self._tell_changed, self._limits, luck)
        self._public = StreamConnection("public", public_topics, public_socket, *shared)
        self._private = StreamConnection("private", private_topics, private_socket, *shared)
        self._links = (self._public, self._private) if self._symbols else (self._private,)

    # ------------------------------------------------------------------ life

    async def start(self) -> None:
        """Connect, sign in and subscribe. Returns when every topic is confirmed.

        Raises ExchangeError, with everything closed again: AUTH when the sign-in was refused, RETRY when nobody
        answered in `limits.connect_s`, the HTTP status's kind when the exchange refused the connection.
        """
        try:
            for link in self._links:
                link.connect()
            await self._until_ready()
        except BaseException:
            await self.stop()
            raise
        self._watch = self._loop.create_task(self._keep_alive(), name="stream watchdog")

    async def stop(self) -> None:
        """Close both; returns within two seconds even when a socket hangs (its daemon thread is left behind)."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None
        sockets = [socket for link in self._links if (socket := link.close()) is not None]
        for socket in sockets:
            threading.Thread(target=_farewell, args=(socket,), name="bybit-farewell", daemon=True).start()
        deadline_s = time.monotonic() + STOP_S
        while any(socket.thread.is_alive() for socket in sockets) and time.monotonic() < deadline_s:
            await asyncio.sleep(0.005)

    # ------------------------------------------------------------------ what came

    def drain(self) -> Drained:
        """Parse and hand over everything that has arrived. Call on the loop."""
        tickers, frames = self._mailbox.open()
        private = [event for frame in frames for event in self._read_private(frame)]
        gaps, self._missed = self._missed, []
        for link in self._links:
            gaps += link.gaps
            link.gaps.clear()
        trades, _ = parse_rows(parse_public_trade, self._mailbox.take_trades(), id_field="i")
        return Drained(list(_read_tickers(tickers)), private, gaps, trades)

    @property
    def health(self) -> StreamHealth:
        now_s = time.monotonic()
        ages = {symbol: self._public.ticker_s.get(symbol) for symbol in self._symbols}
        return StreamHealth(
            public=self._public.health(now_s),
            private=self._private.health(now_s),
            ticker_age_s={symbol: None if at_s is None else max(0.0, now_s - at_s) for symbol, at_s in ages.items()},
        )

    @property
    def private_alive(self) -> bool:
        """Whether private events reach us now: signed in, subscribed, and heard of within `limits.pong_s`."""
        health = self._private.health(time.monotonic())
        return health.is_ready and health.alive_age_s is not None and health.alive_age_s <= self._limits.pong_s

    def problems(self) -> list[str]:
        """Why the streams are not what they should be, for people; empty when all is well."""
        health = self.health
        found = [
            f"{name} stream is down for {link.down_s:.0f} s: {link.error or link.state}"
            for name, link in (("public", health.public), ("private", health.private))
            if not link.is_ready and (self._symbols or name == "private")
        ]
        if health.public.is_ready:
            found += [
                f"no ticker of {symbol} for {age_s:.0f} s"
                for symbol, age_s in health.ticker_age_s.items()
                if age_s is not None and age_s > TICKER_LATE_S
            ]
        return found

    # ------------------------------------------------------------------ inside

    def _tell_changed(self) -> None:
        """From any thread: have the watchdog look now."""
        try:
            self._loop.call_soon_threadsafe(self._changed.set)
        except RuntimeError:  # the loop is closed: there is no watchdog any more
            return

    async def _until_ready(self) -> None:
        deadline_s = time.monotonic() + self._limits.connect_s
        while True:
            self._changed.clear()
            for link in self._links:
                if link.state is ConnectionState.LOST:
                    raise link.failure()
            if all(link.state is ConnectionState.READY for link in self._links):
                return
            try:
                async with asyncio.timeout(deadline_s - time.monotonic()):
                    await self._changed.wait()
            except TimeoutError:
                waiting = ", ".join(f"{link.kind} {link.state}" for link in self._links)
                raise make_error(
                    f"expected both streams within {self._limits.connect_s:.0f} s, got: {waiting}", ErrorKind.RETRY
                ) from None

    async def _keep_alive(self) -> None:
        while True:
            self._changed.clear()
            wait_s = self._limits.check_s
            for link in self._links:
                try:
                    wait_s = min(wait_s, link.step(time.monotonic()))
                except Exception:  # whatever it is, who watches must go on watching
                    log.exception("the watchdog of the %s stream stumbled", link.kind)
            try:
                async with asyncio.timeout(max(0.0, wait_s)):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _read_private(self, frame: PrivateFrame) -> Iterator[PrivateEvent]:
        rows = frame.rows if isinstance(frame.rows, list) else None
        if rows is not None:  # the topics carry every category; only linear contracts are ours
            rows = [row for row in rows if not (isinstance(row, dict) and row.get("category", "linear") != "linear")]
        problems: list[RowProblem]
        match frame.topic:
            case "order":
                events, problems = parse_rows(parse_order, rows)
                yield from events
            case "execution":

                def execution(row: Row) -> ExecutionEvent:
                    return parse_execution(row, frame.received_ns)

                executions, problems = parse_rows(execution, rows, id_field="execId")
                yield from executions
            case "position":
                positions, problems = parse_rows(parse_position, rows)
                yield from positions
            case "wallet":

                def wallet(row: Row) -> WalletEvent | None:
                    return parse_wallet(row, frame.sent_ms)

                wallets, problems = parse_rows(wallet, rows)
                yield from wallets
            case _:
                return
        if problems:
            self._note_missed(frame.topic, problems)

    def _note_missed(self, topic: str, problems: Sequence[RowProblem]) -> None:
        log.error("%s message: %d rows unreadable, asking by REST instead: %s", topic, len(problems), problems[0])
        now_ms = time.time_ns() // 1_000_000
        self._missed.append(Gap("private", now_ms, now_ms))


def _read_tickers(tickers: Sequence[Ticker]) -> Iterator[TickerEvent]:
    for ticker in tickers:
        try:
            yield parse_ticker(ticker.fields, ticker.sent_ms, ticker.received_ns)
        except ValueError as error:
            log.warning("ticker of %s left out: %s", ticker.fields.get("symbol"), error)


def _farewell(socket: BybitSocket) -> None:
    """In a thread of its own, because the first step may block on a socket that hangs."""
    closer = threading.Timer(STOP_S / 2, socket.abandon)
    closer.daemon = True
    closer.start()
    socket.say_goodbye()
    closer.cancel()
    socket.abandon()
