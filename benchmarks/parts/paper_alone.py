"""The paper exchange by itself, without server and sockets: what it costs and remembers."""

from __future__ import annotations

import time
import tracemalloc
from decimal import Decimal

from benchmarks.parts.paper_requests import configuration, order, report, signed_order
from gridbot.core.vocabulary import Side
from gridbot.paper.accounts.account import KEEP_EXECUTIONS, KEEP_ORDERS
from gridbot.paper.api.dispatch import ROUTES, Api
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.market.instruments import LISTINGS
from gridbot.paper.market.symbol_market import SymbolMarket

__all__ = ["alone", "history", "in_process"]


def alone(topics: set[str]) -> Exchange:
    """An exchange without a server, and one account that listens to topics."""
    market = SymbolMarket(LISTINGS["BTCUSDT"], Decimal(60000), Decimal(10000), 0)
    exchange = Exchange(configuration(), {"BTCUSDT": market}, "0123456789ab", 0)
    exchange.state.add_account("a0", "key-0", "secret-0", Decimal(1_000_000)).listening = topics
    return exchange


def in_process(count: int) -> None:
    """The exchange's own work on a create-order, without sockets: signature, checks, order, answer, rows to push."""
    for what, topics in (
        ("nobody listening", set()),
        ("four private topics", {"order", "execution", "position", "wallet"}),
    ):
        best = float("inf")
        for _ in range(5):
            exchange = alone(topics)
            api, requests = Api(exchange), [signed_order(number) for number in range(count)]
            before = time.process_time()
            for headers, body in requests:
                reply = api.handle("POST", "/v5/order/create", headers, body, 1000)
                exchange.outbox.take()
            best = min(best, (time.process_time() - before) / count)
            assert b'"retCode":0' in reply.body, reply
        report(f"create-order in process, {what}", orders=count, cpu_us_per_order=round(best * 1e6, 1))


def history() -> None:
    """What an account remembers: of a filled order (with its execution and closed PnL), and at most."""
    exchange = alone(set())
    account, create, api = exchange.accounts["a0"], ROUTES["/v5/order/create"], Api(exchange)

    def fill(number: int) -> None:
        buys = number % 2 == 0
        terms = {"side": "Buy" if buys else "Sell", "price": "59990.00" if buys else "60010.00"}
        api.call(create, "", account, order(number) | terms, number)
        for side, ticks in ((Side.SELL, 599_000), (Side.BUY, 601_000), (Side.BUY, 600_000)):
            exchange.trade("BTCUSDT", side, ticks, Decimal(0), number)
        exchange.outbox.take()

    fill(0)
    first, most = 2000, KEEP_EXECUTIONS + 100
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(1, first + 1):
        fill(number)
    of_first = tracemalloc.get_traced_memory()[0] - before
    for number in range(first + 1, most + 1):
        fill(number)
    at_most = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert (len(account.executions), len(account.closed)) == (KEEP_EXECUTIONS, KEEP_ORDERS)
    report(
        "history",
        filled_orders=most,
        bytes_per_filled_order=round(of_first / first),
        mb_per_account_at_most=round(at_most / 1e6, 1),
    )
