"""Whole sessions, and what must be true after them: the exchange's own books against ours."""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import secrets
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import psutil
import pytest
import requests
from click.testing import Result

from benchmarks.parts.own_supervisor import child_rows
from gridbot.config.loading import load_config
from gridbot.config.paper_secrets import control_token, paper_seed, with_paper_secrets
from gridbot.store.commit import Rows
from gridbot.store.landing import put
from gridbot.store.reading import database_path
from gridbot.store.rollups import SUM_KEYS
from tests.system.conftest import DEMO
from tests.system.exchange_truth import ask_exchange, filled

pytestmark = pytest.mark.system


def knows(pid: int, secret: bytes) -> tuple[bool, bool]:
    """Whether a process has a secret in its environment, and in its memory."""
    memory = False
    with open(f"/proc/{pid}/mem", "rb", 0) as content:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            place, rights = line.split()[:2]
            if rights.startswith("rw"):
                first, last = (int(part, 16) for part in place.split("-"))
                content.seek(first)
                memory = memory or secret in content.read(last - first)
    return secret in Path(f"/proc/{pid}/environ").read_bytes(), memory


def assert_secrets_stay_where_they_are_used(session: Any, secret: bytes) -> None:
    """In the worker of its account, and in the paper exchange, which has to know it; in no environment; in no core.

    Also not in the process that all are forked from, nor in what is forked after the secret has come through there.
    """
    session.wait_replaced("worker-bob", session.kill("worker-bob"))
    status = session.wait(lambda status: status["health"] == "healthy", "bob")
    pids = {name: row["pid"] for name, row in child_rows(status).items()}
    below = psutil.Process(status["supervisor"]["pid"]).children()
    [pids["forks"]] = [process.pid for process in below if process.name() == "gb:forks"]
    found = {name: knows(pid, secret) for name, pid in pids.items()}
    here, nowhere = (False, True), (False, False)
    assert found == {
        "worker-alice": here,
        "paper": here,
        "writer": nowhere,
        "worker-bob": nowhere,
        "forks": nowhere,
    }
    for pid in pids.values():
        [limit] = [line for line in Path(f"/proc/{pid}/limits").read_text().splitlines() if "core file" in line]
        assert limit.split()[4:6] == ["0", "0"]


def check_commands(session: Any) -> None:
    """An operator pauses, resumes, asks for a comparison."""
    session.wait(lambda s: session.strategy("alice-btc")["open_orders"] > 0, "resting orders")
    told = session.ask("pause", "alice", "--strategy", "alice-btc", "--cancel")
    assert (told.exit_code, told.stdout) == (0, "alice/alice-btc: 1 paused\n")
    session.wait(lambda s: session.strategy("alice-btc")["open_orders"] == 0, "its orders withdrawn")
    assert session.strategy("alice-btc")["state"] == "paused"
    assert session.strategy("alice-eth")["state"] == "active"
    assert session.ask("resume", "alice").exit_code == 0
    session.wait(lambda s: session.strategy("alice-btc")["open_orders"] > 0, "orders again")
    wrong = session.run("pause", "alice", "--strategy", "nobody")
    assert wrong.returncode != 0
    assert "nobody" in wrong.stderr

    asked = session.ask("reconcile", "alice")
    assert (asked.exit_code, asked.stdout) == (0, "alice: under way\n")
    wrong = session.run("reconcile", "alise")
    assert wrong.returncode == 2
    assert "expected an account (alice, bob), got 'alise'; did you mean alice?" in wrong.stderr
    assert session.ask("reconcile", "alice", "--cancel").exit_code == 2
    kept = "SELECT account, name, args, ok, result FROM commands WHERE name = 'reconcile' AND ok"
    session.wait(lambda _: session.sql(kept), "the record of the command")
    assert session.sql(kept) == [
        {"account": "alice", "name": "reconcile", "args": "{}", "ok": True, "result": "under way"}
    ]
    compared = "SELECT account FROM reconciles WHERE reason = 'asked by the operator'"
    session.wait(lambda _: session.sql(compared), "the comparison with the exchange")
    assert session.sql(compared) == [{"account": "alice"}]


def check_withdrawn(session: Any) -> None:
    """What rested when it was stopped is over in the records."""
    last = session.sql(
        "SELECT state, count(*) AS n FROM (SELECT order_link_id, arg_max(state, seq) AS state FROM orders "
        "WHERE NOT shadow GROUP BY 1) GROUP BY 1"
    )
    assert {row["state"] for row in last} <= {"filled", "cancelled", "rejected"}


