"""Streams over real sockets against an exchange that misbehaves: death, return, silence, stop."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any

import pytest

from gridbot.bybit.endpoints import Credentials, endpoints_for
from gridbot.bybit.line_base import LineBase
from gridbot.exchange.environment import Environment
from gridbot.exchange.failures import ErrorKind, ExchangeError
from tests.bybit.stream_helpers import first_gap, limits, prices, send_price
from tests.bybit.support import (
    KEY,
    PRIVATE,
    PUBLIC,
    SECRET,
    Ears,
    FakeExchange,
    eventually,
    order_row,
    private_frame,
    run,
    ticker_frame,
)

pytestmark = pytest.mark.usefixtures("each_line")


async def cut(exchange: FakeExchange, path: str) -> None:
    exchange.cut(path)


async def close_normally(exchange: FakeExchange, path: str) -> None:
    await exchange.socket(path).close(code=1000)


async def close_going_away(exchange: FakeExchange, path: str) -> None:
    await exchange.socket(path).close(code=1001, message=b"restart")


async def close_policy(exchange: FakeExchange, path: str) -> None:
    await exchange.socket(path).close(code=1008)


@pytest.mark.parametrize("end", [cut, close_normally, close_going_away, close_policy])
@pytest.mark.parametrize("path", [PUBLIC, PRIVATE])
def test_a_lost_connection_comes_back_and_the_gap_is_told(path: str, end: Any):
    async def scene() -> None:
        async with FakeExchange() as exchange, Ears(exchange.endpoints) as ears:
            await send_price(exchange, 1, "10")
            await eventually(lambda: ears.heard.tickers)
            before_ms = time.time_ns() // 1_000_000
            await end(exchange, path)
            gap = await first_gap(ears)
            assert gap.kind == ("public" if path == PUBLIC else "private")
            # Pongs count as signs of life up to the end; but a gap begins before the next connection.
            assert gap.started_ts_ms <= exchange.opened_ms[path][-1] + 1
            assert before_ms <= gap.ended_ts_ms + 1
            assert len(exchange.sockets[path]) == 2
            await send_price(exchange, 2, "20")
            await exchange.send(PRIVATE, private_frame("order", order_row()))
            await eventually(lambda: ears.heard.private and prices(ears)[-1] == 20)
            assert len(ears.heard.gaps) == 1
            assert ears.streams.health.reconnects == 1
            assert ears.streams.problems() == []
            topics = exchange.subscribed(path)
            assert topics[: len(topics) // 2] == topics[len(topics) // 2 :], "everything was subscribed again"

    run(scene())


def test_a_connection_that_goes_before_it_can_subscribe_has_ended_like_any_other(
    each_line: type[LineBase], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The failed send was taken for a fault of ours."""
    real, told = each_line._write_text, []

    def write(line: LineBase, text: str) -> None:
        told.append("execution" in text and json.loads(text)["op"] == "subscribe")
        if told[-1] and sum(told) == 2:
            raise BrokenPipeError(32, "Broken pipe")
        real(line, text)

    monkeypatch.setattr(each_line, "_write_text", write)

    async def scene() -> None:
        async with FakeExchange() as exchange, Ears(exchange.endpoints) as ears:
            exchange.cut(PRIVATE)
            assert (await first_gap(ears)).kind == "private"
            assert (len(exchange.sockets[PRIVATE]), sum(told)) == (3, 3)
            assert ears.streams.problems() == []

    run(scene())


def test_after_a_reconnect_the_old_snapshot_is_forgotten():
    async def scene() -> None:
        async with FakeExchange() as exchange, Ears(exchange.endpoints) as ears:
            await exchange.send(PUBLIC, ticker_frame("BTCUSDT", 50, kind="snapshot", lastPrice="10", markPrice="10"))
            await eventually(lambda: ears.heard.tickers)
            exchange.cut(PUBLIC)
            await eventually(lambda: ears.heard.gaps)
            await send_price(exchange, 60, "11", kind="delta")
            await send_price(exchange, 40, "12")
            await eventually(lambda: prices(ears)[-1] == 12)
            assert 11 not in prices(ears), "a delta before the new snapshot"
            assert ears.heard.tickers[-1].mark_price is None

    run(scene())


def test_an_exchange_that_is_away_for_a_while_is_found_again_without_a_storm():
    async def scene() -> None:
        async with FakeExchange() as exchange, Ears(exchange.endpoints) as ears:
            exchange.upgrade_status = 503
            exchange.cut(PUBLIC)
            exchange.cut(PRIVATE)
            await eventually(lambda: exchange.connects >= 8)
            assert not ears.streams.health.private.is_ready
            assert any("public stream is down" in text for text in ears.streams.problems())
            assert any("HTTP 503" in text for text in ears.streams.problems())
            exchange.upgrade_status = 101
            await eventually(lambda: {gap.kind for gap in ears.heard.gaps} == {"public", "private"})
            assert ears.streams.private_alive
            assert len(ears.heard.gaps) == 2

    run(scene())


