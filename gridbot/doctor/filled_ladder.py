"""The money of an account in cross margin when its ladders fill: all strategies together, in one wallet. Pure.

All prices go the same way by the same part. Falling prices fill the buys, which open long legs; rising ones the sells,
which open short legs. What would close a leg meanwhile is left out, and so are the rules that make orders smaller
(`core/risk_rules.py`): it is the worst case of what the ladders alone may do. Margins are those of `core/margin.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, NamedTuple

from gridbot.core.instrument import RiskTier
from gridbot.core.margin import LegMargin, order_cost, pair_margins
from gridbot.core.risk_rules import LegState
from gridbot.core.vocabulary import Direction

__all__ = ["NOTHING", "Filled", "Moment", "Rung", "SymbolBook", "filled"]

ZERO: Final = Decimal(0)
ONE: Final = Decimal(1)
NOTHING: Final = LegMargin(ZERO, ZERO)
FLAT: Final = LegState()
NEVER_ABOVE: Final = Decimal(64)
"""A rise of 6,400 %: what is liquidated above it is said to be never."""
HALVINGS: Final = 40


class Rung(NamedTuple):
    """An opening order: USDT a coin, base coin."""

    price: Decimal
    qty: Decimal


@dataclass(frozen=True, slots=True)
class SymbolBook:
    """A strategy's symbol: the price now, both legs as they are, and its rungs, the nearest ones first.

    `buys` open long, `sells` open short. `maker_fee` is paid for each fill, `reserve_fee` set aside to close.
    """

    symbol: str
    price: Decimal
    tiers: Sequence[RiskTier]
    maker_fee: Decimal
    reserve_fee: Decimal
    long: LegState = FLAT
    short: LegState = FLAT
    buys: Sequence[Rung] = ()
    sells: Sequence[Rung] = ()

    def unrealised(self, mark: Decimal) -> Decimal:
        """Of the legs as they are."""
        return _unrealised(self.long, self.short, mark)


class Moment(NamedTuple):
    """The account at a move of all prices (0.1: ten percent up): USDT of margin and of what there is to lose."""

    move: Decimal
    initial: Decimal
    maintenance: Decimal
    balance: Decimal

    @property
    def is_liquidated(self) -> bool:
        """An account without positions has nothing to liquidate, however poor it is."""
        return self.maintenance >= self.balance and self.maintenance > ZERO


class Filled(NamedTuple):
    """`full` is the moment at which the last order fills, with the margin of the orders that rest on the other side.

    `liquidated` is the move of the liquidation; None: never.
    """

    full: Moment
    liquidated: Decimal | None

    @property
    def is_before_full(self) -> bool:
        """Whether it comes before the ladders are full."""
        return self.liquidated is not None and abs(self.liquidated) <= abs(self.full.move)


@dataclass
class _Account:
    """All books, their rungs filled so far. `bare` is the margin balance without what the legs have won or lost."""

    legs: Sequence[_Legs]
    bare: Decimal
    others: LegMargin

    def moment(self, move: Decimal) -> Moment:
        """At a move, with the rungs that have filled."""
        (initial, maintenance), balance = self.others, self.bare
        for each in self.legs:
            book = each.book
            mark = book.price * (ONE + move)
            long, short = each.pair()
            balance += _unrealised(long, short, mark) - each.fees
            if long.size or short.size:
                for margin in pair_margins(long, short, mark, book.tiers, book.reserve_fee):
                    initial += margin.initial
                    maintenance += margin.maintenance
        return Moment(move, initial, maintenance, balance)

    def place(self, safe: Decimal, lost: Decimal) -> Decimal:
        """Where between two moves it is liquidated, without a fill between them."""
        for _ in range(HALVINGS):
            middle = (safe + lost) / 2
            if self.moment(middle).is_liquidated:
                lost = middle
            else:
                safe = middle
        return lost

    def beyond(self, last: Decimal, *, up: bool) -> Decimal | None:
        """Where it is liquidated after the last fill; None when it is not, down to 0 or far up."""
        safe, far = last, max(Decimal("0.01"), 2 * last) if up else -ONE
        while not self.moment(far).is_liquidated:
            if not up or far > NEVER_ABOVE:
                return None
            safe, far = far, 2 * far
        return self.place(safe, far)


@dataclass
class _Legs:
    """A book's legs while its rungs fill."""

    book: SymbolBook
    rungs: list[tuple[Decimal, Rung]]
    """By move, the nearest ones first."""
    up: bool
    leg: LegState = field(init=False)
    fees: Decimal = ZERO
    filled: int = 0

    def __post_init__(self) -> None:
        self.leg = self.book.short if self.up else self.book.long

    def fill_to(self, move: Decimal) -> None:
        while self.filled < len(self.rungs) and abs(self.rungs[self.filled][0]) <= abs(move):
            rung = self.rungs[self.filled][1]
            size = self.leg.size + rung.qty
            value = self.leg.value + rung.qty * rung.price
            self.leg = LegState(size, value / size, None, self.leg.leverage)
            self.fees += rung.qty * rung.price * self.book.maker_fee
            self.filled += 1

    def pair(self) -> tuple[LegState, LegState]:
        return (self.book.long, self.leg) if self.up else (self.leg, self.book.short)


def filled(books: Sequence[SymbolBook], balance: Decimal, *, up: bool, others: LegMargin = NOTHING) -> Filled:
    """What becomes of the account while all prices rise (`up`) or fall. `others` are the margins of other positions.

    `balance` is its margin balance without what the books' legs have won or lost so far (USDT). Between two fills the
    balance moves evenly and the maintenance margin bends upwards only, so looking at each fill finds the first
    liquidation between two of them; halving finds its place.
    """
    legs = [_Legs(book, _moves(book, up=up), up) for book in books]
    account = _Account(legs, balance, others)
    if (now := account.moment(ZERO)).is_liquidated:
        return Filled(now, ZERO)
    before, liquidated = ZERO, None
    for move in sorted({move for each in legs for move, _ in each.rungs}, key=abs):
        if liquidated is None and account.moment(move).is_liquidated:
            liquidated = account.place(before, move)
        for each in legs:
            each.fill_to(move)
        now = account.moment(move)
        if liquidated is None and now.is_liquidated:
            liquidated = move
        before = move
    locked = sum((_locked(book, up=up) for book in books), ZERO)
    full = now._replace(initial=now.initial + locked)
    return Filled(full, account.beyond(before, up=up) if liquidated is None else liquidated)


def _locked(book: SymbolBook, *, up: bool) -> Decimal:
    """Margin of the orders on the other side: they rest on. Before a liquidation the exchange cancels them."""
    direction, rungs = (Direction.LONG, book.buys) if up else (Direction.SHORT, book.sells)
    leverage = (book.long if up else book.short).leverage
    costs = (order_cost(direction, rung.price * rung.qty, leverage, book.reserve_fee) for rung in rungs)
    return sum(costs, ZERO)


def _moves(book: SymbolBook, *, up: bool) -> list[tuple[Decimal, Rung]]:
    """Rungs on the other side of the price fill at once."""
    rungs = ((rung.price / book.price - ONE, rung) for rung in (book.sells if up else book.buys))
    placed = ((max(ZERO, move) if up else min(ZERO, move), rung) for move, rung in rungs)
    return sorted(placed, key=lambda each: abs(each[0]))


def _unrealised(long: LegState, short: LegState, mark: Decimal) -> Decimal:
    return (long.size * mark - long.value) + (short.value - short.size * mark)
