"""Whole listings over real sockets, or none: pages, cursors, weeks, rows that cannot be read."""

from __future__ import annotations

import itertools
import time
from typing import Any
from urllib.parse import parse_qs

import pytest

from gridbot.bybit.calls import MAX_PAGES
from gridbot.bybit.transaction_log import WEEK_MS
from gridbot.core.vocabulary import Direction
from gridbot.exchange.failures import ErrorKind, ExchangeError, TruncatedListing
from gridbot.exchange.listing import UnreadableRows
from tests.bybit.rest_session import EXECUTIONS, REALTIME, D, Session, listing, pages
from tests.bybit.support import (
    envelope,
    execution_row,
    order_row,
    position_row,
    run,
)


def test_all_pages_are_read_and_cursors_go_back_verbatim():
    async def scene() -> None:
        async with Session() as (exchange, rest):
            cursor = "page_args%3D0b6d-43%26symbol%3D6%26"
            exchange.on[REALTIME] = pages(
                listing(order_row("a"), order_row("b"), cursor=cursor),
                listing(order_row("b", cumExecQty="0.001", updatedTime="1760000000999"), cursor="p3"),
                listing(order_row("c")),
            )
            orders = await rest.open_orders()
            assert sorted(o.order_id for o in orders) == ["a", "b", "c"]
            assert next(o for o in orders if o.order_id == "b").cum_exec_qty == D("0.001")
            assert [parse_qs(a.query).get("settleCoin") for a in exchange.asked] == [["USDT"]] * 3
            assert f"cursor={cursor}&" in exchange.asked[1].query
            assert exchange.asked[0].params["limit"] == "50"

    run(scene())


def test_an_empty_page_ends_a_listing_even_with_a_cursor():
    async def scene() -> None:
        async with Session() as (exchange, rest):
            exchange.on[REALTIME] = pages(listing(order_row("a"), cursor="p2"), listing(cursor="p3"))
            assert [o.order_id for o in await rest.open_orders("BTCUSDT")] == ["a"]
            assert len(exchange.asked) == 2
            assert exchange.asked[0].params["symbol"] == "BTCUSDT"

    run(scene())


def test_what_ended_last_is_read_as_far_as_what_is_wanted():
    """A busy account's start read ten pages of 500 orders for what had ended in its last second."""

    async def scene() -> None:
        async with Session() as (exchange, rest):
            by_link = order_row("c", orderLinkId="mine")
            for wanted, count in (
                ({"a"}, 1), ({"b", "a"}, 2), ({"mine"}, 2), ({"a", "gone"}, 3), (frozenset(), 3),
            ):  # fmt: skip
                exchange.asked.clear()
                exchange.on[REALTIME] = pages(
                    listing(order_row("a"), cursor="p2"),
                    listing(order_row("b"), by_link, cursor="p3"),
                    listing(order_row("d")),
                )
                found = await rest.closed_orders(frozenset(wanted))
                assert [order.order_id for order in found] == ["a", "b", "c", "d"][: (1, 3, 4)[count - 1]]
                assert (len(exchange.asked), exchange.asked[0].params["openOnly"]) == (count, "1")

    run(scene())


def test_a_listing_without_end_is_discarded():
    async def scene() -> None:
        async with Session() as (exchange, rest):
            exchange.on[REALTIME] = lambda _: listing(order_row(), cursor=f"p{len(exchange.asked)}")
            with pytest.raises(TruncatedListing, match="100 pages"):
                await rest.open_orders()
            assert len(exchange.asked) == MAX_PAGES

    run(scene())


def test_a_cursor_that_leads_back_is_noticed():
    async def scene() -> None:
        async with Session() as (exchange, rest):
            exchange.on[REALTIME] = lambda _: listing(order_row(), cursor="again")
            with pytest.raises(TruncatedListing, match="leads back"):
                await rest.open_orders()
            assert len(exchange.asked) == 2

    run(scene())


def test_an_error_on_a_later_page_discards_the_earlier_ones():
    async def scene() -> None:
        async with Session() as (exchange, rest):
            exchange.on[REALTIME] = pages(listing(order_row("a"), cursor="p2"), envelope(code=10016, msg="restarting"))
            with pytest.raises(ExchangeError) as caught:
                await rest.open_orders()
            assert caught.value.kind is ErrorKind.AMBIGUOUS

    run(scene())


