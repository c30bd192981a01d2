"""Starting streams over real sockets: confirmations, sign-in, refusals of every kind."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import Any

import pytest

from gridbot.bybit.endpoints import endpoints_for
from gridbot.exchange.environment import Environment
from gridbot.exchange.failures import ErrorKind, ExchangeError
from gridbot.exchange.stream_news import ConnectionState
from tests.bybit.stream_helpers import limits
from tests.bybit.support import (
    KEY,
    PRIVATE,
    PUBLIC,
    SECRET,
    Ears,
    FakeExchange,
    eventually,
    run,
)

pytestmark = pytest.mark.usefixtures("each_line")


def test_start_returns_with_every_topic_confirmed():
    async def scene() -> None:
        async with FakeExchange() as exchange, Ears(exchange.endpoints, ("BTCUSDT", "ETHUSDT")) as ears:
            assert exchange.subscribed(PUBLIC) == ["tickers.BTCUSDT", "tickers.ETHUSDT"]
            assert exchange.subscribed(PRIVATE) == ["order", "execution", "position", "wallet"]
            operations = [message["op"] for path, message in exchange.messages if path == PRIVATE]
            assert operations[0] == "auth", "topics are asked for only when signed in"
            assert [message["op"] for path, message in exchange.messages if path == PUBLIC] == ["subscribe"]
            assert ears.streams.private_alive
            assert ears.streams.problems() == []
            assert ears.streams.health.reconnects == 0

    run(scene())


def test_confirmations_without_an_id_count_in_the_order_of_the_requests():
    async def scene() -> None:
        async with FakeExchange(echo_ids=False) as exchange, Ears(exchange.endpoints) as ears:
            assert ears.streams.private_alive

    run(scene())


@pytest.mark.parametrize("expire", [10, 25])
def test_a_sign_in_is_valid_for_some_time_of_the_exchanges_clock(expire: int):
    async def scene() -> None:
        async with FakeExchange() as exchange:
            options: dict[str, Any] = {"private_auth_expire_s": expire, "clock_offset_ms": lambda: -60_000}
            async with Ears(exchange.endpoints, **options):
                expires = next(m["args"][1] for _, m in exchange.messages if m["op"] == "auth")
                from_now = expires - time.time_ns() // 1_000_000 + 60_000
                assert expire * 1000 - 5000 < from_now <= expire * 1000

    run(scene())


async def refused(exchange: FakeExchange, **options: Any) -> ExchangeError:
    before = threading.active_count()
    with pytest.raises(ExchangeError) as caught:
        await Ears(exchange.endpoints, **options).streams.start()
    await eventually(lambda: threading.active_count() <= before)
    return caught.value


def test_a_refused_sign_in_is_an_error_of_start(caplog: pytest.LogCaptureFixture):
    async def scene() -> ExchangeError:
        text = f"Params Error api_key[{KEY}] {SECRET}"
        async with FakeExchange(refuse_sign_in=text) as exchange:
            return await refused(exchange)

    with caplog.at_level(logging.DEBUG):
        error = run(scene())
    assert error.kind is ErrorKind.AUTH
    assert "Params Error" in str(error)
    for secret in (KEY, SECRET):
        assert secret not in str(error)
        assert secret not in caplog.text


@pytest.mark.parametrize("topic", ["tickers.BTCUSDT", "position"])
def test_a_refused_topic_is_an_error_of_start(topic: str):
    async def scene() -> ExchangeError:
        async with FakeExchange(refuse_topic=topic) as exchange:
            return await refused(exchange)

    error = run(scene())
    assert error.kind is ErrorKind.PARAM
    assert topic in str(error)


@pytest.mark.parametrize("echo_ids", [True, False])
def test_the_topic_of_disconnect_cancel_all_is_asked_for_where_it_is_wanted_and_may_be_refused(*, echo_ids: bool):
    async def scene() -> None:
        async with FakeExchange(echo_ids=echo_ids) as exchange, Ears(exchange.endpoints, dead_man=True) as ears:
            assert exchange.subscribed(PRIVATE) == ["order", "execution", "position", "wallet", "dcp.future"]
            assert ears.streams.dead_man_refused == ""
        refusing = FakeExchange(refuse_topic="dcp.future", echo_ids=echo_ids)
        async with refusing as exchange, Ears(exchange.endpoints, dead_man=True) as ears:
            assert ears.streams.private_alive
            assert "dcp.future" in ears.streams.dead_man_refused

    run(scene())


@pytest.mark.parametrize(
    ("status", "kind"), [(403, ErrorKind.IP_BAN), (401, ErrorKind.AUTH), (503, ErrorKind.RETRY), (404, ErrorKind.PARAM)]
)
def test_a_refused_connection_has_the_kind_of_its_http_status(status: int, kind: ErrorKind):
    async def scene() -> ExchangeError:
        async with FakeExchange(upgrade_status=status) as exchange:
            return await refused(exchange)

    error = run(scene())
    assert (error.kind, error.http_status) == (kind, status)


def test_nobody_there_is_an_error_of_start():
    async def scene() -> ExchangeError:
        async with FakeExchange() as exchange:
            gone = exchange
        return await refused(gone)

    assert run(scene()).kind is ErrorKind.RETRY


def test_an_exchange_that_does_not_answer_the_sign_in_is_an_error_of_start():
    async def scene() -> ExchangeError:
        async with FakeExchange(answer_sign_in=False) as exchange:
            return await refused(exchange, limits=limits(connect_s=0.2))

    error = run(scene())
    assert error.kind is ErrorKind.RETRY
    assert "private subscribing" in str(error)


def test_streams_that_are_ready_when_their_time_is_over_have_started() -> None:
    """On a full machine the worker saw both at once, and gave up two streams that were up."""

    class Late:
        kind, state, gaps = "private", ConnectionState.SUBSCRIBING, ()

        def connect(self) -> None:
            asyncio.get_running_loop().call_later(0.005, setattr, self, "state", ConnectionState.READY)

        def step(self, now_s: float) -> float:
            return 1.0

        def close(self) -> None:
            """There is no line."""

    async def scene() -> None:
        ears = Ears(endpoints_for(Environment.PAPER, "http://127.0.0.1:1"), limits=limits(connect_s=0.01))
        ears.streams._connections = (Late(),)  # type: ignore[assignment]
        async with ears:
            assert ears.streams._watch is not None

    run(scene())
