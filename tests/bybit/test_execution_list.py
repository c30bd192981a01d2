"""A list that is looked through page by page leads to what the whole list would: hypothesis draws lists and ledgers."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar, cast

from hypothesis import example, given
from hypothesis import strategies as st

from gridbot.bybit.calls import Calls
from gridbot.bybit.endpoints import Credentials, Endpoints
from gridbot.bybit.execution_list import read_executions
from gridbot.core.execution_ledger import Ledger
from gridbot.exchange.failures import TruncatedListing
from gridbot.orders.reconcile_state import Now, ReconcileState, View
from gridbot.orders.reconcile_turn import Turn
from gridbot.orders.reconcile_words import ApplyExecution
from tests.bybit.support import envelope, execution_row

T = TypeVar("T")

NOW_MS = 1_760_000_100_000
NOWHERE = Endpoints(rest="http://127.0.0.1:1", ws_public="", ws_private="", ws_trade="")
PAGE = 4
FAR_MS = 3_600_000
"""No clock is so wrong."""


class Listed(Calls):
    """The calls of an account whose list is `rows`, newest first; before each page but the first one comes anew."""

    def __init__(self, rows: list[dict[str, Any]], late: list[dict[str, Any]]) -> None:
        super().__init__(NOWHERE, Credentials("k", "s"))
        self._transport.clock.now_ms = lambda: NOW_MS  # type: ignore[method-assign]
        self._rows, self._late = rows, late

    async def _call(self, endpoint: str, **params: Any) -> dict[str, Any]:
        begin = int(params.get("cursor", "0"))
        page, end = self._rows[begin : begin + PAGE], begin + PAGE
        if self._late:  # what comes meanwhile is put before what is read, and moves the rest
            self._rows.insert(0, self._late.pop())
        return envelope({"list": page, "nextPageCursor": str(end) if end < len(self._rows) else ""})


def at_once(reading: Coroutine[Any, Any, T]) -> T:
    """What it returns; it waits for nothing here."""
    try:
        reading.send(None)
    except StopIteration as end:
        return cast("T", end.value)
    raise AssertionError("expected no wait")


def after(calls: Calls, ledger: Ledger, *, looks: bool) -> Any:
    """What is applied to each symbol, where the watermark moves to, and whose rows cannot be read.

    Symbols have their own sequence: among each other they go by time, also by that of rows that are not looked at.
    """
    is_new = ledger.is_new if looks else None
    try:
        found = at_once(read_executions(calls, NOW_MS - 60_000, None, NOW_MS, None, is_new))
    except TruncatedListing as error:
        return str(error).split(":")[0]
    turn = Turn(ReconcileState(complete_to_ms=1), View({}, ledger, None, {}, "", frozenset()), Now(0.0, NOW_MS))  # type: ignore[arg-type]
    turn.apply(found, since_watermark=True)
    unreadable = {row.exchange_ts for row in found.unreadable}
    applied: dict[str, list[ApplyExecution]] = {}
    for effect in turn.effects:
        if isinstance(effect, ApplyExecution):
            applied.setdefault(effect.execution.symbol, []).append(effect)
    others = [effect for effect in turn.effects if not isinstance(effect, ApplyExecution)]
    return applied, others, turn.state.complete_to_ms, unreadable


def row(number: int, ms: int, seq: int, **odd: str) -> dict[str, Any]:
    return execution_row(f"e{number}", execTime=str(NOW_MS + ms), seq=seq, **odd)


ROWS = st.builds(
    lambda number, ms, seq, odd: row(number, ms, seq, **odd),
    st.integers(0, 30),
    st.sampled_from([*range(-9, 1), FAR_MS]),
    st.integers(7, 9),
    st.sampled_from(
        [{}, {}, {}, {"symbol": "ETHUSDT"}, {"execType": "Funding"}, {"execType": "BustTrade"}, {"x": None}]
    ),
)


BACK = [row(0, -9, 7), row(0, -9, 7), row(0, -9, 7), row(1, -9, 8), row(2, -6, 7, symbol="ETHUSDT"), row(3, -6, 7)]
"""The exchange's clock went back between e3 and e1."""


@example(BACK, [], set(), -7)
@given(st.lists(ROWS, max_size=30), st.lists(ROWS, max_size=3), st.sets(st.integers(0, 30)), st.integers(-12, 0))
def test_what_is_looked_through_leads_to_what_the_whole_list_would(
    rows: list[dict[str, Any]], late: list[dict[str, Any]], counted: set[int], forgotten: int
) -> None:
    """Counted and uncounted mixed, many of one millisecond, two symbols, repeats, rows that move between two pages."""
    once = {row["execId"]: row for row in rows}  # an id has one time
    ledger = Ledger()
    for number in counted:
        ledger.counted.add(f"e{number}", NOW_MS)
    ledger.counted.forgotten_to = NOW_MS + forgotten
    listed = sorted((once[row["execId"]] for row in rows), key=lambda row: -int(row["execTime"]))
    come = [once.get(row["execId"], row) for row in late]
    whole = after(Listed(list(listed), list(come)), ledger, looks=False)
    assert after(Listed(list(listed), list(come)), ledger, looks=True) == whole
