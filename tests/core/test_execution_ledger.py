"""Each execution counts once; realised PnL comes from executions at average entry."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbot.core import Direction, ExecType, ExecutionEvent, PositionEvent, Side
from gridbot.core.account_legs import AccountLegs
from gridbot.core.execution_ledger import EXEC_IDS_KEPT, OVERLAP_MS, Ledger

D = Decimal


def execution(
    n: int,
    side: Side = Side.BUY,
    price: str = "100",
    qty: str = "1",
    closed: str = "0",
    fee: str = "0",
    kind: ExecType = ExecType.TRADE,
) -> ExecutionEvent:
    return ExecutionEvent(
        symbol="BTCUSDT",
        exec_id=f"e{n}",
        order_id=f"o{n}",
        order_link_id="",
        side=side,
        price=D(price),
        qty=D(qty),
        fee=D(fee),
        closed_size=D(closed),
        exec_type=kind,
        exchange_ts=n,
    )


def row(direction: Direction, size: str, entry: str | None, n: int = 0) -> PositionEvent:
    """What the exchange says was held after the execution `n`."""
    price = None if entry is None else D(entry)
    return PositionEvent("BTCUSDT", direction, D(size), price, exchange_ts=n)


def test_a_burst_of_redeliveries_counts_once() -> None:
    """incident L15: 48 copies of a fill within one second after a reconnect."""
    ledger = Ledger()
    results = [ledger.apply("s", execution(1, fee="0.02")) for _ in range(48)]
    assert results == [D(0)] + [None] * 47
    assert (ledger.of("s").fills, ledger.of("s").fees) == (1, D("0.02"))


def test_an_execution_without_an_id_is_never_a_repeat() -> None:
    ledger = Ledger()
    nameless = ExecutionEvent("BTCUSDT", "", "o", "", Side.BUY, D(100), D(1))
    assert ledger.apply("s", nameless) is not None
    assert ledger.apply("s", nameless) is not None


def test_realised_at_average_entry_on_both_legs() -> None:
    ledger = Ledger()
    ledger.apply("s", execution(1, Side.BUY, "100", "1"))
    ledger.apply("s", execution(2, Side.BUY, "98", "1"))
    assert ledger.leg("s", Direction.LONG) == (D(2), D(99))
    assert ledger.apply("s", execution(3, Side.SELL, "101", "1", closed="1")) == D(2)
    ledger.apply("s", execution(4, Side.SELL, "110", "2"))
    assert ledger.apply("s", execution(5, Side.BUY, "105", "1", closed="1", fee="0.5")) == D(5)
    totals = ledger.of("s")
    assert (totals.realised, totals.fees, totals.net, totals.fills) == (D(7), D("0.5"), D("6.5"), 5)


def test_the_documented_example() -> None:
    """docs/risk.md 7.1, with a maker's rebate at the end."""
    ledger = Ledger()
    realised = [
        ledger.apply("s", execution(n, side, price, "1", closed, fee="0.01"))
        for n, (side, price, closed) in enumerate(
            [(Side.BUY, "100", "0"), (Side.BUY, "99", "0"), (Side.SELL, "100", "1"), (Side.SELL, "101", "1")]
        )
    ]
    assert realised == [0, 0, D("0.5"), D("1.5")]
    assert ledger.leg("s", Direction.LONG) == (0, 0)
    assert ledger.apply("s", execution(9, fee="0.03", kind=ExecType.FUNDING)) == 0
    assert ledger.of("s").net == D("1.93")
    ledger.apply("s", execution(10, fee="-0.02"))
    assert ledger.of("s").net == D("1.95")


def test_what_reduces_a_position_without_an_order_of_ours_is_realised_but_no_fill() -> None:
    """incident L51: a deleveraging."""
    ledger = Ledger()
    ledger.believe("s", row(Direction.SHORT, "2", "100"))
    assert ledger.apply("s", execution(1, Side.BUY, "90", "1", closed="1", kind=ExecType.ADL)) == D(10)
    assert (ledger.of("s").fills, ledger.leg("s", Direction.SHORT)) == (0, (D(1), D(100)))