@pytest.mark.parametrize("bad", [order_row(orderStatus="?"), order_row(orderId=""), order_row(side="Both")])
def test_an_unreadable_row_is_left_out_and_told_with_its_symbol(bad: dict[str, Any]):
    async def scene() -> None:
        async with Session() as (exchange, rest):
            exchange.on[REALTIME] = listing(order_row("a"), {**bad, "symbol": "NEWUSDT", "updatedTime": "7"})
            found = await rest.open_orders()
            assert [order.order_id for order in found] == ["a"]
            [unreadable] = found.unreadable
            assert (unreadable.symbol, unreadable.exchange_ts) == ("NEWUSDT", 7)
            assert "order/realtime: row 1 (NEWUSDT" in unreadable.reason

    run(scene())


def test_an_unreadable_answer_about_one_order_is_none():
    async def scene() -> None:
        async with Session() as (exchange, rest):
            exchange.on[REALTIME] = listing(order_row("a", orderStatus="?"))
            with pytest.raises(UnreadableRows) as caught:
                await rest.find_order("BTCUSDT", order_id="a")
            assert caught.value.unreadable.symbol == "BTCUSDT"
            exchange.on[EXECUTIONS] = listing(execution_row(side="?"))
            with pytest.raises(UnreadableRows):
                await rest.executions_of("BTCUSDT", order_id="a")

    run(scene())


@pytest.mark.parametrize("bad", [order_row(orderStatus="?", symbol=""), None, "row"])
def test_an_unreadable_row_without_a_symbol_spoils_a_listing(bad: Any):
    async def scene() -> None:
        async with Session() as (exchange, rest):
            exchange.on[REALTIME] = listing(order_row("a"), bad)
            with pytest.raises(TruncatedListing, match="unreadable"):
                await rest.open_orders()

    run(scene())


@pytest.mark.parametrize("result", [{}, {"list": None}, None, []])
def test_a_listing_without_a_list_is_no_empty_listing(result: Any):
    async def scene() -> None:
        async with Session() as (exchange, rest):
            exchange.on[REALTIME] = {**envelope(), "result": result}
            with pytest.raises(ExchangeError) as caught:
                await rest.open_orders()
            assert caught.value.kind is ErrorKind.AMBIGUOUS

    run(scene())


def test_executions_come_oldest_first_each_once():
    async def scene() -> None:
        async with Session() as (exchange, rest):
            start = int(time.time() * 1000) - 1000

            def at(exec_id: str, ms: int, **changes: Any) -> dict[str, Any]:
                return execution_row(exec_id, execTime=str(start + ms), **changes)

            exchange.on[EXECUTIONS] = pages(
                listing(at("e4", 9), at("e3", 5, seq=8, leavesQty="0"), cursor="p2"),
                listing(at("e2", 5, seq=8, leavesQty="0.004"), at("e3", 5, seq=8, leavesQty="0"), cursor="p3"),
                listing(at("e1", 5, seq=7)),
            )
            found = await rest.executions(start)
            assert [e.exec_id for e in found] == ["e1", "e2", "e3", "e4"]
            assert "endTime" not in exchange.asked[0].params

    run(scene())


def test_of_the_executions_that_are_counted_the_newest_of_a_page_is_read_and_what_nobody_can_judge():
    """The newest says how far the list reaches: the watermark moves there."""

    async def scene() -> None:
        async with Session() as (exchange, rest):
            start = int(time.time() * 1000) - 1000
            rows = {f"e{n}": execution_row(f"e{n}", execTime=str(start + n)) for n in range(9)}
            timeless = {**rows["e0"], "execId": "e9", "execTime": "soon"}
            exchange.on[EXECUTIONS] = pages(
                listing(rows["e8"], rows["e7"], rows["e6"], cursor="p2"),
                listing(rows["e3"], rows["e4"], rows["e5"], timeless, cursor="p3"),
                listing(rows["e2"], rows["e1"]),
            )
            asked: list[tuple[str, int]] = []

            def is_new(exec_id: str, at_ms: int) -> bool:
                asked.append((exec_id, at_ms - start))
                return exec_id in ("e1", "e4", "e7")

            found = await rest.executions(start, is_new=is_new)
            assert [e.exec_id for e in found] == ["e1", "e2", "e4", "e5", "e7", "e8"]
            assert [row.symbol for row in found.unreadable] == ["BTCUSDT"], "it may be a new one"
            assert sorted(asked) == [(f"e{n}", n) for n in range(1, 9)]

    run(scene())


def test_a_long_stretch_of_executions_is_asked_for_week_by_week():
    async def scene() -> None:
        async with Session() as (exchange, rest):
            end = int(time.time() * 1000)
            start = end - 2 * WEEK_MS - 5
            exchange.on[EXECUTIONS] = lambda asked: listing(
                execution_row(asked.params["startTime"], execTime=asked.params["startTime"])
            )
            found = await rest.executions(start, end, "BTCUSDT")
            spans = [(int(a.params["startTime"]), int(a.params["endTime"])) for a in exchange.asked]
            assert spans[0][0] == start
            assert spans[-1][1] == end
            assert all(stop - first < WEEK_MS for first, stop in spans)
            assert all(before[1] + 1 == after[0] for before, after in itertools.pairwise(spans))
            assert [e.exchange_ts for e in found] == [first for first, _ in spans]
            assert exchange.asked[0].params["symbol"] == "BTCUSDT"

    run(scene())


