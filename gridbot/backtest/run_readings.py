"""What a worker reads again and again, in a backtest: positions and wallet, since nothing else can differ there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Final

from gridbot.backtest.direct_orders import DirectOrders
from gridbot.backtest.run_records import RunRecords
from gridbot.backtest.run_venue import RunVenue
from gridbot.bybit.rest import BybitRest
from gridbot.core import PositionEvent, WalletEvent
from gridbot.exchange.listing import Listing
from gridbot.worker.context import WorkerContext
from gridbot.worker.reconciler import Reconciler
from gridbot.worker.schedule import Job, JobKind
from gridbot.worker.strategy_runner import StrategyRunner

__all__ = ["ASKED_AT_ONCE", "PERIODIC", "RunQueries", "RunReadings"]

PERIODIC: Final = "periodic"
ASKED_AT_ONCE: Final = 4
"""Questions that a worker has under way at a time (`pool_size` in `gridbot/bybit/calls.py`)."""


class _NoNotices:
    """The exchange announces nothing."""

    is_maintained = False

    def look(self) -> None:
        """Nothing is announced."""


class RunQueries(BybitRest):
    """Positions and wallet are read, and orders created, without rows and parameters, which say the same
    (`event_outbox`, `direct_orders`)."""

    venue: RunVenue
    at_hand: dict[str, Listing[PositionEvent]]
    """Positions that have been read for a reading that begins now."""

    @property
    def orders(self) -> DirectOrders:
        """Creates and cancels orders."""
        venue = self.venue
        return DirectOrders(self, venue.calls, venue.exchange, venue.account)

    async def positions(self, symbol: str | None = None) -> Listing[PositionEvent]:
        if symbol is None:
            return await super().positions()
        found = self.at_hand.pop(symbol, None)
        return found or Listing(await self.venue.calls.read(lambda: self.venue.legs(symbol), (symbol,)))

    async def wallet(self) -> WalletEvent:
        return await self.venue.calls.read(self.venue.wallet, ())


class RunReadings:
    """What a job of the schedule reads (`worker/readings.py`): what may change a decision."""

    def __init__(
        self,
        reconciler: Reconciler,
        runners: Mapping[str, StrategyRunner],
        context: WorkerContext,
        queries: RunQueries,
        on_wallet: Callable[[WalletEvent, str], None],
        records: RunRecords,
    ) -> None:
        self._records = records
        self.notices = _NoNotices()
        self._queries = queries
        self._on_wallet = on_wallet
        self._reconciler = reconciler
        self._runners = runners
        self._context = context
        self._touched = runners
        self._unsettled: dict[str, StrategyRunner] = {}
        """Those with orders that are over at the exchange while executions of theirs are missing."""
        self._passed_s: float | None = None

    def look_at(self, touched: Mapping[str, StrategyRunner]) -> None:
        """To these something has happened since the last second."""
        self._touched = touched

    @property
    def passed_s(self) -> float | None:
        """When the last whole comparison ended, the periodic ones of here included (`worker/readings.py`)."""
        asked_s = self._reconciler.last_s
        return self._passed_s if asked_s is None or (self._passed_s or 0.0) > asked_s else asked_s

    def again(self) -> str:
        """Why another comparison with the exchange is needed. After `look_at`."""
        for symbol, runner in self._touched.items():
            if not runner.is_shadow and runner.book.unsettled():
                self._unsettled[symbol] = runner
            else:
                self._unsettled.pop(symbol, None)
        return self._reconciler.again(self._unsettled.values())

    def of(self, job: Job) -> Coroutine[None, None, None]:
        """The work of a job, not begun yet."""
        match job.kind:
            case JobKind.RECONCILE:
                return self._reconcile(job.subject)
            case JobKind.POSITIONS:
                return self._positions(job.subject)
            case JobKind.WALLET:
                return self._reconciler.wallet()
        return self._nothing()

    async def _reconcile(self, reason: str) -> None:
        """Of the periodic comparison what is read besides executions and orders, of which the streams have told all.

        These take their time all the same, and legs and wallet are read when a worker would.
        """
        for runner in self._runners.values():
            if runner.shadow is not None:
                runner.shadow.read_legs()
        if reason != PERIODIC:
            await self._reconciler.reconcile(reason)
            return
        await self._queries.venue.calls.pass_time(2)  # executions and orders
        await self.pass_on([symbol for symbol, runner in self._runners.items() if runner.shadow is None])

    async def pass_on(self, symbols: Sequence[str]) -> None:
        """The rest of the periodic comparison: legs of these symbols and the wallet, side by side."""
        free = asyncio.Semaphore(ASKED_AT_ONCE)

        async def read(work: Coroutine[None, None, None]) -> None:
            async with free:
                await work

        await asyncio.gather(*[read(self._positions(symbol)) for symbol in symbols], read(self._reconciler.wallet()))
        self.passed()

    def passed(self) -> None:
        """The periodic comparison is at its end."""
        self._passed_s = self._context.clock.monotonic_s()
        complete_ms = self._context.clock.wall_ms() - 60_000
        self._context.ledger.reached(complete_to=complete_ms, checked_to=complete_ms)

    async def _positions(self, symbol: str) -> None:
        """If nothing was under way when they were read, our executions add up to them, and nobody has to compare."""
        runner, venue = self._runners[symbol], self._queries.venue
        if runner.shadow is not None:
            runner.shadow.read_legs()
            return
        is_still, legs = await venue.calls.read(lambda: (venue.under_way == 0, venue.legs(symbol)), (symbol,))
        if is_still and not self._reconciler.has_questions:
            with self._context.faults.contained(f"{symbol}: taking in its positions", symbol):
                self.take_legs(runner, legs)
        else:
            self._queries.at_hand[symbol] = Listing(legs)
            await self._reconciler.positions(symbol)

    def take_legs(self, runner: StrategyRunner, legs: Sequence[PositionEvent]) -> None:
        """Of a strategy, as they were read."""
        for leg in legs:
            runner.on_position_update(leg, source=self._source(runner, leg))

    def sample_legs(self, runner: StrategyRunner, legs: Sequence[PositionEvent]) -> bool:
        """Record what is due of legs that were read though they can change no size (`calm_legs`): the strategy has them
        but for liquidation prices, which do not count. False, and nothing done, where it has others."""
        if not all(_is_known(runner, leg) for leg in legs):
            return False
        for leg in legs:
            if self._records.samples(leg.symbol, leg.direction):
                runner.positions.record(leg, "rest")
        return True

    def _source(self, runner: StrategyRunner, leg: PositionEvent) -> str:
        """What shows no more than is known, and is no sample, is taken in like the stream's: no record is made."""
        is_sample = self._records.samples(leg.symbol, leg.direction)
        return "rest" if is_sample or not _is_known(runner, leg) else "stream"

    async def _nothing(self) -> None:
        """Clock, terms, announcements and the exchange's log cannot differ here."""


def _is_known(runner: StrategyRunner, leg: PositionEvent) -> bool:
    """Whether the strategy has this leg, and nobody doubts it."""
    known = runner.risk_state.legs[leg.direction]
    return not known.unsure and known.size == leg.size and known.entry_price == leg.entry_price
