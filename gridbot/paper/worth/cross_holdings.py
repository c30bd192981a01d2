"""What the legs of an account in cross margin come to, symbol by symbol: where a mark price moves, that symbol alone is
valued anew. Pure.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import NamedTuple

from gridbot.core.instrument import Instrument
from gridbot.core.margin import LegMargin, PairLine, PairParts
from gridbot.core.risk_rules import LegState
from gridbot.core.vocabulary import Direction
from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.leg import Leg
from gridbot.paper.market.symbol_market import SymbolMarket

__all__ = ["NO_MARGIN", "CrossHoldings", "Holdings", "Pair"]

ZERO = Decimal(0)
NO_MARGIN = LegMargin(ZERO, ZERO)


class Holdings(NamedTuple):
    """What the legs of an account come to, in USDT. `initial` contains the fees to close, and in isolated margin what
    was added to legs; `margins` are (long, short) by symbol, and in cross margin so are `states`, the legs. In cross
    margin they are worked out when they are asked for: before a mark price moves."""

    unrealised: Decimal = ZERO
    initial: Decimal = ZERO
    maintenance: Decimal = ZERO
    margins: Mapping[str, tuple[LegMargin, LegMargin]] = MappingProxyType({})
    states: Mapping[str, tuple[LegState, LegState]] = MappingProxyType({})


Hold = tuple[Leg, Decimal, Decimal, Direction]
"""A leg, and what it holds: the very values, so that nothing needs to be compared."""


@dataclass(slots=True)
class Pair:
    """The legs of a symbol that hold something, and their figures at a mark price (USDT)."""

    market: SymbolMarket
    instrument: Instrument
    legs: Sequence[Leg]
    states: tuple[LegState, LegState]
    parts: PairParts
    mark: Decimal | None = None
    unrealised: Decimal = ZERO
    initial: Decimal = ZERO
    maintenance: Decimal = ZERO
    _size: Decimal = field(init=False)
    _paid: Decimal = field(init=False)
    _line: PairLine | None = None
    _margins: tuple[Decimal | None, tuple[LegMargin, LegMargin]] = (None, (NO_MARGIN, NO_MARGIN))
    """At a mark price."""

    def __post_init__(self) -> None:
        self._size = sum([leg.signed_size for leg in self.legs], ZERO)
        self._paid = sum([-leg.cost if leg.direction is Direction.LONG else leg.cost for leg in self.legs], ZERO)

    def value(self, mark: Decimal) -> None:
        """Work the figures out at another mark price."""
        self.mark, line = mark, self._line
        self.unrealised = mark.fma(self._size, self._paid)
        if line is None or not line.low <= mark <= line.high:
            line = self._line = self.parts.line_at(mark, self.instrument.tiers)
        if line is None:
            long, short = self.margins
            self.initial, self.maintenance = long.initial + short.initial, long.maintenance + short.maintenance
        else:
            (initial, maintenance), buffer = line.at(mark), line.buffer
            self.initial, self.maintenance = initial + buffer, maintenance + buffer

    @property
    def margins(self) -> tuple[LegMargin, LegMargin]:
        """Of (long, short), at the mark price of `value`."""
        mark, (known_at, margins) = self.mark, self._margins
        if mark is not None and mark is not known_at:
            margins = self.parts.margins(mark, self.instrument.tiers)
            self._margins = mark, margins
        return margins


class _PairMargins(Mapping[str, tuple[LegMargin, LegMargin]]):
    """The margins of pairs by symbol, worked out for those that somebody asks for."""

    def __init__(self, pairs: Mapping[str, Pair]) -> None:
        self._pairs = pairs

    def __getitem__(self, symbol: str) -> tuple[LegMargin, LegMargin]:
        return self._pairs[symbol].margins

    def __iter__(self) -> Iterator[str]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)


class CrossHoldings:
    """Of one account, as long as `is_of` it: while it has the same legs and terms. `pairs` are in the order of legs."""

    def __init__(self, account: Account, pairs: Sequence[Pair]) -> None:
        self._pairs = pairs
        self.pairs: Mapping[str, Pair] = {pair.legs[0].symbol: pair for pair in pairs}
        """By symbol; another object where one of its legs, or a term, is another."""
        self._legs: Sequence[Hold] = [(leg, leg.size, leg.cost, leg.direction) for leg in account.legs.values()]
        self._terms = account.charges.tax, {**account.leverage}, {**account.sell_leverage}
        self._states = {pair.legs[0].symbol: pair.states for pair in pairs}
        self._margins = _PairMargins(self.pairs)
        self._newest: Holdings | None = None

    def is_of(self, account: Account) -> bool:
        """Whether the account has nothing but what these were made of."""
        legs = account.legs
        if account.isolated or len(legs) != len(self._legs):
            return False
        for leg, (before, size, cost, direction) in zip(legs.values(), self._legs, strict=True):
            if leg is not before or leg.size is not size or leg.cost is not cost or leg.direction is not direction:
                return False
        for pair in self._pairs:
            if pair.market.instrument is not pair.instrument:
                return False
        return self._terms == (account.charges.tax, account.leverage, account.sell_leverage)

    def pairs_of(self, account: Account) -> Mapping[str, Pair]:
        """The pairs, by symbol, that the account still has."""
        legs = account.legs.values()
        if account.isolated or len(legs) < len(self._legs) or not self._has_terms_of(account):
            return {}
        others = {leg.symbol for leg in itertools.islice(legs, len(self._legs), None)}
        for leg, (before, size, cost, direction) in zip(legs, self._legs, strict=False):
            if leg is not before or leg.size is not size or leg.cost is not cost or leg.direction is not direction:
                others.add(leg.symbol)
                others.add(before.symbol)
        return {
            symbol: pair
            for symbol, pair in self.pairs.items()
            if symbol not in others and pair.market.instrument is pair.instrument
        }

    def _has_terms_of(self, account: Account) -> bool:
        return self._terms == (account.charges.tax, account.leverage, account.sell_leverage)

    def now(self) -> Holdings:
        """At the mark prices of now."""
        newest = self._newest
        for pair in self._pairs:
            mark = pair.market.mark
            if mark is not pair.mark and (pair.mark is None or mark != pair.mark):
                pair.value(mark)
                newest = None
        if newest is None:
            pairs = self._pairs
            newest = self._newest = Holdings(
                sum([pair.unrealised for pair in pairs], ZERO),
                sum([pair.initial for pair in pairs], ZERO),
                sum([pair.maintenance for pair in pairs], ZERO),
                self._margins,
                self._states,
            )
        return newest
