"""Clients that we did not write trade on a real paper exchange over loopback: each does everything in one go.

What they ask and are told is the table "Calls and topics" of docs/paper.md, which these tests keep true
(`python -m tests.clients.call_table` writes it).
"""

from __future__ import annotations

import pytest

from gridbot.paper.api.dispatch import ROUTES
from gridbot.paper.streams.book_topics import BOOK_DEPTHS
from gridbot.paper.streams.channels import PRIVATE_TOPICS
from gridbot.paper.streams.pool_topics import PoolTopics
from gridbot.paper.streams.trade_channel import OPERATIONS as TRADE_OPERATIONS
from tests.clients.call_table import ABSENT, CALLS, OPERATIONS, ROOT, TOPICS, families, shown, written, wrong
from tests.clients.sessions import bybit_api_run, ccxt_run, missing_for_node

ADDED = (
    "autoAddMargin avgPrice bustPrice category createdTime cumRealisedPnl leverage liqPrice markPrice positionIM "
    "positionIdx positionMM positionStatus positionValue riskId riskLimitValue size stopLoss symbol takeProfit "
    "trailingStop unrealisedPnl updatedTime"
)
"""What `position/add-margin` answers (docs/bybit.md 2.6), by name."""


def test_ccxt_pro_trades_and_watches_everything_it_can() -> None:
    run = ccxt_run()
    assert wrong(run) == []
    assert shown(run) == set(written("ccxt"))


@pytest.mark.skipif(bool(missing_for_node()), reason=missing_for_node())
def test_bybit_api_of_npm_trades_and_listens_to_everything_it_can() -> None:
    found, run = bybit_api_run()
    assert (found["missing"], found["refused"]) == ([], [])
    assert found["trade"] == dict.fromkeys(OPERATIONS, 0) | {"again": 110001, "too much": 110007}
    assert found["orders"] == {
        "amended": ["58900.00"],
        "batch": [0, 10001],
        "cancelled": 1,
        "held": [[1, "0.010"], [2, "0"]],
        "executions": ["Trade", "Funding", "Trade"],
        "closed": 1,
        "delivered": ["ETHUSDT"],
    }
    isolated = found["isolated"]
    assert isolated["leverage"] == ["20", "5"]
    assert isolated["auto"] == [1, 0]
    assert isolated["added"] == pytest.approx([10, 10 / 0.010 / 0.995], abs=0.1)
    assert isolated["fields"] == ADDED
    assert isolated["account"] == ["", "", ""]
    assert (isolated["set_aside"], isolated["lost"]) == pytest.approx((0, 0), abs=1e-6)
    assert wrong(run) == []
    assert shown(run) == set(written("bybit-api"))


def present(table: dict[str, tuple[str, str]]) -> set[str]:
    return {name for name, (how, _) in table.items() if how != ABSENT}


def test_the_table_has_every_route_topic_and_operation_and_no_other() -> None:
    assert {ROOT + name for name in present(CALLS)} == set(ROUTES)
    assert present(OPERATIONS) == set(TRADE_OPERATIONS)
    public = {"tickers", "publicTrade", "priceLimit", "allLiquidation", "kline", "system.status", *PoolTopics.topics}
    private = {topic.removesuffix(".linear") for topic in PRIVATE_TOPICS}
    assert present(TOPICS) == public | private | {f"orderbook.{depth}" for depth in BOOK_DEPTHS}
    assert written() == {name: how for name, (how, _) in (CALLS | TOPICS | OPERATIONS).items()}


def test_topics_are_counted_without_symbol_and_interval() -> None:
    given = ["tickers.BTCUSDT", "orderbook.50.BTCUSDT", "kline.1.BTCUSDT", "insurance.USDT", "order", "dcp.future"]
    assert families(given) == {"tickers", "orderbook.50", "kline", "insurance.USDT", "order", "dcp.future"}
