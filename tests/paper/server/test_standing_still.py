"""An exchange that stood still (SIGSTOP, a machine asleep) goes on without contradicting itself: real process, pybit.

`GRIDBOT_TEST_STALL_S` sets for how long.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from pybit.exceptions import InvalidRequestError

from gridbot.paper.market.market_history import MINUTE_MS, CandleSeries
from gridbot.paper.server.paper_spec import PaperSpec
from gridbot.paper.settings import PaperConfig
from tests.paper.exchange_process import ExchangeProcess
from tests.paper.support import ALICE, Inbox, eventually

STALL_S = float(os.environ.get("GRIDBOT_TEST_STALL_S", "3.5"))
WINDOW_S = 3
TRADES_A_SECOND = 100
LINEAR = {"category": "linear", "symbol": "LTCUSDT"}
CONFIG = PaperConfig.model_validate(
    {
        "position_mode": "hedge",
        "dcp": True,
        "limits": {"orders_per_second": 0, "queries_per_second": 0, "ip_requests": 0},
        "market": {"symbols": {"LTCUSDT": {"trades_per_second": TRADES_A_SECOND, "swing": 0, "volatility": "0.0001"}}},
    }
)


def buy(price: str) -> dict[str, Any]:
    return LINEAR | {"side": "Buy", "orderType": "Limit", "qty": "1", "price": price, "positionIdx": 1}


class Waiting(threading.Thread):
    """A request that is answered when the exchange goes on."""

    def __init__(self, call: Callable[..., Any], **params: Any) -> None:
        super().__init__(daemon=True)
        self._call, self._params = call, params
        self.code: int | None = None
        self.start()

    def run(self) -> None:
        try:
            self.code = int(self._call(**self._params)["retCode"])
        except InvalidRequestError as error:
            self.code = error.status_code


def guard(socket: Any) -> Any:
    """Subscribe a private connection to `dcp.future`."""
    socket.subscribe("dcp.future", print, symbol="x")
    return socket


def wait_until(moment: float) -> None:
    eventually(lambda: time.monotonic() >= moment, timeout=STALL_S + 1)


def test_it_goes_on_where_it_stood() -> None:
    with ExchangeProcess() as exchange:
        exchange.start(PaperSpec(config=CONFIG, accounts=(ALICE,)))
        http, trades = exchange.http(ALICE), Inbox()
        public = exchange.websocket("linear")
        public.trade_stream("LTCUSDT", trades)
        http.set_dcp(product="DERIVATIVES", timeWindow=WINDOW_S)
        first, second = guard(exchange.websocket("private", ALICE)), exchange.websocket("private", ALICE)
        http.place_order(**buy("70.00"))
        eventually(trades.rows)
        exchange.forget_health()
        first.exit()
        assert exchange.health()["connections"] == 2  # the window of disconnect-cancel-all runs
        exchange.send(signal.SIGSTOP)
        stopped = time.monotonic()
        early = Waiting(exchange.http(ALICE, recv_window=1000).place_order, **buy("71.00"))
        guard(second)  # one frame, read as soon as it goes on; a connection would need its handshake after that
        wait_until(stopped + STALL_S)
        late = Waiting(exchange.http(ALICE).place_order, **buy("72.00"))
        goes_on_ms = time.time() * 1000
        exchange.send(signal.SIGCONT)
        for each in (early, late):
            each.join(10)
            assert not each.is_alive()
        eventually(lambda: any(row["T"] > goes_on_ms + 200 for row in trades.rows()))
        assert (early.code, late.code) == (10002, 0)  # as it says that the first came too late, it is not there
        orders = http.get_open_orders(**LINEAR)["result"]["list"]
        assert [order["price"] for order in orders] == ["72.00", "70.00"]
        assert public.is_connected()
        times = [row["T"] for row in trades.rows()]
        assert times == sorted(times)
        together = Counter(moment // 200 for moment in times)
        assert max(together.values()) < STALL_S * TRADES_A_SECOND / 2  # it would be all of them
        second.exit()
        public.exit()


def test_minutes_that_nobody_looked_at_have_candles() -> None:
    series = CandleSeries()
    series.add(Decimal(100), 5 * MINUTE_MS)
    series.add(Decimal(101), 8 * MINUTE_MS + 1)
    assert [(c.start_ms // MINUTE_MS, c.open, c.close) for c in series.candles] == [
        (5, 100, 100),
        (6, 100, 100),
        (7, 100, 100),
        (8, 100, 101),
    ]
