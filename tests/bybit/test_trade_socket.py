"""Orders over the trade socket against the real paper exchange: answers, faults, and which way each request goes."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from gridbot.bybit import trade_socket
from gridbot.bybit.clocks import wall_ms
from gridbot.bybit.endpoints import Credentials, endpoints_for
from gridbot.bybit.line_choice import dial_line
from gridbot.bybit.order_gateway import BybitOrderGateway
from gridbot.bybit.order_ways import OrderWays
from gridbot.bybit.rest import BybitRest
from gridbot.bybit.socket_line import Dial
from gridbot.bybit.stream_settings import StreamSettings
from gridbot.bybit.trade_socket import TradeSocket
from gridbot.exchange.environment import Environment
from gridbot.exchange.failures import ErrorKind, ExchangeError, Outcome, make_error
from gridbot.exchange.order_entry import OrderEntry
from gridbot.exchange.requests import CancelRef, OrderAck
from gridbot.exchange.stream_news import ConnectionState
from gridbot.lease.lease_term import LeaseTerm
from gridbot.lease.lease_watch import LeaseWatch
from gridbot.paper.accounts.exchange_order import Order
from gridbot.paper.faults.fault_config import FaultConfig
from gridbot.paper.server.paper_server import PaperServer
from gridbot.paper.server.paper_spec import PaperSpec
from gridbot.paper.settings import PaperConfig
from gridbot.paper.streams.connection_faults import drop_connections
from gridbot.system_ports import boot_ns
from tests.bybit.support import QUICK, eventually, run
from tests.bybit.test_over_paper import ALICE, SYMBOL, order
from tests.paper.support import manual_config, venue_of


@dataclass
class Scene:
    server: PaperServer
    rest: BybitRest
    socket: TradeSocket
    orders: BybitOrderGateway
    back: list[int] = field(default_factory=list)
    acknowledged: list[int] = field(default_factory=list)

    def fault(self, kind: str, **how: Any) -> None:
        """The next time, and once, unless `how` says otherwise."""
        self.server.faults.add(FaultConfig.model_validate({"kind": kind, **how}))

    async def drop(self, mode: str) -> None:
        config = {"kind": "drop_connections", "channel": "trade", "mode": mode}
        await drop_connections(self.server.hub, FaultConfig.model_validate(config))

    async def up(self) -> None:
        await eventually(lambda: self.socket.is_ready)

    @property
    def by_http(self) -> int:
        """Create requests that came by HTTP."""
        return int(self.server.http_creates)  # type: ignore[attr-defined]

    @property
    def links(self) -> list[str]:
        """Link ids of the orders that rest."""
        account = self.server.exchange.accounts["alice"]
        resting: list[Order] = list(account.open.values())
        return [each.link_id for each in resting]


@asynccontextmanager
async def trading(
    *,
    secret: str = ALICE.api_secret,
    timeout: float = 5.0,
    wait: bool = True,
    dial: Dial = dial_line,
    lease: LeaseWatch | None = None,
    **limits: int,
) -> AsyncIterator[Scene]:
    config = PaperConfig.model_validate(
        {
            "position_mode": "hedge",
            "ticker_interval_ms": 0,
            "limits": {"orders_per_second": 0, "queries_per_second": 0, "ip_requests": 0, **limits},
            "market": {"source": "manual", "mark_halflife_s": 0, "symbols": {SYMBOL: {"price": 60000}}},
        }
    )
    async with PaperServer(PaperSpec(config=config, accounts=(ALICE,))) as server:
        endpoints = endpoints_for(Environment.PAPER, server.url)
        rest = BybitRest(endpoints, Credentials(ALICE.api_key, ALICE.api_secret), lease=lease)
        back: list[int] = []
        acknowledged: list[int] = []
        socket = TradeSocket(
            endpoints.ws_trade,
            Credentials(ALICE.api_key, secret),
            name="test",
            limits=rest.limits,
            refusal=rest.refusal,
            on_back=back.append,
            exchange_ms=rest.exchange_ms,
            lease=lease,
            timeout=timeout,
            settings=StreamSettings(limits=QUICK),
            dial=dial,
        )
        ways = OrderWays(rest, socket, measure_clock=rest.server_time_ms, acknowledged=acknowledged.append)
        _count_http(server)
        try:
            socket.start()
            scene = Scene(server, rest, socket, BybitOrderGateway(ways), back, acknowledged)
            if wait:
                await scene.up()
            yield scene
        finally:
            await socket.stop()
            rest.close()


def _count_http(server: PaperServer) -> None:
    """Count the creates that reach the exchange by HTTP."""
    server.http_creates = 0  # type: ignore[attr-defined]
    handle = server.api.handle

    def counted(verb: str, target: str, *rest: Any, **more: Any) -> Any:
        server.http_creates += target.startswith("/v5/order/create")  # type: ignore[attr-defined]
        return handle(verb, target, *rest, **more)

    server.api.handle = counted  # type: ignore[method-assign]


async def failed(answer: Any) -> ExchangeError:
    with pytest.raises(ExchangeError) as caught:
        await answer
    return caught.value


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


class _Term:
    """A lease whose clock the test moves: it is behind the machine's by `late_ms`."""

    def __init__(self) -> None:
        self.late_ms = 0
        now = boot_ns()
        self.lease = LeaseWatch(LeaseTerm(1, now, now + 3_600_000_000_000), self.boot_ns, wall_ms)

    def boot_ns(self) -> int:
        return boot_ns() - self.late_ms * 1_000_000

    def ends(self) -> None:
        self.late_ms = -7_200_000

    def is_back(self) -> None:
        now = self.boot_ns()
        self.lease.extend(LeaseTerm(1, now, now + 360_000_000_000_000))


