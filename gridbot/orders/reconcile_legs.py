"""Reads the legs of a symbol, and compares them with what our executions add up to. Pure.

::

    positions asked ──► they add up ──► taken
      ▲        └──────► they do not ──► executions paged ──► none was new ──► taken, with a doubt
      │                                      │                 │       └► the same again, 5 s later: adjusted
      │                                      ▼                 └► before the first execution: adjusted
      └─ five times ─ still not ◄── some were new: the same rows are compared again ──► they add up ──► taken

Paged are first those since the watermark, which explain nearly every difference; where none of them is new and the rows
still do not add up, and at the last look, all of its overlap, too.

A row is compared with what our executions had added up to when the exchange made it (`LegHistory.at`): it may be
ahead of them, or old. So one that is explained by executions that were paged after it is taken, whatever was traded
since: were it read again in a fast market, the next one would be ahead again. It is taken for the risk rules, which
want the exchange's newest word; the ledger believes it only before a leg's first execution, or when the executions were
paged twice and still leave the same difference. Executions that come later all the same go in before the row, so that
none counts twice. A row older than what is folded says nothing: a leg that was traded in one-way mode has, in hedge
mode again, the row of before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from gridbot.core import ExecutionEvent, PositionEvent
from gridbot.core.leg_history import LegHistory, Stated
from gridbot.orders.reconcile_state import (
    Doubt,
    Legs,
    Part,
    Who,
)
from gridbot.orders.reconcile_turn import Turn
from gridbot.orders.reconcile_words import (
    Adjust,
    AskPositions,
    TakePosition,
)

__all__ = ["POSITION_LOOKS", "SETTLED_S", "begin", "drop", "on_executions", "on_positions", "pages_all"]

SETTLED_S = 5.0
"""The exchange may list an execution that much later."""
POSITION_LOOKS = 5
ENTRY_ROUNDING = Decimal("0.000001")
"""Part of an entry price by which the exchange's and ours may differ: it prints a few digits of its average."""


def begin(turn: Turn, symbol: str, ticket: int) -> None:
    """Read both legs of a symbol for a ticket."""
    _ask(turn, ticket, Legs(symbol, POSITION_LOOKS, 0))


def on_positions(turn: Turn, who: Who, rows: Sequence[PositionEvent]) -> int | None:
    """The legs were read. The ticket when that was all, else None."""
    ticket, legs = _of(turn, who)
    if legs is None or legs.rows:
        return None
    if legs.looks > 0 and any(_differs(turn, row) for row in rows):
        if legs.compares:
            _ask(turn, ticket, replace(legs, compares=False))
            return None
        is_last = legs.looks == 1
        _page(turn, ticket, replace(legs, rows=tuple(rows)), pages_all=is_last or not turn.has_watermark)
        return None
    return _accept(turn, ticket, rows)


def on_executions(turn: Turn, who: Who, fresh: Sequence[ExecutionEvent]) -> int | None:
    """The executions were paged and applied; `fresh` were new. As `on_positions`."""
    ticket, legs = _of(turn, who)
    if legs is None or not legs.rows:
        return None
    if fresh:  # they are counted once this step has ended
        _ask(turn, ticket, replace(legs, looks=legs.looks - 1, rows=(), compares=True), legs.rows)
        return None
    if not legs.pages_all and any(_differs(turn, row) for row in legs.rows):
        _page(turn, ticket, legs, pages_all=True)
        return None
    return _accept(turn, ticket, legs.rows)  # what another leg's paging, or the stream, has counted may explain them


def pages_all(turn: Turn, who: Who) -> bool:
    """Whether an answer has all since the watermark and its overlap."""
    _, legs = _of(turn, who)
    return legs is not None and legs.pages_all


def drop(turn: Turn, ticket: int) -> None:
    """Read them no further."""
    turn.change(legs={other: legs for other, legs in turn.state.legs.items() if other != ticket})


def _of(turn: Turn, who: Who) -> tuple[int, Legs | None]:
    """The reading that waits for this answer."""
    ticket = int(who.subject)
    legs = turn.state.legs.get(ticket)
    return ticket, legs if legs is not None and legs.number == who.number else None


def _ask(turn: Turn, ticket: int, legs: Legs, rows: tuple[PositionEvent, ...] = ()) -> None:
    number = turn.number()
    _put(turn, ticket, replace(legs, number=number))
    turn.effects.append(AskPositions(Who(Part.LEGS, str(ticket), number), legs.symbol, rows))


def _page(turn: Turn, ticket: int, legs: Legs, *, pages_all: bool) -> None:
    """Mostly the executions of the last seconds explain a difference; only if they do not, all of the overlap may."""
    number = turn.number()
    _put(turn, ticket, replace(legs, number=number, pages_all=pages_all))
    who = Who(Part.LEGS, str(ticket), number)
    if pages_all:
        turn.ask_executions(who)
    else:
        turn.ask_newest_executions(who)


def _accept(turn: Turn, ticket: int, rows: Sequence[PositionEvent]) -> int:
    for row in rows:
        turn.effects.append(TakePosition(row))
        _judge(turn, row)
    drop(turn, ticket)
    return ticket


def _judge(turn: Turn, row: PositionEvent) -> None:
    """Believe the row, doubt our executions, or neither."""
    leg, now_s = (row.symbol, row.direction), turn.now.mono_s
    doubt = turn.state.doubts.get(leg)
    doubts = {other: known for other, known in turn.state.doubts.items() if other != leg}
    if _differs(turn, row):
        held, stated = _leg(turn, row), Stated.of(row)
        ours = held.at(stated)
        size = row.size - ours.size
        if held.is_before_first(stated):
            turn.effects.append(Adjust(row, ours, "it was held before the first execution"))
        elif doubt is None or doubt.size != size:
            doubts[leg] = Doubt(size, now_s)
        elif now_s - doubt.since_s < SETTLED_S:
            doubts[leg] = doubt
        else:
            turn.effects.append(Adjust(row, ours, "no execution that the exchange lists explains it"))
    turn.change(doubts=doubts)


def _differs(turn: Turn, row: PositionEvent) -> bool:
    """Whether our executions did not add up to a leg when the exchange made this row, as far as we remember."""
    held, stated = _leg(turn, row), Stated.of(row)
    if held.is_forgotten(stated):
        return False
    ours = held.at(stated)
    if ours.size != row.size:
        return True
    entry = row.entry_price
    return bool(row.size and entry is not None and abs(ours.entry - entry) > ENTRY_ROUNDING * entry)


def _leg(turn: Turn, row: PositionEvent) -> LegHistory:
    return turn.view.ledger.legs.about(_strategy(turn, row), row)


def _strategy(turn: Turn, row: PositionEvent) -> str:
    return turn.view.strategies[row.symbol].owner.strat_id


def _put(turn: Turn, ticket: int, legs: Legs) -> None:
    turn.change(legs={**turn.state.legs, ticket: legs})
