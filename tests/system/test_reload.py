"""Reloads of a running fleet: what changes, comes and goes, and that the neighbours keep each of their orders."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import pytest

from tests.system.conftest import Session, wait_for
from tests.system.exchange_truth import ask_exchange

pytestmark = pytest.mark.system

CONFIG: dict[str, Any] = {
    "environment": "paper",
    "web": {"enabled": False},
    "accounts": [{"name": "alice"}, {"name": "bob"}],
    "strategies": [
        {
            "strat_id": "btc",
            "account": "alice",
            "symbol": "BTCUSDT",
            "grid_count": 8,
            "grid_step": 2,
            "amount": "q0.001",
        },
        {
            "strat_id": "eth",
            "account": "alice",
            "symbol": "ETHUSDT",
            "grid_count": 8,
            "grid_step": 2,
            "amount": "q0.05",
        },
        {"strat_id": "ltc", "account": "bob", "symbol": "LTCUSDT", "grid_count": 8, "grid_step": 2, "amount": "q1"},
    ],
    "paper": {"market": {"scenario": "calm"}},
}
SOL = {"strat_id": "sol", "account": "alice", "symbol": "SOLUSDT", "grid_count": 8, "grid_step": 2, "amount": "q1"}
XRP = {"strat_id": "xrp", "account": "carol", "symbol": "XRPUSDT", "grid_count": 8, "grid_step": 2, "amount": "q20"}


class Fleet:
    """One session, its configuration as a value, and what rests on its exchange."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.config = json.loads(json.dumps(CONFIG))

    def write(self) -> None:
        self.session.config.write_text(json.dumps(self.config), encoding="utf-8")

    def strategy(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(each for each in self.config["strategies"] if each["strat_id"] == name)
        return found

    def reload(self, *arguments: str) -> str:
        self.write()
        ended = self.session.ask("reload", *arguments)
        assert ended.exit_code == 0, (ended.output, ended.exception)
        return ended.output

    def refused(self, code: int, *arguments: str) -> str:
        """What a user is told, by a process: the words of an error are its own."""
        self.write()
        ended = self.session.run("reload", *arguments)
        assert ended.returncode == code, (ended.returncode, ended.stdout, ended.stderr)
        return ended.stdout + ended.stderr

    def ids(self, account: str, symbol: str) -> set[str]:
        _, orders = ask_exchange(self.session, account)
        return {order.order_id for order in orders if order.symbol == symbol}

    def pids(self) -> dict[str, int]:
        return {row["account"]: row["process"]["pid"] for row in self.session.status()["accounts"]}


def full(fleet: Fleet, account: str, symbol: str, least: int = 8) -> set[str]:
    wait_for(lambda: len(fleet.ids(account, symbol)) >= least, f"orders of {account} on {symbol}", fleet.session.tail)
    return fleet.ids(account, symbol)


def test_a_fleet_is_reloaded_many_times_and_the_neighbours_keep_their_orders(gridbot: Any) -> None:
    session = gridbot.start(json.dumps(CONFIG))
    fleet = Fleet(session)
    btc, eth, ltc = (full(fleet, *place) for place in (("alice", "BTCUSDT"), ("alice", "ETHUSDT"), ("bob", "LTCUSDT")))
    pids = fleet.pids()
    first = session.status()["supervisor"]["configuration"]
    assert not first["file_differs"]
    assert "nothing differs" in fleet.reload()

    # a step changes: shown first, asked for when scripts do not say how many, then applied
    fleet.strategy("btc")["grid_step"] = 3
    shown = fleet.reload("--dry-run")
    assert "alice/btc (BTCUSDT) changes: strategies.grid_step 2 -> 3; of its resting orders 0 stay" in shown, shown
    assert fleet.ids("alice", "BTCUSDT") == btc
    assert session.status()["supervisor"]["configuration"]["file_differs"]
    assert "expected 2 accounts" in fleet.refused(7, "--expect", "2")
    assert fleet.reload("--expect", "1").splitlines()[-1] == "applied"
    wait_for(lambda: not fleet.ids("alice", "BTCUSDT") & btc, "the old ladder goes", session.tail)
    assert len(full(fleet, "alice", "BTCUSDT")) <= 8
    now = session.status()["supervisor"]["configuration"]
    assert now["hash"] != first["hash"]
    assert not now["file_differs"]

    # a strategy and an account come, with one SIGHUP
    fleet.config["strategies"] += [SOL, XRP]
    fleet.config["accounts"].append({"name": "carol", "balance": 500})
    fleet.write()
    os.kill(session.status()["supervisor"]["pid"], signal.SIGHUP)
    full(fleet, "alice", "SOLUSDT"), full(fleet, "carol", "XRPUSDT")
    session.wait(lambda status: status["health"] == "healthy" and len(status["accounts"]) == 3, "carol")

    # what is wrong with the file, or cannot be done, changes nothing
    before = session.status()["supervisor"]["configuration"]["hash"]
    fleet.strategy("btc")["grid_step"] = -1
    fleet.strategy("sol")["symbol"] = "sol"
    bad = fleet.refused(4, "--json")
    assert "grid_step" in bad
    assert "symbol" in bad
    assert not json.loads(bad.splitlines()[0])["applied"]
    fleet.strategy("sol")["symbol"] = "SOLUSDT"
    os.kill(session.status()["supervisor"]["pid"], signal.SIGHUP)
    session.wait(lambda status: any("SIGHUP" in row["text"] for row in status["incidents"]), "an alert of the refusal")
    fleet.strategy("btc")["grid_step"] = 3
    assert session.status()["supervisor"]["configuration"]["hash"] == before

    # keys wait for a restart of their account, others for the supervisor's; the rest is applied
    fleet.config["accounts"][1]["order_entry"] = "http"
    fleet.config["supervisor"] = {"stop_timeout": 19}
    told = fleet.reload()
    assert "needs restart of bob (`" in told
    assert "restart bob" in told
    assert "needs restart of the supervisor" in told
    assert session.status()["supervisor"]["configuration"]["waiting"] == [
        "bob: accounts.order_entry",
        "supervisor.stop_timeout",
    ]

    assert session.ask("restart", "bob").exit_code == 0
    session.wait(lambda status: status["supervisor"]["configuration"]["waiting"] == ["supervisor.stop_timeout"], "bob")
    session.wait(lambda status: fleet.pids()["bob"] not in (None, pids["bob"]), "another process of bob")
    pids["bob"] = session.wait(lambda status: status["health"] == "healthy", "bob") and fleet.pids()["bob"]

    # they go again: an account and a strategy, with their orders
    fleet.config["accounts"] = [each for each in fleet.config["accounts"] if each["name"] != "carol"]
    fleet.config["strategies"] = [each for each in fleet.config["strategies"] if each["strat_id"] not in ("sol", "xrp")]
    left = ("--leave-positions",)
    assert "is removed" in fleet.reload("--expect", "2", *left)
    assert not fleet.ids("alice", "SOLUSDT")
    assert [row["account"] for row in session.status()["accounts"]] == ["alice", "bob"]

    # all the while the neighbours have kept every order, and each process is the same one
    assert fleet.pids() == pids
    assert fleet.ids("alice", "ETHUSDT") == eth
    assert fleet.ids("bob", "LTCUSDT") == ltc
    assert fleet.ids("alice", "BTCUSDT")

    # what is in force survives the worker, and is the file's with the next supervisor
    btc = fleet.ids("alice", "BTCUSDT")
    session.wait_replaced("worker-alice", session.kill("worker-alice"))
    session.wait(lambda status: status["health"] == "healthy", "alice again")
    assert fleet.ids("alice", "BTCUSDT") == btc
    rows = session.sql("SELECT name, ok FROM commands WHERE name = 'reload' ORDER BY ok")
    assert {row["ok"] for row in rows} == {True, False}
    assert session.sql("SELECT count(*) AS n FROM orders WHERE account = 'carol'")[0]["n"] > 0
    session.stop()
