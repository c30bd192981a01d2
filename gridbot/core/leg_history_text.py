"""A leg's history as lists that JSON can hold, and back. Decimals are text."""

from __future__ import annotations

from typing import Any

from gridbot.core.events import ExecType
from gridbot.core.leg_history import Holding, LegHistory, Mark, Stated, Step
from gridbot.core.strict_numbers import saved_decimal, whole_of
from gridbot.core.vocabulary import Direction

__all__ = ["history_of", "text_of"]


def text_of(history: LegHistory) -> list[Any]:
    """JSON-able: what was held before, whether that is folded and up to where, steps and rows."""
    before, mark = history.before, history.folded_to
    return [
        [str(before.size), str(before.cost), history.folded, mark.exchange_ts, mark.seq],
        [_text_of_step(step) for step in history.steps],
        [[row.exchange_ts, row.seq, str(row.held.size), str(row.held.cost)] for row in history.rows],
    ]


def history_of(saved: list[Any], direction: Direction) -> LegHistory:
    """The inverse of `text_of`. ValueError, TypeError or ArithmeticError for anything else.

    Files of before 2026-11-29 do not say up to where it is folded.
    """
    (size, cost, folded, *mark), steps, rows = saved
    history = LegHistory(
        direction,
        before=Holding(saved_decimal(size), saved_decimal(cost)),
        folded=bool(folded),
        folded_to=Mark(*map(whole_of, mark)),
        steps=[_step_of(step) for step in steps],
        rows=[_stated(*row) for row in rows],
    )
    history.now = history.held_now()
    return history


def _text_of_step(step: Step) -> list[Any]:
    money = (step.price, step.qty, step.closed, step.fee, step.realised)
    figure = None if step.figure is None else str(step.figure)
    kind = [str(step.exec_type), step.is_maker, step.shadow]
    return [step.exec_id, step.exchange_ts, step.seq, step.symbol, *map(str, money), *kind, figure]


def _step_of(saved: list[Any]) -> Step:
    exec_id, ts, seq, symbol, price, qty, closed, fee, realised, exec_type, is_maker, shadow, figure = saved
    return Step(
        exec_id=exec_id,
        exchange_ts=whole_of(ts),
        seq=whole_of(seq),
        symbol=symbol,
        price=saved_decimal(price),
        qty=saved_decimal(qty),
        closed=saved_decimal(closed),
        fee=saved_decimal(fee),
        exec_type=ExecType(exec_type),
        is_maker=bool(is_maker),
        shadow=bool(shadow),
        figure=None if figure is None else saved_decimal(figure),
        realised=saved_decimal(realised),
    )


def _stated(exchange_ts: object, seq: object, size: object, cost: object) -> Stated:
    return Stated(whole_of(exchange_ts), whole_of(seq), Holding(saved_decimal(size), saved_decimal(cost)))
