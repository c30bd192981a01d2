"""The whole package against the paper exchange: what one says, the other understands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from gridbot.bybit.endpoints import Credentials, endpoints_for
from gridbot.bybit.rest import BybitRest
from gridbot.core.events import ExecutionEvent, OrderStatus, OrderUpdateEvent, PositionEvent, WalletEvent
from gridbot.core.vocabulary import Direction, Side
from gridbot.exchange.environment import Environment
from gridbot.exchange.failures import ErrorKind, ExchangeError
from gridbot.exchange.requests import CancelRef, OrderAck, OrderRequest
from gridbot.paper.server.paper_server import PaperServer
from gridbot.paper.server.paper_spec import PaperAccount, PaperSpec
from gridbot.paper.settings import PaperConfig
from tests.bybit.support import Ears, eventually, run

D = Decimal
SYMBOL = "BTCUSDT"
ALICE = PaperAccount("alice", "paper-alice", "secret-of-alice", D(10000))


@dataclass
class Scene:
    server: PaperServer
    rest: BybitRest
    ears: Ears

    def of(self, kind: type) -> list[object]:
        return [event for event in self.ears.heard.private if isinstance(event, kind)]

    def statuses(self, link: str) -> list[OrderStatus]:
        events = [event for event in self.ears.heard.private if isinstance(event, OrderUpdateEvent)]
        return [event.status for event in events if event.order_link_id == link]

    async def trade(self, price: str, qty: str = "10") -> None:
        self.server.market.trade(SYMBOL, D(price), D(qty), Side.SELL)


def manual_paper(**limits: int) -> PaperConfig:
    """A market that only the test moves, without limits but those that are named."""
    return PaperConfig.model_validate(
        {
            "position_mode": "one_way",
            "ticker_interval_ms": 0,
            "limits": {"orders_per_second": 0, "queries_per_second": 0, "ip_requests": 0, **limits},
            "market": {"source": "manual", "mark_halflife_s": 0, "symbols": {SYMBOL: {"price": 60000}}},
        }
    )


@asynccontextmanager
async def paper(**limits: int) -> AsyncIterator[Scene]:
    """Such a market, an account, and both streams."""
    async with PaperServer(PaperSpec(config=manual_paper(**limits), accounts=(ALICE,))) as server:
        endpoints = endpoints_for(Environment.PAPER, server.url)
        credentials = Credentials(ALICE.api_key, ALICE.api_secret)
        rest = BybitRest(endpoints, credentials)
        try:
            await rest.ensure_hedge_mode(SYMBOL)
            async with Ears(endpoints, (SYMBOL,), credentials=credentials) as ears:
                yield Scene(server, rest, ears)
        finally:
            rest.close()


def order(link: str, price: str = "59000", qty: str = "0.010", **changes: object) -> OrderRequest:
    values: dict[str, object] = {"side": Side.BUY, "direction": Direction.LONG, "reduce_only": False} | changes
    return OrderRequest(symbol=SYMBOL, qty=D(qty), price=D(price), order_link_id=link, **values)  # type: ignore[arg-type]


def test_an_order_from_request_to_fill():
    async def scene() -> None:
        async with paper() as it:
            ack = await it.rest.orders.place_order(order("g1"))
            assert ack.order_link_id == "g1"
            assert [o.order_id for o in await it.rest.open_orders()] == [ack.order_id]
            await it.trade("58999")
            await eventually(lambda: it.of(ExecutionEvent) and OrderStatus.FILLED in it.statuses("g1"))
            (fill,) = it.of(ExecutionEvent)
            assert isinstance(fill, ExecutionEvent)
            assert (fill.order_id, fill.price, fill.qty, fill.leaves_qty) == (ack.order_id, D(59000), D("0.01"), D(0))
            assert fill.direction is Direction.LONG
            assert fill.fee == D("0.118")
            positions = await it.rest.positions(SYMBOL)
            assert [(p.direction, p.size) for p in positions] == [(Direction.LONG, D("0.01")), (Direction.SHORT, D(0))]
            await eventually(lambda: len(it.of(PositionEvent)) >= 2 and it.of(WalletEvent))
            pushed = {leg.direction: leg.size for leg in it.ears.heard.private if isinstance(leg, PositionEvent)}
            assert pushed[Direction.LONG] == D("0.01")
            assert [e.exec_id for e in await it.rest.executions(0)] == [fill.exec_id]
            assert await it.rest.executions_of(SYMBOL, order_id=ack.order_id) == await it.rest.executions(0)
            assert await it.rest.executions_of(SYMBOL, order_link_id="g2") == []
            found = await it.rest.find_order(SYMBOL, order_link_id="g1")
            assert found is not None
            assert found.status is OrderStatus.FILLED
            assert await it.rest.open_orders(SYMBOL) == []

    run(scene())


def test_a_batch_with_a_duplicate_and_a_cancel_batch_with_a_stranger():
    async def scene() -> None:
        async with paper() as it:
            good, twin = await it.rest.orders.place_orders([order("g1"), order("g1", "58000")])
            assert isinstance(good, OrderAck)
            assert isinstance(twin, ExchangeError)
            assert twin.kind is ErrorKind.DUPLICATE
            gone, stranger = await it.rest.orders.cancel_orders(
                SYMBOL, [CancelRef(good.order_id), CancelRef(order_link_id="x")]
            )
            assert isinstance(gone, OrderAck)
            assert isinstance(stranger, ExchangeError)
            assert stranger.kind is ErrorKind.NOT_FOUND
            await eventually(lambda: OrderStatus.CANCELLED in it.statuses("g1"))

    run(scene())


def test_a_post_only_order_that_would_take_is_acknowledged_then_cancelled():
    async def scene() -> None:
        async with paper() as it:
            await it.rest.orders.place_order(order("g1", "61000"))
            await eventually(lambda: it.statuses("g1") == [OrderStatus.CANCELLED])

    run(scene())


def test_reduce_only_without_a_position_is_a_matter_of_resync():
    async def scene() -> None:
        async with paper() as it:
            with pytest.raises(ExchangeError) as caught:
                await it.rest.orders.place_order(order("g1", "61000", side=Side.SELL, reduce_only=True))
            assert (caught.value.ret_code, caught.value.kind) == (110017, ErrorKind.RESYNC)

    run(scene())


def test_listings_longer_than_a_page_come_whole():
    async def scene() -> None:
        async with paper() as it:
            wanted = {f"g{number}" for number in range(120)}
            for first in range(0, 120, 10):
                batch = [order(f"g{n}", str(50000 + n), "0.001") for n in range(first, first + 10)]
                assert all(isinstance(result, OrderAck) for result in await it.rest.orders.place_orders(batch))
            assert {o.order_link_id for o in await it.rest.open_orders()} == wanted
            await it.trade("49000", "100")
            await eventually(lambda: len(it.of(ExecutionEvent)) == 120)
            executions = await it.rest.executions(0)
            assert {e.order_link_id for e in executions} == wanted
            pushed = [event.exec_id for event in it.ears.heard.private if isinstance(event, ExecutionEvent)]
            assert [execution.exec_id for execution in executions] == pushed, "the order in which they happened"

    run(scene())


def test_a_listing_that_grows_while_it_is_paged_has_all_that_was_there_when_it_began():
    async def scene() -> None:
        async with paper() as it:
            for first in range(0, 250, 10):
                batch = [order(f"g{n}", str(50000 + n), "0.001") for n in range(first, first + 10)]
                assert all(isinstance(result, OrderAck) for result in await it.rest.orders.place_orders(batch))
            await it.trade("50020")
            ask, made, pages = it.rest._call, it.server.exchange.accounts["alice"].executions, 0
            before = {execution.exec_id for execution in made}

            async def call(endpoint: str, **params: Any) -> Any:
                nonlocal pages
                answer = await ask(endpoint, **params)
                pages += 1
                await it.trade(f"{50020 - 5 * pages}")
                return answer

            it.rest._call = call  # type: ignore[method-assign]
            a_minute_ago = it.rest._transport.clock.now_ms() - 60_000
            listed = [execution.exec_id for execution in await it.rest.executions(a_minute_ago)]
            assert (pages, len(listed)) == (3, len(set(listed)))
            assert before <= set(listed) <= {execution.exec_id for execution in made}
            assert 200 < len(before) < len(made)

    run(scene())


def test_what_the_start_asks():
    async def scene() -> None:
        async with paper() as it:
            instrument = await it.rest.instrument(SYMBOL)
            assert instrument.tick_size == D("0.10")
            assert [tier.limit for tier in instrument.tiers] == sorted(tier.limit for tier in instrument.tiers)
            await it.rest.set_leverage(SYMBOL, D(7))
            await it.rest.set_leverage(SYMBOL, D("7.00"))
            assert (await it.rest.positions(SYMBOL))[0].leverage == 7
            assert (await it.rest.wallet()).wallet_balance == 10000
            assert set((await it.rest.api_key_info()).contract_trade) == {"Order", "Position"}
            assert (await it.rest.account_info()).margin_mode == "REGULAR_MARGIN"
            assert (await it.rest.fee_rate(SYMBOL)).maker == D("0.0002")
            assert (await it.rest.tickers(SYMBOL)).last_price == 60000
            assert it.rest.limits["account/info"].limit > 0
            with pytest.raises(ExchangeError) as caught:
                await it.rest.instrument("NOSUCHUSDT")
            assert caught.value.kind is ErrorKind.PARAM

    run(scene())


def test_wrong_secrets_are_an_auth_error_on_both_ways():
    async def scene() -> None:
        async with paper() as it:
            endpoints = endpoints_for(Environment.PAPER, it.server.url)
            wrong = Credentials(ALICE.api_key, "wrong-secret")
            rest = BybitRest(endpoints, wrong)
            with pytest.raises(ExchangeError) as caught:
                await rest.wallet()
            assert caught.value.kind is ErrorKind.AUTH
            assert ALICE.api_key not in str(caught.value)
            rest.close()
            with pytest.raises(ExchangeError) as caught:
                await Ears(endpoints, credentials=wrong).streams.start()
            assert caught.value.kind is ErrorKind.AUTH

    run(scene())


def test_events_flow_again_after_the_exchange_dropped_everybody():
    async def scene() -> None:
        async with paper() as it:
            await it.rest.orders.place_order(order("g1"))
            await eventually(lambda: it.statuses("g1"))
            for connection in list(it.server.hub.connections):
                await connection.socket.close(code=1001)
            await eventually(lambda: {gap.kind for gap in it.ears.heard.gaps} == {"public", "private"})
            await it.trade("58999")
            await eventually(lambda: OrderStatus.FILLED in it.statuses("g1"))
            await eventually(lambda: it.ears.heard.tickers[-1].last_price == 58999)
            assert it.ears.streams.problems() == []

    run(scene())


def test_a_long_log_of_movements_is_read_within_its_limit():
    """1500 fundings are 31 pages; Bybit answers 25 a second, then 10006."""

    async def scene() -> None:
        async with paper(queries_per_second=50) as it:
            await it.rest.orders.place_order(order("g1"))
            await it.trade("58999")
            await eventually(lambda: it.of(ExecutionEvent))
            now_ms = await it.rest.server_time_ms()
            for _ in range(1500):
                it.server.exchange.settle_funding(SYMBOL, D("0.0001"), now_ms)
            rows = await it.rest.transactions(now_ms - 3_600_000, now_ms + 60_000)
            assert [row.kind for row in rows] == ["TRANSFER_IN", "TRADE", *["SETTLEMENT"] * 1500]
            account = next(iter(it.server.exchange.accounts.values()))
            assert sum((row.change for row in rows), D(0)) == account.wallet

    run(scene())