def test_a_leg_that_the_exchange_says_is_flat_has_no_entry() -> None:
    ledger = Ledger()
    ledger.apply("s", execution(1))
    ledger.believe("s", row(Direction.LONG, "0", None, 1))
    assert ledger.leg("s", Direction.LONG) == ledger.leg("other", Direction.LONG) == (0, 0)


def test_a_close_of_a_position_nobody_saw_opened_realises_nothing() -> None:
    ledger = Ledger()
    assert ledger.apply("s", execution(1, Side.SELL, "100", "1", closed="1")) == 0
    ledger.believe("s", row(Direction.LONG, "1", "90", 1))
    assert ledger.apply("s", execution(2, Side.SELL, "100", "1", closed="1")) == D(10)


def test_funding_is_money_but_no_fill() -> None:
    ledger = Ledger()
    ledger.apply("s", execution(1, fee="0.3", kind=ExecType.FUNDING))
    totals = ledger.of("s")
    assert (totals.fills, totals.fees, totals.funding, totals.net) == (0, 0, D("0.3"), D("-0.3"))


def test_shadow_fills_are_not_the_newest_of_the_exchange() -> None:
    ledger = Ledger()
    ledger.apply("s", execution(5))
    ledger.apply("shadow", execution(900), shadow=True)
    assert ledger.last_exec_ts == 5


def test_the_newest_execution_counted_or_where_counting_began() -> None:
    ledger = Ledger()
    ledger.begin(4)
    assert ledger.last_exec_ts == 4
    for n in (9, 7):
        ledger.apply("s", execution(n))
    assert ledger.last_exec_ts == 9


def test_ids_are_kept_within_bounds() -> None:
    ledger = Ledger()
    ledger.complete(10**9)
    ledger.checked(10**9)
    for n in range(EXEC_IDS_KEPT + 10):
        ledger.apply("s", execution(n))
    assert not ledger.is_new(f"e{EXEC_IDS_KEPT}")
    assert len(ledger.to_dict()["seen"]) == EXEC_IDS_KEPT


def test_ids_are_kept_as_long_as_their_executions_may_be_paged_again() -> None:
    """REST is away while the stream goes on: the backlog is paged afterwards, and nothing in it counts twice."""
    ledger = Ledger()
    ledger.begin(1_000_000)
    for n in range(1_000_000, 1_000_000 + EXEC_IDS_KEPT + 10):
        ledger.apply("s", execution(n))
    assert ledger.apply("s", execution(1_000_000)) is None
    ledger.complete(2_000_000)
    ledger.apply("s", execution(2_000_000))
    assert len(ledger.to_dict()["seen"]) == EXEC_IDS_KEPT + 11  # the exchange's log is still to be compared
    ledger.checked(2_000_000)
    ledger.apply("s", execution(2_000_001))
    assert len(ledger.to_dict()["seen"]) == EXEC_IDS_KEPT


def test_an_execution_whose_id_is_forgotten_is_not_counted_again() -> None:
    """A gap that began long before the watermark: a pass meanwhile has counted more than there are ids kept."""
    ledger = Ledger()
    ledger.begin(1)
    for n in range(2, 2 * EXEC_IDS_KEPT):
        ledger.apply("s", execution(n))
    fills = ledger.of("s").fills
    ledger.complete(EXEC_IDS_KEPT + OVERLAP_MS)
    ledger.checked(EXEC_IDS_KEPT + OVERLAP_MS)
    ledger.apply("s", execution(3 * EXEC_IDS_KEPT))
    assert ledger.is_new("e2")
    assert not ledger.is_new("e2", 2)
    assert [ledger.apply("s", execution(n)) for n in (2, 3)] == [None, None]
    assert ledger.of("s").fills == fills + 1
    assert ledger.apply("s", execution(3 * EXEC_IDS_KEPT + 1)) is not None
    assert ledger.apply("shadow", execution(1), shadow=True) is not None  # its clock is ours


