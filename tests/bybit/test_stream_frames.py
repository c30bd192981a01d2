"""Frames over real sockets: rows to events, deltas, nonsense, packets that begin and end anywhere."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from gridbot import background
from gridbot.bybit.endpoints import Credentials, endpoints_for
from gridbot.bybit.mailbox import PrivateFrame
from gridbot.bybit.stream_settings import StreamSettings
from gridbot.bybit.streams import StreamSet
from gridbot.core.events import ExecutionEvent, OrderUpdateEvent, PositionEvent, WalletEvent
from gridbot.exchange.environment import Environment
from tests.bybit.stream_helpers import D, prices, send_price
from tests.bybit.support import (
    CREDENTIALS,
    PRIVATE,
    PUBLIC,
    QUICK,
    Ears,
    FakeExchange,
    eventually,
    execution_row,
    order_row,
    position_row,
    private_frame,
    run,
    ticker_frame,
    wallet_row,
)

pytestmark = pytest.mark.usefixtures("each_line")


def test_private_rows_become_events_in_the_order_they_came():
    async def scene() -> None:
        async with FakeExchange() as exchange, Ears(exchange.endpoints) as ears:
            await exchange.send(PRIVATE, private_frame("order", order_row("o1"), order_row("o2")))
            await exchange.send(PRIVATE, private_frame("execution", execution_row("e1"), execution_row("e2")))
            await exchange.send(PRIVATE, private_frame("position", position_row(1), position_row(2)))
            wallet = wallet_row({"coin": "USDT", "walletBalance": "5"})
            await exchange.send(PRIVATE, private_frame("wallet", wallet, sent_ms=77))
            await eventually(lambda: len(ears.heard.private) == 7)
            kinds = [type(event) for event in ears.heard.private]
            assert kinds == [OrderUpdateEvent] * 2 + [ExecutionEvent] * 2 + [PositionEvent] * 2 + [WalletEvent]
            fill = ears.heard.private[2]
            assert isinstance(fill, ExecutionEvent)
            assert 0 < fill.received_ns <= time.monotonic_ns()
            assert isinstance(ears.heard.private[6], WalletEvent)
            assert ears.heard.private[6].exchange_ts == 77
            assert ears.heard.gaps == []

    run(scene())


def test_rows_of_other_categories_are_none_of_ours():
    async def scene() -> None:
        async with FakeExchange() as exchange, Ears(exchange.endpoints) as ears:
            spot, linear = order_row("o1", category="spot", positionIdx=0), order_row("o2", category="linear")
            await exchange.send(PRIVATE, private_frame("order", spot, linear))
            await eventually(lambda: ears.heard.private)
            assert [event.order_id for event in ears.heard.private if isinstance(event, OrderUpdateEvent)] == ["o2"]

    run(scene())


def test_an_unreadable_private_row_leaves_its_neighbours_alone_and_counts_as_a_gap():
    async def scene() -> None:
        async with FakeExchange() as exchange, Ears(exchange.endpoints) as ears:
            rows = execution_row("e1"), execution_row("e2", execPrice=""), execution_row("e3")
            await exchange.send(PRIVATE, private_frame("execution", *rows))
            await eventually(lambda: ears.heard.gaps)
            assert [e.exec_id for e in ears.heard.private if isinstance(e, ExecutionEvent)] == ["e1", "e3"]
            assert ears.heard.gaps[0].kind == "private"

    run(scene())


NONSENSE = [
    "",
    "no json",
    "[]",
    "12",
    "null",
    "{}",
    '{"topic": "order"}',
    '{"topic": 5}',
    '{"topic": "unheard.of", "data": []}',
    '{"op": "subscribe", "success": true, "req_id": "unknown"}',
    '{"op": "something"}',
]


BAD_TICKERS = [
    '{"topic": "tickers.BTCUSDT", "type": "snapshot"}',
    *(f'{{"topic": "tickers.BTCUSDT", "type": "snapshot", "ts": {ts}, "data": {{"lastPrice": "7"}}}}'
      for ts in ('"soon"', "null", "[]", str(2**63 - 1), "-1", "1.5")),
    '{"topic": "tickers.BTCUSDT", "type": "snapshot", "ts": 1, "data": ["lastPrice"]}',
    '{"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": 1, "data": 5}',
    f'{{"topic": {"[" * 900}{"]" * 900}}}',
]  # fmt: skip


@pytest.mark.parametrize("path", [PUBLIC, PRIVATE])
def test_nonsense_does_not_end_a_stream_or_freeze_a_symbol_and_is_told_of(path: str, caplog: pytest.LogCaptureFixture):
    faults: list[str] = []

    async def scene() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: faults.append(str(context)))
        async with FakeExchange() as exchange, Ears(exchange.endpoints) as ears:
            for text in [*NONSENSE, *BAD_TICKERS, '{"topic":"\udcff"}']:
                await exchange.socket(path).send_frame(text.encode(errors="surrogateescape"), 1)  # type: ignore[arg-type]
            await send_price(exchange, 1, "10")
            await exchange.send(PRIVATE, private_frame("order", order_row()))
            await eventually(lambda: ears.heard.tickers and ears.heard.private)
            assert [ticker.last_price for ticker in ears.heard.tickers] == [10]
            assert exchange.connects == 2, "nothing was reconnected"
            if path == PRIVATE:
                await eventually(lambda: ears.heard.gaps)  # it may have been an execution

    run(scene())
    assert "a frame cannot be read" in caplog.text
    assert faults == [], "what others send is no fault of ours"


def test_a_wake_up_that_raises_does_not_end_a_stream():
    async def scene() -> None:
        async with FakeExchange() as exchange:
            calls = 0
            raised: list[Any] = []
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: raised.append(context))

            def on_wake() -> None:
                nonlocal calls
                calls += 1
                if streams.drain().tickers and calls == 1:
                    raise ZeroDivisionError

            streams = StreamSet(
                exchange.endpoints,
                CREDENTIALS,
                ["BTCUSDT"],
                loop=loop,
                on_wake=on_wake,
                settings=StreamSettings(limits=QUICK),
            )
            await streams.start()
            await send_price(exchange, 1, "10")
            await eventually(lambda: raised)
            await send_price(exchange, 2, "11", kind="delta")
            await eventually(lambda: calls == 2)
            assert exchange.connects == 2
            await streams.stop()

    run(scene())


def test_deltas_are_merged_and_the_newest_price_wins():
    async def scene() -> None:
        async with FakeExchange() as exchange, Ears(exchange.endpoints) as ears:
            await exchange.send(
                PUBLIC, ticker_frame("BTCUSDT", 1, kind="snapshot", lastPrice="10", markPrice="11", bid1Price="9")
            )
            await exchange.send(PUBLIC, ticker_frame("BTCUSDT", 2, markPrice="12"))
            await exchange.send(PUBLIC, ticker_frame("BTCUSDT", 3, lastPrice="13"))
            await exchange.send(PUBLIC, ticker_frame("BTCUSDT", 2, lastPrice="99"))
            await eventually(lambda: prices(ears)[-1:] == [13])
            newest = ears.heard.tickers[-1]
            assert (newest.mark_price, newest.bid1_price, newest.exchange_ts) == (D(12), D(9), 3)
            assert 99 not in prices(ears)
            ages = ears.streams.health.ticker_age_s
            assert ages["BTCUSDT"] is not None

    run(scene())


def test_frames_wait_together_while_nobody_drains():
    async def scene() -> None:
        async with FakeExchange() as exchange, Ears(exchange.endpoints) as ears:
            ears._wake = lambda: None  # type: ignore[method-assign]
            ears.streams._mailbox._on_wake = lambda: None
            await send_price(exchange, 1, "10")
            for number in range(2, 50):
                await send_price(exchange, number, str(number), kind="delta")
                await exchange.send(PRIVATE, private_frame("order", order_row(f"o{number}")))
            await eventually(lambda: len(ears.streams._mailbox._private) == 48)
            drained = ears.streams.drain()
            assert len(drained.tickers) <= 1
            assert [event.order_id for event in drained.private if isinstance(event, OrderUpdateEvent)] == [
                f"o{number}" for number in range(2, 50)
            ]

    run(scene())


def wire(frame: dict[str, Any]) -> bytes:
    """A text frame as the server puts it on the wire."""
    payload = json.dumps(frame).encode()
    return bytes((0x81, 126)) + len(payload).to_bytes(2, "big") + payload


def test_frames_of_one_packet_are_all_read_although_nothing_follows():
    async def scene() -> None:
        async with FakeExchange() as exchange, Ears(exchange.endpoints) as ears:
            frames = [private_frame("order", order_row(f"o{number}")) for number in range(50)]
            exchange.write(PRIVATE, b"".join(wire(frame) for frame in frames))
            await eventually(lambda: len(ears.heard.private) == 50)

    run(scene())


def test_a_frame_that_comes_in_pieces_is_one_frame():
    async def scene() -> None:
        async with FakeExchange() as exchange, Ears(exchange.endpoints) as ears:
            rows = [order_row(f"o{number}") for number in range(60)]
            data = wire(private_frame("order", *rows)) + wire(private_frame("order", order_row("last")))
            assert len(data) > 16_384
            for first in range(0, len(data), 7_001):
                exchange.write(PRIVATE, data[first : first + 7_001])
                await asyncio.sleep(0.002)
            await eventually(lambda: len(ears.heard.private) == 61)
            assert exchange.connects == 2

    run(scene())


def test_a_frame_that_cannot_be_read_at_all_leaves_the_others_and_is_asked_for(monkeypatch):
    """Every frame that had arrived with it was lost, in silence."""

    async def run():
        told = []
        endpoints = endpoints_for(Environment.PAPER, "http://127.0.0.1:9")
        loop = asyncio.get_running_loop()
        with background.watch(loop, lambda part, error: told.append(part)):
            streams = StreamSet(endpoints, Credentials("k", "s"), ["BTCUSDT"], loop=loop, on_wake=lambda: None)
            for topic in ("order", "broken", "execution"):
                streams._mailbox.put_private(PrivateFrame(topic, [], 1, 1))
            read = []

            def read_private(frame):
                if frame.topic == "broken":
                    raise TypeError("a fault of ours")
                read.append(frame.topic)
                return [], []

            monkeypatch.setattr("gridbot.bybit.streams.read_private", read_private)
            drained = streams.drain()
        assert read == ["order", "execution"]
        assert [gap.kind for gap in drained.gaps] == ["private"], "so everything is compared"
        assert told == ["reading a message of broken"]

    asyncio.run(run())
