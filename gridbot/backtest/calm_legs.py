"""Which readings of legs cannot change a size, so that a backtest need not make them. Each answer is on the safe side.

A reading gives the worker two liquidation prices, and has it look at the risk rules at the present price. Nothing comes
of it while price, wallet and available balance stay where the rules are what they are (`core.rules_stay`), and while
the account has so much more than it needs that no liquidation price can come near (`core.margin_to_keep`).

Two figures are kept for each symbol, each with the time until which it holds, since the prices to come are known:

    span     between two marks: the least that its legs are worth, the most that they need
    calm     of its strategy: between which inputs its rules stay, and what the account has to have for it

The liquidation prices that the worker then has are older than they would be. So that they lead to no rule later either,
neither they nor the ones that were not read may come near until the reading after the next (`lasting_us`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final, Protocol

from gridbot.backtest.run_venue import RunVenue
from gridbot.backtest.symbol_feed import FAR
from gridbot.core import LegState, PositionEvent
from gridbot.core.margin import margin_to_keep
from gridbot.core.risk_rules import RiskInputs, assessed, is_far_from_liq, liq_limits, rules_stay
from gridbot.paper.worth.cross_holdings import Pair
from gridbot.worker.position_sizer import PositionSizer
from gridbot.worker.strategy_runner import StrategyRunner

__all__ = ["Ahead", "CalmLegs"]

ZERO: Final = Decimal(0)
BELOW, ABOVE = Decimal("0.98"), Decimal("1.02")
"""Of the present price: how far it may go."""
WALLETS: Final = ((Decimal("0.99"), Decimal("1.01")), (Decimal("0.9995"), Decimal("1.0005")))
AVAILABLE: Final = (Decimal("0.8"), Decimal("1.2"))


class Ahead(Protocol):
    """What is known of the prices to come (`Drive`)."""

    @property
    def quiet_until_us(self) -> int:
        """When (µs UTC) somebody next has to see a price, or the run ends."""

    def age_s(self, symbol: str) -> float:
        """How long (seconds) the newest price of before now has been with the worker, told or not."""

    def are_fresh(self, most_s: float) -> bool:
        """Whether no symbol's newest price of before now, told or not, is older than so many seconds."""

    def move(self) -> None:
        """Give the exchange the newest prices of before now."""

    def hear(self, symbol: str) -> None:
        """Give the worker the newest price of before now."""

    def leaves_us(self, symbol: str, ticks: tuple[int, int], marks: tuple[Decimal, Decimal]) -> int:
        """When (µs UTC) a trade that exchange or worker have not seen is first outside of two prices (ticks), or the
        mark price of two others (USDT)."""


@dataclass(slots=True)
class _Span:
    """Of a symbol, up to `until_us`: USDT."""

    pair: Pair
    until_us: int
    unrealised: Decimal
    maintenance: Decimal


@dataclass(slots=True)
class _Calm:
    """Of a strategy: its rules stay up to `until_us`, no liquidation price counts up to `lasts_us`. `long` and `short`
    are the very values that the worker has."""

    long: LegState
    short: LegState
    until_us: int
    lasts_us: int
    low: RiskInputs
    high: RiskInputs
    balance: Decimal
    spare: Decimal


@dataclass(slots=True)
class _Together:
    """What all calms ask for: so most readings need one look, whatever the number of symbols."""

    held: Sequence[tuple[PositionSizer, _Calm]]
    until_us: int
    wallet: tuple[Decimal, Decimal]
    available: tuple[Decimal, Decimal]

    def holds(self, at_us: int) -> bool:
        """Whether each is still calm then."""
        if self.until_us <= at_us:
            return False
        if not self.held:
            return True
        balances = wallet, available = self.held[0][0].balances
        if wallet is None or available is None:
            return False
        (low, high), (least, most) = self.wallet, self.available
        return (
            low <= wallet <= high
            and least <= available <= most
            and all(
                sizer.long.leg is calm.long and sizer.short.leg is calm.short and sizer.balances == balances
                for sizer, calm in self.held
            )
        )


EVER: Final = (Decimal("-Infinity"), Decimal("Infinity"))
NOT_KNOWN: Final = _Together((), -1, (ZERO, ZERO), (ZERO, ZERO))


