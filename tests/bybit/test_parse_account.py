"""Rows to events: fields that are empty, missing or nonsense, and rows that are."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.bybit.parse_account import (
    parse_execution,
    parse_one_way_position,
    parse_order,
    parse_position,
    parse_wallet,
)
from gridbot.bybit.parse_market import parse_instrument, parse_ticker, parse_tiers
from gridbot.bybit.raw_fields import decimal_or_none, parse_rows, whole_or_none
from gridbot.core.events import CoinBalance, ExecType, OrderStatus
from gridbot.core.vocabulary import Direction, Side
from tests.bybit.support import execution_row, order_row, position_row, wallet_row
from tests.case_table import case_table
from tests.examples import examples

D = Decimal
TICKER = {
    "symbol": "BTCUSDT",
    "lastPrice": "60000.10",
    "markPrice": "60000.00",
    "indexPrice": "59999.90",
    "bid1Price": "60000.00",
    "ask1Price": "60000.10",
    "fundingRate": "-0.0001",
    "nextFundingTime": "1760025600000",
}
WALLET = wallet_row({"coin": "BTC", "walletBalance": ""}, {"coin": "USDT", "walletBalance": "999.95", "equity": "0"})
ROWS: list[tuple[Callable[[Any], Any], dict[str, Any]]] = [
    (parse_order, order_row()),
    (parse_execution, execution_row()),
    (parse_position, position_row(1, size="0.10", avgPrice="60000")),
    (parse_wallet, WALLET),
    (parse_ticker, TICKER),
]


@case_table("nothing", ["", None, " ", "abc", "NaN", "Infinity", "-Infinity", "1e999", "sNaN", [], {}, True])
def test_what_is_no_number_is_none(nothing: object):
    assert decimal_or_none(nothing) is None


@case_table(("text", "number"), [("0", D(0)), ("0.00", D(0)), ("-1.5", D("-1.5")), (7, D(7)), (0.5, D("0.5"))])
def test_zero_is_zero_and_numbers_are_numbers(text: object, number: Decimal):
    assert decimal_or_none(text) == number


@case_table("nothing", ["", None, "1.5", "x", 1.5, True, "9" * 5000])
def test_what_is_no_whole_number_is_none(nothing: object):
    assert whole_or_none(nothing) is None


junk = st.one_of(
    st.none(),
    st.just(""),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["0", "-0", "1e-9", "NaN", "1e400", "Infinity", "0x10", "1_000"]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


@settings(max_examples=examples(150), deadline=None)
@given(data=st.data())
def test_no_field_can_make_a_parser_raise(data: st.DataObject):
    parser, row = data.draw(st.sampled_from(ROWS))
    broken = dict(row)
    for field in data.draw(st.lists(st.sampled_from(sorted(row)), max_size=6, unique=True)):
        if data.draw(st.booleans()):
            broken.pop(field)
        else:
            broken[field] = data.draw(junk)
    good, problems = parse_rows(parser, [row, broken, row])
    assert not [problem for problem in problems if problem.index != 1], "the neighbours came to harm"
    assert len(good) in (2, 3)


@settings(max_examples=examples(100), deadline=None)
@given(rows=junk | st.lists(junk, max_size=4))
def test_no_list_of_rows_can_make_it_raise(rows: object):
    for parser, _ in ROWS:
        good, problems = parse_rows(parser, rows)
        assert isinstance(good, list)
        assert all(str(problem) for problem in problems)


OPTIONAL: list[tuple[Callable[[Any], Any], dict[str, Any], dict[str, str]]] = [
    (parse_order, order_row(), {"avgPrice": "avg_price"}),
    (
        parse_execution,
        execution_row(),
        {"orderQty": "order_qty", "orderPrice": "order_price", "feeRate": "fee_rate", "markPrice": "mark_price"},
    ),
    (
        parse_position,
        position_row(1),
        {
            "markPrice": "mark_price",
            "liqPrice": "liq_price",
            "leverage": "leverage",
            "unrealisedPnl": "unrealised_pnl",
            "positionIM": "position_im",
            "positionMM": "position_mm",
            "cumRealisedPnl": "cum_realised_pnl",
        },
    ),
    (parse_wallet, WALLET, {"totalEquity": "total_equity", "totalAvailableBalance": "available_balance"}),
    (parse_ticker, TICKER, {"markPrice": "mark_price", "fundingRate": "funding_rate", "bid1Price": "bid1_price"}),
]


@case_table(("parser", "row", "fields"), OPTIONAL)
def test_empty_and_missing_are_none(parser: Callable[[Any], Any], row: dict[str, Any], fields: dict[str, str]):
    for wire, attribute in fields.items():
        assert getattr(parser({**row, wire: ""}), attribute) is None, wire
        assert getattr(parser({key: value for key, value in row.items() if key != wire}), attribute) is None, wire
        assert getattr(parser({**row, wire: "12.5"}), attribute) == D("12.5"), wire


def test_zero_stays_zero_where_zero_is_an_amount():
    assert parse_position(position_row(1, unrealisedPnl="0", cumRealisedPnl="0")).unrealised_pnl == 0  # type: ignore[union-attr]
    assert parse_wallet(WALLET).equity == 0
    assert parse_ticker({**TICKER, "fundingRate": "0"}).funding_rate == 0


def test_an_order_of_the_open_list():
    order = parse_order(order_row())
    assert (order.order_id, order.order_link_id, order.side, order.direction) == (
        "o1",
        "link-o1",
        Side.BUY,
        Direction.LONG,
    )
    assert (order.price, order.qty, order.leaves_qty, order.cum_exec_qty) == (D("60000"), D("0.01"), D("0.01"), D(0))
    assert order.status is OrderStatus.NEW
    assert order.avg_price is None
    assert (order.exchange_ts, order.created_ts) == (1760000000703, 1760000000700)


def test_an_order_in_one_way_mode_has_no_direction():
    assert parse_order(order_row(positionIdx=0)).direction is None


def test_an_order_with_an_unknown_status_is_a_problem_that_names_itself():
    good, problems = parse_rows(parse_order, [order_row("o1", orderStatus="Active"), order_row("o2")])
    assert [order.order_id for order in good] == ["o2"]
    assert "BTCUSDT o1" in str(problems[0])
    assert "Active" in str(problems[0])


def test_an_execution_and_what_follows_from_it():
    fill = parse_execution(execution_row(), received_ns=5)
    assert (fill.price, fill.qty, fill.leaves_qty, fill.fee) == (D("60000"), D("0.004"), D("0.006"), D("0.048"))
    assert not fill.is_close
    assert fill.direction is Direction.LONG
    assert fill.received_ns == 5
    closing = parse_execution(execution_row(side="Buy", closedSize="0.004"))
    assert closing.direction is Direction.SHORT


@pytest.mark.parametrize(
    ("text", "kind"), [("Funding", ExecType.FUNDING), ("BustTrade", ExecType.BUST), ("SpinOff", ExecType.UNKNOWN)]
)
def test_execution_types_keep_their_word(text: str, kind: ExecType):
    event = parse_execution(execution_row(execType=text))
    assert (event.exec_type, event.exec_word) == (kind, text)


@case_table("kind", ["AdlTrade", "BustTrade", "Delivery"])
@case_table("closed", ["", "0", None, "0.004"])
def test_what_only_closes_closes_all_of_it_whatever_the_row_says(kind: str, closed: str | None):
    """BustTrade with an empty closedSize was booked as an opening trade."""
    event = parse_execution(execution_row(execType=kind, side="Sell", closedSize=closed))
    assert (event.is_close, event.direction, event.closed_size) == (True, Direction.LONG, event.qty)


@case_table("kind", ["Settle", "Dividend", "ForwardSplitSettle", "SomethingNew"])
def test_a_row_that_moves_no_leg_may_lack_what_a_trade_has(kind: str):
    """Settlements have no order, and nothing says that they have a side."""
    bare = {"symbol": "BTCUSDT", "execId": "s-1", "execType": kind, "execTime": "1760000000900", "execFee": "-12.5"}
    event = parse_execution({**bare, "side": "None", "orderId": "", "execQty": ""})
    assert (event.order_id, event.side, event.price, event.qty, event.fee) == ("", Side.BUY, D(0), D(0), D("-12.5"))


def test_a_trade_without_a_side_is_a_problem():
    _, problems = parse_rows(parse_execution, [execution_row(side="")])
    assert "expected side Buy or Sell" in str(problems[0])


@case_table("field", ["execFee", "leavesQty", "execQty", "execPrice"])
@case_table("value", ["", None, "n/a"])
def test_a_trade_without_its_figures_is_a_problem_not_a_free_or_finished_one(field: str, value: str | None):
    """An unreadable execFee was a fee of zero, an unreadable leavesQty said that the order was complete."""
    good, problems = parse_rows(parse_execution, [execution_row() | {field: value}], id_field="execId")
    assert good == []
    assert str(problems[0]) == f"row 0 (BTCUSDT e1): expected a number in {field}, got {value!r}"


@case_table("kind", ["Trade", "BlockTrade", "AdlTrade", "Delivery"])
@case_table("changes", [{"execQty": "-0.004"}, {"execPrice": "-1"}, {"closedSize": "-0.1"}])
def test_a_negative_size_or_price_is_a_problem(kind: str, changes: dict[str, str]):
    """A Trade of -0.004 was booked, as one that made the leg smaller."""
    [field] = changes
    _, problems = parse_rows(parse_execution, [execution_row(execType=kind, **changes)])
    assert f"expected no negative number in {field}" in str(problems[0])


def test_a_trade_cannot_close_more_than_it_traded():
    _, problems = parse_rows(parse_execution, [execution_row(closedSize="0.005")])
    assert "expected a closedSize of at most execQty 0.004" in str(problems[0])


@pytest.mark.parametrize("kind", ["Funding", "Trade"])
def test_what_always_has_a_fee_is_a_problem_without(kind: str):
    _, problems = parse_rows(parse_execution, [execution_row(execType=kind, execFee="")])
    assert "expected a number in execFee" in str(problems[0])


@pytest.mark.parametrize("kind", ["AdlTrade", "MovePosition", "Dividend"])
def test_other_rows_may_have_no_fee_but_no_text_instead_of_one(kind: str):
    assert parse_execution(execution_row(execType=kind, execFee="")).fee == 0
    _, problems = parse_rows(parse_execution, [execution_row(execType=kind, execFee="free")])
    assert "expected a number in execFee, got 'free'" in str(problems[0])


@pytest.mark.parametrize("changes", [{"qty": "-1"}, {"cumExecQty": "-1"}, {"cumExecQty": "some"}])
def test_an_order_of_a_negative_or_unreadable_size_is_a_problem(changes: dict[str, str]):
    assert parse_order(order_row(cumExecQty="")).cum_exec_qty == 0
    good, problems = parse_rows(parse_order, [order_row(**changes)])
    assert (good, len(problems)) == ([], 1)


def test_position_rows_of_rest_and_stream_are_the_same_event():
    rest = parse_position(position_row(1, size="0.10", avgPrice="60000.5", side="Buy"))
    row = position_row(1, size="0.10", entryPrice="60000.5", side="Buy")
    del row["avgPrice"]
    assert rest == parse_position(row)
    assert rest is not None
    assert rest.entry_price == D("60000.5")


def test_a_flat_leg_is_an_event_of_its_leg_although_it_has_no_side():
    for index, direction in ((1, Direction.LONG), (2, Direction.SHORT)):
        flat = parse_position(position_row(index))
        assert flat is not None
        assert (flat.direction, flat.size, flat.entry_price) == (direction, D(0), None)


def test_a_one_way_row_is_neither_an_event_nor_a_problem():
    assert parse_rows(parse_position, [position_row(0), position_row(2)]) == ([parse_position(position_row(2))], [])


def test_the_wallet_takes_its_coin_and_its_time_from_the_envelope():
    wallet = parse_wallet(WALLET, 1760000000905)
    assert (wallet.coin, wallet.wallet_balance, wallet.exchange_ts) == ("USDT", D("999.95"), 1760000000905)


def test_a_wallet_frame_about_other_coins_has_the_accounts_totals():
    mnt, unread = {"coin": "MNT", "walletBalance": "1", "usdValue": "0.5"}, {"coin": "BTC", "walletBalance": "?"}
    row = wallet_row(mnt, unread, "nonsense")  # type: ignore[arg-type]
    wallet = parse_wallet({**row, "totalEquity": "1010", "totalAvailableBalance": "900"})
    assert not wallet.has_coin
    assert (wallet.wallet_balance, wallet.total_equity, wallet.available_balance) == (None, D(1010), D(900))
    assert wallet.others == (CoinBalance("MNT", D(1), D("0.5")),)


@case_table("price", ["", "0", "-1", None])
def test_a_ticker_without_a_price_is_none(price: str | None):
    with pytest.raises(ValueError, match="lastPrice"):
        parse_ticker({**TICKER, "lastPrice": price})


INSTRUMENT = {
    "symbol": "BTCUSDT",
    "status": "Trading",
    "fundingInterval": 240,
    "leverageFilter": {"maxLeverage": "100.00"},
    "priceFilter": {"minPrice": "0.10", "maxPrice": "1999999.80", "tickSize": "0.10"},
    "lotSizeFilter": {"maxOrderQty": "1190", "minOrderQty": "0.001", "qtyStep": "0.001", "minNotionalValue": ""},
}
TIER = {"riskLimitValue": "900", "maintenanceMargin": "0.005", "initialMargin": "0.01", "maxLeverage": "100"}


def test_an_instrument():
    instrument = parse_instrument(INSTRUMENT)
    assert (instrument.tick_size, instrument.qty_step, instrument.max_order_qty) == (D("0.10"), D("0.001"), D(1190))
    assert instrument.min_notional == 5, "the default where the exchange says nothing"
    assert "min_notional" in instrument.untold
    assert "min_price" not in instrument.untold
    assert instrument.funding_interval_minutes == 240


@pytest.mark.parametrize("status", ["", None])
def test_an_instrument_without_a_status_is_refused(status: str | None):
    """It counted as trading: a symbol in delivery was free again."""
    with pytest.raises(ValueError, match="expected text in status"):
        parse_instrument({**INSTRUMENT, "status": status})


def test_an_end_that_an_instrument_does_not_tell_is_unknown():
    assert parse_instrument(INSTRUMENT).delivery_ms is None
    told = [parse_instrument({**INSTRUMENT, "deliveryTime": text}).delivery_ms for text in ("0", "5", "-1", "", None)]
    assert told == [0, 5, 0, None, None]


@case_table("tick", ["", "0", None, "-1"])
def test_an_instrument_without_a_tick_is_refused(tick: str | None):
    with pytest.raises(ValueError, match="expected"):
        parse_instrument({**INSTRUMENT, "priceFilter": {"tickSize": tick}})


def test_tiers_come_lowest_first_and_without_a_deduction_where_there_is_none():
    tiers = parse_tiers([{**TIER, "riskLimitValue": "1800", "mmDeduction": "4"}, {**TIER, "mmDeduction": ""}])
    assert [(tier.limit, tier.mm_deduction) for tier in tiers] == [(D(900), D(0)), (D(1800), D(4))]


def test_whether_a_leg_may_only_be_reduced_is_unknown_where_it_is_not_told():
    told = [parse_position(position_row(1, isReduceOnly=value)) for value in (True, False, None, "")]
    assert [leg.reduce_only for leg in told if leg is not None] == [True, False, None, None]


def test_a_position_in_one_way_mode_is_the_leg_of_its_side_and_a_leg_of_a_hedge_is_none() -> None:
    row = position_row(0, size="0.10", side="Sell", avgPrice="60000")
    assert parse_position(row) is None
    found = parse_one_way_position(row)
    assert found is not None
    assert (found.direction, found.size) == (Direction.SHORT, Decimal("0.10"))
    assert parse_one_way_position({**row, "side": ""}) is None, "flat"
    assert parse_one_way_position({**row, "positionIdx": 1, "side": "Buy"}) is None
