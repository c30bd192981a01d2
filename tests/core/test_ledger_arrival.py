"""Whatever the order in which executions and rows arrive: the ledger has the same legs, sums and recorded figures."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from gridbot.core import Direction, ExecutionEvent, PositionEvent, Side
from gridbot.core.account_legs import AccountLegs
from gridbot.core.execution_ledger import Ledger
from tests.core.ledger_events import execution, row, saved

D = Decimal


def test_a_row_that_is_ahead_of_the_stream_does_not_cost_the_profit() -> None:
    """Issue 11: 0.010 bought at 49900, filled at 50000: 1.00, also when REST said "flat" before the stream came."""
    buy = execution(1, Side.BUY, "49900", "0.010")
    sell = execution(2, Side.SELL, "50000", "0.010", closed="0.010")
    ledger = Ledger()
    ledger.apply("s", buy)
    ledger.believe("s", row(Direction.LONG, "0", None, 2))
    assert ledger.apply("s", sell) == D("1.00")
    assert ledger.leg("s", Direction.LONG) == (0, 0)
    assert (ledger.of("s").realised, ledger.take_corrections()) == (D("1.00"), [])


def test_a_late_execution_corrects_what_is_recorded_and_the_totals_have_it_at_once() -> None:
    ledger = Ledger()
    ledger.apply("s", execution(2, Side.BUY, "100"))
    ledger.apply("s", execution(3, Side.SELL, "110", closed="1"))
    assert ledger.apply("s", execution(1, Side.BUY, "90")) == 0
    assert ledger.of("s").realised == D(15)
    [found] = ledger.take_corrections()
    assert (found.exec_id, found.realised) == ("e3", D(5))
    assert ledger.take_corrections() == []


def test_the_exchange_s_own_figure_counts_and_a_repeat_may_bring_it() -> None:
    """The first copy came from a list, which has no figure."""
    ledger = Ledger()
    close = execution(1, Side.SELL, "110", closed="1")
    assert ledger.apply("s", close) == 0
    assert ledger.apply("s", replace(close, realised=D("2.5"))) is None
    assert (ledger.of("s").realised, len(ledger.take_corrections())) == (D("2.5"), 1)
    assert ledger.apply("s", replace(execution(2, Side.SELL, "110", closed="1"), realised=D(4))) == D(4)


def test_a_correction_and_a_row_of_the_journal_are_taken_in_again() -> None:
    """The correction is recorded before what shows it: a power cut may leave the journal with it alone."""
    ledger = Ledger()
    ledger.apply("s", execution(2, Side.BUY, "100"))
    ledger.apply("s", execution(3, Side.SELL, "110", closed="1"))
    again = saved(ledger)
    ledger.apply("s", execution(1, Side.BUY, "90"))
    [made] = ledger.take_corrections()
    again.restore_correction(made)
    again.settle("at a start")
    assert [found.realised for found in again.take_corrections()] == [D(-5)]
    again.apply("s", execution(1, Side.BUY, "90"))
    assert (again.of("s"), again.legs) == (ledger.of("s"), ledger.legs)
    again.restore_row("s", row(Direction.LONG, "3", "95", 3))
    assert again.leg("s", Direction.LONG) == (3, 95)


def test_what_we_work_out_from_a_figure_is_whole_units_of_money_so_that_the_exchange_s_own_replaces_it() -> None:
    """-0.003414285 stayed recorded against -0.00341429, as a correction is at least a unit (found by hypothesis)."""
    moves = [(Direction.LONG, price, size, 2) for price, size in ((1062, 4), (1060, 3), (941, -2), (1027, -1))]
    first, second, early, late = Exchange(moves).executions
    straight = Ledger()
    figures = {each.exec_id: straight.apply("s", each) for each in (first, second, early, late)}
    ledger, recorded = Ledger(), dict.fromkeys(figures, D(0))
    events = (late, replace(early, realised=figures["e003"]), second, replace(late, realised=figures["e004"]), first)
    for event in events:
        recorded[event.exec_id] += ledger.apply("s", event) or D(0)
        for found in ledger.take_corrections():
            recorded[found.exec_id] += found.realised
    assert recorded == figures
    assert ledger.of("s") == straight.of("s")


class Exchange:
    """Makes what happened to one account, and every row that it could have listed meanwhile."""

    def __init__(self, moves: list[tuple[Direction, int, int, int]]) -> None:
        self.executions: list[ExecutionEvent] = []
        self.rows: list[PositionEvent] = []
        truth = AccountLegs()
        held = dict.fromkeys(Direction, D(0))
        for n, (direction, price, size, moment) in enumerate(moves, start=1):
            qty = D(abs(size)) / 1000
            qty = min(qty, held[direction]) if size < 0 else qty
            if not qty:
                continue
            held[direction] += qty if size > 0 else -qty
            made = ExecutionEvent(
                "BTCUSDT",
                f"e{n:03}",
                "o",
                "l",
                direction.open_side if size > 0 else direction.close_side,
                D(price) / 10,
                qty,
                fee=D("0.01"),
                closed_size=qty if size < 0 else D(0),
                exchange_ts=n // 2 + moment,
                seq=n,
            )
            made = replace(made, exchange_ts=max([made.exchange_ts, *(e.exchange_ts for e in self.executions)]))
            truth.add("s", made, shadow=False)
            self.executions.append(made)
            leg = truth.held(("s", "", direction))
            self.rows.append(
                PositionEvent("BTCUSDT", direction, leg.size, leg.entry or None, seq=n, exchange_ts=made.exchange_ts)
            )


MOVES = st.lists(
    st.tuples(st.sampled_from(Direction), st.integers(900, 1100), st.integers(-5, 5).filter(bool), st.integers(0, 2)),
    max_size=12,
)


@given(MOVES, st.data())
def test_any_order_and_repetition_of_executions_and_rows_gives_the_same_legs_and_sums(
    moves: list[tuple[Direction, int, int, int]], data: st.DataObject
) -> None:
    """Rows are believed, or not; each execution comes with the exchange's figure, without it, or both ways."""
    exchange = Exchange(moves)
    straight = Ledger()
    figures = {each.exec_id: straight.apply("s", each) for each in exchange.executions}
    with_figures = [replace(each, realised=figures[each.exec_id]) for each in exchange.executions]
    once = data.draw(st.permutations([*exchange.executions, *data.draw(st.permutations(with_figures))]), label="come")
    rows = st.lists(st.sampled_from(exchange.rows), max_size=4) if exchange.rows else st.just([])
    believed = data.draw(rows, label="rows")
    ledger, recorded = Ledger(), dict.fromkeys(figures, D(0))
    events: list[ExecutionEvent | PositionEvent] = [*once, *believed]
    for event in data.draw(st.permutations(events), label="order"):
        if isinstance(event, PositionEvent):
            ledger.believe("s", event)
        else:
            recorded[event.exec_id] += ledger.apply("s", event) or D(0)
        for found in ledger.take_corrections():
            recorded[found.exec_id] += found.realised
        if data.draw(st.booleans(), label="restart"):
            ledger = saved(ledger)
    assert ledger.of("s") == straight.of("s")
    assert recorded == figures
    for direction in Direction:
        assert ledger.leg("s", direction) == straight.leg("s", direction)
