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

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final, Protocol

from gridbot.backtest.mark_feed import FAR
from gridbot.backtest.run_venue import RunVenue
from gridbot.core import LegState, PositionEvent
from gridbot.core.margin import margin_to_keep
from gridbot.core.risk_rules import Multipliers, RiskInputs, assessed, is_far_from_liq, liq_limits, rules_stay
from gridbot.paper.worth.cross_holdings import Pair
from gridbot.worker.position_sizer import PositionSizer
from gridbot.worker.strategy_runner import StrategyRunner

__all__ = ["Ahead", "CalmLegs"]

ZERO: Final = Decimal(0)
BELOW, ABOVE = Decimal("0.98"), Decimal("1.02")
"""Of the present price: how far it may go."""
WALLETS: Final = ((Decimal("0.99"), Decimal("1.01")), (Decimal("0.9995"), Decimal("1.0005")))
AVAILABLE: Final = (Decimal("0.8"), Decimal("1.2"))

Range = tuple[Decimal, Decimal]
"""Lowest and highest, both in it."""
EVER: Final[Range] = (Decimal("-Infinity"), Decimal("Infinity"))
LEAST: Final = EVER[0]


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

    def hear_all(self) -> None:
        """Give the worker the newest prices of before now, of all symbols."""

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
    """Of a strategy: up to `until_us` its rules stay, and no liquidation price counts, then and for as long as what was
    read may be the newest, as long as it is within `limits`. `long` and `short` are the very values that the worker
    has."""

    sizer: PositionSizer
    long: LegState
    short: LegState
    multipliers: Multipliers
    low_balance: bool
    limits: Range
    until_us: int
    wallet: Range
    available: Range
    balance: Decimal
    spare: Decimal

    def has_legs(self) -> bool:
        """Whether the worker has these legs, judged as they were, perhaps with other liquidation prices that do not
        count either: those are taken for them."""
        long, short = self.sizer.long.leg, self.sizer.short.leg
        judged = self.sizer.long
        if not (
            _is_same(self.long, long)
            and _is_same(self.short, short)
            and judged.multipliers == self.multipliers
            and judged.low_balance is self.low_balance
            and is_far_from_liq(long, short, self.limits)
        ):
            return False
        self.long, self.short = long, short
        return True


class _Together:
    """What all calms ask for, so that most readings need one look, whatever the number of symbols: at least as much as
    those ask for that are here, as nothing is given back when one goes."""

    __slots__ = ("available", "balance", "spare", "until_us", "wallet")

    def __init__(self) -> None:
        self.until_us = FAR
        self.wallet = self.available = EVER
        self.balance = self.spare = LEAST

    def add(self, calm: _Calm) -> None:
        """Ask for what it asks for as well."""
        self.until_us = min(self.until_us, calm.until_us)
        self.wallet, self.available = _common(self.wallet, calm.wallet), _common(self.available, calm.available)
        self.balance, self.spare = max(self.balance, calm.balance), max(self.spare, calm.spare)

    def suits(self, wallet: Decimal, available: Decimal) -> bool:
        """Whether each is still calm, as far as it depends on money."""
        (low, high), (least, most) = self.wallet, self.available
        return low <= wallet <= high and least <= available <= most


