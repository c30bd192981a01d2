"""Between which prices nothing can happen: at the exchange, and at the worker. Prices are whole ticks.

    exchange   no resting order is reached, and the account cannot be due for liquidation
    worker     each of its strategies gives the answer that it gave, which asks for nothing that can be sent

Outside, and wherever this cannot be told, each tick is looked at. A pair of prices holds until something happens.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

from gridbot.backtest.mark_feed import FAR
from gridbot.backtest.run_account import RunAccount
from gridbot.backtest.run_venue import NO_MARK, RunVenue
from gridbot.paper.settings import MatchingModel
from gridbot.worker.strategy_runner import StrategyRunner

__all__ = ["Margins", "QuietStops", "Steady"]

Margins = Mapping[str, tuple[Decimal, Decimal]]

NOTHING: Final = (1, 0)
"""No price lies in it: each tick is looked at."""
ONE: Final = Decimal(1)
ALL: Final = (0, 1 << 60)


class Steady:
    """What the range of a live strategy follows from, while it asks for nothing, or for what nothing beside its legs,
    its orders, its sizes and its ladder can let through; of what not even sizes can, they do not count."""

    __slots__ = ("_epoch", "_holds", "_ladder", "_legs", "_orders", "_runner", "_state")

    def __init__(self, runner: StrategyRunner) -> None:
        self._runner, self._state = runner, runner.risk_state
        state = self._state
        self._epoch = self._newest_epoch() if runner.minds_money else None
        self._legs, self._orders, self._holds = state.leg_changes, state.book.version, state.holds
        self._ladder = runner.engine.state_version

    @property
    def minds_money(self) -> bool:
        """Whether another balance of the wallet may make it another."""
        return self._epoch is not None

    def _newest_epoch(self) -> int:
        return self._state.epoch + self._runner.gate.state.balance_changes

    def holds(self) -> bool:
        """Whether all of it is as it was."""
        state = self._state
        return (
            (self._epoch is None or self._epoch == self._newest_epoch())
            and self._legs == state.leg_changes
            and self._holds is state.holds
            and self._orders == state.book.version
            and self._ladder == self._runner.engine.state_version
        )


class QuietStops:
    """With `every_tick` each tick is looked at."""

    def __init__(self, venue: RunVenue, worker: RunAccount, *, every_tick: bool) -> None:
        self._venue = venue
        self._worker = worker
        self._every_tick = every_tick
        self._marks: dict[str, tuple[tuple[Decimal, Decimal], int]] = {}
        """By symbol, between which marks nothing happens, and when they are left."""
        self._margins: dict[str, tuple[tuple[Decimal, Decimal], tuple[int, int]]] = {}
        """By symbol, between which marks nobody is liquidated, in USDT, and in ticks."""
        self._quiet: dict[str, tuple[tuple[Decimal, Decimal], tuple[int, int]]] = {}
        """By symbol, the quiet interval in USDT, and in ticks."""
        self._at_level = venue.exchange.config.matching is not MatchingModel.THROUGH

    # ------------------------------------------------------------------ the exchange

    def margins(self) -> Margins:
        """Between which marks nobody is liquidated, by symbol; the same object while they are the same."""
        return self._venue.margin_bounds()

    def of_exchange(self, symbol: str, margins: Margins, nearest: tuple[int | None, int | None]) -> tuple[int, int]:
        """Prices (lowest, highest) at which a trade fills nothing and liquidates nobody; `nearest` are the highest bid
        and the lowest ask that rest."""
        if self._every_tick:
            return NOTHING
        bid, ask = nearest
        low, high = self._of_margin(symbol, margins)
        touched = 1 if self._at_level else 0
        if bid is not None:
            low = max(low, bid + touched)
        if ask is not None:
            high = min(high, ask - touched)
        return low, high

    def _of_margin(self, symbol: str, margins: Margins) -> tuple[int, int]:
        """Prices at which the account is certainly not due for liquidation, if each symbol stays within its own."""
        market, bounds = self._venue.markets[symbol], margins.get(symbol)
        if bounds is NO_MARK:
            return NOTHING
        if bounds is None or market.has_marks:
            return ALL
        known = self._margins.get(symbol)
        if known is None or known[0] is not bounds:
            tick = market.instrument.tick_size
            low = (bounds[0] / tick).to_integral_value(ROUND_CEILING)
            high = (bounds[1] / tick).to_integral_value(ROUND_FLOOR)
            known = self._margins[symbol] = bounds, (max(0, int(low)), int(high))
        return known[1]

    def next_mark(self, symbol: str, margins: Margins) -> int:
        """When (ms UTC) the mark price of the data next has to be looked at: it may liquidate the account."""
        market = self._venue.markets[symbol]
        if not market.has_marks:
            return FAR
        if self._every_tick:
            return market.marks_leave(NOTHING[0] * ONE, NOTHING[1] * ONE)
        bounds = margins.get(symbol)
        if bounds is None:
            return FAR
        known = self._marks.get(symbol)
        if known is None or known[0] != bounds or known[1] <= market.marked_ms:
            known = self._marks[symbol] = bounds, market.marks_leave(*bounds)
        return known[1]

    # ------------------------------------------------------------------ the worker

    @property
    def shadows(self) -> frozenset[str]:
        """Symbols of shadow strategies: some moments are theirs (`moment_of_worker`)."""
        return self._worker.shadows

    def steady(self, symbol: str) -> Steady | None:
        """What the range that `of_worker` has just given follows from; None where more may make it another."""
        runner = self._worker.runners.get(symbol)
        if self._every_tick or runner is None or runner.is_shadow or not runner.is_steady:
            return None
        return Steady(runner)

    def of_worker(self, symbol: str, *, waits: bool) -> tuple[int, int]:
        """Prices (lowest, highest) at which a ticker changes nothing but the price; `waits`: orders wait to be sent."""
        if self._every_tick or waits:
            return NOTHING
        runner = self._worker.runners.get(symbol)
        if runner is None or runner.risk_state.halted:
            return ALL
        quiet = None if runner.is_shadow else runner.settle()
        if quiet is None:
            quiet = runner.quiet_interval
        if quiet is None:
            return NOTHING
        known = self._quiet.get(symbol)
        if known is None or known[0] != quiet:
            tick = runner.instrument.tick_size
            low = int((quiet[0] / tick).to_integral_value(ROUND_CEILING))
            high = int((quiet[1] / tick).to_integral_value(ROUND_FLOOR))
            known = self._quiet[symbol] = quiet, (low, high)
        return self._of_shadow(symbol, *known[1]) if runner.is_shadow else known[1]

    def _of_shadow(self, symbol: str, low: int, high: int) -> tuple[int, int]:
        """The same, while no order of a shadow strategy is reached."""
        bid, ask = self._worker.runners[symbol].shadow_orders()
        if bid is not None:
            low = max(low, bid + 1)
        if ask is not None:
            high = min(high, ask - 1)
        return low, high

    def moment_of_worker(self, symbol: str, seen_ms: int) -> int:
        """From when on (ms UTC) a tick has to be seen, whatever its price: shadow legs settle a funding by it."""
        runner = self._worker.runners.get(symbol)
        if self._every_tick or runner is None or not runner.is_shadow:
            return FAR
        due_ms = self._venue.markets[symbol].funding_after(seen_ms)[1]
        return FAR if due_ms is None else due_ms
