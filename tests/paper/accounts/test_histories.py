"""Histories of an account: rows as they went in, the newest ones, in the order and range that a listing asks for."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbot.core.events import OrderStatus
from gridbot.core.vocabulary import Side
from gridbot.paper.accounts import histories, packed_rows
from gridbot.paper.accounts.bookings import ClosedPnl
from gridbot.paper.accounts.exchange_order import Execution, NewOrder, Order
from gridbot.paper.accounts.histories import ClosedOrders, ClosedPnlRows, Executions
from gridbot.paper.accounts.row_cells import CLOSED_PNL

ONE = Decimal("1.00")
KEEP = 5


@pytest.fixture(autouse=True, scope="module", params=[1, 2, 128])
def block_rows(request: pytest.FixtureRequest) -> Iterator[None]:
    """With rows compressed one by one, in pairs, and not at all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed_rows, "BLOCK_ROWS", request.param)
        yield


def order(number: int, symbol: str = "BTCUSDT", status: OrderStatus = OrderStatus.CANCELLED) -> Order:
    request = NewOrder(symbol, Side.BUY, ONE, ONE, 1, order_link_id=f"link-{number}")
    return Order(number, f"id-{number}", request, ONE, ONE, False, ONE, number, number, status)


def execution(number: int, time_ms: int, symbol: str) -> Execution:
    amounts = (ONE, ONE, ONE, ONE)
    return Execution(number, f"e-{number}", symbol, Side.SELL, *amounts, "Trade", True, time_ms, 1, ONE)


times = st.integers(0, 9)
symbols = st.sampled_from(["BTCUSDT", "ETHUSDT"])


@given(
    *(st.lists(st.tuples(times, symbols), max_size=9), st.one_of(st.none(), st.integers(0, 10))),
    *(times, st.one_of(st.none(), times), st.sampled_from(["", "BTCUSDT"])),
)
def test_executions_are_listed_as_a_plain_list_would_list_them(
    made: list[tuple[int, str]], below: int | None, start: int, end: int | None, symbol: str
) -> None:
    """The clock may have been set back in between."""
    rows = [execution(number, *each) for number, each in enumerate(made)]
    kept = Executions(KEEP)
    for row in rows:
        kept.append(row)
    rows = rows[-KEEP:]
    assert list(kept) == rows
    assert [kept[at] for at in range(-len(rows), len(rows))] == rows * 2
    assert list(kept.newest_first(below, start, end, symbol)) == [
        row
        for row in reversed(rows)
        if (below is None or row.number < below)
        and start <= row.time_ms <= (row.time_ms if end is None else end)
        and symbol in ("", row.symbol)
    ]


@given(st.permutations(range(8)), st.one_of(st.none(), st.integers(0, 8)), st.one_of(st.none(), st.integers(1, 8)))
def test_orders_are_closed_in_any_order_and_listed_by_number(
    numbers: list[int], below: int | None, last: int | None
) -> None:
    kept = ClosedOrders(KEEP)
    for number in numbers:
        kept.put(order(number, "ETHUSDT" if number % 3 == 0 else "BTCUSDT"))
    for number in numbers:
        is_kept = number in numbers[-KEEP:]
        assert (kept.get(f"id-{number}") is not None, kept.of_link(f"link-{number}") is not None) == (is_kept, is_kept)
    assert [each.number for each in kept.values()] == numbers[-KEEP:]
    newest = numbers[-KEEP:][-(last or KEEP) :]
    wanted = sorted((n for n in newest if n % 3 and (below is None or n < below)), reverse=True)
    assert [each.number for each in kept.highest_first(below, "BTCUSDT", last)] == wanted
    assert list(map(len, (kept, list(kept.copy())))) == [KEEP, KEEP]


def test_of_several_orders_with_a_link_id_the_newest_is_found() -> None:
    kept = ClosedOrders(KEEP)
    for number in (1, 2):
        kept.put(replace(order(number), request=replace(order(number).request, order_link_id="same")))
    found = kept.of_link("same")
    assert found is not None
    assert found.number == 2
    assert kept.of_link("other") is None


def test_a_key_with_the_hash_of_another_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histories, "key_hash", lambda key: 1)
    orders, rows = ClosedOrders(KEEP), ClosedPnlRows(KEEP)
    for number in range(9):
        orders.put(order(number))
        rows.add(ClosedPnl(10 + number, order(number), ONE, 1, 1))
    assert [orders[f"id-{number}"].number for number in range(4, 9)] == [4, 5, 6, 7, 8]
    assert [rows[f"id-{number}"].number for number in range(4, 9)] == [14, 15, 16, 17, 18]
    found = orders.of_link("link-5")
    assert found is not None
    assert found.number == 5
    assert (orders.get("id-3"), orders.get("id-"), orders.of_link("link-3"), rows.get("id-3")) == (None,) * 4


def test_an_order_that_differs_after_it_was_closed_keeps_its_place() -> None:
    kept = ClosedOrders(KEEP)
    for number in (1, 2):
        kept.put(order(number))
    changed = replace(order(1), children=("child",))
    kept.put(changed)
    assert list(kept.values()) == [changed, order(2)]
    assert kept["id-1"] is not kept["id-1"]


def test_closed_profit_and_loss_grows_until_its_order_is_closed() -> None:
    kept = ClosedPnlRows(KEEP)
    for number in range(6):
        kept.add(ClosedPnl(10 + number, order(number, status=OrderStatus.NEW), ONE, 1, 1))
    assert list(kept) == [f"id-{number}" for number in range(1, 6)]
    growing = kept["id-2"]
    growing.fill_count = 7
    growing.order.status = OrderStatus.FILLED
    kept.finish(growing.order)
    kept.finish(order(99))  # has no row
    assert kept["id-2"] == growing
    assert kept["id-2"] is not growing
    assert kept["id-3"] is kept["id-3"]
    assert [row.number for row in kept.newest_first()] == [15, 14, 13, 12, 11]
    assert [row.number for row in kept.newest_first(13)] == [12, 11]
    assert len(list(kept.copy())) == len(kept) == KEEP
    assert [CLOSED_PNL.row(orjson.loads(text)) for text in kept.copy()] == list(kept.values())


def test_a_row_of_closed_profit_and_loss_shows_what_its_order_became() -> None:
    kept = ClosedPnlRows(KEEP)
    for number in (1, 2):
        kept.add(ClosedPnl(10 + number, order(number), ONE, 1, 1))
    kept.finish(order(1))
    changed = replace(order(1), children=("child",))
    for each in (changed, replace(order(2), children=("other",)), order(3)):
        kept.differs(each)
    assert kept["id-1"].order == changed
    assert kept["id-2"].order == order(2)  # it grows with its order itself


def test_a_text_takes_no_more_memory_than_it_is_long() -> None:
    packed = Executions(KEEP).append(execution(1, 1, "BTCUSDT"))
    assert sys.getsizeof(packed) == len(packed) + sys.getsizeof(b"")
    kept = ClosedOrders(KEEP)
    kept.put(order(1))
    assert all(len(each) < 200 for each in kept.copy())
