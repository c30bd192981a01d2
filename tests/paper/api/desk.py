"""A client of an exchange in the same process: signed requests without sockets, and the frames that they lead to."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import orjson

from gridbot.paper.api.auth import sign
from gridbot.paper.api.dispatch import ROUTES, Api, Reply
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.market.instruments import LISTINGS
from gridbot.paper.market.symbol_market import SymbolMarket
from gridbot.paper.settings import PaperConfig

LINEAR = {"category": "linear", "symbol": "BTCUSDT"}
MARKET = {**LINEAR, "side": "Buy", "orderType": "Market", "positionIdx": 1}
SYMBOLS = ("BTCUSDT", "ETHUSDT")
DAY_MS = 86_400_000


class Desk:
    """One account, `a`, in hedge mode. `now_ms` is the exchange's clock and the client's."""

    def __init__(self, balance: int = 10_000, **config: Any) -> None:
        markets = {
            symbol: SymbolMarket(LISTINGS[symbol], LISTINGS[symbol].default_price, Decimal(10_000), DAY_MS)
            for symbol in SYMBOLS
        }
        settings = PaperConfig.model_validate({"position_mode": "hedge"} | config)
        self.exchange = Exchange(settings, markets, "0123456789ab", DAY_MS)
        self.exchange.state.add_account("a", "k", "s", Decimal(balance))
        self.account = self.exchange.accounts["a"]
        self.account.listening = {"order", "execution", "position", "wallet"}
        self.api = Api(self.exchange)
        self.now_ms = DAY_MS

    def reply(self, path: str, **params: Any) -> Reply:
        path = f"/v5/{path}"
        verb = ROUTES[path].verb
        body = orjson.dumps(params) if verb == "POST" else b""
        query = "" if verb == "POST" else urlencode(params)
        stamp = str(self.now_ms)
        headers = {
            "X-BAPI-API-KEY": "k",
            "X-BAPI-TIMESTAMP": stamp,
            "X-BAPI-SIGN": sign("s", f"{stamp}k".encode() + (body or query.encode())),
        }
        return self.api.handle(verb, f"{path}?{query}" if query else path, headers, body, self.now_ms)

    def envelope(self, path: str, **params: Any) -> dict[str, Any]:
        return dict(orjson.loads(self.reply(path, **params).body))

    def ask(self, path: str, **params: Any) -> dict[str, Any]:
        """`result` of a request that succeeds."""
        envelope = self.envelope(path, **params)
        assert envelope["retCode"] == 0, envelope
        return dict(envelope["result"])

    def refusal(self, path: str, **params: Any) -> tuple[int, str]:
        envelope = self.envelope(path, **params)
        assert envelope["retCode"] != 0
        return int(envelope["retCode"]), str(envelope["retMsg"])

    def rows(self, topic: str) -> list[dict[str, Any]]:
        """Rows of a private topic since the last call; those of the others are forgotten."""
        return [row for push in self.exchange.outbox.take() if push.topic == topic for row in push.rows]