@pytest.mark.parametrize("by_socket", [True, False], ids=["socket", "http"])
def test_without_its_lease_not_one_byte_of_a_change_leaves_and_queries_go_on(by_socket: bool) -> None:
    async def scene() -> None:
        term = _Term()
        async with trading(lease=term.lease, wait=by_socket) as it:
            if not by_socket:
                await it.socket.stop()
            # Before the exchange's time is known to half a second nothing leaves either.
            error = await failed(it.orders.place_order(order("early")))
            assert (error.kind, error.outcome) == (ErrorKind.NO_LEASE, Outcome.NOT_CREATED)
            await it.rest.server_time_ms()
            await it.orders.place_order(order("g1"))
            term.ends()
            calls = it.by_http
            for answer in (
                it.orders.place_order(order("late")),
                it.orders.place_orders([order("late1"), order("late2")]),
                it.orders.cancel_order(SYMBOL, order_link_id="g1"),
                it.rest.set_leverage(SYMBOL, Decimal(7)),
            ):
                error = await failed(answer)
                assert (error.kind, error.outcome) == (ErrorKind.NO_LEASE, Outcome.NOT_CREATED)
                assert "no lease of the account" in error.message
            assert it.by_http == calls
            assert it.links == ["g1"]
            await it.rest.server_time_ms()
            term.is_back()
            await it.orders.place_order(order("g2"))
            assert sorted(it.links) == ["g1", "g2"]
            assert it.socket.is_ready is by_socket

    run(scene())


@pytest.mark.parametrize("by_socket", [True, False], ids=["socket", "http"])
def test_what_was_stamped_two_seconds_ago_the_exchange_refuses(by_socket: bool) -> None:
    """A holder that was frozen between the stamp and the socket: its clock, and so the stamp, is that of then."""

    async def scene() -> None:
        term = _Term()
        async with trading(lease=term.lease, wait=by_socket) as it:
            if not by_socket:
                await it.socket.stop()
            await it.rest.server_time_ms()
            term.late_ms = 2_600
            error = await failed(it.orders.place_order(order("g1")))
            assert error.ret_code == 10002
            assert it.links == []

    run(scene())