def check_fills(session: Any) -> None:
    """Both directions of each live strategy fill, and shadows stay at home."""
    live = {("alice", "BTCUSDT"), ("alice", "ETHUSDT"), ("bob", "SOLUSDT")}

    def both(_: Any) -> bool:
        rows = session.sql("SELECT DISTINCT account, symbol, direction FROM fills")
        return {(r["account"], r["symbol"], r["direction"]) for r in rows} >= {
            (*who, direction) for who in live for direction in ("long", "short")
        }

    session.wait(both, "fills of both directions of each live strategy")
    session.wait(lambda s: session.strategy("bob-ltc-shadow")["fills"] > 0, "hypothetical fills")
    executions, orders = ask_exchange(session, "bob")
    assert {e.symbol for e in executions} == {"SOLUSDT"}
    assert {o.symbol for o in orders} == {"SOLUSDT"}


def check_private(session: Any) -> None:
    """No file of the ended session is for others, or has a secret."""
    seed = paper_seed(session.data_dir)
    private = [*with_paper_secrets(load_config(session.config), seed).secrets(), control_token(seed)]
    assert all(len(each) == 36 for each in private)
    for path in session.data_dir.rglob("*"):
        assert not path.stat().st_mode & 0o077, f"{path} is for others, too"
        if path.is_file():
            content = path.read_bytes()
            assert not any(each.encode() in content for each in private), f"a secret in {path}"


def control(session: Any, action: str, **fields: Any) -> None:
    """Something that the exchange does on command."""
    url = session.status()["paper"]["url"]
    headers = {"Authorization": f"Bearer {control_token(paper_seed(session.data_dir))}"}
    answer = requests.post(f"{url}/paper/control", json={"action": action, **fields}, headers=headers, timeout=10)
    assert answer.json().get("ok"), answer.text


def end_contract(session: Any, strat_id: str, symbol: str) -> None:
    """The contract of a strategy that holds something settles, then it is delivered; the worker says so each time."""

    def shows(state: str, words: str) -> Callable[[Any], bool]:
        def check(status: Any) -> bool:  # the state may be a moment ahead of its incident
            row = session.strategy(strat_id)
            told = any(words in incident["text"] for incident in status["incidents"])
            return bool(row["state"] == state and words in row["reason"] and told)

        return check

    def holds_several_levels(_: Any) -> bool:
        row = session.strategy(strat_id)
        return max(Decimal(row[leg]["size"]) for leg in ("long", "short")) > Decimal("0.1")

    session.wait(holds_several_levels, "a leg that no single fill closes")
    session.wait(shows("active", f"{symbol} delists on "), "the date: days before its end it trades on")
    control(session, "delist", symbol=symbol, in_s=0, settling_s=3600)
    session.wait(shows("settling", f"{symbol} is Settling: the exchange cancels what rests"), "the settlement")
    control(session, "delist", symbol=symbol, in_s=0)
    session.wait(shows("paused", "(Delivery): the contract is over"), "the delivery")
    row = session.strategy(strat_id)
    assert [row[leg]["size"] for leg in ("long", "short")] == ["0", "0"]


def assert_end_recorded(session: Any, account: str, symbol: str) -> None:
    """What became of a contract that was settled stands in the records of its account."""
    alerts = session.sql(f"SELECT key, text FROM alerts WHERE account = '{account}' AND key LIKE '%.{symbol}'")
    told = [row["text"] for row in alerts if row["key"] == f"listing.{symbol}"]
    for words in ("delists on", "is Settling"):
        assert any(text.startswith(f"{symbol} {words}") for text in told), told
    assert any("the contract is over; the strategy is paused" in row["text"] for row in alerts), alerts
    delivered = session.sql(f"SELECT * FROM executions WHERE symbol = '{symbol}' AND exec_type = 'Delivery'")
    assert delivered
    assert all(row["closed_size"] == row["qty"] and row["order_id"] == "" for row in delivered)
    assert len({row["price"] for row in delivered}) == 1
    assert session.sql(f"SELECT * FROM orders WHERE symbol = '{symbol}' AND reason = 'CancelBySettle'")


