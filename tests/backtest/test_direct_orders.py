"""Orders that go to the exchange as values are those that the parameters of a request would make, refused alike."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from typing import Any, cast

from hypothesis import example, given, settings
from hypothesis import strategies as st

from gridbot import background
from gridbot.backtest.run_account import NOWHERE
from gridbot.backtest.run_loop import RunLoop
from gridbot.backtest.run_options import Options
from gridbot.backtest.run_readings import RunQueries
from gridbot.backtest.run_venue import RunVenue
from gridbot.backtest.symbol_feed import SymbolFeed
from gridbot.bybit.endpoints import Credentials
from gridbot.bybit.order_gateway import BybitOrderGateway, _order_params
from gridbot.core import Direction, Side
from gridbot.exchange.failures import ExchangeError
from gridbot.exchange.requests import OrderAck, OrderRequest, Taking
from gridbot.paper.accounts.exchange_order import NewOrder
from gridbot.paper.api_error import ApiError
from gridbot.paper.market.instruments import LISTINGS
from gridbot.paper.params.order_params import limit_order, new_order
from gridbot.paper.settings import RateLimitConfig
from tests.backtest.backtest_examples import START_MS, config_of, day_of
from tests.examples import examples

SYMBOLS = ("BTCUSDT", "ETHUSDT")


def numbers(step: Decimal) -> st.SearchStrategy[Decimal]:
    """Mostly whole steps, some a fraction of one off, some far beyond what an exchange takes."""
    whole = st.integers(1, 10**9)
    near = whole.map(lambda count: count * step)
    return st.one_of(
        near, near, st.integers(1, 10**6).map(lambda count: count * step), whole.map(lambda n: n * step / 4)
    )


@st.composite
def requests(draw: st.DrawFn) -> OrderRequest:
    symbol = draw(st.sampled_from(SYMBOLS))
    instrument = LISTINGS[symbol].instrument
    link = st.one_of(st.just("gb-1_a"), st.text("abc-_ é!", max_size=40))
    return OrderRequest(
        symbol=symbol,
        side=draw(st.sampled_from(Side)),
        direction=draw(st.sampled_from(Direction)),
        qty=draw(numbers(instrument.qty_step)),
        price=draw(numbers(instrument.tick_size)),
        order_link_id=draw(link),
        reduce_only=draw(st.booleans()),
        post_only=draw(st.booleans()),
    )


def outcome(make: Callable[[], NewOrder]) -> Any:
    try:
        made = make()
    except ApiError as error:
        return error.code, error.message
    return made, [str(each) for each in (made.qty, made.price)]


ONE = OrderRequest("BTCUSDT", Side.BUY, Direction.LONG, Decimal("0.001"), Decimal(60_000), "a", reduce_only=False)


@settings(max_examples=examples(150), deadline=None)
@given(order=requests())
@example(order=ONE)
@example(order=ONE._replace(qty=Decimal("0.0005")))
@example(order=ONE._replace(qty=Decimal("1E+3"), reduce_only=True))
@example(order=ONE._replace(price=Decimal("1E+3")))
@example(order=ONE._replace(price=Decimal("60000.05")))
@example(order=ONE._replace(order_link_id="what is this"))
def test_an_order_of_values_is_the_one_of_its_parameters(order: OrderRequest) -> None:
    listing = LISTINGS[order.symbol]
    by_values = outcome(
        lambda: limit_order(
            listing,
            order.side,
            order.qty,
            order.price,
            position_idx=order.direction.position_idx,
            time_in_force="PostOnly" if order.post_only else "GTC",
            link_id=order.order_link_id,
            reduce_only=order.reduce_only,
        )
    )
    assert by_values == outcome(lambda: new_order(_order_params(order), listing))


def go_on(loop: RunLoop) -> None:
    """Up to a second later, when all quotas are whole again."""
    end_us = loop.now_us + 1_000_000
    while (due_us := loop.next_us()) is not None and due_us <= end_us:
        loop.turn(due_us)
    loop.turn(end_us)


def told(*, by_values: bool, batches: Sequence[list[OrderRequest]]) -> list[Any]:
    """What answers, quotas and private streams say of some batches, and of each of their orders alone afterwards."""
    loop = RunLoop(START_MS * 1000)  # type: ignore[abstract]  # what it lacks would reach outside
    config = config_of(balance=5_000)
    config = config.model_copy(
        update={"paper": config.paper.model_copy(update={"limits": RateLimitConfig(orders_per_second=6)})}
    )
    heard: list[Any] = []

    async def ask(answer: Awaitable[Any]) -> None:
        try:
            found = await answer
        except ExchangeError as error:
            found = error
        heard.extend(
            (str(each), each.ret_code, each.kind) if isinstance(each, ExchangeError) else each
            for each in (found if isinstance(found, list) else [found])
        )

    with loop.running():
        feed = SymbolFeed("BTCUSDT", [lambda: day_of([60_000] * 9)], START_MS, START_MS + 9_000)
        venue = RunVenue(config.paper, config.account("alice"), {"BTCUSDT": feed}, Options(), loop)
        venue.hear, venue.calls.takes_time, venue.account.hedge["BTCUSDT"] = heard.extend, True, True
        queries = RunQueries(NOWHERE, Credentials("backtest", ""), transport=cast(Any, lambda *_, **__: venue.calls))
        queries.venue = venue
        gateway = queries.orders if by_values else BybitOrderGateway(queries)
        for batch in batches:
            background.awaited(ask(gateway.place_orders(batch)), name="a batch")
        go_on(loop)
        for number, order in enumerate(itertools.chain(*batches)):
            alone = order._replace(order_link_id=f"alone-{number}")
            background.awaited(ask(gateway.place_order(alone)), name="one order")
            go_on(loop)
        assert not asyncio.all_tasks(loop)
    return [*heard, dict(gateway.limits), loop.failures]


def test_both_ways_say_the_same_of_orders_and_refusals() -> None:
    good = [ONE._replace(order_link_id=f"good-{number}", price=Decimal(59_000 + number)) for number in range(8)]
    odd = [
        ONE._replace(order_link_id="small", qty=Decimal("0.0005")),
        ONE._replace(order_link_id="odd", price=Decimal("59000.05")),
        ONE._replace(order_link_id="much", qty=Decimal(9)),
        ONE._replace(order_link_id="closes", side=Side.SELL, reduce_only=True),
        ONE._replace(order_link_id="far", price=Decimal(90_000), post_only=False),
        ONE._replace(order_link_id="takes", taking=Taking.LIMIT),
        good[0],
    ]
    batches = [good[:2], good[2:], odd[:5], odd[4:], []]
    by_values = told(by_values=True, batches=batches)
    assert by_values == told(by_values=False, batches=batches)
    codes = {each[1] for each in by_values if isinstance(each, tuple)}
    assert codes >= {10001, 10006, 110007, 110017}, codes
    assert sum(isinstance(each, OrderAck) for each in by_values) > 10