def test_a_key_that_is_revoked_meanwhile_keeps_the_stream_down_and_says_why():
    async def scene() -> None:
        async with FakeExchange() as exchange, Ears(exchange.endpoints) as ears:
            exchange.refuse_sign_in = "API key is invalid."
            exchange.cut(PRIVATE)
            text = await eventually(lambda: next((t for t in ears.streams.problems() if "API key is invalid" in t), ""))
            assert "private" in text
            assert not ears.streams.private_alive
            exchange.refuse_sign_in = ""
            await eventually(lambda: ears.streams.private_alive)

    run(scene())


def test_public_silence_is_death_private_silence_is_not():
    async def scene() -> None:
        async with (
            FakeExchange() as exchange,
            Ears(exchange.endpoints, limits=limits(silence_s=0.15)) as ears,
        ):
            await send_price(exchange, 1, "10")
            gap = await first_gap(ears)
            assert gap.kind == "public"
            assert len(exchange.sockets[PRIVATE]) == 1

    run(scene())


def test_a_socket_that_no_longer_answers_pings_is_given_up():
    async def scene() -> None:
        async with FakeExchange() as exchange:
            options: dict[str, Any] = {"ping_interval_s": 0.2, "ping_timeout_s": 0.1}
            async with Ears(exchange.endpoints, **options) as ears:
                await eventually(lambda: any(message["op"] == "ping" for _, message in exchange.messages))
                exchange.answer_pings = False
                connects = exchange.connects
                await eventually(lambda: exchange.connects > connects)
                exchange.answer_pings = True
                await eventually(lambda: ears.heard.gaps)

    run(scene())


def test_without_pongs_the_watchdog_itself_gives_a_silent_private_socket_up():
    """Where the line's own timeout does not fire, the age of the last sign of life does."""

    async def scene() -> None:
        async with FakeExchange() as exchange, Ears(exchange.endpoints, limits=limits(pong_s=0.2)) as ears:
            await eventually(lambda: any(gap.kind == "private" for gap in ears.heard.gaps))

    run(scene())


def test_stop_leaves_nothing_and_says_goodbye():
    async def scene() -> None:
        async with FakeExchange() as exchange:
            before = threading.active_count()
            ears = Ears(exchange.endpoints)
            await ears.streams.start()
            await ears.streams.stop()
            await eventually(lambda: threading.active_count() <= before)
            await eventually(lambda: all(socket.closed for sockets in exchange.sockets.values() for socket in sockets))
            assert exchange.socket(PRIVATE).close_code == 1000
            assert ears.heard.gaps == []
            assert ears.streams.drain().private == []
            await ears.streams.stop()

    run(scene())


def test_stop_in_the_middle_of_an_outage():
    async def scene() -> None:
        async with FakeExchange() as exchange:
            ears = Ears(exchange.endpoints, limits=limits(backoff_first_s=60, backoff_max_s=60))
            await ears.streams.start()
            exchange.cut(PUBLIC)
            await eventually(lambda: not ears.streams.health.public.is_ready)
            connects = exchange.connects
            await ears.streams.stop()
            assert exchange.connects == connects

    run(scene())


def test_the_set_does_not_show_its_secrets():
    async def scene() -> str:
        async with FakeExchange() as exchange, Ears(exchange.endpoints, credentials=Credentials(KEY, SECRET)) as ears:
            return (
                repr(ears.streams)
                + repr(ears.streams.health)
                + repr(vars(ears.streams._private))
                + repr(vars(ears.streams._private._life))
            )

    text = run(scene())
    assert KEY not in text
    assert SECRET not in text


def test_stop_does_not_wait_for_a_server_that_never_finished_the_handshake():
    async def scene() -> None:
        taken: list[asyncio.StreamWriter] = []

        async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            taken.append(writer)

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        before = threading.active_count()
        ears = Ears(endpoints_for(Environment.PAPER, f"http://127.0.0.1:{port}"), limits=limits(connect_s=0.1))
        with pytest.raises(ExchangeError) as caught:
            await ears.streams.start()
        assert caught.value.kind is ErrorKind.RETRY
        await eventually(lambda: threading.active_count() <= before, timeout_s=5)
        for writer in taken:
            writer.close()
        server.close()

    run(scene())
