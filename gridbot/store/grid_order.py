"""Whether executions come behind all that their legs have, so that they may land (`gridbot.store.landing`). Pure.

What has landed only is matched by a view, with the lots that are left of what is stored (`gridbot.store.grid_tables`).
That is right for executions that just follow, by the exchange's times and numbers, and those are nearly all. Others
take the way of the tables at once, where their leg is matched again from their place on (`gridbot.store.grid_keeping`).
The conditions are those of `grid_keeping._find_place`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from gridbot.core.exchange_sequence import CLOCK_STEP_MS

__all__ = ["GridOrder", "Leg", "Tail", "Trade", "trade_of"]

Leg = tuple[str, str, str, str, bool]
"""Account, strategy, symbol, direction, shadow."""

_MOST: Final = 1e8
"""Amounts beyond it do not land: far below those that are not matched at all (`grid_sql.COUNTS`)."""

_MOST_ALONE: Final = 1e15
"""The same of a quantity or a fee, whose other factor may be zero or tiny."""


class Trade(NamedTuple):
    """What the order of executions goes by: milliseconds of the exchange, its number (0: none), our number."""

    at_ms: int
    number: int
    seq: int


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of a leg: its last execution by time, the highest number since the exchange began to count, and the
    last place."""

    last_ms: int
    last_number: int
    most_number: int
    placed: Trade

    def then(self, trade: Trade) -> Tail | None:
        """With one more that is later by time, or as late with a higher number of ours; None: it does not follow."""
        at_ms, number, _ = trade
        anew = 1 <= number < self.last_number and at_ms - self.last_ms > CLOCK_STEP_MS
        if at_ms < self.last_ms or (0 < number < self.most_number and not anew) or trade <= self.placed:
            return None
        return Tail(at_ms, number, number if anew else max(number, self.most_number), trade)


class GridOrder:
    """The tails of all legs. Immutable: `after` makes another."""

    def __init__(self, tails: Mapping[Leg, Tail]) -> None:
        self._tails = tails

    def after(self, trades: Iterable[tuple[Leg, Trade]]) -> GridOrder | None:
        """With these too; None when one of them does not come behind all that its leg has."""
        by_leg: dict[Leg, list[Trade]] = {}
        for leg, trade in trades:
            by_leg.setdefault(leg, []).append(trade)
        if not by_leg:
            return self
        tails = dict(self._tails)
        for leg, found in by_leg.items():
            found.sort(key=lambda each: (each.at_ms, each.seq))
            for trade in found:
                tail = tails.get(leg)
                then = tail.then(trade) if tail is not None else Tail(trade.at_ms, trade.number, trade.number, trade)
                if then is None:
                    return None
                tails[leg] = then
        return GridOrder(tails)


def trade_of(account: str, seq: int, data: Mapping[str, Any]) -> tuple[Leg, Trade] | None:
    """Leg and trade of an execution's body; None for what is no trade. Raise ValueError for absurd amounts."""
    if data["exec_type"] != "Trade":
        return None
    price, qty, fee = (abs(float(data[name])) for name in ("price", "qty", "fee"))
    if not (qty > 0 and price * qty < _MOST and fee * qty < _MOST and max(qty, fee) < _MOST_ALONE):
        raise ValueError("an amount that no market has")
    leg = (account, data["strategy"], data["symbol"], data["direction"], data["shadow"])
    return leg, Trade(data["exchange_ts"], max(data.get("exchange_seq") or 0, 0), seq)
