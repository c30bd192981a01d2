"""What `adopt` answers when something stands in its way. The whole of it with an exchange: tests/integration."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from gridbot.core import Direction, OrderStatus, OrderUpdateEvent, Side
from gridbot.exchange.failures import ErrorKind, make_error
from gridbot.exchange.listing import Listing, Unreadable
from gridbot.records.record_types import OrderRecord
from gridbot.worker.adoption import Adoption, HowToAdopt
from tests.worker.account_bench import BTC, PRICE, SYMBOL, AccountBench, position, strategy, ticker

D = Decimal
APPLY, LADDER = HowToAdopt(apply=True, who="ann@host"), HowToAdopt(ladder=True)
BUSY = make_error("busy", ErrorKind.RATE_LIMIT)


class Desk:
    """An account whose exchange lists `rows`, or fails with `error`; a comparison ends with `after`."""

    def __init__(self, **more: Any) -> None:
        self.account = AccountBench(strategy(**more))
        self.account.start()
        self.account.runner.pause()
        self.account.runner.on_ticker(ticker())  # the grid is built
        self.rows: Listing[OrderUpdateEvent] = Listing()
        self.error: Exception | None = None
        self.after: Exception | None = None
        self.between: Any = None
        self.compared: list[str] = []
        self.adoption = Adoption(self.account.context, self, self.compare, lambda: None)

    async def open_orders(self, symbol: str | None = None) -> Listing[OrderUpdateEvent]:
        await asyncio.sleep(0)
        if self.between is not None:
            self.between()
        if self.error is not None:
            raise self.error
        return self.rows

    async def compare(self, reason: str) -> None:
        self.compared.append(reason)
        if self.after is not None:
            raise self.after
        for record in self.account.context.recorded:
            row = next(row for row in self.rows if row.order_id == record.order_id)
            if self.account.runner.book.get(row.order_id) is None:
                self.account.runner.orders.adopt(row, "reconcile")

    def resting(self, side: Side = Side.BUY, **changes: Any) -> OrderUpdateEvent:
        """An order at the level of this side that is nearest to the price."""
        wishes = [wish for wish in self.account.runner.engine.wishes(PRICE) if wish.side is side and not wish.closes]
        wish = min(wishes, key=lambda wish: abs(wish.ticks - BTC.ticks(PRICE)))
        order = OrderUpdateEvent(
            SYMBOL, "x1", "theirs", side, wish.direction, BTC.price(wish.ticks), D("0.01"), OrderStatus.NEW
        )
        return replace(order, **changes)

    async def ask(self, how: HowToAdopt) -> tuple[bool, dict[str, Any]]:
        done, text = await self.adoption.begin([self.account.runner], how)
        return done, json.loads(text) if text.startswith("{") else {"said": text}

    def adopted(self) -> list[tuple[str, str]]:
        records = self.account.notes.of(OrderRecord)
        return [(record.order_id, record.reason) for record in records if "another program" in record.reason]


async def test_what_fits_is_recorded_and_then_in_the_book() -> None:
    desk = Desk()
    desk.rows = Listing([desk.resting(), desk.resting(Side.SELL, order_id="x2", order_link_id="", qty=D("0.02"))])
    done, told = await desk.ask(HowToAdopt())
    assert (done, desk.adopted(), desk.compared) == (True, [], [])
    done, told = await desk.ask(APPLY)
    assert (done, told["applied"]) == (True, True)
    assert told["said"].startswith("1 adopted, 1 near misses and 0 foreign orders left")
    assert desk.adopted() == [("x1", "adopted from another program by ann@host")]
    assert desk.account.runner.book.get("theirs") is not None
    assert [order["why"] for order in told["strategies"][0]["orders"]] == ["", "quantity 0.02, wanted 0.010"]
    done, told = await desk.ask(replace(APPLY, any_quantity=True))
    assert (told["said"][:9], [name for name, _ in desk.adopted()]) == ("1 adopted", ["x1", "x2"])


async def test_when_the_exchange_does_not_answer_nothing_is_taken() -> None:
    desk = Desk()
    desk.error = BUSY
    done, told = await desk.ask(APPLY)
    assert (done, desk.adopted()) == (False, [])
    assert told["said"].startswith("the exchange could not be asked: ")


async def test_what_is_taken_is_taken_although_the_comparison_has_to_wait() -> None:
    desk = Desk()
    desk.rows, desk.after = Listing([desk.resting()]), BUSY
    done, told = await desk.ask(APPLY)
    assert (done, [name for name, _ in desk.adopted()]) == (True, ["x1"])
    assert "they are the strategy's, and followed when the exchange answers again" in told["said"]
    assert told["strategies"][0]["orders"][0]["why"] == "it has ended since; its fills count"


async def test_a_strategy_that_was_resumed_meanwhile_is_given_nothing() -> None:
    desk = Desk()
    desk.rows, desk.between = Listing([desk.resting()]), desk.account.runner.resume
    done, told = await desk.ask(APPLY)
    assert (done, desk.adopted()) == (False, [])
    assert told["said"].startswith("expected every strategy to be paused, got btc")


async def test_one_at_a_time_and_only_strategies_with_orders_on_the_exchange() -> None:
    desk = Desk()
    first = desk.adoption.begin([desk.account.runner], HowToAdopt())
    with pytest.raises(ValueError, match="one adoption at a time"):
        desk.adoption.begin([desk.account.runner], HowToAdopt())
    assert (await first)[0]
    assert (await desk.adoption.begin([desk.account.runner], HowToAdopt()))[0], "the next one may begin"
    with pytest.raises(ValueError, match="shadows alone"):
        desk.adoption.begin([Desk(shadow_mode=True).account.runner], HowToAdopt())


async def test_a_fault_of_ours_is_told_and_the_next_one_may_begin() -> None:
    desk = Desk()
    desk.error = RuntimeError("a fault")
    told = desk.adoption.begin([desk.account.runner], HowToAdopt())
    assert await told == (False, "it broke off; the worker's log says why, and nothing is taken over by halves")
    desk.error = None
    assert (await desk.ask(HowToAdopt()))[0]


@pytest.mark.parametrize("what", ["unreadable", "no price", "no ladder", "orders of its own"])
async def test_why_a_strategy_is_given_nothing(what: str) -> None:
    desk = Desk()
    runner, how, expected = desk.account.runner, APPLY, what
    row = desk.resting()
    desk.rows = Listing([row])
    if what == "unreadable":
        desk.rows, expected = Listing([row], [Unreadable(SYMBOL, "odd")]), "that cannot be read"
    elif what == "no price":
        runner.risk_state.last_price, expected = None, "no price is known yet"
    elif what == "no ladder":
        how, expected = replace(APPLY, ladder=True), "expected orders on both sides of the price"
    else:
        far = replace(row, order_id="own", order_link_id="own", price=D("49000.0"))
        runner.orders.adopt(far, "a test")
        desk.rows = Listing([row, desk.resting(Side.SELL, order_id="x2", order_link_id="")])
        how, expected = replace(APPLY, ladder=True), "its own orders on the new levels too, got 1 beside them (49000.0)"
    done, told = await desk.ask(how)
    assert (done, desk.adopted()) == (True, [])
    assert expected in told["strategies"][0]["refused"]
    assert expected in told["said"]


async def test_a_strategy_without_a_ladder_keeps_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    monkeypatch.setattr(desk.account.runner, "engine", object())
    _, told = await desk.ask(LADDER)
    assert "expected a strategy with a ladder, got another kind" in told["said"]


async def test_a_close_is_wanted_as_large_as_it_would_be_alone() -> None:
    desk = Desk()
    desk.account.runner.on_position_update(position(Direction.SHORT, "0.05"), source="rest")
    row = replace(desk.resting(), direction=Direction.SHORT, reduce_only=True)
    desk.rows = Listing([row, replace(row, order_id="x2", qty=D("0.05"))])
    _, told = await desk.ask(HowToAdopt())
    assert {order["order_id"]: order["fit"] for order in told["strategies"][0]["orders"]} == {
        "x1": "adopted",
        "x2": "near",
    }
