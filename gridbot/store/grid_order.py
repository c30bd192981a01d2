"""Whether executions come behind all that is stored of their legs, so that they may land. Pure.

What has landed only (`gridbot.store.landing`) is matched by a view, behind the newest checkpoint of its leg
(`gridbot.store.grid_tables`). That is right while it comes behind everything that is stored, by the exchange's times
and numbers, and nearly all executions do, whatever their order among each other. Others take the way of the tables at
once, which takes away the checkpoints that they contradict. The conditions are those of `gridbot.store.grid_marks`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from gridbot.core.exchange_sequence import CLOCK_STEP_MS

__all__ = ["End", "GridOrder", "Leg", "Trade", "trade_of"]

Leg = tuple[str, str, str, str, bool]
"""Account, strategy, symbol, direction, shadow."""

_MOST: Final = 1e8
"""Amounts beyond it do not land: far below those that are not matched at all (`grid_sql.COUNTS`)."""

_MOST_ALONE: Final = 1e15
"""The same of a quantity or a fee, whose other factor may be zero or tiny."""


class Trade(NamedTuple):
    """What the order of executions goes by: milliseconds of the exchange, its number (0: none)."""

    at_ms: int
    number: int


@dataclass(frozen=True, slots=True)
class End:
    """The end of what is stored of a leg: its last time, the lowest number that may come at that very time (None: none
    may), and the lowest that may come later, but 0; where nothing up to here is `risky` (`grid_tables`), any that
    comes later than the step of a clock may."""

    last_ms: int
    tie: int | None
    highest: int
    risky: bool = True

    def precedes(self, trade: Trade) -> bool:
        """Whether an execution comes behind it."""
        if 0 < trade.number < self.highest and (self.risky or trade.at_ms <= self.last_ms + CLOCK_STEP_MS):
            return False
        if trade.at_ms == self.last_ms:
            return self.tie is not None and trade.number >= self.tie
        return trade.at_ms > self.last_ms


class GridOrder:
    """The ends of all legs."""

    def __init__(self, ends: Mapping[Leg, End]) -> None:
        self._ends = ends

    def precedes(self, trades: Iterable[tuple[Leg, Trade]]) -> bool:
        """Whether all of these come behind what their legs have."""
        return all((end := self._ends.get(leg)) is None or end.precedes(trade) for leg, trade in trades)


def trade_of(account: str, seq: int, data: Mapping[str, Any]) -> tuple[Leg, Trade] | None:
    """Leg and trade of an execution's body; None for what is no trade. Raise ValueError for absurd amounts."""
    if data["exec_type"] != "Trade":
        return None
    price, qty, fee = (abs(float(data[name])) for name in ("price", "qty", "fee"))
    if not (qty > 0 and price * qty < _MOST and fee * qty < _MOST and max(qty, fee) < _MOST_ALONE):
        raise ValueError("an amount that no market has")
    leg = (account, data["strategy"], data["symbol"], data["direction"], data["shadow"])
    return leg, Trade(data["exchange_ts"], max(data.get("exchange_seq") or 0, 0))
