"""kill -9 all over a running fleet: workers, writer, paper exchange, supervisor. Nothing is lost, nothing is doubled.

`GRIDBOT_TEST_KILLS` sets how often, `GRIDBOT_TEST_SEED` who and when.
"""

from __future__ import annotations

import json
import os
import random
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from gridbot.core import ExecutionEvent
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.feed.market_setup import known_listings, open_markets
from gridbot.paper.settings import PaperConfig
from gridbot.paper.storage.exchange_file import ExchangeFile
from tests.system.exchange_truth import ask_exchange, assert_no_doubles, assert_recorded_once, filled

pytestmark = pytest.mark.system

KILLS = int(os.environ.get("GRIDBOT_TEST_KILLS", "6"))
SEED = int(os.environ.get("GRIDBOT_TEST_SEED", "1"))
ACCOUNTS = ("alice", "bob", "carol")
SYMBOLS = {"BTCUSDT": 60000, "ETHUSDT": 2500}
VICTIMS = (*(f"worker-{account}" for account in ACCOUNTS), "writer", "paper", "supervisor")
FLEET: dict[str, Any] = {
    "environment": "paper",
    "accounts": [{"name": account} for account in ACCOUNTS],
    "strategies": [
        {
            "strat_id": f"{account}-{symbol[:3].lower()}",
            "account": account,
            "symbol": symbol,
            "grid_count": 12,
            "grid_step": 0.1,
            "amount": "x0.011",
        }
        for account in ACCOUNTS
        for symbol in SYMBOLS
    ],
    "supervisor": {"restart": {"backoff_initial": 0.2, "backoff_max": 1, "max_restarts": 100_000}},
    "paper": {
        "state_file": "paper.json",
        "limits": {"queries_per_second": 0, "ip_requests": 0, "ws_connections": 0},
        "market": {
            "seed": SEED,
            "funding_interval_minutes": 1,
            "symbols": {symbol: {"price": price} for symbol, price in SYMBOLS.items()},
        },
    },
}


def victims(rng: random.Random) -> list[str]:
    """Everybody in a drawn order, then anybody."""
    drawn = rng.sample(VICTIMS, len(VICTIMS))
    return (drawn + [rng.choice(VICTIMS) for _ in range(KILLS)])[:KILLS]


def kill(session: Any, victim: str, rng: random.Random) -> None:
    """The next start may find workers of the supervisor before, who are on their way out."""
    if victim != "supervisor":
        session.kill(victim)
        return
    session.kill_supervisor(wait=rng.random() < 0.5)
    session.launch()
    session.wait(lambda _: True, "the new supervisor to answer")


def all_orders(session: Any) -> int:
    return sum(len(ask_exchange(session, account)[1]) for account in ACCOUNTS)


def made_by_exchange(session: Any) -> dict[str, set[str]]:
    """The ids of all executions of each account by the exchange's own files, once it has ended."""
    state_file = session.data_dir / "paper.json"
    config = PaperConfig.model_validate({**FLEET["paper"], "state_file": state_file})
    exchange = Exchange(config, open_markets(config.market, known_listings(config.market), None, 0), "0" * 12, 0)
    for account in ACCOUNTS:
        exchange.state.add_account(account, account, "", Decimal(0))
    file = ExchangeFile(state_file)
    file.open(exchange)
    file.close()
    return {name: {each.exec_id for each in account.executions} for name, account in exchange.accounts.items()}


def test_kills_all_over_a_fleet_lose_and_double_nothing(gridbot: Any) -> None:
    rng = random.Random(SEED)
    session = gridbot.start(json.dumps(FLEET))
    past: list[str] = []
    for victim in victims(rng):
        past.append(f"{datetime.now(UTC):%H:%M:%S.%f} {victim}")
        kill(session, victim, rng)
        if rng.random() < 0.6:
            before = filled(session.wait(lambda status: status["health"] == "healthy", f"health after {victim}"))
            session.wait(lambda status, n=before: filled(status) > n, "another fill")
        time.sleep(rng.uniform(0.0, 1.0))  # not waiting for anything: the moment is the test's input
    session.wait(lambda status: status["health"] == "healthy", "everything back")
    for account in ACCOUNTS:
        assert_no_doubles(ask_exchange(session, account)[1])
        told = session.ask("pause", account, "--cancel")
        assert (told.exit_code, told.stdout) == (0, f"{account}: 2 paused\n")
    session.wait(lambda _: all_orders(session) == 0, "the end of all orders: every one is known")
    checked = ["ledger", "check", "--exchange"]
    session.wait(lambda _: session.ask(*checked).stdout.count(": explained") == len(ACCOUNTS), "the money")
    truth: dict[str, list[ExecutionEvent]] = {account: ask_exchange(session, account)[0] for account in ACCOUNTS}
    assert all(truth.values())
    past.append(f"{datetime.now(UTC):%H:%M:%S.%f} the exchange was asked")
    session.stop()
    made = made_by_exchange(session)
    assert_recorded_once(session, truth, made, f"killed at (UTC): {', '.join(past)}")
    for account, executions in truth.items():
        assert {execution.exec_id for execution in executions} <= made[account], f"{account}: listed, and not kept"
    [gaps] = session.sql("SELECT count(*) AS n FROM ingest_gaps")
    assert gaps["n"] == 0