def test_positions_with_a_symbol_have_both_legs_flat_ones_included():
    async def scene() -> None:
        async with Session() as (exchange, rest):
            exchange.on["/v5/position/list"] = listing(position_row(1, size="0.1", avgPrice="6"), position_row(2))
            legs = await rest.positions("BTCUSDT")
            assert [(leg.direction, leg.size) for leg in legs] == [(Direction.LONG, D("0.1")), (Direction.SHORT, D(0))]
            assert exchange.asked[0].params == {"category": "linear", "symbol": "BTCUSDT", "limit": "200"}

    run(scene())


@pytest.mark.parametrize("ids", [{"order_id": "x1"}, {"order_link_id": "g1"}])
def test_the_executions_of_one_order_are_asked_for_by_its_id_whenever_they_were(ids: dict[str, str]):
    async def scene() -> None:
        async with Session() as (exchange, rest):
            mine = {"orderId": "x1", "orderLinkId": "g1"}
            exchange.on[EXECUTIONS] = listing(
                execution_row("e2", execTime="9", **mine),
                execution_row("e1", execTime="5", **mine),
                execution_row("e0", execTime="1", orderId="x2", orderLinkId="g2"),
            )
            assert [e.exec_id for e in await rest.executions_of("BTCUSDT", **ids)] == ["e1", "e2"]
            asked = exchange.asked[0].params
            assert asked["symbol"] == "BTCUSDT"
            assert not {"startTime", "endTime"} & asked.keys()
            assert asked.get("orderId", "") == ids.get("order_id", "")
            assert asked.get("orderLinkId", "") == ids.get("order_link_id", "")

    run(scene())


def test_more_executions_than_a_listing_may_have_are_read_in_halves():
    """After a long outage: without this the same backlog would be discarded for ever."""

    async def scene() -> None:
        async with Session() as (exchange, rest):
            end = int(time.time() * 1000)
            start = end - 4 * 3_600_000

            def answer(asked: Any) -> Any:
                first, last = int(asked.params["startTime"]), int(asked.params["endTime"])
                row = execution_row(f"e{first}", execTime=str(first))
                return listing(row, cursor="more" if last - first > 3_600_000 else "")

            exchange.on[EXECUTIONS] = answer
            found = await rest.executions(start, end)
            assert len(found) == 4
            assert found[0].exchange_ts == start

    run(scene())


def test_a_far_future_execution_does_not_blind_us():
    """Its time is ours: the watermark, which is the newest time of a listing, stays in the present."""

    async def scene() -> None:
        async with Session() as (exchange, rest):
            now_ms = time.time_ns() // 1_000_000
            ahead = execution_row("e2", execTime="9999999999999", execQty="0.007")
            beyond = execution_row("e3", execTime=str(2**63 - 1), symbol="ETHUSDT")
            exchange.on[EXECUTIONS] = pages(listing(execution_row("e1"), ahead, beyond))
            found = await rest.executions(now_ms - 1000)
            assert [row.exec_id for row in found] == ["e1", "e2"]
            assert now_ms <= found[1].exchange_ts <= now_ms + 60_000
            assert found[1].qty == D("0.007"), "it counts all the same"
            assert [(row.symbol, row.exchange_ts) for row in found.unreadable] == [("ETHUSDT", 0)]

    run(scene())


def test_rows_of_the_worst_kind_leave_the_others_alone():
    async def scene() -> None:
        async with Session() as (exchange, rest):
            bad = [
                order_row("b1", symbol="A" * 100_000), order_row("b2", symbol="X\x1b[2J"), order_row("b3", qty="1e30"),
                order_row("b4", price=None), order_row("b5", price="-1"), order_row("b6", updatedTime=2**63),
                order_row("b7", orderLinkId="x\ny"), order_row("b8", side=["Buy"]), order_row("b9", qty="\u0661"),
            ]  # fmt: skip
            exchange.on[REALTIME] = pages(listing(order_row("a"), *bad, order_row("c")))
            orders = await rest.open_orders()
            assert [order.order_id for order in orders] == ["a", "c"]
            assert len(orders.unreadable) == len(bad)
            assert all(str(row).isprintable() and len(str(row)) < 1000 for row in orders.unreadable)

    run(scene())