def test_of_what_was_never_complete_the_limit_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gridbot.core.execution_ledger.EXEC_IDS_MOST", EXEC_IDS_KEPT)
    ledger = Ledger()
    ledger.begin(1)
    for n in range(OVERLAP_MS, OVERLAP_MS + EXEC_IDS_KEPT + 10):
        ledger.apply("s", execution(n))
    assert ledger.is_new("late", OVERLAP_MS - 1)


def test_even_so_there_is_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gridbot.core.execution_ledger.EXEC_IDS_MOST", EXEC_IDS_KEPT + 5)
    ledger = Ledger()
    for n in range(EXEC_IDS_KEPT + 10):
        ledger.apply("s", execution(n))
    assert len(ledger.to_dict()["seen"]) == EXEC_IDS_KEPT + 5


def test_only_finished_paging_moves_the_watermark_and_never_back() -> None:
    """incident L49: the newest execution counted says nothing about the older ones."""
    ledger = Ledger()
    ledger.begin(4)
    ledger.apply("s", execution(900))
    assert (ledger.last_exec_ts, ledger.complete_to) == (900, 4)
    ledger.complete(7)
    ledger.complete(5)
    assert ledger.complete_to == 7
    assert Ledger.from_dict(json.loads(json.dumps(ledger.to_dict()))).complete_to == 7


def test_a_file_of_before_the_watermark_is_complete_as_far_as_it_was_paged() -> None:
    """As version a1c99c4 wrote it: paging went on at the newest execution, ids had no time."""
    ledger = Ledger.from_dict(
        {
            "version": 1,
            "last_exec_ts": 7,
            "totals": {"s": [1, "0", "0.1", "0"]},
            "legs": [["s", "long", "1", "100"]],
            "seen": ["e7"],
        }
    )
    assert (ledger.last_exec_ts, ledger.complete_to) == (7, 7)
    assert not ledger.is_new("e7")
    assert ledger.leg("s", Direction.LONG) == (1, 100)


def of_symbol(symbol: str, n: int, side: Side, price: str, closed: str = "0") -> ExecutionEvent:
    return replace(execution(n, side, price, "1", closed), symbol=symbol)


def test_what_nobody_trades_has_legs_of_its_own_in_each_symbol() -> None:
    """Bought ETH at 2500 and SOL at 150, sold the ETH at 2510: that is 10 USDT, not 1185."""
    ledger = Ledger()
    ledger.apply("", of_symbol("ETHUSDT", 1, Side.BUY, "2500"))
    ledger.apply("", of_symbol("SOLUSDT", 2, Side.BUY, "150"))
    ledger = Ledger.from_dict(json.loads(json.dumps(ledger.to_dict())))
    assert ledger.apply("", of_symbol("ETHUSDT", 3, Side.SELL, "2510", closed="1")) == 10
    assert ledger.leg("", Direction.LONG, "ETHUSDT") == (0, 0)
    assert ledger.leg("", Direction.LONG, "SOLUSDT") == (1, 150)
    assert ledger.of("").realised == 10


def test_a_file_in_which_the_legs_of_nobody_are_mixed_leaves_them_out() -> None:
    old = Ledger().to_dict() | {"version": 1, "legs": [["", "long", "2", "1325"], ["s", "long", "1", "100"]]}
    ledger = Ledger.from_dict(old)
    assert ledger.leg("", Direction.LONG, "ETHUSDT") == (0, 0)
    assert ledger.leg("s", Direction.LONG) == ledger.leg("s", Direction.LONG, "BTCUSDT") == (1, 100)


def test_without_a_checkpoint_the_oldest_record_tells_since_when_there_is_a_ledger() -> None:
    ledger = Ledger()
    for n in (5, 9):
        ledger.restore("shadow", execution(n + 100), D(0), shadow=True)
        ledger.restore("s", execution(n), D(0), shadow=False)
    assert (ledger.complete_to, ledger.last_exec_ts) == (5, 9)


def test_a_ledger_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a ledger of version 1 to 3, got 4"):
        Ledger.from_dict({**Ledger().to_dict(), "version": 4})


