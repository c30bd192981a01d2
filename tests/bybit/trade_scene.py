"""A trade socket with its gateway on a real paper exchange, and what its faults do: the scene of its tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from gridbot.bybit.endpoints import Credentials, endpoints_for
from gridbot.bybit.line_choice import dial_line
from gridbot.bybit.order_gateway import BybitOrderGateway
from gridbot.bybit.order_ways import OrderWays
from gridbot.bybit.rest import BybitRest
from gridbot.bybit.socket_line import Dial
from gridbot.bybit.stream_settings import StreamSettings
from gridbot.bybit.trade_socket import TradeSocket
from gridbot.exchange.environment import Environment
from gridbot.exchange.failures import ExchangeError
from gridbot.lease.lease_watch import LeaseWatch
from gridbot.paper.accounts.exchange_order import Order
from gridbot.paper.faults.fault_config import FaultConfig
from gridbot.paper.server.paper_server import PaperServer
from gridbot.paper.server.paper_spec import PaperSpec
from gridbot.paper.settings import PaperConfig
from gridbot.paper.streams.connection_faults import drop_connections
from tests.bybit.support import QUICK, eventually
from tests.bybit.test_over_paper import ALICE, SYMBOL


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
