"""Which orders of another program fit what a strategy wants, by shape: for `adopt`. Pure.

The shape of an order is its symbol, side, price, quantity, whether it only reduces, and its leg (positionIdx). An order
fits a level when all six are equal. Each order is taken for one level at most, and each level by one order at most: of
several the oldest. So the answer does not depend on the order of the rows.

    adopted   it fits a level that has no order
    near      it is on the ladder or between its levels, and one of the six differs (or the level is taken)
    foreign   anything else: it is left alone
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise

from gridbot.core import Direction, Instrument, OrderStatus, OrderUpdateEvent, Side
from gridbot.orders.ids import parse

__all__ = ["Fit", "Judged", "Matching", "WantedOrder", "match"]

RESTING = frozenset({OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})


class Fit(StrEnum):
    """How an order fits."""

    ADOPTED = "adopted"
    NEAR = "near"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class WantedOrder:
    """An order that the strategy would have rest: USDT, base coin. `taken`: one of its own is there."""

    side: Side
    direction: Direction
    price: Decimal
    qty: Decimal
    closes: bool
    taken: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """One order of another program. `wanted`: the level it fits, or is nearest to; `why` it is not adopted."""

    row: OrderUpdateEvent
    fit: Fit
    wanted: WantedOrder | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Matching:
    """All rows, from the lowest price up, and what is wanted and rests nowhere."""

    judged: tuple[Judged, ...]
    absent: tuple[WantedOrder, ...]

    def of(self, fit: Fit) -> list[Judged]:
        """Those that fit so."""
        return [each for each in self.judged if each.fit is fit]


def match(
    rows: Iterable[OrderUpdateEvent],
    wanted: Sequence[WantedOrder],
    instrument: Instrument,
    *,
    any_quantity: bool = False,
) -> Matching:
    """Judge the orders of other programs on the instrument's symbol; other symbols' rows are left out.

    `any_quantity` leaves the quantity out of the shape, since an amount by the wallet is another one each day.
    """
    open_levels = [each for each in wanted if not each.taken and each.qty > 0]
    judged: list[Judged] = []
    own = [row for row in rows if row.symbol == instrument.symbol]
    for row in sorted(own, key=lambda row: (row.created_ts, row.order_id)):
        fits = _why_never(row) == "" and row.price > 0
        level = next((each for each in open_levels if fits and _fits(row, each, any_quantity)), None)
        if level is not None:
            open_levels.remove(level)
            judged.append(Judged(row, Fit.ADOPTED, level))
        else:
            judged.append(_misfit(row, wanted, instrument, any_quantity=any_quantity))
    judged.sort(key=lambda each: (each.row.price, each.row.order_id))
    return Matching(tuple(judged), tuple(open_levels))


def _fits(row: OrderUpdateEvent, level: WantedOrder, any_quantity: bool) -> bool:
    same = (row.side, row.direction, row.price, row.reduce_only)
    return same == (level.side, level.direction, level.price, level.closes) and (any_quantity or row.qty == level.qty)


def _why_never(row: OrderUpdateEvent) -> str:
    if row.direction is None:
        return "it has no leg (one-way mode)"
    if row.status not in RESTING or row.order_type != "Limit":
        return f"it is no resting limit order ({row.order_type}, {row.status})"
    if parse(row.order_link_id) is not None:
        return "its id is one of gridbot, of another strategy or account"
    return ""


def _misfit(
    row: OrderUpdateEvent, wanted: Sequence[WantedOrder], instrument: Instrument, *, any_quantity: bool
) -> Judged:
    never = _why_never(row)
    if never:
        return Judged(row, Fit.FOREIGN, None, never)
    here = [each for each in wanted if each.price == row.price]
    told = sorted(((_differences(row, each, any_quantity), each) for each in here), key=lambda each: len(each[0]))
    if told:
        differences, level = told[0]
        return Judged(row, Fit.NEAR, level, ", ".join(differences) or _taken(level))
    alike = [each for each in wanted if (each.side, each.direction) == (row.side, row.direction)]
    if not alike:
        return Judged(row, Fit.FOREIGN, None, f"nothing of the {row.direction} leg is wanted as {row.side}")
    level = min(alike, key=lambda each: (abs(each.price - row.price), each.price))
    off = abs(level.price - row.price) / instrument.tick_size
    ticks = format(off.normalize(), "f")
    why = f"price off the ladder: {ticks} tick{'' if off == 1 else 's'} from the level {level.price}"
    prices = sorted({each.price for each in wanted})
    widest = max((upper - lower for lower, upper in pairwise(prices)), default=Decimal(0))
    is_near = prices[0] - widest <= row.price <= prices[-1] + widest
    return Judged(row, Fit.NEAR if is_near else Fit.FOREIGN, level, why)


def _differences(row: OrderUpdateEvent, level: WantedOrder, any_quantity: bool) -> list[str]:
    """In words, of an order at the price of a level."""
    found = []
    if row.side is not level.side:
        found.append(f"side {row.side}, wanted {level.side}")
    if row.direction is not level.direction:
        found.append(f"leg {row.direction}, wanted {level.direction}")
    if row.reduce_only is not level.closes:
        found.append(f"reduceOnly {str(row.reduce_only).lower()}, wanted {str(level.closes).lower()}")
    if row.qty != level.qty and not any_quantity:
        found.append(f"quantity {row.qty}, wanted {level.qty or 'none: nothing to close'}")
    return found


def _taken(level: WantedOrder) -> str:
    if level.taken:
        return "the strategy has an order of its own there"
    return "nothing is wanted there now" if not level.qty else "another order of the same shape is adopted there"
