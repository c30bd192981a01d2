"""REST over real sockets: account, rate limits, the clock, and what pybit must not do."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import Any

import pytest
from aiohttp import web

from gridbot.exchange.bans import Ban
from gridbot.exchange.failures import ErrorKind, ExchangeError, Outcome
from gridbot.exchange.requests import ORDERS_AT_ONCE, RateLimit
from gridbot.rolling_limit import RollingLimit
from tests.bybit.rest_session import REALTIME, D, Session, listing, order, pages
from tests.bybit.support import (
    KEY,
    Asked,
    FakeExchange,
    envelope,
    eventually,
    run,
    wallet_row,
)


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
            assert rest.answers == {str(code): 1, "110028": 1}

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


@pytest.mark.parametrize("result", [{}, {"marginMode": None}, {"marginMode": ""}])
def test_an_answer_without_a_margin_mode_is_an_error(result: dict[str, Any]):
    """It counted as cross margin, and lifted what isolated margin restricts."""

    async def scene() -> None:
        async with Session() as (exchange, rest):
            exchange.on["/v5/account/info"] = envelope(result)
            with pytest.raises(ExchangeError, match="expected the account's margin mode"):
                await rest.account_info()
            exchange.on["/v5/account/info"] = envelope({"marginMode": "REGULAR_MARGIN"})
            assert (await rest.account_info()).margin_mode == "REGULAR_MARGIN"

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


def test_requests_take_no_threads():
    async def scene() -> None:
        async with Session() as (exchange, rest):
            exchange.on[REALTIME] = listing()
            exchange.on["/v5/order/create"] = envelope({"orderId": "o1", "orderLinkId": "g1"})
            before = set(threading.enumerate())
            await asyncio.gather(*(rest.open_orders() for _ in range(6)), rest.orders.place_order(order()))
            assert set(threading.enumerate()) <= before

    run(scene())


def test_orders_do_not_wait_for_look_ups():
    """A create waited behind look-ups that had no answer, and left 18 s after the strategy had been paused."""

    async def scene() -> None:
        async with Session(pool_size=1) as (exchange, rest):
            release, arrived, all_there = asyncio.Event(), 0, asyncio.Event()

            async def hang(_: Asked) -> dict[str, Any]:
                await release.wait()
                return listing()

            async def meet(_: Asked) -> dict[str, Any]:
                nonlocal arrived
                arrived += 1
                if arrived == ORDERS_AT_ONCE:
                    all_there.set()
                await all_there.wait()
                return envelope({"orderId": "o1", "orderLinkId": ""})

            exchange.on[REALTIME] = hang
            for endpoint in ("create", "cancel"):
                exchange.on[f"/v5/order/{endpoint}"] = meet
            look_ups = [asyncio.create_task(rest.open_orders()) for _ in range(6)]
            await eventually(lambda: exchange.asked)
            creates = [rest.orders.place_order(order()) for _ in range(ORDERS_AT_ONCE - 1)]
            await asyncio.gather(*creates, rest.orders.cancel_order("BTCUSDT", order_id="o1"))
            assert exchange.paths().count(REALTIME) == 1
            release.set()
            assert await asyncio.gather(*look_ups) == [[]] * 6

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
        begun: list[Ban] = []
        async with Session(on_ban=begun.append) as (exchange, rest):
            exchange.on[REALTIME] = answer
            for _ in range(3):
                with pytest.raises(ExchangeError) as caught:
                    await rest.open_orders()
                assert (caught.value.kind, caught.value.outcome) == (ErrorKind.IP_BAN, Outcome.NOT_CREATED)
            assert len(exchange.asked) == 1
            assert "not sent" in str(caught.value)
            assert 0 < caught.value.silence_s < 600, "its end, not another ten minutes"
        assert [round(ban.until_s - time.monotonic(), -1) for ban in begun] == [600], "told once, with its end"

    run(scene())


def test_what_waits_behind_the_request_that_was_banned_is_not_sent():
    """A request during a ban begins its ten minutes anew for every account of the address; none in the queue leaves."""

    async def scene() -> None:
        async with Session() as (exchange, rest):
            exchange.on["/v5/position/list"] = lambda _: web.Response(status=403)
            asking = [rest.positions(f"S{n}USDT") for n in range(30)]
            answers = await asyncio.gather(*asking, return_exceptions=True)
            assert {answer.kind for answer in answers if isinstance(answer, ExchangeError)} == {ErrorKind.IP_BAN}
            assert len(exchange.asked) <= 4, "those that were under way, and no other"

    run(scene())


def test_what_is_left_of_an_earlier_ban_is_kept():
    async def scene() -> None:
        async with Session(banned_for_s=60) as (exchange, rest):
            with pytest.raises(ExchangeError, match="bans this address for 60 s more"):
                await rest.open_orders()
            assert not exchange.asked

    run(scene())


def test_after_the_silence_calls_go_out_again():
    async def scene() -> None:
        async with Session(ban_silence_s=0) as (exchange, rest):
            exchange.on[REALTIME] = pages(envelope(code=10018, msg="ip rate limit"), listing())
            with pytest.raises(ExchangeError):
                await rest.open_orders()
            assert await rest.open_orders() == []

    run(scene())


def test_a_start_of_many_symbols_asks_no_more_than_the_exchange_takes_in_a_second() -> None:
    """Bybit takes ten changes of the mode of an account in a second: a start of thirty symbols was refused for ever."""

    async def scene() -> None:
        async with Session() as (exchange, rest):
            limit, refused = RollingLimit(10, 1.0), [0, 0]

            def change(_: object) -> dict[str, Any]:
                may = limit.take(1, time.monotonic()) and sum(refused) != 1
                refused[not may] += 1
                return envelope() if may else envelope(code=10006, msg="Too many visits!")

            exchange.on["/v5/position/switch-mode"] = change
            await asyncio.gather(*(rest.ensure_hedge_mode(f"S{n}USDT") for n in range(12)))
            assert refused[0] == 12
            assert refused[1] >= 1, "what is refused for its limit is asked again"
            exchange.on["/v5/position/set-leverage"] = envelope(code=10001, msg="leverage invalid")
            with pytest.raises(ExchangeError, match="10001"):
                await rest.set_leverage("S1USDT", D(5))
            assert [asked.path for asked in exchange.asked].count("/v5/position/set-leverage") == 1

    run(scene())
