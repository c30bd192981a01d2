"""The exchange as a server: one port for HTTP and WebSocket. `async with PaperServer(spec) as server: server.url`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import ssl
import time
from pathlib import Path
from types import TracebackType

from aiohttp import web

from gridbot.doors.http_site import Site
from gridbot.paper.api.dispatch import Api
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.faults.fault_injector import Faults
from gridbot.paper.faults.fault_plan import FaultPlan
from gridbot.paper.feed.live import LiveSource
from gridbot.paper.feed.market_feed import MarketFeed
from gridbot.paper.feed.market_setup import SetupError, known_listings, open_markets, synthetic_model
from gridbot.paper.feed.replay import ReplayError
from gridbot.paper.feed.sources import run_source
from gridbot.paper.server.exchange_clock import ExchangeClock
from gridbot.paper.server.fast_http import FastHttp
from gridbot.paper.server.http_front import HttpFront
from gridbot.paper.server.open_callers import IDLE_S, OpenCallers
from gridbot.paper.server.paper_control import Control
from gridbot.paper.server.paper_spec import PaperAccount, PaperSpec
from gridbot.paper.server.stranger_turns import StrangerTurns
from gridbot.paper.settings import SourceKind
from gridbot.paper.storage.commits import Commits
from gridbot.paper.storage.exchange_file import ExchangeFile, StateFileError
from gridbot.paper.streams.channels import Channels
from gridbot.paper.streams.connections import Hub, Stamp
from gridbot.paper.streams.outgoing import Outgoing
from gridbot.paper.streams.publisher import Publisher

__all__ = ["PaperServer", "ReplayError", "SetupError"]

LIVE_TIMEOUT_S = 15.0
log = logging.getLogger("gridbot.paper")


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


class PaperServer:
    """A running paper exchange in this event loop.

    `exchange` is its state, `market` pushes trades (`market.trade`, `market.set_price`), `stamp` is called as
    described at `connections.Stamp`. `control_token` is what the control endpoint asks for. `ended` is set when
    a replay with `at_end: stop` is over.
    """

    def __init__(self, spec: PaperSpec, *, stamp: Stamp | None = None) -> None:
        self.spec = spec
        self.stamp = stamp
        config = spec.config
        now_ms = wall_ms()
        known = known_listings(config.market)
        self._model = synthetic_model(config.market, known)
        markets = open_markets(config.market, known, self._model, now_ms)
        self.exchange = Exchange(config, markets, f"{time.time_ns():016x}"[-12:], now_ms)
        for account in spec.accounts:
            self.open_account(account)
        self._outgoing = self._opened(config.state_file)
        self.api = Api(self.exchange)
        self.hub = Hub()
        self.faults = Faults(FaultPlan(config.fault_seed, config.faults))
        self.publisher = Publisher(self.exchange.markets, self.exchange.accounts, self.hub, self.faults, self.now_ms)
        outgoing, stamp = self._outgoing, self._stamped
        self.channels = Channels(self.api, self.hub, self.publisher, self.faults, self.now_ms, outgoing, stamp)
        self.market = MarketFeed(self.exchange, self.publisher, self.now_ms, outgoing)
        self.market.publish_each = config.ticker_interval_ms == 0
        self.control_token = spec.control_token or secrets.token_urlsafe(24)
        control = Control(self.faults, self.market, self.control_token) if config.control else None
        self.callers = OpenCallers(time.monotonic)
        self._turns = StrangerTurns(time.monotonic)
        site = Site(self.host)
        self.front = HttpFront(
            self.api, self.channels, self.faults, control, self.now_ms, outgoing, stamp, site, self.callers
        )
        self.ended = asyncio.Event()
        self.port = 0
        self._web: web.Server | None = None
        self._listeners: list[asyncio.Server] = []
        self._tasks: list[asyncio.Task[None]] = []

    def open_account(self, account: PaperAccount) -> None:
        """Let an account trade; one that there is already stays what it is."""
        if account.name in self.exchange.accounts:
            return
        balance = self.spec.balance_of(account)
        added = self.exchange.state.add_account(account.name, account.api_key, account.api_secret, balance)
        added.ips, added.rsa_public_key = account.ips or added.ips, account.rsa_public_key

    def _opened(self, state_file: Path | None) -> Outgoing:
        if state_file is None:
            return Outgoing(self._publish)
        file = ExchangeFile(state_file)
        try:
            file.open(self.exchange)
        except StateFileError as error:
            raise SetupError(str(error)) from error
        return Commits(self.exchange, file, self._publish)

    @property
    def host(self) -> str:
        return self.spec.host or self.spec.config.host

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://{self.host}:{self.port}"

    def now_ms(self) -> int:
        """The exchange's clock: UTC milliseconds."""
        return wall_ms() + self.faults.skew_ms()

    async def __aenter__(self) -> PaperServer:
        try:
            await self._start()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def _start(self) -> None:
        if isinstance(self._outgoing, Commits):
            self._outgoing.commit()
            interval_s = self.spec.config.state_interval_s
            self._tasks.append(asyncio.create_task(self._outgoing.keep_short(interval_s)))
        wanted = self.spec.config.port if self.spec.port is None else self.spec.port
        if self.spec.config.market.source is SourceKind.LIVE:
            await self._open_live()
        self._web = web.Server(self.front.handle, access_log=None, keepalive_timeout=IDLE_S)
        self.port = await self.listen(wanted)
        clock = ExchangeClock(
            self.exchange, self.hub, self.publisher, self.faults, self.now_ms, self._outgoing, self.callers
        )
        self._tasks += [asyncio.create_task(self._run_market()), asyncio.create_task(self._run_publisher())]
        self._tasks.append(asyncio.create_task(clock.run()))

    async def listen(self, port: int = 0, tls: ssl.SSLContext | None = None) -> int:
        """Answer on a port (0: a free one), or on one more, with TLS where that is given; which one it became."""
        front, web_server = self.front, self._web
        assert web_server is not None
        listener = await asyncio.get_running_loop().create_server(
            lambda: FastHttp(front.answer, web_server, self.callers, self._outgoing, front.refusal, self._turns),
            *(self.host, port),
            ssl=tls,
        )
        self._listeners.append(listener)
        taken: int = listener.sockets[0].getsockname()[1]
        return taken

    async def _open_live(self) -> None:
        """Wait for real prices before trading opens."""
        url = self.spec.config.market.live_url
        live = LiveSource(url, list(self.exchange.markets), self.market)
        task = asyncio.create_task(live.run())
        try:
            await asyncio.wait_for(live.opened.wait(), LIVE_TIMEOUT_S)
        except TimeoutError:
            task.cancel()
            raise SetupError(
                f"paper.market.source live: expected prices from {url} within {LIVE_TIMEOUT_S:.0f} s, got none; "
                "is there a network?"
            ) from None
        self._tasks.append(task)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for listener in self._listeners:
            listener.close()
        self.callers.close()
        for connection in list(self.hub.connections):
            with contextlib.suppress(ConnectionError, asyncio.TimeoutError):
                await asyncio.wait_for(connection.socket.close(code=1001), 0.2)
        if self._web is not None:
            await self._web.shutdown(0.2)
        if isinstance(self._outgoing, Commits):
            self._outgoing.close()

    def keep_files(self) -> str:
        """Make the state file's journal again when somebody has removed it; what is to be told then, else ""."""
        return self._outgoing.keep() if isinstance(self._outgoing, Commits) else ""

    def _stamped(self, what: str, key: str) -> None:
        if self.stamp is not None:
            self.stamp(what, key)

    def _publish(self) -> None:
        """Push the exchange's outbox to the private streams, liquidations to the public one."""
        self.publisher.liquidated(self.exchange.liquidator.take())
        if self.exchange.outbox:
            self.channels.push(self.exchange.outbox.take())

    async def _run_market(self) -> None:
        try:
            await run_source(self.spec.config.market, self.market, self._model, self.hub.is_drained)
        except ReplayError as error:
            log.error("the replay ends here, the last prices are held: %s", error)
            return
        self.ended.set()

    async def _run_publisher(self) -> None:
        interval_s = self.spec.config.ticker_interval_ms / 1000
        while interval_s:
            await asyncio.sleep(interval_s)
            self.publisher.flush()
