"""What the tests of the paper exchange share: a venue on a free port, and pybit's real client classes pointed at it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, TypeVar

import orjson
import requests
from pybit.unified_trading import HTTP, WebSocket, WebSocketTrading

from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.server.paper_spec import PaperAccount, PaperSpec
from gridbot.paper.server.paper_thread import PaperThread
from gridbot.paper.settings import PaperConfig
from gridbot.paper.storage.kept_state import KeptState
from gridbot.paper.storage.state_records import WholeState
from tests.paper.patient_pybit import patient_stream, patient_trading

T = TypeVar("T")
ALICE = PaperAccount("alice", "paper-alice", "secret-of-alice", Decimal(10000))
BOB = PaperAccount("bob", "paper-bob", "secret-of-bob", Decimal(500))


def eventually(condition: Callable[[], T], *, timeout: float = 30.0) -> T:
    """Wait until the condition is true and return its value."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"condition not met within {timeout} s, last value: {value!r}")
        time.sleep(0.005)


class Venue(PaperThread):
    """A running exchange and the clients to talk to it."""

    def http(self, account: PaperAccount | None = ALICE, **options: Any) -> HTTP:
        keys = {} if account is None else {"api_key": account.api_key, "api_secret": account.api_secret}
        session = HTTP(**keys, **options)
        session.endpoint = self.url
        session.retry_codes = set()
        return session

    def control(self, command: Mapping[str, Any]) -> requests.Response:
        """Ask the control endpoint, as who knows its token."""
        headers = {"Authorization": f"Bearer {self.server.control_token}"}
        return requests.post(f"{self.url}/paper/control", json=command, headers=headers, timeout=5)

    def websocket(self, channel: str, account: PaperAccount | None = None, **options: Any) -> WebSocket:
        return patient_stream(self.ws_url, channel, account, **options)

    def trading_socket(self, account: PaperAccount = ALICE) -> WebSocketTrading:
        return patient_trading(self.ws_url, account)


def manual_config(**changes: Any) -> PaperConfig:
    """Hedge mode, prices pushed by the test, limits off, everything published at once."""
    values: dict[str, Any] = {
        "position_mode": "hedge",
        "ticker_interval_ms": 0,
        "limits": {"orders_per_second": 0, "queries_per_second": 0, "ip_requests": 0},
        "market": {
            "source": "manual",
            "mark_halflife_s": 0,
            "symbols": {"BTCUSDT": {"price": 60000}, "ETHUSDT": {"price": 2500}, "LTCUSDT": {"price": 85}},
        },
    }
    return PaperConfig.model_validate(values | changes)


def venue_of(config: PaperConfig, **options: Any) -> Venue:
    """An exchange with alice (10000 USDT) and bob (500 USDT); use it in a `with`."""
    return Venue(PaperSpec(config=config, accounts=(ALICE, BOB)), **options)


def dump_state(exchange: Exchange) -> list[Any]:
    """Everything that a state file keeps, as JSON values: equal for exchanges that are equal."""
    return [orjson.loads(body) for body in WholeState(exchange, {}).bodies()]


def load_state(exchange: Exchange, records: Iterable[Mapping[str, Any]]) -> None:
    """Put what records add up to into a fresh exchange."""
    kept = KeptState(frozenset(exchange.accounts))
    for record in records:
        kept.apply(record)
    kept.put_into(exchange)


class Inbox:
    """Collects the messages of a stream."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    def __call__(self, message: dict[str, Any]) -> None:
        self.messages.append(message)

    def rows(self, topic: str = "") -> list[dict[str, Any]]:
        return [row for m in list(self.messages) if topic in ("", m["topic"]) for row in m["data"]]

    def wait(self, wanted: Callable[[dict[str, Any]], bool], topic: str = "") -> dict[str, Any]:
        """First row that is wanted."""
        return eventually(lambda: next((row for row in self.rows(topic) if wanted(row)), {}))


def limit_order(symbol: str, side: str, qty: str, price: str, idx: int, **extra: Any) -> dict[str, Any]:
    """Parameters of a PostOnly order."""
    return {
        "category": "linear",
        "symbol": symbol,
        "side": side,
        "orderType": "Limit",
        "qty": qty,
        "price": price,
        "timeInForce": "PostOnly",
        "positionIdx": idx,
    } | extra
