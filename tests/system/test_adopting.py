"""Moving over with real processes: started paused, an old bot's ladder adopted, kill -9 between all of it."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from typing import Any

from pybit.unified_trading import HTTP

from gridbot.strategies.grid.ladder import GridConfig, ladder
from supervisor.cli.options import load_with_secrets
from tests.system.conftest import Session, Sessions
from tests.worker.account_bench import BTC as CONTRACT

CONFIG = """
environment: paper
accounts: [{name: alice}]
strategies:
  - {strat_id: btc, account: alice, symbol: BTCUSDT, grid_count: 10, grid_step: 0.2, amount: q0.01}
paper:
  position_mode: hedge
  market: {source: manual, symbols: {BTCUSDT: {price: 50000}}}
"""
OLD = [
    (side, CONTRACT.price(ticks)) for ticks, side in ladder(GridConfig(10, Decimal("0.2")), CONTRACT, Decimal(49973))
]


def old_bot(session: Session) -> HTTP:
    """A plain pybit client with the account's key."""
    settings, _ = load_with_secrets(session.config, str(session.data_dir))
    account = settings.account("alice")
    client = HTTP(api_key=account.api_key.get_secret_value(), api_secret=account.api_secret.get_secret_value())
    client.endpoint = session.status()["paper"]["url"]
    return client


def resting(client: HTTP) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = client.get_open_orders(category="linear", symbol="BTCUSDT", limit=50)["result"]["list"]
    return rows


def btc(status: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = status["accounts"][0]["strategies"][0]
    return row


def test_an_old_ladder_is_adopted_and_nothing_is_doubled_by_any_death(gridbot: Sessions) -> None:
    session = gridbot.prepare(CONFIG)
    started = session.run("start", "--paused", "--detach", "--data-dir", str(session.data_dir))
    assert started.returncode == 0, started.stdout + started.stderr
    assert session.strategy("btc")["state"] == "paused"
    bot = old_bot(session)
    for number, (side, price) in enumerate(OLD):
        if side is not None:
            leg = 1 if side == "Buy" else 2
            bot.place_order(
                category="linear",
                symbol="BTCUSDT",
                side=str(side),
                orderType="Limit",
                qty="0.01",
                price=str(price),
                positionIdx=leg,
                timeInForce="PostOnly",
                **({"orderLinkId": f"{number:016x}-1764000000000"} if number % 2 else {}),
            )
    theirs = {row["orderId"] for row in resting(bot)}
    assert len(theirs) == 10

    with session.client() as client:
        shown = json.loads(client.worker("alice", "adopt", {"ladder": True}, takes_s=60)["result"])
    assert Counter(order["fit"] for order in shown["strategies"][0]["orders"]) == {"adopted": 10}
    taken = session.ask("adopt", "alice/btc", "--ladder", "--apply")
    assert taken.exit_code == 0, taken.output
    assert "alice/btc: 10 adopted, 0 near misses and 0 foreign orders left, 0 wanted and absent" in taken.stdout

    session.wait_replaced("worker-alice", session.kill("worker-alice"))
    session.wait(lambda status: btc(status).get("open_orders") == 10, "ten orders of its own")
    assert session.strategy("btc")["state"] == "paused"
    with session.client() as client:
        client.worker("alice", "resume")
    session.wait_replaced("worker-alice", session.kill("worker-alice"))
    session.wait(lambda status: btc(status)["state"] == "active", "a strategy that trades")
    session.wait(lambda status: btc(status).get("open_orders") == 10, "the same ten orders")
    assert {row["orderId"] for row in resting(bot)} == theirs
    with session.client() as client:
        client.worker("alice", "cancel", takes_s=60)
    assert resting(bot) == [], "also those without a link id"
    given = session.sql("SELECT args, ok FROM operator_commands WHERE name = 'adopt' ORDER BY local_ts")
    assert [(json.loads(row["args"]).get("apply", False), row["ok"]) for row in given] == [(False, True), (True, True)]
    session.stop()
