"""One step of the reconciler at work: the state and the effects so far, and what its parts have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gridbot.core import ExecutionEvent
from gridbot.core.exchange_sequence import in_order
from gridbot.core.execution_ledger import OVERLAP_MS
from gridbot.exchange.listing import Unreadable
from gridbot.orders.order import TrackedOrder
from gridbot.orders.reconcile_state import (
    Now,
    ReconcileState,
    View,
    Who,
)
from gridbot.orders.reconcile_words import (
    Advance,
    Alert,
    ApplyExecution,
    AskExecutions,
    Effect,
    Halt,
)
from gridbot.orders.set_back import SetBack

__all__ = ["FIRST_WAIT_S", "LONGEST_WAIT_S", "MOMENT_MS", "NEWEST_MS", "UNPAGED_MS", "Turn", "earlier", "longer"]

NEWEST_MS = 2_000
"""How far behind the watermark (ms) paging begins for what has happened since it was moved."""
MOMENT_MS = 5_000
"""How far behind the newest counted execution (ms) a start pages: the stream may have told a newer one first."""
UNPAGED_MS = 180_000
"""How far the watermark (ms) may be behind that: who has compared nothing for longer is nothing to go on."""
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 30.0


def longer(wait_s: float) -> float:
    """The wait after one of `wait_s` that led to nothing."""
    return min(wait_s * 2, LONGEST_WAIT_S)


def earlier(one_ms: int | None, other_ms: int | None) -> int | None:
    """The earlier of two times, either of which may be none."""
    return min((each for each in (one_ms, other_ms) if each is not None), default=None)


@dataclass(slots=True)
class Turn:
    """Lives as long as one call of `step`, which returns its `state` and its `effects`."""

    state: ReconcileState
    view: View
    now: Now
    effects: list[Effect] = field(default_factory=list)

    def change(self, **changes: Any) -> None:
        """Replace fields of the state."""
        self.state = replace(self.state, **changes)

    def number(self) -> int:
        """A number that no question has had."""
        self.change(numbers=self.state.numbers + 1)
        return self.state.numbers

    def order(self, symbol: str, key: str) -> TrackedOrder | None:
        """An order as its book has it, live or finished."""
        held = self.view.strategies.get(symbol)
        return None if held is None else held.book.get(key)

    def ask_executions(self, who: Who) -> None:
        """Page everything since the watermark or the start of the gap before it, less an overlap; while the exchange's
        clock is behind the watermark, since the last paging.
        """
        set_back = self._look_at_clock(self.state.complete_to_ms)
        gap_ms, begin_ms = self.state.gap_from_ms, set_back.begin_ms(self.state.complete_to_ms)
        begin_ms = begin_ms if gap_ms is None else min(begin_ms, gap_ms)
        self.effects.append(AskExecutions(who, max(0, begin_ms - OVERLAP_MS)))

    @property
    def has_watermark(self) -> bool:
        """Whether what was made up to it has been paged, and no gap since."""
        is_set_back = self._look_at_clock(self.state.complete_to_ms).since_ms is not None
        return self.state.complete_to_ms > NEWEST_MS and self.state.gap_from_ms is None and not is_set_back

    def ask_newest_executions(self, who: Who) -> None:
        """Page what watermark and start cannot have, and little before it. The answer moves no watermark."""
        paged_ms = max(self.state.complete_to_ms, self.state.paged_ms)
        self.effects.append(AskExecutions(who, paged_ms - NEWEST_MS))

    def ask_last_moment(self, who: Who, counted_ms: int) -> bool:
        """Of a start: page since shortly before the newest execution that an earlier life counted. The answer moves no
        watermark, so the next pass pages everything.

        False, and nothing is asked, where that spares nothing, after a gap, where the watermark is old, and where the
        exchange's clock was set back.
        """
        unpaged_ms = counted_ms - self.state.complete_to_ms
        is_set_back = self._look_at_clock(counted_ms).since_ms is not None
        if is_set_back or self.state.gap_from_ms is not None or not 0 < unpaged_ms <= UNPAGED_MS:
            return False
        self.change(moment=who.number, paged_ms=counted_ms, owes_rest=True)
        self.effects.append(AskExecutions(who, counted_ms - MOMENT_MS))
        return True

    def _look_at_clock(self, watermark_ms: int) -> SetBack:
        """Whether the exchange's clock is behind a watermark now."""
        set_back = self.state.set_back.asked(watermark_ms, self.now.exchange_ms, self.now.mono_s)
        self.change(set_back=set_back)
        return set_back

    def set_aside(self, unreadable: Sequence[Unreadable]) -> frozenset[str]:
        """Halt the strategies of what cannot be read, and tell of other symbols once; all these symbols."""
        for row in unreadable:
            if row.symbol in self.view.strategies:
                self.effects.append(Halt(row.symbol, f"the exchange says what we cannot read: {row.reason}"))
            elif row.symbol not in self.state.unreadable:
                self.change(unreadable=self.state.unreadable | {row.symbol})
                text = f"{row.symbol}, which no strategy trades: a row cannot be read and is left out: {row.reason}"
                self.effects.append(Alert("warning", f"unreadable.{row.symbol}", text))
        return frozenset(row.symbol for row in unreadable)

    def apply(
        self, rows: Sequence[ExecutionEvent], *, since_watermark: bool, unreadable: Sequence[Unreadable] = ()
    ) -> list[ExecutionEvent]:
        """Have the executions counted that are new, oldest first; returns them.

        `since_watermark`: the rows are the whole answer to `ask_executions`, so the watermark moves to the newest one,
        but not past one of our symbols that could not be read: a later version of us may count it. It stays when there
        are none: that the exchange lists nothing yet proves nothing about the last minute.
        """
        seen: set[str] = set()
        fresh = []
        for row in in_order(rows, lambda row: row.symbol):
            if self.view.ledger.is_new(row.exec_id, row.exchange_ts) and row.exec_id not in seen:
                fresh.append(row)
                seen.update({row.exec_id} - {""})
        self.effects += [ApplyExecution(row) for row in fresh]
        newest = max((row.exchange_ts for row in rows), default=0)
        unread = [row.exchange_ts for row in unreadable if row.symbol in self.view.strategies]
        newest = min([newest, *(at_ms - 1 for at_ms in unread)])
        if since_watermark and newest > self.state.complete_to_ms:
            self.change(complete_to_ms=newest)
            self.effects.append(Advance(newest))
        return fresh
