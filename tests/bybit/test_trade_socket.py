"""Orders over the trade socket against the real paper exchange: answers, faults, and which way each request goes."""

from __future__ import annotations

import asyncio
import importlib
import time

import pytest

from gridbot.bybit import trade_socket
from gridbot.bybit.endpoints import Credentials, endpoints_for
from gridbot.bybit.order_gateway import BybitOrderGateway
from gridbot.bybit.order_ways import OrderWays
from gridbot.bybit.rest import BybitRest
from gridbot.bybit.socket_line import Dial
from gridbot.bybit.stream_settings import StreamSettings
from gridbot.bybit.trade_socket import TradeSocket
from gridbot.exchange.environment import Environment
from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error
from gridbot.exchange.order_entry import OrderEntry
from gridbot.exchange.requests import CancelRef, OrderAck
from gridbot.exchange.stream_news import ConnectionState
from tests.bybit.support import QUICK, eventually, run
from tests.bybit.test_over_paper import ALICE, SYMBOL, order
from tests.bybit.trade_scene import failed, trading
from tests.paper.support import manual_config, venue_of


def test_orders_and_batches_are_answered_as_over_http_item_by_item() -> None:
    async def scene() -> None:
        async with trading(orders_per_second=20) as it:
            ack = await it.orders.place_order(order("g1"))
            assert ack.order_link_id == "g1"
            assert it.rest.limits["order/create"].limit == 20
            good, twin = await it.orders.place_orders([order("g2"), order("g1", "58000")])
            assert isinstance(good, OrderAck)
            assert isinstance(twin, ExchangeError)
            assert twin.kind is ErrorKind.DUPLICATE
            assert it.rest.limits["order/create-batch"].remaining == 18
            gone, stranger = await it.orders.cancel_orders(SYMBOL, [CancelRef(order_link_id=n) for n in ("g1", "no")])
            assert isinstance(gone, OrderAck)
            assert isinstance(stranger, ExchangeError)
            assert stranger.kind is ErrorKind.NOT_FOUND
            await it.orders.cancel_order(SYMBOL, order_link_id="g2")
            assert (it.links, it.by_http, it.acknowledged) == ([], 0, [1, 1])

    run(scene())


@pytest.mark.parametrize("library", ["aiohttp", "picows"])
def test_either_library_carries_orders_and_a_loss_is_unresolved(library: str) -> None:
    pytest.importorskip(library)
    lines = importlib.import_module(f"gridbot.bybit.{library}_line")
    dial: Dial = lines.AiohttpLine if library == "aiohttp" else lines.PicowsLine

    async def scene() -> None:
        async with trading(dial=dial) as it:
            acks = await asyncio.gather(*(it.orders.place_order(order(f"g{n}")) for n in range(4)))
            assert [ack.order_link_id for ack in acks] == ["g0", "g1", "g2", "g3"]
            it.fault("lost_reply", endpoint="/v5/order/create")
            assert (await failed(it.orders.place_order(order("g4")))).kind is ErrorKind.AMBIGUOUS
            await it.up()
            await it.orders.place_order(order("g5"))
            assert (it.links, it.by_http, it.back) == ([f"g{n}" for n in range(6)], 0, [1])

    run(scene())


def test_a_refusal_is_by_the_same_table_and_its_quota_counts() -> None:
    async def scene() -> None:
        async with trading() as it:
            refused = await failed(it.orders.place_order(order("g1", "61000", reduce_only=True)))
            assert (refused.kind, refused.ret_code) == (ErrorKind.RESYNC, 110017)
            it.fault("error", endpoint="/v5/order/create", code=10006)
            slow = await failed(it.orders.place_order(order("g2")))
            assert slow.kind is ErrorKind.RATE_LIMIT
            assert it.rest.limits["order/create"].remaining == 0
            assert (it.by_http, it.links, it.acknowledged) == (0, [], [])

    run(scene())


def test_answers_of_many_requests_at_once_find_their_requests() -> None:
    async def scene() -> None:
        async with trading() as it:
            it.fault("delay", endpoint="order.create", delay_ms=50)
            pending = [it.orders.place_order(order(f"g{n}")) for n in range(8)]
            acks = await asyncio.gather(*pending)
            assert [ack.order_link_id for ack in acks] == [f"g{n}" for n in range(8)]
            assert it.links[-1] == "g0"  # which others have overtaken

    run(scene())