SOONER = """
import sys

if "-c" in sys.orig_argv:  # the process that all workers are forked from
    from gridbot.worker import notice_watch, orchestrator, schedule

    orchestrator.NOTICES_WITHIN_S = 3
    notice_watch.SHARED_S = 3.0
    schedule.NOTICES_S = schedule.WATCHED_S = 5.0
    schedule.APART_S = {**schedule.APART_S, schedule.JobKind.TERMS: 3.0}
"""
"""Readings that are minutes apart are seconds apart: a fleet that waits for them trades on, for nothing."""


def test_what_is_private_stays_so_commands_are_obeyed_and_the_money_adds_up(
    gridbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over a session with deaths of workers, commands, and the end of a contract in it, that is stopped with orders
    withdrawn: in the records and in the log of the exchange, while it runs, and afterwards."""
    secret = secrets.token_hex(18)
    monkeypatch.setenv("SECRET_OF_ALICE", secret)
    (tmp_path / "sooner").mkdir()
    (tmp_path / "sooner" / "sitecustomize.py").write_text(SOONER)
    config = DEMO.replace("- name: alice\n", "- name: alice\n    api_secret: ${SECRET_OF_ALICE}\n")
    config = config.replace("paper:\n", "paper:\n  control: true\n")
    session = gridbot.prepare(f"{config}\nsupervisor: {{on_stop: cancel}}\n")
    environment = session.environment()
    path = f"{tmp_path / 'sooner'}:{environment['PYTHONPATH']}"
    monkeypatch.setattr(session, "environment", lambda: {**environment, "PYTHONPATH": path})
    before = os.umask(0)
    try:
        session.start()
    finally:
        os.umask(before)
    assert_secrets_stay_where_they_are_used(session, secret.encode())
    check_fills(session)
    check_commands(session)
    session.wait(lambda status: filled(status) > 20, "fills")
    control(session, "delist", symbol="ETHUSDT", in_s=2 * 86_400)
    session.kill("worker-alice")
    at_least = filled(session.status()) + 20
    session.wait(lambda status: status["health"] == "healthy" and filled(status) > at_least, "more fills")
    end_contract(session, "alice-eth", "ETHUSDT")

    def agrees(_: Any) -> bool:  # what happens this moment may stand in one of the two only
        done = session.ask("ledger", "check", "--exchange")
        views = done.stdout.count("positions are as the exchange has them")
        return bool(done.exit_code == 0 and done.stdout.count(": explained") == views == 2)

    session.wait(agrees, "an exchange that agrees")
    session.wait(lambda _: session.strategy("bob-sol")["open_orders"] > 0, "resting orders")
    session.stop()
    check_withdrawn(session)
    assert session.sql("SELECT DISTINCT symbol FROM executions WHERE shadow") == [{"symbol": "LTCUSDT"}]
    check_private(session)
    assert_end_recorded(session, "alice", "ETHUSDT")
    done = session.ask("ledger", "check")
    assert (done.exit_code, done.stdout.count(": explained")) == (0, 2), done.stdout
    [pnl] = session.sql("SELECT sum(net_pnl) AS net FROM pnl_daily WHERE account = 'alice'")
    change = "arg_max(wallet_balance, seq) - arg_min(wallet_balance, seq) AS change"
    [wallet] = session.sql(f"SELECT {change} FROM wallets WHERE account = 'alice'")
    assert abs(Decimal(str(pnl["net"])) - Decimal(str(wallet["change"]))) < Decimal("0.01")
    gone = session.run("ledger", "check", "--exchange")
    assert gone.returncode == 9
    assert "not compared: no supervisor runs" in gone.stdout


def test_recorded_money_that_is_wrong_waits_for_the_operator_and_is_repaired(gridbot: Any) -> None:
    """5 USDT too much for one execution, in the worker's ledger and in the database, as if always recorded so."""
    session = gridbot.start(DEMO.replace("paper:\n", "paper:\n  state_file: paper.json\n"))
    session.wait(lambda status: filled(status) > 20, "fills")
    session.stop()
    path = session.data_dir / "state" / "alice" / "ledger.json"
    document = json.loads(path.read_bytes())
    steps = [step for *_, (_, steps, _) in document["ledger"]["legs"] for step in steps if step[9] == "Trade"]
    wrong = next(step for step in reversed(steps) if Decimal(step[6]) == 0)  # an opening changes no other execution
    wrong[8] = wrong[12] = str(Decimal(wrong[8]) + 5)
    path.write_text(json.dumps(document))
    with duckdb.connect(str(database_path(session.data_dir))) as con:
        put(con, Rows(), lands=False)
        con.execute(
            "UPDATE execution_rows_stored AS kept SET odd_ids = json_merge_patch(coalesce(kept.odd_ids, '{}'), "
            "json_object('realised_pnl', CAST(read.realised_pnl + 5 AS VARCHAR))) "
            "FROM executions AS read WHERE kept.exec_id = ? AND read.exec_id = CAST(kept.exec_id AS VARCHAR)",
            [wrong[0]],
        )
        leg = ", ".join(SUM_KEYS[1:])
        con.execute(
            f"UPDATE daily_sums_stored SET realised_pnl = realised_pnl + 5 WHERE (day, {leg}) IN "
            f"(SELECT (CAST(exchange_ts AS DATE), {leg}) FROM executions WHERE exec_id = ?)",
            [wrong[0]],
        )
        con.execute(
            "INSERT INTO live_orders_stored BY NAME "
            "SELECT * REPLACE ('lost' AS order_link_id, 'open' AS state) FROM orders "
            "WHERE account = 'bob' AND TRY_CAST(order_id AS UUID) IS NOT NULL LIMIT 1"
        )
    session.start()
    session.wait(
        lambda _: session.sql("SELECT * FROM alerts WHERE key = 'money'"),
        "an alert, since nothing is corrected unasked",
    )
    assert session.sql("SELECT * FROM corrections") == []

    checked = ["ledger", "check", "--exchange"]
    done = session.ask(*checked, "--account", "alice", "--repair")
    assert "alice: 1 executions corrected by -5 USDT" in done.stdout
    assert "corrected: 1 executions by -5 USDT: the exchange's transaction log, by" in done.stdout
    said: list[Result] = []

    def explained(_: Any) -> bool:
        said[:] = [session.ask(*checked)]
        return said[0].stdout.count(": explained") == 2

    session.wait(explained, "the money")
    [of_both] = said
    assert of_both.exit_code == 8, "of bob's orders, not of the money"
    lost = r"DIFFERENT open_orders: lost of \w+: recorded as open, it does not rest"
    assert re.search(lost, of_both.stdout)
    session.stop()
    [row] = session.sql("SELECT exec_id, realised_pnl, fee FROM corrections")
    assert (row["exec_id"], Decimal(row["realised_pnl"]), Decimal(row["fee"])) == (wrong[0], -5, 0)
    checked_after = session.ask("ledger", "check")
    assert checked_after.exit_code == 0, checked_after.stdout


def trade_file(path: Path, prices: list[str]) -> None:
    """A dump in the layout of Bybit's public trades: one trade each 100 ms."""
    lines = ["timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional"]
    last = Decimal(prices[0])
    for n, text in enumerate(prices):
        price = Decimal(text)
        side, tick = ("Buy", "PlusTick") if price >= last else ("Sell", "MinusTick")
        lines.append(f"{1700000000 + n / 10:.4f},BTCUSDT,{side},5,{price},{tick},{n},0,5,{5 * price}")
        last = price
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))


