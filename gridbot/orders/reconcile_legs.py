"""Reads the legs of a symbol, and has the ledger follow the exchange where our executions do not explain them. Pure.

::

    positions asked ──► they add up, or executions still arrive ──► taken
          ▲    └──────► they do not ──► executions paged ──► none was new ──► taken, ledger aligned
          └───────────────────── some were new, up to five times ──┘

The listing may be ahead of our executions: a leg that was believed too early would count them twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gridbot.core import ExecutionEvent, PositionEvent
from gridbot.orders.reconcile_state import (
    Legs,
    Part,
    Who,
)
from gridbot.orders.reconcile_turn import Turn
from gridbot.orders.reconcile_words import (
    Align,
    AskPositions,
    TakePosition,
)

__all__ = ["POSITION_LOOKS", "SETTLED_MS", "begin", "drop", "on_executions", "on_positions"]

SETTLED_MS = 5_000
POSITION_LOOKS = 5


def begin(turn: Turn, symbol: str, ticket: int) -> None:
    """Read both legs of a symbol for a ticket."""
    _ask(turn, ticket, Legs(symbol, POSITION_LOOKS, 0))


def on_positions(turn: Turn, who: Who, rows: Sequence[PositionEvent]) -> int | None:
    """The legs were read. The ticket when that was all, else None."""
    ticket, legs = _of(turn, who)
    if legs is None or legs.rows:
        return None
    if legs.looks > 0 and any(_differs(turn, row) for row in rows):
        number = turn.number()
        _put(turn, ticket, replace(legs, number=number, rows=tuple(rows)))
        turn.ask_executions(Who(Part.LEGS, who.subject, number))
        return None
    return _accept(turn, ticket, rows)


def on_executions(turn: Turn, who: Who, fresh: Sequence[ExecutionEvent]) -> int | None:
    """The executions were paged and applied; `fresh` were new. As `on_positions`."""
    ticket, legs = _of(turn, who)
    if legs is None or not legs.rows:
        return None
    if fresh:
        _ask(turn, ticket, replace(legs, looks=legs.looks - 1, rows=()))
        return None
    return _accept(turn, ticket, legs.rows)


def drop(turn: Turn, ticket: int) -> None:
    """Read them no further."""
    turn.change(legs={other: legs for other, legs in turn.state.legs.items() if other != ticket})


def _of(turn: Turn, who: Who) -> tuple[int, Legs | None]:
    """The reading that waits for this answer."""
    ticket = int(who.subject)
    legs = turn.state.legs.get(ticket)
    return ticket, legs if legs is not None and legs.number == who.number else None


def _ask(turn: Turn, ticket: int, legs: Legs) -> None:
    number = turn.number()
    _put(turn, ticket, replace(legs, number=number))
    turn.effects.append(AskPositions(Who(Part.LEGS, str(ticket), number), legs.symbol))


def _accept(turn: Turn, ticket: int, rows: Sequence[PositionEvent]) -> int:
    for row in rows:
        turn.effects.append(TakePosition(row))
        if _differs(turn, row):
            ours, _ = turn.view.ledger.leg(turn.view.strategies[row.symbol].strat_id, row.direction)
            turn.effects.append(Align(row.symbol, row.direction, ours, row.size, row.entry_price))
    drop(turn, ticket)
    return ticket


def _differs(turn: Turn, row: PositionEvent) -> bool:
    """Whether our executions do not add up to a leg.

    False while executions of this symbol are arriving, since the listing may be ahead of the stream.
    """
    ledger, strat_id = turn.view.ledger, turn.view.strategies[row.symbol].strat_id
    size, entry = ledger.leg(strat_id, row.direction)
    settled = turn.state.last_s is None or turn.now.wall_ms - ledger.newest_of(strat_id) > SETTLED_MS
    return settled and (size != row.size or (row.size > 0 and entry == 0))


def _put(turn: Turn, ticket: int, legs: Legs) -> None:
    turn.change(legs={**turn.state.legs, ticket: legs})
