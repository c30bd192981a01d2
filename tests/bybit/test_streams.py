"""Streams over real sockets against an exchange that misbehaves."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from decimal import Decimal
from typing import Any

import pytest

from gridbot import background
from gridbot.bybit.endpoints import Credentials, endpoints_for
from gridbot.bybit.mailbox import PrivateFrame
from gridbot.bybit.stream_settings import StreamSettings
from gridbot.bybit.streams import StreamSet
from gridbot.bybit.watchdog import Limits
from gridbot.core.events import ExecutionEvent, OrderUpdateEvent, PositionEvent, WalletEvent
from gridbot.exchange.environment import Environment
from gridbot.exchange.failures import ErrorKind, ExchangeError
from gridbot.exchange.stream_news import Gap
from tests.bybit.support import (
    CREDENTIALS,
    KEY,
    PRIVATE,
    PUBLIC,
    QUICK,
    SECRET,
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

D = Decimal


def limits(**changes: float) -> Limits:
    names = ("connect_s", "pong_s", "silence_s", "check_s", "backoff_first_s", "backoff_max_s", "settled_s")
    return Limits(**({name: getattr(QUICK, name) for name in names} | changes))


async def send_price(exchange: FakeExchange, ts: int, price: str, *, kind: str = "snapshot") -> None:
    await exchange.send(PUBLIC, ticker_frame("BTCUSDT", ts, kind=kind, lastPrice=price))


async def first_gap(ears: Ears) -> Gap:
    await eventually(lambda: ears.heard.gaps)
    return ears.heard.gaps[0]


def prices(ears: Ears) -> list[Decimal]:
    return [ticker.last_price for ticker in ears.heard.tickers]


# ---------------------------------------------------------------------- start


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


# ---------------------------------------------------------------------- frames


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


@pytest.mark.parametrize("path", [PUBLIC, PRIVATE])
def test_nonsense_does_not_end_a_stream_and_is_told_of(path: str, monkeypatch: pytest.MonkeyPatch):
    told: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: told.append(str(args.exc_value)))

    async def scene() -> None:
        async with FakeExchange() as exchange, Ears(exchange.endpoints) as ears:
            for text in [*NONSENSE, '{"topic": "tickers.BTCUSDT", "type": "snapshot"}', '{"topic":"\udcff"}']:
                await exchange.socket(path).send_frame(text.encode(errors="surrogateescape"), 1)  # type: ignore[arg-type]
            await send_price(exchange, 1, "10")
            await exchange.send(PRIVATE, private_frame("order", order_row()))
            await eventually(lambda: ears.heard.tickers and ears.heard.private)
            assert exchange.connects == 2, "nothing was reconnected"

    run(scene())
    assert told
    assert all("a frame of " in text and " could not be used: " in text for text in told)


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


# ---------------------------------------------------------------------- death and return


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
    """Where websocket-client's own timeout does not fire, the age of the last sign of life does."""

    async def scene() -> None:
        async with FakeExchange() as exchange, Ears(exchange.endpoints, limits=limits(pong_s=0.2)) as ears:
            await eventually(lambda: any(gap.kind == "private" for gap in ears.heard.gaps))

    run(scene())


def test_stop_ends_every_thread_and_says_goodbye():
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
            return repr(ears.streams) + repr(ears.streams.health) + repr(ears.streams._private.socket)

    text = run(scene())
    assert KEY not in text
    assert SECRET not in text


def wire(frame: dict[str, Any]) -> bytes:
    """A text frame as the server puts it on the wire."""
    payload = json.dumps(frame).encode()
    return bytes((0x81, 126)) + len(payload).to_bytes(2, "big") + payload


def test_frames_of_one_packet_are_all_read_although_nothing_follows():
    """We read ahead of websocket-client; what is in its buffer already must not wait for the next packet."""

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