def test_what_the_journal_says_was_realised_stays_and_counts_once() -> None:
    """After a restart the entry that a close was measured against may be unknown: the record has the answer."""
    ledger = Ledger()
    ledger.begin(2)
    close = execution(3, Side.SELL, "101", "1", closed="1", fee="0.1")
    for _ in range(2):
        ledger.restore("s", close, D("1.5"), shadow=False, is_final=True)
    ledger.settle("at a start")
    assert ledger.take_corrections() == []
    assert (ledger.of("s").realised, ledger.of("s").fees, ledger.last_exec_ts) == (D("1.5"), D("0.1"), 3)
    assert ledger.apply("s", close) is None
    again = Ledger.from_dict(json.loads(json.dumps(ledger.to_dict())))
    assert again == ledger


STEPS = st.lists(
    st.tuples(st.sampled_from(Side), st.integers(900, 1100), st.integers(1, 50), st.booleans(), st.integers(-5, 5)),
    max_size=40,
)


@given(STEPS, st.integers(0, 40))
def test_a_ledger_saved_and_folded_on_equals_one_that_never_stopped(
    steps: list[tuple[Side, int, int, bool, int]], cut: int
) -> None:
    """A checkpoint and the journal behind it: kill -9 at any moment changes nothing."""
    whole, executions, realised = Ledger(), [], []
    for n, (side, price, qty, close, fee) in enumerate(steps):
        event = execution(n, side, f"{price / 10}", f"{qty / 1000}", f"{qty / 1000}" if close else "0", f"{fee / 100}")
        executions.append(event)
        realised.append(whole.apply("s", event) or D(0))
    first = Ledger()
    for event in executions[:cut]:
        first.apply("s", event)
    again = Ledger.from_dict(first.to_dict())
    for event, gained in zip(executions, realised, strict=True):  # the fold may start before the checkpoint
        again.restore("s", event, gained, shadow=False)
    again.settle("at a start")
    assert again.take_corrections() == []
    assert again.of("s") == whole.of("s")
    assert all(again.leg("s", direction) == whole.leg("s", direction) for direction in Direction)
    assert again.to_dict()["seen"] == whole.to_dict()["seen"]
    assert again.last_exec_ts == whole.last_exec_ts


def test_a_close_of_several_coins_realises_for_each_of_them() -> None:
    ledger = Ledger()
    ledger.apply("s", execution(1, Side.BUY, "0.5", "40"))
    assert ledger.apply("s", execution(2, Side.SELL, "0.75", "40", closed="40")) == D(10), "an entry below 1 USDT too"
    assert ledger.leg("s", Direction.LONG) == (0, 0)


def test_fundings_add_up_and_are_saved() -> None:
    ledger = Ledger()
    ledger.apply("s", execution(1, fee="0.03", kind=ExecType.FUNDING))
    ledger.apply("s", execution(2, fee="-0.01", kind=ExecType.FUNDING))
    assert ledger.of("s").funding == D("0.02")
    assert Ledger.from_dict(ledger.to_dict()).of("s").funding == D("0.02")


def test_a_fee_in_another_coin_is_in_no_figure_of_usdt_and_is_saved() -> None:
    ledger = Ledger()
    for n, coin in ((1, "MNT"), (2, "MNT"), (3, "USDC")):
        ledger.apply("s", replace(execution(n, fee="0.01"), fee_currency=coin, other_fees=((coin, D("0.5")),)))
    totals = Ledger.from_dict(json.loads(json.dumps(ledger.to_dict()))).of("s")
    assert (totals.fees, totals.net) == (D("0.03"), D("-0.03"))
    assert totals.other_fees == {"MNT": D(1), "USDC": D("0.5")}
    assert totals == ledger.of("s")


def test_a_file_of_before_other_coins_is_read() -> None:
    saved = Ledger().to_dict()
    totals = Ledger.from_dict({**saved, "version": 2, "totals": {"s": [3, "5", "0.2", "0.1"]}}).of("s")
    assert (totals.fills, totals.net, totals.other_fees) == (3, D("4.7"), {})


