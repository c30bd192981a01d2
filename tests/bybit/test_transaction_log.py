"""The account's transaction log: in parts, page by page, and with rows that cannot be read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gridbot.bybit.calls import MAX_PAGES
from gridbot.bybit.transaction_log import WEEK_MS
from gridbot.exchange.failures import ExchangeError
from tests.bybit.rest_session import MOVEMENTS, D, Session, listing, pages
from tests.bybit.support import (
    envelope,
    run,
)


def movement(number: int, **changes: Any) -> dict[str, Any]:
    """A row of account/transaction-log."""
    amounts = {"cashFlow": "1.5", "funding": "", "fee": "0.5", "change": "1", "cashBalance": "1000"}
    what = {"type": "TRADE", "symbol": "BTCUSDT", "tradeId": f"t{number}", "currency": "USDT"}
    return amounts | what | {"transactionTime": str(number)} | changes


def test_movements_of_the_wallet_come_oldest_first_a_week_at_a_time():
    async def scene() -> None:
        async with Session() as (exchange, rest):
            exchange.on[MOVEMENTS] = pages(listing(movement(2), movement(1)), listing(movement(WEEK_MS + 1)))
            rows = await rest.transactions(1, WEEK_MS + 5)
            assert [row.exec_id for row in rows] == ["t1", "t2", f"t{WEEK_MS + 1}"]
            assert (rows[0].cash_flow, rows[0].funding, rows[0].fee, rows[0].change) == (D("1.5"), D(0), D("0.5"), D(1))
            windows = [(int(a.params["startTime"]), int(a.params["endTime"])) for a in exchange.asked]
            assert windows == [(1, WEEK_MS), (WEEK_MS + 1, WEEK_MS + 5)]
            assert {a.params["accountType"] for a in exchange.asked} == {"UNIFIED"}
            assert "category" not in exchange.asked[0].params, "transfers belong to none"

    run(scene())


def test_parts_of_a_period_are_read_side_by_side():
    """One page at a time took a fleet's check three times as long while the exchange was busy."""

    async def scene() -> None:
        async with Session() as (exchange, rest):
            moments = (1, 2, 25, 26, 99, 100)

            def answer(asked: Any) -> dict[str, Any]:
                start, end = int(asked.params["startTime"]), int(asked.params["endTime"])
                return listing(*(movement(at) for at in reversed(moments) if start <= at <= end))

            exchange.on[MOVEMENTS] = answer
            rows = await rest.transactions(1, 100, at_a_time=4)
            assert [row.exchange_ts for row in rows] == list(moments)
            windows = sorted((int(a.params["startTime"]), int(a.params["endTime"])) for a in exchange.asked)
            assert windows == [(1, 25), (26, 50), (51, 75), (76, 100)]
            assert await rest.transactions(5, 5, at_a_time=4) == []

    run(scene())


@pytest.mark.parametrize("at_a_time", [1, 2, 3, 7])
def test_parts_and_pages_have_each_movement_once_whatever_stands_at_their_borders(at_a_time: int):
    """Several movements have one millisecond, also the first and the last of a part, and come on several pages."""

    async def scene() -> None:
        async with Session() as (exchange, rest):
            moments = [at for at in (1, 15, 16, 30, 31, 34, 35, 50, 51, 67, 68, 86, 87, 100) for _ in range(3)]
            log = [movement(at, tradeId=f"t{number}") for number, at in enumerate(moments)]

            def answer(asked: Any) -> dict[str, Any]:
                start, end = int(asked.params["startTime"]), int(asked.params["endTime"])
                found = [row for row in reversed(log) if start <= int(row["transactionTime"]) <= end]
                at = int(asked.params.get("cursor") or 0)
                return listing(*found[at : at + 2], cursor=str(at + 2) if at + 2 < len(found) else "")

            exchange.on[MOVEMENTS] = answer
            rows = await rest.transactions(1, 100, at_a_time=at_a_time)
            assert [row.exec_id for row in rows] == [row["tradeId"] for row in log]

    run(scene())


def test_an_error_in_one_part_ends_the_others(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gridbot.bybit.transaction_log.TRANSACTIONS_PER_S", 1000)

    async def scene() -> None:
        async with Session() as (exchange, rest):

            def answer(asked: Any) -> dict[str, Any]:
                if asked.params["startTime"] == "51":
                    return envelope(code=10016, msg="Server error.")
                return listing(movement(1), cursor=f"p{len(exchange.asked)}")  # goes on and on

            exchange.on[MOVEMENTS] = answer
            with pytest.raises(ExchangeError, match="10016"):
                await rest.transactions(1, 100, at_a_time=4)
            others = [task for task in asyncio.all_tasks() if task.get_name().startswith("account/transaction-log")]
            assert len(others) < 4
            if others:
                await asyncio.wait(others)
            assert all(task.cancelled() for task in others)

    run(scene())


def test_a_stretch_with_too_many_movements_is_asked_for_in_halves(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gridbot.bybit.transaction_log.TRANSACTIONS_PER_S", 1000)
    monkeypatch.setattr("gridbot.bybit.transaction_log.LOG_PAGES", 5)

    async def scene() -> None:
        async with Session() as (exchange, rest):
            moments = range(0, 400_000, 100)

            def answer(asked: Any) -> dict[str, Any]:
                start, end = int(asked.params["startTime"]), int(asked.params["endTime"])
                found = [movement(at) for at in reversed(moments) if start <= at <= end]
                if len(found) > 1500:
                    return listing(*found[:50], cursor=f"p{len(exchange.asked)}")  # goes on and on
                return listing(*found)

            exchange.on[MOVEMENTS] = answer
            rows = await rest.transactions(0, 400_000)
            assert [row.exchange_ts for row in rows] == list(moments)

    run(scene())


def test_a_movement_that_cannot_be_read_keeps_no_other_from_being_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gridbot.bybit.transaction_log.TRANSACTIONS_PER_S", 1000)

    async def scene() -> None:
        async with Session() as (exchange, rest):
            bad = movement(2) | {"change": "", "symbol": ""}
            exchange.on[MOVEMENTS] = lambda _: listing(movement(3), bad, movement(1))
            rows = await rest.transactions(0, 400_000)
            assert [row.exchange_ts for row in rows] == [1, 3]
            [unreadable] = rows.unreadable
            assert unreadable.reason.startswith("account/transaction-log: ")
            assert str(unreadable) == unreadable.reason, "it has no symbol"
            assert unreadable.exchange_ts == 2

            exchange.on[MOVEMENTS] = lambda _: listing(movement(400_001) | {"change": ""}, "no row at all")
            rows = await rest.transactions(0, 400_000)
            assert [row.exchange_ts for row in rows.unreadable] == [0, 0], "no time that is still to come"

    run(scene())


def test_a_log_of_more_pages_than_other_listings_is_read_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gridbot.bybit.transaction_log.TRANSACTIONS_PER_S", 1000)

    async def scene() -> None:
        async with Session() as (exchange, rest):

            def answer(_: Any) -> dict[str, Any]:
                asked = len(exchange.asked)
                return listing(movement(1000 - asked), cursor=f"p{asked}" if asked <= MAX_PAGES else "")

            exchange.on[MOVEMENTS] = answer
            assert len(await rest.transactions(0, 400_000)) == len(exchange.asked) == MAX_PAGES + 1

    run(scene())