def test_a_session_on_recorded_trades_fills_where_they_went_through(gridbot: Any, tmp_path: Path) -> None:
    rng = random.Random(7)
    still = [f"{50000 + rng.choice((0, 1, 2)) / 10:.1f}" for _ in range(100)]
    dip_and_rise = [50000 - 40 * n for n in range(10)] + [49640 + 40 * n for n in range(20)]
    moves = [f"{price}" for price in dip_and_rise for _ in range(10)]  # a second each: time to decide, even at 10x
    trade_file(tmp_path / "BTCUSDT.csv.gz", still + moves)
    session = gridbot.start(
        f"""
environment: paper
accounts: [{{name: carol}}]
strategies:
  - {{strat_id: carol-btc, account: carol, symbol: BTCUSDT, grid_count: 10, grid_step: 0.1, amount: q0.01}}
paper:
  market: {{source: replay, speed: 10, at_end: loop, files: {{BTCUSDT: {tmp_path / "BTCUSDT.csv.gz"}}}}}
"""
    )
    wanted = {("long", "Buy"), ("long", "Sell"), ("short", "Sell")}

    def filled_both_ways(_: Any) -> bool:
        rows = session.sql("SELECT DISTINCT direction, side FROM fills")
        return {(row["direction"], row["side"]) for row in rows} >= wanted

    session.wait(filled_both_ways, "opens of both legs and a close")
    session.stop()
    fills = session.sql("SELECT price, is_maker FROM fills")
    assert all(f["is_maker"] and Decimal("49640") <= Decimal(str(f["price"])) <= Decimal("50400") for f in fills)