@pytest.mark.parametrize(("kind", "made"), [("lost_reply", True), ("lost_request", False)])
def test_what_a_lost_socket_leaves_is_unresolved_and_goes_nowhere_else(kind: str, made: bool) -> None:
    async def scene() -> None:
        async with trading() as it:
            it.fault(kind, endpoint="/v5/order/create")
            lost = await failed(it.orders.place_order(order("g1")))
            assert lost.kind is ErrorKind.AMBIGUOUS
            found = await it.rest.find_order(SYMBOL, order_link_id="g1")
            assert (found is not None) is made
            await it.up()
            assert (it.back, it.by_http) == ([1], 0)
            assert it.socket.health().reconnects == 1

    run(scene())


@pytest.mark.parametrize("mode", ["1000", "1001", "reset"])
def test_while_it_is_down_orders_go_by_http_and_it_comes_back(mode: str) -> None:
    async def scene() -> None:
        async with trading() as it:
            it.fault("refuse_connections", channel="trade", for_s=0.3, times=0)
            await it.drop(mode)
            await eventually(lambda: not it.socket.is_ready)
            assert (await it.orders.place_order(order("g1"))).order_link_id == "g1"
            assert it.by_http == 1
            health = it.socket.health()
            assert (health.way, health.state) != (OrderEntry.WEBSOCKET, ConnectionState.READY)
            await it.up()
            await it.orders.place_order(order("g2"))
            assert (it.by_http, it.links, it.back) == (1, ["g1", "g2"], [])
            assert it.socket.health().way is OrderEntry.WEBSOCKET

    run(scene())


def test_a_silent_socket_is_unresolved_after_its_time_and_given_up() -> None:
    async def scene() -> None:
        async with trading(timeout=0.2) as it:
            await it.drop("silent")
            first, second = it.orders.place_order(order("g1")), it.orders.place_order(order("g2"))
            kinds = [(await failed(each)).kind for each in (first, second)]
            assert kinds == [ErrorKind.AMBIGUOUS] * 2
            await it.up()
            assert it.back == [2]
            await it.orders.place_order(order("g3"))
            assert (it.links, it.by_http) == (["g3"], 0)

    run(scene())


def test_a_late_answer_changes_nothing_and_the_connection_stays() -> None:
    async def scene() -> None:
        async with trading(timeout=0.2) as it:
            it.fault("delay", endpoint="order.create", delay_ms=500)
            late = it.orders.place_order(order("g1"))
            waits = asyncio.ensure_future(failed(late))
            while not waits.done():
                with pytest.raises(ExchangeError):  # a sign of life
                    await it.orders.cancel_order(SYMBOL, order_link_id="no")
                await asyncio.sleep(0.01)
            assert waits.result().kind is ErrorKind.AMBIGUOUS
            await eventually(lambda: it.links == ["g1"])
            await it.orders.cancel_order(SYMBOL, order_link_id="g1")
            assert (it.socket.health().reconnects, it.acknowledged, it.back) == (0, [], [])

    run(scene())


def test_a_wrong_clock_is_measured_before_the_next_try() -> None:
    async def scene() -> None:
        async with trading() as it:
            it.fault("clock_skew", skew_ms=-60_000, for_s=60, times=0)
            wrong = await failed(it.orders.place_order(order("g1")))
            assert (wrong.ret_code, wrong.kind) == (10002, ErrorKind.RETRY)
            assert it.rest.clock_offset_ms == pytest.approx(-60_000, abs=2_000)
            await it.orders.place_order(order("g1"))
            assert (it.links, it.by_http) == (["g1"], 0)

    run(scene())


def test_a_service_that_restarts_is_left_and_found_again() -> None:
    async def scene() -> None:
        async with trading() as it:
            it.fault("error", endpoint="/v5/order/create", code=10019)
            refused = await failed(it.orders.place_order(order("g1")))
            assert refused.kind is ErrorKind.RETRY
            assert not it.socket.is_ready
            await it.orders.place_order(order("g2"))
            await it.up()
            assert (it.links, it.by_http, it.back) == (["g2"], 1, [])

    run(scene())


def test_a_refused_sign_in_leaves_orders_to_http_and_says_why() -> None:
    async def scene() -> None:
        async with trading(secret="another", wait=False) as it:
            await eventually(lambda: "Invalid sign" in it.socket.health().error)
            await it.orders.place_order(order("g1"))
            assert it.by_http == 1
            assert "another" not in it.socket.health().error

    run(scene())


