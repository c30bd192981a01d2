"""The views beside what the exchange lists: what differs, and what lasts of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from gridbot.config.account_models import AccountConfig
from gridbot.core import Direction, OrderStatus, OrderUpdateEvent, PositionEvent, Side
from gridbot.exchange.listing import Listing, Unreadable
from gridbot.orders.ids import Owner, account_tag, wire_id
from supervisor.store import exchange_views
from supervisor.store.address_pace import Paces
from supervisor.store.exchange_views import Listed, Recorded, ViewCheck, Views, check_views, differences, lasting
from supervisor.store.query import Answer, Limits
from tests.case_table import case_table
from tests.supervisor.store.test_address_pace import config as configuration

TAG = account_tag("paper", "alice")
OURS = wire_id(Owner.of(TAG, "btc"), Side.BUY, Direction.LONG, 500, 7)
LEG = ("BTCUSDT", Direction.LONG)
RECORDED = Recorded(OURS, "o1", "BTCUSDT", D("50"), D("2"), D("0.5"), "open")
ROW = OrderUpdateEvent(
    "BTCUSDT", "o1", OURS, Side.BUY, Direction.LONG, D("50.0"), D("2"), OrderStatus.PARTIALLY_FILLED, D("0.50")
)
POSITION = PositionEvent("BTCUSDT", Direction.LONG, D("3"), D("49.9999999"))


def of(orders: list[Recorded], rows: list[OrderUpdateEvent]) -> list[str]:
    views = Views({each.link_id or each.order_id: each for each in orders}, {})
    return differences(TAG, views, Listed(rows, []))


def test_the_same_order_is_no_difference_whatever_its_digits() -> None:
    assert of([RECORDED], [ROW]) == []


@case_table(
    ("row", "said"),
    [
        (replace(ROW, order_id="o2"), "recorded order_id o1, the exchange has o2"),
        (replace(ROW, price=D("50.1")), "recorded price 50, the exchange has 50.1"),
        (replace(ROW, qty=D("1.9")), "recorded qty 2, the exchange has 1.9"),
        (replace(ROW, cum_exec_qty=D("1")), "recorded cum_exec_qty 0.5, the exchange has 1"),
    ],
)
def test_each_figure_that_differs_is_named(row: OrderUpdateEvent, said: str) -> None:
    assert of([RECORDED], [row]) == [f"open_orders: {OURS} of BTCUSDT: {said}"]


def test_an_order_is_missed_on_either_side_unless_it_is_somebody_else_s() -> None:
    assert of([RECORDED], []) == [f"open_orders: {OURS} of BTCUSDT: recorded as open, it does not rest on the exchange"]
    assert of([], [ROW]) == [
        f"open_orders: {OURS} of BTCUSDT is not there, on the exchange it rests: Buy 2 @ 50.0",
    ]
    by_hand = replace(ROW, order_link_id="")
    another = replace(ROW, order_link_id=wire_id(Owner.of("zzzzzz", "btc"), Side.BUY, Direction.LONG, 500, 7))
    assert of([], [by_hand, another]) == []


def test_an_order_under_way_is_compared_when_it_has_taken_too_long(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An order that is sent again after 10006 waits up to eleven seconds: it was told as a row that is stale."""
    now = datetime.now(UTC).replace(tzinfo=None)
    row = ("alice", OURS, "", "BTCUSDT", D("50"), D("2"), D(0), "pending", "btc", "long", "Buy", False, 2)
    said = []
    for seconds in (3, 300):
        orders = Answer([], [(*row, now - timedelta(seconds=seconds))])
        monkeypatch.setattr(exchange_views, "ask_all", lambda *_, orders=orders: [orders, Answer([], [])])
        views = exchange_views._read_views(tmp_path, Limits())["alice"]
        said.append(differences(TAG, views, Listed([], [])))
    assert said == [[], [f"open_orders: {OURS} of BTCUSDT: recorded as pending, it does not rest on the exchange"]]


@case_table(
    ("size", "entry", "rows", "said"),
    [
        ("3", "50", [POSITION], []),
        ("3", "50.1", [POSITION], ["recorded entry 50.1, the exchange has 49.9999999"]),
        ("2", "50", [POSITION], ["recorded 2, the exchange has 3"]),
        ("3", "50", [], ["recorded 3, the exchange has 0"]),
        ("0", "0", [], []),
    ],
)
def test_legs(size: str, entry: str, rows: list[PositionEvent], said: list[str]) -> None:
    views = Views({}, {LEG: (D(size), D(entry))})
    found = differences(TAG, views, Listed([], rows))
    assert found == [f"positions: long of BTCUSDT: {each}" for each in said]


def test_a_leg_without_a_row_is_missed_where_a_strategy_trades() -> None:
    listed = Listed([], [POSITION])
    assert differences(TAG, Views({}, {}), listed) == [], "a hand's"
    said = ["positions: long of BTCUSDT is not there, the exchange has 3"]
    assert differences(TAG, Views({}, {}), listed, {"BTCUSDT"}) == said


def test_only_what_each_reading_shows_counts() -> None:
    """A bot that trades changes views and exchange between two queries."""
    assert lasting([["a", "b"]]) == ["a", "b"]
    assert lasting([["a", "b"], ["b", "c"], ["b"]]) == ["b"]
    assert lasting([["a"], []]) == []


class Rest:
    """Lists no order and no leg, and one row that cannot be read."""

    async def server_time_ms(self, *, max_age_s: float = 0.0) -> int:
        return 0

    async def open_orders(self, **_: Any) -> Listing[OrderUpdateEvent]:
        return Listing([], [Unreadable("ETHUSDT", "no price")])

    async def positions(self) -> Listing[PositionEvent]:
        return Listing()

    def close(self) -> None:
        pass


def checked(monkeypatch: pytest.MonkeyPatch, connect: Any) -> ViewCheck:
    monkeypatch.setattr(exchange_views, "APART_S", 0.0)
    other = replace(RECORDED, link_id="x", symbol="ETHUSDT")
    legs = {("ETHUSDT", Direction.LONG): (D(1), D(1)), ("BTCUSDT", Direction.LONG): (D(0), D(0))}
    monkeypatch.setattr(exchange_views, "_read_views", lambda *_: {"alice": Views({OURS: RECORDED, "x": other}, legs)})
    config = configuration(0)
    account = config.account("alice")
    return check_views(config, [account], Path(), connect, Limits(), Paces(config, Path()))["alice"]


def test_nothing_is_said_of_a_symbol_with_a_row_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its order counted as one that does not rest, its leg as flat; a flat leg is no position."""
    found = checked(monkeypatch, lambda _: Rest())
    assert (found.orders, found.legs, found.stale) == (1, 0, (RECORDED,))
    assert [row.symbol for row in found.unreadable] == ["ETHUSDT"]
    assert all("ETHUSDT" not in line for line in found.lines)


def test_an_exchange_that_has_gone_meanwhile_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: AccountConfig) -> Any:
        raise LookupError("no supervisor runs")

    assert checked(monkeypatch, gone).problem == "no supervisor runs"
