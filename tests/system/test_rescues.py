"""Flatten with real processes, at 3 a.m.: one worker frozen, one killed, one FATAL, and the supervisor gone."""

from __future__ import annotations

import asyncio
import json
import signal
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from gridbot.bybit.endpoints import Credentials, endpoints_for
from gridbot.bybit.rest import BybitRest
from gridbot.config.loading import load_config
from gridbot.config.paper_secrets import paper_seed, with_paper_secrets
from gridbot.exchange.environment import Environment

pytestmark = pytest.mark.system

ACCOUNTS = ("alice", "bob", "carol", "dora")
FLEET: dict[str, Any] = {
    "environment": "paper",
    "accounts": [{"name": account} for account in ACCOUNTS],
    "strategies": [
        {
            "strat_id": f"{account}-btc",
            "account": account,
            "symbol": "BTCUSDT",
            "grid_count": 12,
            "grid_step": 0.05,
            "amount": "x0.01",
        }
        for account in ACCOUNTS
    ],
    "supervisor": {"restart": {"backoff_initial": 0.2, "max_restarts": 1}},
    "paper": {
        "limits": {"queries_per_second": 0, "ip_requests": 0, "ws_connections": 0},
        "market": {"seed": 3, "symbols": {"BTCUSDT": {"price": 60000}}},
    },
}


def left(session: Any, account: str) -> tuple[int, dict[str, Decimal]]:
    """What rests and what is open, as the exchange itself has it."""
    config = with_paper_secrets(load_config(session.config), paper_seed(session.data_dir)).account(account)
    keys = Credentials(config.api_key.get_secret_value(), config.api_secret.get_secret_value())
    url = session.status()["paper"]["url"]

    async def ask() -> tuple[int, dict[str, Decimal]]:
        rest = BybitRest(endpoints_for(Environment.PAPER, url), keys)
        try:
            orders = await rest.open_orders()
            return len(orders), {f"{leg.symbol} {leg.direction}": leg.size for leg in await rest.positions()}
        finally:
            rest.close()

    return asyncio.run(ask())


def holds_something(session: Any, account: str) -> bool:
    orders, legs = left(session, account)
    return bool(orders and legs)


def test_flatten_where_a_worker_is_frozen_killed_or_fatal(gridbot: Any) -> None:
    session = gridbot.start(json.dumps(FLEET))
    session.wait(lambda _: all(holds_something(session, account) for account in ACCOUNTS[:3]), "legs of each")
    for _ in range(2):
        session.kill("worker-carol")
        if session.process("worker-carol")["state"] != "FATAL":
            session.wait(lambda _: session.process("worker-carol")["pid"], "the next worker of carol")
    session.wait(lambda _: session.process("worker-carol")["state"] == "FATAL", "carol to be given up")
    frozen = session.kill("worker-alice", signal.SIGSTOP)
    session.kill("worker-bob")
    asked = (("alice", "kill"), ("bob", "flatten"), ("carol", "flatten"))
    with ThreadPoolExecutor() as pool:
        each = pool.map(lambda words: session.run(words[1], words[0], "--reason", "at night"), asked)
    for (account, _), told in zip(asked, each, strict=True):
        assert told.returncode == 0, told.stdout + told.stderr + session.tail()
        assert "flat, confirmed by REST" in told.stdout
        assert left(session, account) == (0, {})
    assert session.process("worker-carol")["state"] == "FATAL", "it is no business of a rescue to start it"
    session.wait_replaced("worker-alice", frozen)
    session.wait(lambda _: session.process("worker-bob")["state"] == "RUNNING", "the worker of bob")
    session.wait(lambda _: session.strategy("alice-btc")["state"] == "latched", "alice to be latched")
    session.wait(lambda _: session.strategy("bob-btc")["state"] == "paused", "bob to be paused")
    session.wait(lambda _: session.account("dora")["health"] == "healthy", "the neighbour, who trades on")
    session.wait(lambda _: left(session, "dora")[0], "orders of the neighbour to rest")
    assert session.ask("pause", "carol").stdout.startswith("carol: 1 paused, for the next life")
    frozen = session.kill("worker-dora", signal.SIGSTOP)
    with session.client() as client:
        kept = client.worker("dora", "reduce", {"reason": "it hangs"}, wait_s=0.2, takes_s=75.0)
    assert kept["result"].startswith("nothing that opens rests, confirmed by REST"), (
        "exit code 5 it was, and it went on"
    )
    session.wait_replaced("worker-dora", frozen)
    session.wait(lambda _: session.strategy("dora-btc")["state"] == "reducing", "the next worker of dora")
    beside = session.run("flatten", "dora", "--direct")
    assert (beside.returncode, "expected no supervisor for --direct, got one (pid" in beside.stderr) == (7, True)
    given = {(row["account"], row["name"], row["ok"]) for row in session.sql("FROM commands")}
    assert {("alice", "kill", True), ("bob", "flatten", True), ("carol", "flatten", True)} <= given
    session.stop()
