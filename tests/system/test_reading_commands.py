"""The commands that only read, on one demo that trades: what they say is what the supervisor, a worker and SQL say."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import psutil
import pytest
from click.testing import CliRunner, Result
from prometheus_client.parser import text_string_to_metric_families

from supervisor.cli.doctor import OF_ACCOUNT
from supervisor.cli.main import cli
from supervisor.control.guest import Guest
from supervisor.metrics.metric_catalogue import CATALOGUE
from tests.system.conftest import DEMO, wait_for

pytestmark = pytest.mark.system


def ask(session: Any, *words: str) -> Result:
    """A command in this process, as a user would type it: a start of Python each time is half a second of a core."""
    done = CliRunner().invoke(cli, [*words, "--data-dir", str(session.data_dir)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def paused(session: Any) -> str:
    """A time at which alice-btc was paused, by a command that was recorded with who gave it."""
    assert ask(session, "pause", "alice/alice-btc", "--cancel").exit_code == 0
    wait_for(lambda: session.sql("SELECT * FROM holds WHERE kind = 'paused'"), "the hold in the records")
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def test_what_an_operator_asks_at_night(gridbot: Any) -> None:
    session = gridbot.start(DEMO)
    follower = subprocess.Popen(
        [sys.executable, "-m", "supervisor", "fills", "-f", "-n", "0", "--json", "--data-dir", str(session.data_dir)],
        env=session.environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        check_what_is_in_force(session)
        check_what_is_missing(session)
        check_doctor(session)
        session.kill("writer")  # readers meet whatever it has left behind
        assert ask(session, "sql", "SELECT count(*) FROM fills").exit_code == 0
        check_a_worker_that_hangs(session)
        check_metrics(session)
        check_money(session)
    finally:
        follower.send_signal(signal.SIGINT)
        try:
            said, _ = follower.communicate(timeout=60)
        finally:
            follower.kill()  # else one that goes on would ask until the last test has ended
        told = [json.loads(line)["exec_id"] for line in said.splitlines()]
    assert len(told) == len(set(told)) > 0, "none comes twice"
    first, last = told[0], told[-1]
    rows = session.sql("SELECT account, exec_id, seq, shadow FROM executions WHERE exec_type = 'Trade' ORDER BY seq")
    for account in {row["account"] for row in rows}:
        mine = [row["exec_id"] for row in rows if row["account"] == account]
        seen = [each for each in told if each in set(mine)]
        begin, end = mine.index(seen[0]), mine.index(seen[-1])
        assert seen == mine[begin : end + 1], f"none of {account} is missed between {first} and {last}"
    session.stop()


def check_what_is_in_force(session: Any) -> None:
    """The file says something else by now; what runs is what was started."""
    config = ("-c", str(session.config), "--running")
    text = session.config.read_text()
    same = ask(session, "config", "show", "alice", *config)
    assert (same.exit_code, "reload" in same.output) == (0, False), same.output
    session.config.write_text(text.replace("grid_step: 0.1 ", "grid_step: 0.9 ").replace("alice-eth", "alice-new"))
    try:
        shown = ask(session, "config", "show", "alice", *config, "--json")
        told = ask(session, "config", "show", "alice", *config)
    finally:
        session.config.write_text(text)
    assert "says something else by now: `gridbot-supervisor reload -c" in told.output
    sections = {section["name"]: section for section in json.loads(shown.stdout)["sections"]}
    new = "alice/alice-new (does not run: only the file has it)"
    assert list(sections) == ["alice", "alice/alice-btc", new, "alice/alice-eth"]
    assert {value["source"] for value in sections["alice/alice-eth"]["values"]} == {"as it runs; the file has none"}
    section = sections["alice/alice-btc"]
    [step] = [value for value in section["values"] if value["key"] == "grid_step"]
    assert (step["value"], step["kind"]) == ("0.1", "running")
    assert step["source"].startswith("as it runs; the file has 0.9 now (own key, line ")


def check_what_is_missing(session: Any) -> None:
    at = paused(session)
    asked = ask(session, "why", "alice/alice-btc")
    assert asked.exit_code == 6, asked.output
    said = " ".join(asked.output.split())
    assert re.search(r"! paused since [-0-9: ]* UTC by the operator: paused by ", said), said
    shown = json.loads(ask(session, "status", "alice/alice-btc", "--json").output)
    [found] = shown["why"]["strategies"]
    assert (found["placed"], found["wanted"]) == (0, 24)
    assert found["held"] + found["normal"] == 24
    [hold] = found["holds"]
    assert CliRunner().invoke(cli, shlex.split(hold["lifted_by"])[1:]).exit_code == 0, (
        "the command that is named lifts it"
    )
    session.wait(lambda _: session.strategy("alice-btc")["open_orders"], "orders again")
    then = ask(session, "why", "alice/alice-btc", "--at", at)
    assert then.exit_code == 0
    said = " ".join(then.output.split())
    assert f"! paused since {at[:10]}" in said
    assert "command pause alice-btc" in said


def check_doctor(session: Any) -> None:
    """Beside a running bot, with requests that its supervisor lends: the workers' own locks and ids are no rivals."""
    lent: list[int] = []
    lend = Guest._lend

    def noted(guest: Guest, count: int, keep: int | None = None) -> None:
        lent.append(count)
        lend(guest, count, keep)

    with patch.object(Guest, "_lend", noted):
        done = ask(session, "doctor", "--json")
    requests = OF_ACCOUNT * len(session.status()["accounts"])
    assert lent == sorted(lent), "alone it would have all of its own at once"
    assert lent[0] < requests <= lent[-1], "the supervisor has lent each"
    rows = {(row["about"], row["check"]): row for row in json.loads(done.output)["findings"]}
    assert done.exit_code in (0, 6), done.output
    accounts = {row["account"] for row in session.status()["accounts"]}
    for account in accounts:
        for check in ("reach", "key", "withdrawals", "foreign_orders", "foreign_positions", "rival", "liquidation"):
            assert rows[account, check]["verdict"] == "ok", rows[account, check]
    assert rows["paper", "clock"]["verdict"] == "ok"
    assert re.search(r"[1-9]\d* trades? of the last hour", rows["alice", "rival"]["text"])
    assert {row["health"] for row in session.status()["accounts"]} == {"healthy"}


