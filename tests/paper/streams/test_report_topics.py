"""Topics beside trading: the book with RPI sizes, the insurance pool, deleveraging alerts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
from websocket import create_connection

from tests.paper.conformance import compare
from tests.paper.shapes import fields
from tests.paper.support import BOB, Venue, manual_config, venue_of

OPEN = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Market", "positionIdx": 1}
ALERT = fields("c s b mb i_pr pr adl_tt adl_sr")
POOL = fields("coin symbols balance updateTime")


class Socket:
    """A public connection that reads one frame after the other."""

    def __init__(self, venue: Venue, *topics: str) -> None:
        self._socket = create_connection(f"{venue.ws_url}/v5/public/linear", timeout=10)
        self._socket.send(orjson.dumps({"op": "subscribe", "args": list(topics)}))
        assert self.read()["success"]

    def read(self) -> dict[str, Any]:
        return dict(orjson.loads(self._socket.recv()))

    def frame(self, topic: str, kind: str) -> dict[str, Any]:
        """The next frame of a topic and type."""
        while True:
            frame = self.read()
            if (frame.get("topic"), frame.get("type")) == (topic, kind):
                return frame

    def close(self) -> None:
        self._socket.close()


def test_a_book_with_two_sizes_a_level(venue: Venue) -> None:
    topic = "orderbook.rpi.BTCUSDT"
    socket = Socket(venue, topic)
    whole = socket.frame(topic, "snapshot")["data"]
    assert (len(whole["b"]), len(whole["a"]), whole["a"][0][2]) == (50, 50, "0")
    best = whole["a"][0][0]
    venue.trade("BTCUSDT", "60000.20", "0.5", "Buy")
    changed = socket.frame(topic, "delta")["data"]
    assert {len(row) for row in [*changed["a"], *changed["b"]]} == {3}
    gone = [row for row in changed["a"] if row[0] == best]
    assert gone == [[best, "0", "0"]]
    assert changed["u"] == whole["u"] + 1
    socket.close()


def test_the_pool_is_told_at_once_and_when_it_has_paid() -> None:
    with venue_of(manual_config(default_leverage=50)) as venue:
        socket = Socket(venue, "insurance.USDT", "adlAlert.USDT")
        pool = socket.frame("insurance.USDT", "snapshot")["data"]
        assert sorted(map(str, compare(POOL, pool[0]))) == []
        venue.http(BOB).place_order(**OPEN, qty="0.300")
        venue.set_price("BTCUSDT", "55000")
        [after] = socket.frame("insurance.USDT", "delta")["data"]
        paid = venue.server.exchange.accounts["bob"].insurance
        assert Decimal(pool[0]["balance"]) - Decimal(after["balance"]) == paid > 0
        alerts = socket.frame("adlAlert.USDT", "snapshot")["data"]
        assert sorted(map(str, compare(ALERT, alerts[0]))) == []
        assert [row["s"] for row in alerts] == ["BTCUSDT", "ETHUSDT", "LTCUSDT"]
        socket.close()
