"""A fake exchange with a REST client of it, for one test; listings and orders to put into it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from gridbot.bybit.rest import BybitRest
from gridbot.core.vocabulary import Direction, Side
from gridbot.exchange.requests import OrderRequest
from tests.bybit.support import (
    FakeExchange,
    envelope,
)

D = Decimal
REALTIME = "/v5/order/realtime"
HISTORY = "/v5/order/history"
EXECUTIONS = "/v5/execution/list"
MOVEMENTS = "/v5/account/transaction-log"


def listing(*rows: Any, cursor: str = "") -> dict[str, Any]:
    return envelope({"category": "linear", "list": list(rows), "nextPageCursor": cursor})


def pages(*answers: dict[str, Any]) -> Any:
    """Answers in order; the last one again and again."""
    left = list(answers)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def order(link: str = "g1", **changes: Any) -> OrderRequest:
    values: dict[str, Any] = {
        "symbol": "BTCUSDT",
        "side": Side.BUY,
        "direction": Direction.LONG,
        "qty": D("0.001"),
        "price": D("60000.10"),
        "order_link_id": link,
        "reduce_only": False,
    }
    return OrderRequest(**(values | changes))


class Session:
    """A fake exchange and a client of it, for one test."""

    def __init__(self, **options: Any) -> None:
        self.exchange = FakeExchange()
        self.options = {"timeout": 5, **options}

    async def __aenter__(self) -> tuple[FakeExchange, BybitRest]:
        await self.exchange.__aenter__()
        self.rest = self.exchange.rest(**self.options)
        return self.exchange, self.rest

    async def __aexit__(self, *exc: object) -> None:
        self.rest.close()
        await self.exchange.__aexit__(*exc)