def check_a_worker_that_hangs(session: Any) -> None:
    pid = session.process("worker-bob")["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        silent = ask(session, "why", "bob")
    finally:
        if psutil.pid_exists(pid):
            os.kill(pid, signal.SIGCONT)
    assert silent.exit_code == 5
    said = " ".join(silent.output.split())
    assert "the worker of bob did not answer within 3 s" in said
    assert "bob-sol, as it reported" in said


def check_metrics(session: Any) -> None:
    """What a worker has counted does not go back when it dies; each line is one of the catalogue."""

    def counters() -> dict[str, float]:
        families = list(text_string_to_metric_families(ask(session, "metrics").output))
        assert {family.name for family in families} == {metric.name.removesuffix("_total") for metric in CATALOGUE}
        samples = [sample for family in families if family.type != "gauge" for sample in family.samples]
        return {str((each.name, each.labels)): each.value for each in samples}

    before = counters()
    assert any("frame_to_request_seconds_count" in name and count > 0 for name, count in before.items())
    session.wait_replaced("worker-bob", session.kill("worker-bob"))
    session.wait(lambda status: status["accounts"][1]["freshness"] == "active", "bob trades again")
    after = counters()
    restarts = str(("gridbot_process_restarts_total", {"process": "worker-bob"}))
    assert after[restarts] == before[restarts] + 1
    assert {name: (count, after.get(name)) for name, count in before.items() if after.get(name, -1.0) < count} == {}


def check_money(session: Any) -> None:
    """`pnl` says what the views say, of paper and shadow apart."""
    found = json.loads(ask(session, "pnl", "--json").output)
    assert {row["money"] for row in found["rows"]} == {"paper", "shadow"}
    assert {row["strategy"] for row in found["rows"] if row["money"] == "shadow"} == {"bob-ltc-shadow"}
    wait_for(lambda: ask(session, "pause", "--all", "--expect", "2").exit_code == 0, "all paused")

    def same() -> bool:
        rows = {row["strategy"]: row for row in json.loads(ask(session, "pnl", "--json").output)["rows"]}
        views = session.sql("SELECT strategy, realised_pnl, grid_profit, fees, net_pnl FROM statement")
        keys = {"realised": "realised_pnl", "grid_profit": "grid_profit", "fees": "fees", "net": "net_pnl"}
        return all(rows[each["strategy"]][key] == each[name] for each in views for key, name in keys.items())

    wait_for(same, "the same figures as the views")