class CalmLegs:
    """One per account, in cross margin. `look` before `uneasy`."""

    def __init__(self, venue: RunVenue, runners: Mapping[str, StrategyRunner], ahead: Ahead, lasting_us: int) -> None:
        self._venue, self._runners, self._ahead, self._lasting_us = venue, runners, ahead, lasting_us
        self._spans: dict[str, _Span] = {}
        self._calms: dict[str, _Calm] = {}
        self._together = NOT_KNOWN
        self._balance: Decimal | None = None
        self._spare = ZERO
        self._looked_at, self._looked_until_us = -1, -1
        """For which changes of the account, and up to when, these are known."""

    def look(self, until_us: int) -> None:
        """Find the least that the account can have up to a time, while it holds what it holds."""
        account, changes = self._venue.account, self._venue.changes
        if changes == self._looked_at and until_us < self._looked_until_us:
            return
        self._balance, self._looked_at = None, -1
        if account.isolated or account.charges.tax:
            return
        balance, maintenance = account.wallet, account.order_maintenance
        least_us = FAR
        for symbol, pair in self._venue.pairs.items():
            span = self._spans.get(symbol)
            if span is None or span.pair is not pair or span.until_us <= until_us:
                span = self._spans[symbol] = self._new_span(symbol, pair)
            if span.until_us <= until_us:
                return
            balance += span.unrealised
            maintenance += span.maintenance
            least_us = min(least_us, span.until_us)
        self._balance, self._spare = balance, balance - maintenance
        self._looked_at, self._looked_until_us = changes, least_us

    def uneasy(self, at_us: int) -> Collection[str]:
        """The symbols of which a reading that arrives up to then might change a size, now or later."""
        balance, spare = self._balance, self._spare
        if balance is None:
            return self._runners.keys()
        if not self._together.holds(at_us):
            calms = self._calms
            for symbol in [name for name, calm in calms.items() if not self._is_still(name, calm, at_us)]:
                del calms[symbol]
            self._together = NOT_KNOWN
        if len(self._calms) < len(self._runners):
            for symbol in self._runners.keys() - self._calms.keys():
                calm = self._new(symbol, at_us)
                if calm is not None:
                    self._calms[symbol] = calm
                    self._together = NOT_KNOWN
        if self._together is NOT_KNOWN:
            self._together = self._put_together()
        uneasy = self._runners.keys() - self._calms.keys() if len(self._calms) < len(self._runners) else set()
        return uneasy | {name for name, calm in self._calms.items() if spare < calm.spare or balance <= calm.balance}

    def read(self, symbol: str) -> None:
        """A reading of its legs has changed no size, as was known: it is one of those that might have been left out, so
        what is calm stays so with the liquidation prices that it has told."""
        calm, sizer = self._calms.get(symbol), self._runners[symbol].sizer
        if calm is not None:
            calm.long, calm.short = sizer.long.leg, sizer.short.leg

    def _put_together(self) -> _Together:
        held: list[tuple[PositionSizer, _Calm]] = []
        until_us, wallet, available = FAR, EVER, EVER
        for name, calm in self._calms.items():
            low, high = calm.low, calm.high
            if None in (low.wallet_balance, low.available_balance):
                return NOT_KNOWN
            held.append((self._runners[name].sizer, calm))
            until_us = min(until_us, calm.until_us, calm.lasts_us - self._lasting_us)
            wallet = _common(wallet, low.wallet_balance, high.wallet_balance)
            available = _common(available, low.available_balance, high.available_balance)
        return _Together(held, until_us, wallet, available)

    def _is_still(self, symbol: str, calm: _Calm, at_us: int) -> bool:
        sizer = self._runners[symbol].sizer
        if calm.until_us <= at_us or calm.lasts_us <= at_us + self._lasting_us or calm.long is not sizer.long.leg:
            return False
        wallet, available = sizer.balances
        return (
            calm.short is sizer.short.leg
            and _lies_between(calm.low.wallet_balance, wallet, calm.high.wallet_balance)
            and _lies_between(calm.low.available_balance, available, calm.high.available_balance)
        )

    def _new_span(self, symbol: str, pair: Pair) -> _Span:
        """Needs are continuous in the mark price, and grow with it."""
        self._ahead.move()
        market = pair.market
        ticks, marks = _around(market.mark, market.instrument.tick_size)
        unrealised = sum((min(leg.unrealised(each) for each in marks) for leg in pair.legs), ZERO)
        maintenance = sum((margin.maintenance for margin in pair.parts.margins(marks[1], pair.instrument.tiers)), ZERO)
        return _Span(pair, self._ahead.leaves_us(symbol, ticks, marks), unrealised, maintenance)

    def _new(self, symbol: str, at_us: int) -> _Calm | None:
        """None where a reading might change something, or its price might leave what is calm too soon."""
        self._ahead.hear(symbol)
        runner, sizer = self._runners[symbol], self._runners[symbol].sizer
        (wallet, available), last = sizer.balances, runner.risk_state.last_price
        long, short = sizer.long, sizer.short
        if last is None or wallet is None or not (long.known and short.known) or not _is_taken_in(runner):
            return None
        now = RiskInputs(last, wallet, available)
        if assessed(long.leg, short.leg, now, sizer.risk) != (long.multipliers, long.low_balance):
            return None
        market = self._venue.markets[symbol]
        tick, marks = market.instrument.tick_size, _around(market.mark, market.instrument.tick_size)[1]
        wide, prices = _around(last, tick)
        limits, lasts_us = liq_limits(*prices, sizer.risk), self._ahead.leaves_us(symbol, wide, marks)
        if lasts_us <= at_us + self._lasting_us or not is_far_from_liq(long.leg, short.leg, limits):
            return None
        keep = margin_to_keep(long.leg, short.leg, marks, limits, market.instrument.tiers)
        for ticks in (wide, _between_entries(wide, last, (long.leg, short.leg), tick)):
            for part in WALLETS:
                low, high = (
                    RiskInputs(price * tick, wallet * share, part_of)
                    for price, share, part_of in zip(ticks, part, _parts(available), strict=True)
                )
                if rules_stay(long.leg, short.leg, low, high, sizer.risk):
                    until_us = lasts_us if ticks is wide else self._ahead.leaves_us(symbol, ticks, marks)
                    if until_us <= at_us:
                        return None
                    return _Calm(long.leg, short.leg, until_us, lasts_us, low, high, keep.balance, keep.maintenance)
        return None