class CalmLegs:
    """One per account, in cross margin. `look` before `uneasy`."""

    def __init__(self, venue: RunVenue, runners: Mapping[str, StrategyRunner], ahead: Ahead, lasting_us: int) -> None:
        self._venue, self._runners, self._ahead, self._lasting_us = venue, runners, ahead, lasting_us
        self._spans: dict[str, _Span] = {}
        self._calms: dict[str, _Calm] = {}
        self._together = _Together()
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
        balance, spare, calms, runners = self._balance, self._spare, self._calms, self._runners
        if balance is None:
            return runners.keys()
        self._look_at_legs()
        balances = self._balances()
        if balances is None:
            calms.clear()
        elif not self._together.suits(*balances):
            self._look_at_all(at_us, *balances)
            calms = self._calms
        elif self._together.until_us <= at_us:
            self._look_at_times(at_us)
        uneasy: Collection[str] = ()
        if len(calms) < len(runners):
            for symbol in runners.keys() - calms.keys():
                calm = self._new(symbol, at_us)
                if calm is not None:
                    calms[symbol] = calm
                    self._together.add(calm)
            uneasy = runners.keys() - calms.keys()
        if spare >= self._together.spare and balance > self._together.balance:
            return uneasy
        return {*uneasy, *(name for name, calm in calms.items() if spare < calm.spare or balance <= calm.balance)}

    def _balances(self) -> tuple[Decimal, Decimal] | None:
        """Wallet and available balance, where they are known: all strategies have them of one gate."""
        if not self._runners:
            return None
        wallet, available = next(iter(self._runners.values())).sizer.balances
        return None if wallet is None or available is None else (wallet, available)

    def _look_at_legs(self) -> None:
        """What is calm while its legs are what they were is so no more where they are others."""
        others = [
            name
            for name, calm in self._calms.items()
            if calm.sizer.long.leg is not calm.long or calm.sizer.short.leg is not calm.short
        ]
        for name in others:
            if not self._calms[name].has_legs():
                del self._calms[name]

    def _look_at_all(self, at_us: int, wallet: Decimal, available: Decimal) -> None:
        """Keep those that are still calm then."""
        kept, together = {}, _Together()
        for name, calm in self._calms.items():
            (low, high), (least, most) = calm.wallet, calm.available
            if calm.until_us > at_us and low <= wallet <= high and least <= available <= most:
                kept[name] = calm
                together.add(calm)
        self._calms, self._together = kept, together

    def _look_at_times(self, at_us: int) -> None:
        """The same, where the money suits all of them."""
        calms = self._calms
        for name in [name for name, calm in calms.items() if calm.until_us <= at_us]:
            del calms[name]
        self._together.until_us = min([calm.until_us for calm in calms.values()], default=FAR)

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
        if (
            last is None
            or wallet is None
            or available is None
            or not (long.known and short.known)
            or not _is_taken_in(runner)
        ):
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
        least, most = sorted(available * part for part in AVAILABLE)
        narrow = _between_entries(wide, last, (long.leg, short.leg), tick)

        def stays(ticks: tuple[int, int], wallets: Range) -> bool:
            low = RiskInputs(ticks[0] * tick, wallet * wallets[0], least)
            high = RiskInputs(ticks[1] * tick, wallet * wallets[1], most)
            return rules_stay(long.leg, short.leg, low, high, sizer.risk)

        wallets = next((each for each in WALLETS if stays(narrow, each)), None)
        if wallets is None:  # then not in more either
            return None
        is_wide = narrow == wide or stays(wide, wallets)
        stays_us = lasts_us if is_wide else self._ahead.leaves_us(symbol, narrow, marks)
        if stays_us <= at_us:
            return None
        money = (wallet * wallets[0], wallet * wallets[1]), (least, most)
        return _Calm(
            *(sizer, long.leg, short.leg, long.multipliers, long.low_balance, limits),
            *(min(stays_us, lasts_us - self._lasting_us), *money, keep.balance, keep.maintenance),
        )


def _is_taken_in(runner: StrategyRunner) -> bool:
    """Whether a reading is only taken in: the strategy itself does not want it, and nobody has changed the leverage."""
    wanted, long, short = runner.settings.leverage, runner.sizer.long.leg, runner.sizer.short.leg
    return PositionEvent not in runner.settings.decided_by.wants and (
        wanted is None or long.leverage == short.leverage == wanted
    )


def _is_same(one: LegState, other: LegState) -> bool:
    """But for the liquidation price."""
    return one is other or (
        one.size == other.size and one.entry_price == other.entry_price and one.leverage == other.leverage
    )


def _common(one: Range, other: Range) -> Range:
    """What two ranges have in common."""
    return max(one[0], other[0]), min(one[1], other[1])


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