def test_a_ban_is_about_http_and_orders_go_on_over_the_socket() -> None:
    """A 403 once silenced the socket, too, so for ten minutes not even a cancel left."""

    async def scene() -> None:
        async with trading() as it:
            it.fault("ip_ban", endpoint="/v5/market/time", for_s=0.1)
            await failed(it.rest.server_time_ms())
            assert not it.orders.by_http
            await it.orders.place_order(order("g1"))
            await it.orders.cancel_order(SYMBOL, order_link_id="g1")
            await it.orders.place_order(order("g2"))
            await it.socket.stop()
            banned = await failed(it.orders.place_order(order("g3")))
            assert banned.kind is ErrorKind.IP_BAN
            assert (it.links, it.by_http) == (["g2"], 0)

    run(scene())


def test_a_ban_that_is_told_over_the_socket_ends_both_ways() -> None:
    async def scene() -> None:
        async with trading() as it:
            it.fault("error", endpoint="/v5/order/create", code=10018)
            for name in ("g1", "g2"):
                assert (await failed(it.orders.place_order(order(name)))).kind is ErrorKind.IP_BAN
            assert it.orders.by_http, "whoever asks waits, as for HTTP"
            it.rest._banned_until_s = 0.0  # ten minutes have passed
            assert not it.orders.by_http
            await it.orders.place_order(order("g3"))
            assert (it.links, it.by_http) == (["g3"], 0)

    run(scene())


def test_what_is_under_way_at_the_end_is_unresolved() -> None:
    async def scene() -> None:
        async with trading() as it:
            await it.drop("silent")
            waits = asyncio.ensure_future(failed(it.orders.place_order(order("g1"))))
            await asyncio.sleep(0)
            await it.socket.stop()
            assert (await waits).kind is ErrorKind.AMBIGUOUS
            assert not it.socket._pending
            assert not it.socket.is_ready

    run(scene())


def test_it_is_told_nothing_of_requests_that_are_not_its_own() -> None:
    """A frame with an id that was never used, and others that nobody can read, change nothing."""

    async def scene() -> None:
        async with trading() as it:
            (mine,) = (c for c in it.server.hub.connections if c.kind.value == "trade")
            for frame in (b'{"reqId":"never","retCode":0,"op":"order.create","data":{}}', b"[]", b"{", b"\xff"):
                mine.send(frame)
            await it.orders.place_order(order("g1"))
            assert (it.links, it.by_http, it.socket.health().reconnects) == (["g1"], 0, 0)

    run(scene())


def test_an_unusable_answer_of_the_clock_does_not_hide_the_refusal() -> None:
    async def scene() -> None:
        async with trading() as it:

            async def fails() -> None:
                raise make_error("no answer", ErrorKind.AMBIGUOUS)

            ways = OrderWays(it.rest, it.socket, measure_clock=fails, acknowledged=it.acknowledged.append)
            it.fault("error", endpoint="/v5/order/create", code=10002)
            wrong = await failed(BybitOrderGateway(ways).place_order(order("g1")))
            assert wrong.ret_code == 10002

    run(scene())


def test_after_a_stall_of_ours_answers_are_read_before_anything_counts_as_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trade_socket, "STALL_S", 0.05)
    with venue_of(manual_config()) as venue:
        endpoints = endpoints_for(Environment.PAPER, venue.url)
        rest = BybitRest(endpoints, Credentials(ALICE.api_key, ALICE.api_secret))

        async def scene() -> None:
            socket = TradeSocket(
                endpoints.ws_trade,
                Credentials(ALICE.api_key, ALICE.api_secret),
                name="test",
                limits=rest.limits,
                refusal=rest.refusal,
                on_back=lambda unresolved: None,
                timeout=0.2,
                settings=StreamSettings(limits=QUICK),
            )
            socket.start()
            await eventually(lambda: socket.is_ready)
            pending = socket.send("order/cancel", {"category": "linear", "symbol": SYMBOL, "orderLinkId": "no"})
            time.sleep(0.5)  # the loop stands still, and the exchange does not
            refused = await pending
            assert isinstance(refused, ExchangeError)
            assert refused.kind is ErrorKind.NOT_FOUND
            await socket.stop()
            rest.close()

        run(scene())