def _is_taken_in(runner: StrategyRunner) -> bool:
    """Whether a reading is only taken in: the strategy itself does not want it, and nobody has changed the leverage."""
    wanted, long, short = runner.settings.leverage, runner.sizer.long.leg, runner.sizer.short.leg
    return PositionEvent not in runner.settings.decided_by.wants and (
        wanted is None or long.leverage == short.leverage == wanted
    )


def _lies_between(low: Decimal | None, value: Decimal | None, high: Decimal | None) -> bool:
    if low is None or high is None or value is None:
        return low is high is value
    return low <= value <= high


def _common(one: tuple[Decimal, Decimal], low: Decimal | None, high: Decimal | None) -> tuple[Decimal, Decimal]:
    """What two ranges have in common."""
    assert low is not None
    assert high is not None
    return (low if low > one[0] else one[0]), (high if high < one[1] else one[1])


def _around(price: Decimal, tick: Decimal) -> tuple[tuple[int, int], tuple[Decimal, Decimal]]:
    """Two prices around one, in ticks and in USDT."""
    low = max(1, int((price * BELOW / tick).to_integral_value(ROUND_FLOOR)))
    high = int((price * ABOVE / tick).to_integral_value(ROUND_CEILING))
    return (low, high), (low * tick, high * tick)


def _between_entries(
    ticks: tuple[int, int], last: Decimal, legs: tuple[LegState, ...], tick: Decimal
) -> tuple[int, int]:
    """The part of a range in which no entry lies that the price would pass."""
    low, high = ticks
    for leg in legs:
        entry = leg.entry_price
        if entry is not None:
            if last <= entry:
                high = min(high, int((entry / tick).to_integral_value(ROUND_CEILING)) - 1)
            if last >= entry:
                low = max(low, int((entry / tick).to_integral_value(ROUND_FLOOR)) + 1)
    return low, high


def _parts(available: Decimal | None) -> tuple[Decimal | None, Decimal | None]:
    if available is None:
        return None, None
    one, other = (available * part for part in AVAILABLE)
    return (one, other) if one <= other else (other, one)
