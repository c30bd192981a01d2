"""Totals of an account's executions, each counted exactly once. Pure; the journal and a checkpoint make it durable.

"Newest counted" is not "complete up to": after a gap a live fill is counted before the older ones that were missed. So
the ledger has a watermark, `complete_to`, which only a finished backfill moves (incident L49).

Realised PnL and fees come from executions alone, never from position rows (incidents L26, L27), at average entry. The
entry of each leg follows from our own executions, and is corrected when the exchange's position differs.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from gridbot.core import Direction, ExecType, ExecutionEvent

__all__ = ["OVERLAP_MS", "Ledger", "Totals"]

ZERO = Decimal(0)
OVERLAP_MS = 60_000
"""How far behind the watermark (ms) paging begins: the exchange may list an execution late."""
EXEC_IDS_KEPT = 5_000
EXEC_IDS_MOST = 100_000


@dataclass(slots=True)
class Totals:
    """Totals of one strategy since its state began, in USDT. `realised` is before fees and funding."""

    fills: int = 0
    realised: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO

    @property
    def net(self) -> Decimal:
        return self.realised - self.fees - self.funding


@dataclass(slots=True)
class _Leg:
    size: Decimal = ZERO
    entry: Decimal = ZERO


@dataclass(slots=True)
class Ledger:
    """Totals by strategy, legs, and the execution ids already counted.

    Executions of symbols that nobody trades belong to the strategy "", which has legs of its own in each symbol.
    """

    totals: dict[str, Totals] = field(default_factory=dict)
    last_exec_ts: int = 0
    """Exchange time (ms) of the newest execution counted."""
    complete_to: int = 0
    """Exchange time (ms) up to which every execution is counted: where paging continues, less `OVERLAP_MS`."""
    _legs: dict[tuple[str, str, Direction], _Leg] = field(default_factory=dict)
    """By (strategy, symbol, direction); the symbol is empty for a strategy, which has one only."""
    _seen: OrderedDict[str, int] = field(default_factory=OrderedDict)
    _newest: dict[str, int] = field(default_factory=dict, compare=False)

    def begin(self, exchange_ts: int) -> None:
        """Start counting at this exchange time (ms): earlier executions are not paged."""
        self.last_exec_ts = self.complete_to = exchange_ts

    def complete(self, exchange_ts: int) -> None:
        """Everything up to this exchange time (ms) was paged and is counted. Never moves back."""
        self.complete_to = max(self.complete_to, exchange_ts)

    def newest_of(self, strategy: str) -> int:
        """Exchange time (ms) of the newest execution of one strategy counted in this life; 0 for none."""
        return self._newest.get(strategy, 0)

    def of(self, strategy: str) -> Totals:
        """The totals of one strategy, zero at first."""
        return self.totals.setdefault(strategy, Totals())

    def is_new(self, exec_id: str) -> bool:
        """False for an execution that was counted before; one without an id is never a repeat."""
        return not exec_id or exec_id not in self._seen

    def apply(self, strategy: str, execution: ExecutionEvent, *, shadow: bool = False) -> Decimal | None:
        """Count an execution; its realised PnL in USDT before fees, or None when it was counted before."""
        if not self.is_new(execution.exec_id):
            return None
        self._remember(execution)
        if not shadow:
            self.last_exec_ts = max(self.last_exec_ts, execution.exchange_ts)
        self._newest[strategy] = max(self.newest_of(strategy), execution.exchange_ts)
        totals = self.of(strategy)
        if execution.exec_type is ExecType.FUNDING:
            totals.funding += execution.fee
            return ZERO
        totals.fees += execution.fee
        totals.fills += execution.exec_type is ExecType.TRADE
        realised = self._book(strategy, execution)
        totals.realised += realised
        return realised

    def restore(self, strategy: str, execution: ExecutionEvent, realised: Decimal, *, shadow: bool) -> None:
        """Count an execution again from the journal, after a restart, with the realised PnL recorded for it.

        Without a checkpoint the oldest record is all that tells since when there is a ledger.
        """
        if not self.is_new(execution.exec_id):
            return
        if not shadow:
            self.complete_to = self.complete_to or execution.exchange_ts
        before = self.of(strategy).realised
        self.apply(strategy, execution, shadow=shadow)
        self.of(strategy).realised = before + realised

    def set_leg(self, strategy: str, direction: Direction, size: Decimal, entry: Decimal | None) -> None:
        """Take the exchange's position: it includes what happened before our first execution."""
        leg = self._legs.setdefault((strategy, "", direction), _Leg())
        leg.size, leg.entry = size, entry or ZERO

    def leg(self, strategy: str, direction: Direction, symbol: str = "") -> tuple[Decimal, Decimal]:
        """Size (base coin) and average entry (USDT) as our executions have it; for the strategy "" of a symbol."""
        leg = self._legs.get((strategy, "" if strategy else symbol, direction), _Leg())
        return leg.size, leg.entry

    def _remember(self, execution: ExecutionEvent) -> None:
        """Keep the id as long as the execution may be paged again, however many come meanwhile (within reason)."""
        if not execution.exec_id:
            return
        seen = self._seen
        seen[execution.exec_id] = execution.exchange_ts
        while len(seen) > EXEC_IDS_KEPT:
            oldest = next(iter(seen))
            if seen[oldest] >= self.complete_to - OVERLAP_MS and len(seen) <= EXEC_IDS_MOST:
                break
            del seen[oldest]

    def _book(self, strategy: str, execution: ExecutionEvent) -> Decimal:
        symbol = "" if strategy else execution.symbol
        leg = self._legs.setdefault((strategy, symbol, execution.direction), _Leg())
        if not execution.is_close:
            size = leg.size + execution.qty
            leg.entry = (leg.entry * leg.size + execution.price * execution.qty) / size
            leg.size = size
            return ZERO
        closed = execution.closed_size
        move = execution.price - leg.entry if execution.direction is Direction.LONG else leg.entry - execution.price
        leg.size = max(ZERO, leg.size - closed)
        return move * closed if leg.entry > 0 else ZERO

    # ------------------------------------------------------------------ saved form

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able copy; Decimals as text."""
        return {
            "version": 1,
            "last_exec_ts": self.last_exec_ts,
            "complete_to": self.complete_to,
            "totals": {
                name: [t.fills, str(t.realised), str(t.fees), str(t.funding)] for name, t in self.totals.items()
            },
            "legs": [
                [name, str(direction), str(leg.size), str(leg.entry), symbol]
                for (name, symbol, direction), leg in self._legs.items()
            ],
            "seen": [[exec_id, exchange_ts] for exec_id, exchange_ts in self._seen.items()],
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Ledger:
        """The inverse of `to_dict`; raises ValueError, KeyError or TypeError on anything else.

        Files of before the watermark have no `complete_to`, and ids without a time. Legs without a symbol are of a
        time when those of nobody were one for all symbols: such a mixture is left out.
        """
        if data["version"] != 1:
            raise ValueError(f"expected a ledger of version 1, got {data['version']}")
        last_exec_ts = int(data["last_exec_ts"])
        ledger = cls(last_exec_ts=last_exec_ts, complete_to=int(data.get("complete_to", last_exec_ts)))
        for name, (fills, realised, fees, funding) in data["totals"].items():
            ledger.totals[name] = Totals(int(fills), Decimal(realised), Decimal(fees), Decimal(funding))
        for name, direction, size, entry, *symbols in data["legs"]:
            if name or symbols:
                ledger._legs[name, "".join(symbols), Direction(direction)] = _Leg(Decimal(size), Decimal(entry))
        for seen in data["seen"]:
            exec_id, exchange_ts = (seen, 0) if isinstance(seen, str) else seen
            ledger._seen[exec_id] = int(exchange_ts)
        return ledger
