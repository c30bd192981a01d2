"""The exchange's clock: fundings, liquidations, ends of candles, disconnect-cancel-all, faults that are due."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable

from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.faults.fault_config import FaultKind
from gridbot.paper.faults.fault_injector import Faults
from gridbot.paper.server.open_callers import OpenCallers
from gridbot.paper.streams.connection_faults import drop_connections
from gridbot.paper.streams.connections import Hub
from gridbot.paper.streams.outgoing import Outgoing
from gridbot.paper.streams.publisher import Publisher

__all__ = ["ExchangeClock"]

log = logging.getLogger("gridbot.paper")
INTERVAL_S = 0.1
SECOND_TURNS = 10  # 1 s
REPEAT_TURNS = 30  # 3 s
IDLE_TURNS = 300  # 30 s
STOOD_S = 1.0


class ExchangeClock:
    """Ten turns a second."""

    def __init__(
        self,
        exchange: Exchange,
        hub: Hub,
        publisher: Publisher,
        faults: Faults,
        now_ms: Callable[[], int],
        outgoing: Outgoing,
        callers: OpenCallers,
    ) -> None:
        self._exchange = exchange
        self._hub = hub
        self._publisher = publisher
        self._faults = faults
        self._now_ms = now_ms
        self._outgoing = outgoing
        self._callers = callers

    async def run(self) -> None:
        """Turn until cancelled."""
        loop = asyncio.get_running_loop()
        before = loop.time()
        for turn in itertools.count(1):
            await asyncio.sleep(INTERVAL_S)
            now = loop.time()
            stood_s, before = now - before - INTERVAL_S, now
            if stood_s > STOOD_S:  # requests that waited come first
                log.warning("the exchange stood still for %.1f s", stood_s)
                self._hub.forgive(stood_s)
                self._callers.forgive(stood_s)
            elif not self._outgoing.stands_still:
                self._exchange.on_time(self._now_ms())
                self._close_books()
                self._cancel_of_disconnected()
                self._outgoing.clock_turned()
            self._publisher.klines.close_candles()
            if turn % SECOND_TURNS == 0:
                self._publisher.pools.turn()
                self._hub.shed()
            if turn % REPEAT_TURNS == 0:
                self._publisher.books.repeat_best()
                self._callers.sweep()
            if turn % IDLE_TURNS == 0:
                for connection in [each for each in self._hub.connections if each.is_idle()]:
                    connection.transport.close()
            for fault in self._faults.plan.due(self._faults.elapsed_s()) if self._faults.plan else ():
                if fault.kind is FaultKind.RESTART:
                    self._forget()
                await drop_connections(self._hub, fault)

    def _close_books(self) -> None:
        """The last frame of a contract that is over has no trade to come with."""
        over = [symbol for symbol, market in self._exchange.markets.items() if market.listing.is_over]
        for symbol in over:
            self._publisher.changed(symbol, None)
        if over:
            self._publisher.flush()

    def _cancel_of_disconnected(self) -> None:
        accounts = self._exchange.accounts
        windows = {n: float(a.dcp_window_s) for n, a in accounts.items() if a.dcp_window_s is not None}
        for name in self._hub.take_unguarded(windows) if windows else ():
            self._exchange.cancel_all(accounts[name], "CancelByDCP", self._now_ms())

    def _forget(self) -> None:
        """What a restart of Bybit's services forgets: the cache of closed orders, the counters of the books."""
        for account in self._exchange.accounts.values():
            account.cached_from = self._exchange.state.ids.last + 1
            account.changes.settings()
        self._publisher.restart()