@pytest.mark.parametrize("kind", [kind for kind in ExecType if not kind.moves_legs])
def test_what_is_no_trade_is_money_and_moves_no_leg(kind: ExecType) -> None:
    """A dividend, a settlement or a word nobody knows was booked as an opening trade of a leg."""
    ledger = Ledger()
    ledger.apply("s", execution(1, price="100", qty="2"))
    event = replace(execution(2, Side.SELL, qty="2", closed="2", fee="0.5", kind=kind), realised=D(7))
    assert ledger.apply("s", event) == D(7)
    assert ledger.apply("s", event) is None, "exactly once"
    assert ledger.leg("s", Direction.LONG) == (2, 100)
    assert (ledger.of("s").fills, ledger.of("s").net) == (1, D("6.5"))


@pytest.mark.parametrize("kind", [kind for kind in ExecType if kind.moves_legs])
def test_every_known_trade_moves_its_leg(kind: ExecType) -> None:
    ledger = Ledger()
    ledger.apply("s", execution(1, price="100", qty="2"))
    assert ledger.apply("s", execution(2, Side.SELL, "110", "2", closed="2", kind=kind)) == D(20)
    assert ledger.leg("s", Direction.LONG) == (0, 0)


def test_a_restored_shadow_fill_does_not_move_where_paging_goes_on() -> None:
    ledger = Ledger()
    ledger.restore("s", execution(5), D(0), shadow=False)
    ledger.restore("s", execution(9), D(0), shadow=True)
    assert (ledger.last_exec_ts, ledger.of("s").fills) == (5, 2)


# ---------------------------------------------------------------------- whatever the order of arrival


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


def test_the_exchange_s_log_corrects_fees_and_funding_too() -> None:
    ledger = Ledger()
    ledger.apply("s", execution(1, fee="0.1"))
    ledger.apply("s", execution(2, fee="0.3", kind=ExecType.FUNDING))
    ledger.correct("e1", D(0), D("0.12"), "log")
    ledger.correct("e2", D(0), D("0.25"), "log")
    totals = ledger.of("s")
    assert (totals.fees, totals.funding, totals.realised) == (D("0.12"), D("0.25"), 0)
    assert [found.fee for found in ledger.take_corrections()] == [D("0.02"), D("-0.05")]


def test_a_correction_and_a_row_of_the_journal_are_taken_in_again() -> None:
    """The correction is recorded before what shows it: a power cut may leave the journal with it alone."""
    ledger = Ledger()
    ledger.apply("s", execution(2, Side.BUY, "100"))
    ledger.apply("s", execution(3, Side.SELL, "110", closed="1"))
    again = Ledger.from_dict(json.loads(json.dumps(ledger.to_dict())))
    ledger.apply("s", execution(1, Side.BUY, "90"))
    [made] = ledger.take_corrections()
    again.restore_correction(made)
    again.settle("at a start")
    assert [found.realised for found in again.take_corrections()] == [D(-5)]
    again.apply("s", execution(1, Side.BUY, "90"))
    assert (again.of("s"), again.legs) == (ledger.of("s"), ledger.legs)
    again.restore_row("s", row(Direction.LONG, "3", "95", 3))
    assert again.leg("s", Direction.LONG) == (3, 95)


def test_what_is_complete_and_checked_is_folded() -> None:
    ledger = Ledger()
    ledger.begin(1)
    ledger.apply("s", execution(2))
    for move in (ledger.complete, ledger.checked):
        assert ledger.legs.recorded("e2") is not None
        move(OVERLAP_MS + 3)
    assert ledger.legs.recorded("e2") is None
    ledger.checked(5)
    assert ledger.checked_to == OVERLAP_MS + 3
    assert Ledger.from_dict(json.loads(json.dumps(ledger.to_dict()))) == ledger


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
            ledger = Ledger.from_dict(json.loads(json.dumps(ledger.to_dict())))
    assert ledger.of("s") == straight.of("s")
    assert recorded == figures
    for direction in Direction:
        assert ledger.leg("s", direction) == straight.leg("s", direction)
