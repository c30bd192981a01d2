"""Orders over real sockets: what a request says, what an answer is worth, batches, looking an order up."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import pytest

from gridbot.core.vocabulary import Side
from gridbot.exchange.failures import ErrorKind, ExchangeError
from gridbot.exchange.requests import CancelRef, OrderAck, Taking
from tests.bybit.rest_session import HISTORY, REALTIME, D, Session, listing, order
from tests.bybit.support import (
    KEY,
    SECRET,
    envelope,
    order_row,
    run,
)


def test_a_create_request_says_exactly_what_is_wanted():
    async def scene() -> None:
        async with Session() as (exchange, rest):
            exchange.on["/v5/order/create"] = envelope({"orderId": "o1", "orderLinkId": "g1"})
            tiny = order(qty=D("1E-7"), side=Side.SELL, reduce_only=True, post_only=False)
            assert await rest.orders.place_order(tiny) == OrderAck("o1", "g1")
            assert exchange.asked[0].body == {
                "category": "linear",
                "symbol": "BTCUSDT",
                "side": "Sell",
                "orderType": "Limit",
                "qty": "0.0000001",
                "price": "60000.10",
                "timeInForce": "GTC",
                "positionIdx": 1,
                "orderLinkId": "g1",
                "reduceOnly": True,
            }

    run(scene())


@pytest.mark.parametrize(
    ("taking", "differs"),
    [
        (Taking.LIMIT, {"orderType": "Limit", "qty": "0.01", "price": "60000.10"}),
        (Taking.MARKET, {"orderType": "Market", "qty": "0.01"}),
        (Taking.WHOLE, {"orderType": "Market", "qty": "0", "closeOnTrigger": True}),
    ],
)
def test_an_order_that_takes_ends_at_once(taking: Taking, differs: dict[str, Any]):
    async def scene() -> None:
        async with Session() as (exchange, rest):
            exchange.on["/v5/order/create"] = envelope({"orderId": "o1", "orderLinkId": "g1"})
            closing = order(qty=D("0.01"), side=Side.SELL, reduce_only=True, post_only=False, taking=taking)
            await rest.orders.place_order(closing)
            assert exchange.asked[0].body == {
                "category": "linear",
                "symbol": "BTCUSDT",
                "side": "Sell",
                "timeInForce": "IOC",
                "positionIdx": 1,
                "orderLinkId": "g1",
                "reduceOnly": True,
                **differs,
            }

    run(scene())


def test_requests_are_signed_as_bybit_wants_it():
    async def scene() -> None:
        async with Session(recv_window=4321) as (exchange, rest):
            exchange.on[REALTIME] = listing()
            await rest.open_orders("BTCUSDT")
            asked = exchange.asked[0]
            headers = asked.headers
            text = f"{headers['X-BAPI-TIMESTAMP']}{KEY}4321{asked.query}"
            assert headers["X-BAPI-SIGN"] == hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()

    run(scene())


@pytest.mark.parametrize("result", [{}, None, {"orderId": ""}, {"orderId": "o1", "orderLinkId": "another"}])
def test_an_acknowledgement_without_our_order_is_none(result: Any):
    async def scene() -> None:
        async with Session() as (exchange, rest):
            exchange.on["/v5/order/create"] = {**envelope(), "result": result}
            with pytest.raises(ExchangeError) as caught:
                await rest.orders.place_order(order())
            assert caught.value.kind is ErrorKind.AMBIGUOUS

    run(scene())


def test_each_order_of_a_batch_has_its_own_result():
    async def scene() -> None:
        async with Session() as (exchange, rest):
            exchange.on["/v5/order/create-batch"] = envelope(
                {
                    "list": [
                        {"orderId": "o1", "orderLinkId": "g1"},
                        {"orderId": "", "orderLinkId": "g2"},
                        {"orderId": "", "orderLinkId": "g3"},
                        {"orderId": "o4", "orderLinkId": "other"},
                    ]
                },
                extra={
                    "list": [
                        {"code": 0, "msg": "OK"},
                        {"code": 110072, "msg": "OrderLinkedID is duplicate"},
                        {"code": 10006, "msg": "Too many visits!"},
                        {"code": 0, "msg": "OK"},
                    ]
                },
            )
            first, *failed = await rest.orders.place_orders([order(f"g{n}") for n in (1, 2, 3, 4)])
            assert first == OrderAck("o1", "g1")
            kinds = [error.kind for error in failed if isinstance(error, ExchangeError)]
            assert kinds == [ErrorKind.DUPLICATE, ErrorKind.RATE_LIMIT, ErrorKind.AMBIGUOUS]
            items = exchange.asked[0].body["request"]
            assert [item["qty"] for item in items] == ["0.001"] * 4, "pybit casts nothing inside a batch"

    run(scene())


@pytest.mark.parametrize(
    "extra", [{}, None, {"list": []}, {"list": [{"code": 0}]}, {"list": [{"code": 0}, {"msg": "?"}]}]
)
def test_a_batch_answer_with_missing_codes_confirms_nothing_it_does_not_name(extra: Any):
    async def scene() -> None:
        async with Session() as (exchange, rest):
            rows = [{"orderId": "o1", "orderLinkId": "g1"}, {"orderId": "o2", "orderLinkId": "g2"}]
            exchange.on["/v5/order/create-batch"] = {**envelope({"list": rows}), "retExtInfo": extra}
            if extra and len(extra["list"]) == 2:
                results = await rest.orders.place_orders([order("g1"), order("g2")])
                assert isinstance(results[0], OrderAck)
                assert isinstance(results[1], ExchangeError)
                assert results[1].kind is ErrorKind.AMBIGUOUS
            else:
                with pytest.raises(ExchangeError) as caught:
                    await rest.orders.place_orders([order("g1"), order("g2")])
                assert caught.value.kind is ErrorKind.AMBIGUOUS

    run(scene())


def test_cancels_in_a_batch_name_the_orders_by_the_ids_they_have():
    async def scene() -> None:
        async with Session() as (exchange, rest):
            exchange.on["/v5/order/cancel-batch"] = envelope(
                {"list": [{"orderId": "o1", "orderLinkId": ""}, {"orderId": "", "orderLinkId": "g2"}]},
                extra={"list": [{"code": 0, "msg": "OK"}, {"code": 110001, "msg": "order not exists"}]},
            )
            results = await rest.orders.cancel_orders(
                "BTCUSDT", [CancelRef(order_id="o1"), CancelRef(order_link_id="g2")]
            )
            assert results[0] == OrderAck("o1", "")
            assert isinstance(results[1], ExchangeError)
            assert results[1].kind is ErrorKind.NOT_FOUND
            assert exchange.asked[0].body["request"] == [
                {"symbol": "BTCUSDT", "orderId": "o1"},
                {"symbol": "BTCUSDT", "orderLinkId": "g2"},
            ]

    run(scene())


def test_batches_have_a_limit_and_an_empty_one_asks_nothing():
    async def scene() -> None:
        async with Session() as (exchange, rest):
            assert await rest.orders.place_orders([]) == []
            assert await rest.orders.cancel_orders("BTCUSDT", []) == []
            with pytest.raises(ValueError, match="at most 10"):
                await rest.orders.place_orders([order(f"g{n}") for n in range(11)])
            with pytest.raises(ValueError, match="neither"):
                await rest.orders.cancel_order("BTCUSDT")
            assert exchange.asked == []

    run(scene())


def test_an_order_is_looked_for_in_the_open_list_then_in_the_history():
    async def scene() -> None:
        async with Session() as (exchange, rest):
            exchange.on[REALTIME] = listing(order_row("x", orderLinkId="someone-else"))
            exchange.on[HISTORY] = listing(order_row("o1", orderLinkId="g1", orderStatus="Cancelled"))
            found = await rest.find_order("BTCUSDT", order_link_id="g1")
            assert found is not None
            assert found.order_id == "o1"
            assert exchange.paths() == [REALTIME, HISTORY]
            assert await rest.find_order("BTCUSDT", order_id="o1", order_link_id="g9") == found
            assert "orderLinkId" not in exchange.asked[-1].params
            assert await rest.find_order("BTCUSDT", order_link_id="g2") is None

    run(scene())


def test_a_look_up_that_fails_is_no_none():
    async def scene() -> None:
        async with Session() as (exchange, rest):
            exchange.on[REALTIME] = listing()
            exchange.on[HISTORY] = envelope(code=10000, msg="timeout")
            with pytest.raises(ExchangeError):
                await rest.find_order("BTCUSDT", order_link_id="g1")

    run(scene())
