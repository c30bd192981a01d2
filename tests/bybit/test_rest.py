"""REST over real sockets: whole listings, batches, the clock, and what pybit must not do."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import logging
import time
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

import pytest
from aiohttp import web

from gridbot.bybit.calls import MAX_PAGES
from gridbot.bybit.rest import WEEK_MS, BybitRest
from gridbot.core.vocabulary import Direction, Side
from gridbot.exchange.failures import ErrorKind, ExchangeError, Outcome, TruncatedListing
from gridbot.exchange.requests import CancelRef, OrderAck, OrderRequest, RateLimit
from tests.bybit.support import (
    KEY,
    SECRET,
    Asked,
    FakeExchange,
    envelope,
    eventually,
    execution_row,
    order_row,
    position_row,
    run,
    wallet_row,
)

D = Decimal
REALTIME = "/v5/order/realtime"
HISTORY = "/v5/order/history"
EXECUTIONS = "/v5/execution/list"
MOVEMENTS = "/v5/account/transaction-log"


def listing(*rows: Any, cursor: str = "") -> dict[str, Any]:
    return envelope({"category": "linear", "list": list(rows), "nextPageCursor": cursor})


def pages(*answers: dict[str, Any]) -> Any:
    """Answers in order; the last one again and again."""
    left = list(answers)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def order(link: str = "g1", **changes: Any) -> OrderRequest:
    values: dict[str, Any] = {
        "symbol": "BTCUSDT",
        "side": Side.BUY,
        "direction": Direction.LONG,
        "qty": D("0.001"),
        "price": D("60000.10"),
        "order_link_id": link,
        "reduce_only": False,
    }
    return OrderRequest(**(values | changes))


class Session:
    """A fake exchange and a client of it, for one test."""

    def __init__(self, **options: Any) -> None:
        self.exchange = FakeExchange()
        self.options = {"timeout": 5, **options}

    async def __aenter__(self) -> tuple[FakeExchange, BybitRest]:
        await self.exchange.__aenter__()
        self.rest = self.exchange.rest(**self.options)
        return self.exchange, self.rest

    async def __aexit__(self, *exc: object) -> None:
        self.rest.close()
        await self.exchange.__aexit__(*exc)


# ---------------------------------------------------------------------- listings


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


def test_a_stretch_with_too_many_movements_is_asked_for_in_halves(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gridbot.bybit.rest.TRANSACTIONS_PAUSE_S", 0.0)

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


def test_an_empty_page_ends_a_listing_even_with_a_cursor():
    async def scene() -> None:
        async with Session() as (exchange, rest):
            exchange.on[REALTIME] = pages(listing(order_row("a"), cursor="p2"), listing(cursor="p3"))
            assert [o.order_id for o in await rest.open_orders("BTCUSDT")] == ["a"]
            assert len(exchange.asked) == 2
            assert exchange.asked[0].params["symbol"] == "BTCUSDT"

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


@pytest.mark.parametrize("bad", [order_row(orderStatus="?"), order_row(orderId=""), None, "row"])
def test_an_unreadable_row_spoils_a_listing(bad: Any):
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


# ---------------------------------------------------------------------- orders


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


# ---------------------------------------------------------------------- account


@pytest.mark.parametrize(
    ("path", "code"), [("/v5/position/set-leverage", 110043), ("/v5/position/switch-mode", 110025)]
)
def test_what_is_so_already_is_a_success(path: str, code: int):
    async def scene() -> None:
        async with Session() as (exchange, rest):
            call = (
                (lambda: rest.set_leverage("BTCUSDT", D(10)))
                if "leverage" in path
                else (lambda: rest.ensure_hedge_mode("BTCUSDT"))
            )
            exchange.on[path] = envelope(code=code, msg="not modified")
            await call()
            exchange.on[path] = envelope(code=110028, msg="open orders exist")
            with pytest.raises(ExchangeError) as caught:
                await call()
            assert caught.value.kind is ErrorKind.RESYNC

    run(scene())


def test_an_account_without_usdt_has_none_and_one_without_a_figure_has_an_error():
    async def scene() -> None:
        async with Session() as (exchange, rest):
            path = "/v5/account/wallet-balance"
            exchange.on[path] = envelope({"list": [wallet_row()]})
            assert (await rest.wallet()).wallet_balance == 0
            exchange.on[path] = envelope({"list": [wallet_row({"coin": "USDT", "walletBalance": ""})]})
            with pytest.raises(ExchangeError, match="walletBalance"):
                await rest.wallet()
            exchange.on[path] = envelope({"list": [wallet_row({"coin": "USDT", "walletBalance": "5", "equity": ""})]})
            wallet = await rest.wallet()
            assert (wallet.wallet_balance, wallet.equity) == (D(5), None)
            assert wallet.exchange_ts > 0

    run(scene())


def test_what_a_key_may_do():
    async def scene() -> None:
        async with Session() as (exchange, rest):
            exchange.on["/v5/user/query-api"] = envelope(
                {
                    "readOnly": 1,
                    "apiKey": KEY,
                    "permissions": {"ContractTrade": ["Order"], "Wallet": ["Withdraw"]},
                    "uta": 1,
                    "userID": 99,
                }
            )
            key = await rest.api_key_info()
            assert (key.read_only, key.contract_trade, key.can_withdraw, key.user_id) == (True, ("Order",), True, "99")
            assert KEY not in repr(key)

    run(scene())


# ---------------------------------------------------------------------- pybit and the clock


def test_rate_limit_headers_are_kept_by_endpoint_also_of_refusals():
    async def scene() -> None:
        async with Session() as (exchange, rest):

            def answer(_: Asked) -> web.Response:
                left = 2 - len(exchange.asked)
                headers = {
                    "X-Bapi-Limit": "10",
                    "X-Bapi-Limit-Status": str(left),
                    "X-Bapi-Limit-Reset-Timestamp": "1760000000850",
                }
                body = listing() if left else envelope(code=10006, msg="Too many visits!")
                return web.json_response(body, headers=headers)

            exchange.on[REALTIME] = answer
            await rest.open_orders()
            assert rest.limits == {"order/realtime": RateLimit(10, 1, 1760000000850)}
            with pytest.raises(ExchangeError):
                await rest.open_orders()
            assert rest.limits["order/realtime"].remaining == 0
            assert len(exchange.asked) == 2, "pybit would have waited, and failed on the reset time in the past"

    run(scene())


@pytest.mark.parametrize("skew_ms", [-20_000, 3_000])
def test_a_wrong_clock_is_measured_after_the_first_refusal(skew_ms: int):
    """The exchange accepts from 5000 ms behind to 1000 ms ahead of its own clock."""

    async def scene() -> None:
        async with Session() as (exchange, rest):

            def server_ms() -> int:
                return time.time_ns() // 1_000_000 - skew_ms

            def check(asked: Asked) -> dict[str, Any]:
                stamp, now = int(asked.headers["X-BAPI-TIMESTAMP"]), server_ms()
                window = int(asked.headers["X-BAPI-RECV-WINDOW"])
                return listing() if now - window <= stamp < now + 1000 else envelope(code=10002, msg="timestamp")

            exchange.on[REALTIME] = check
            exchange.on["/v5/market/time"] = lambda _: envelope({"timeNano": str(server_ms() * 1_000_000)})
            with pytest.raises(ExchangeError) as caught:
                await rest.open_orders()
            assert caught.value.kind is ErrorKind.RETRY
            assert abs(rest.clock_offset_ms + skew_ms) < 1000
            assert await rest.open_orders() == []
            assert abs(await rest.server_time_ms() - server_ms()) < 2000

    run(scene())


def test_a_good_clock_is_left_alone():
    async def scene() -> None:
        async with Session() as (exchange, rest):
            exchange.on["/v5/market/time"] = lambda _: envelope({"timeNano": str(time.time_ns() + 100_000_000)})
            await rest.server_time_ms()
            assert rest.clock_offset_ms == 0

    run(scene())


def test_calls_run_side_by_side_and_the_loop_goes_on():
    async def scene() -> None:
        async with Session(pool_size=4) as (exchange, rest):
            arrived = 0
            all_there = asyncio.Event()

            async def meet(_: Asked) -> dict[str, Any]:
                nonlocal arrived
                arrived += 1
                if arrived == 4:
                    all_there.set()
                await all_there.wait()
                return listing()

            exchange.on[REALTIME] = meet
            assert await asyncio.gather(*(rest.open_orders() for _ in range(4))) == [[]] * 4

    run(scene())


def test_after_close_calls_fail_at_once_and_a_hanging_one_keeps_nobody():
    async def scene() -> None:
        async with Session(pool_size=1, timeout=10) as (exchange, rest):
            release = asyncio.Event()

            async def hang(_: Asked) -> dict[str, Any]:
                await release.wait()
                return listing()

            exchange.on[REALTIME] = hang
            under_way = asyncio.create_task(rest.open_orders())
            await eventually(lambda: exchange.asked)
            waiting = asyncio.create_task(rest.open_orders())
            await asyncio.sleep(0)
            rest.close()
            with pytest.raises(ExchangeError, match="closed"):
                await waiting
            with pytest.raises(ExchangeError, match="closed"):
                await rest.open_orders()
            release.set()
            assert await under_way == []

    run(scene())


def test_many_clients_add_no_log_handlers():
    """pybit gives its logger one more handler per client when the root logger has none."""
    root, pybit_log = logging.getLogger(), logging.getLogger("pybit._http_manager")
    kept = root.handlers[:]

    async def scene() -> None:
        async with FakeExchange() as exchange:
            exchange.on[REALTIME] = listing()
            for _ in range(3):
                rest = exchange.rest()
                await rest.open_orders()
                rest.close()

    before = list(pybit_log.handlers)
    root.handlers[:] = []
    try:
        run(scene())
    finally:
        root.handlers[:] = kept
    assert pybit_log.handlers == before


@pytest.mark.parametrize("answer", [lambda _: web.Response(status=403), envelope(code=10018, msg="ip rate limit")])
def test_a_banned_address_stays_silent(answer: Any):
    async def scene() -> None:
        async with Session() as (exchange, rest):
            exchange.on[REALTIME] = answer
            for _ in range(3):
                with pytest.raises(ExchangeError) as caught:
                    await rest.open_orders()
                assert (caught.value.kind, caught.value.outcome) == (ErrorKind.IP_BAN, Outcome.NOT_CREATED)
            assert len(exchange.asked) == 1
            assert "not sent" in str(caught.value)

    run(scene())


def test_after_the_silence_calls_go_out_again():
    async def scene() -> None:
        async with Session(ban_silence_s=0) as (exchange, rest):
            exchange.on[REALTIME] = pages(envelope(code=10018, msg="ip rate limit"), listing())
            with pytest.raises(ExchangeError):
                await rest.open_orders()
            assert await rest.open_orders() == []

    run(scene())
