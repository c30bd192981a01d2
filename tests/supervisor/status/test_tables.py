"""The status tables: width, no escape codes in a pipe, and a note for everything that is not well."""

from __future__ import annotations

import io
from typing import Any

import pytest

from gridbot.command_line import pasteable
from gridbot.commands.targets import Addressed
from supervisor.exit_codes import ExitCode
from supervisor.status.selection import select
from supervisor.status.tables import duration, exit_code, leg, money, render, seconds, size

STRATEGY = {
    "strat_id": "alice-bitcoin-grid",
    "symbol": "BTCUSDT",
    "mode": "shadow",
    "state": "halted",
    "last_price": "61234.50",
    "long": {"size": "0.012", "entry": "60999.1234567", "upnl": "2.1"},
    "short": {"size": "0", "entry": None, "upnl": None},
    "open_orders": 18,
    "wanted": 20,
    "fills": 1234,
    "realised": "-12345.678",
    "unrealised": "2.1",
    "reason": "price left the grid",
}


def process(name, state="RUNNING", **more):
    return {
        "name": name,
        "state": state,
        "pid": 1,
        "uptime_s": 192.0 if state == "RUNNING" else None,
        "restarts": 2,
        "rss": 61_400_000,
        "reason": "",
        "next_start_s": None,
        **more,
    }


def account(name, health="healthy", state="RUNNING", strategies=()):
    return {
        "account": name,
        "process": process(f"worker-{name}", state),
        "health": health,
        "freshness": "active" if health else "offline",
        "reasons": [],
        "last_tick_age_s": 0.12 if health else None,
        "equity": "10000.5" if health else None,
        "order_entry": {"way": "websocket", "socket": "ready", "down_s": 0.0} if health else None,
        "strategies": list(strategies),
    }


@pytest.fixture
def status():
    unknown = {"strat_id": "bob-sol", "symbol": "SOLUSDT", "mode": "live", "state": None}
    return {
        "health": "degraded",
        "reasons": ["worker-bob is BACKOFF: killed by SIGKILL; next start in 3 s"],
        "supervisor": {"version": "0.1.0", "state": "running", "uptime_s": 200, "pid": 9, "rss": 1e6, "data_dir": "/d"},
        "accounts": [account("alice", strategies=[STRATEGY]), account("bob", None, "BACKOFF", [unknown])],
        "writer": {"process": process("writer"), "lag_s": 0.4, "rows": 12345, "held_by": "DBeaver (pid 77)"},
        "paper": {
            "process": process("paper"),
            "url": "http://127.0.0.1:40001",
            "orders": 60,
            "trades": 999,
            "connections": 4,
            "market": "synthetic x1",
        },
        "requests": [{"exchange": "Bybit", "limit": 540, "lent": 20, "free": 490, "banned_s": 0.0}],
        "incidents": [],
    }


def text_of(status):
    stream = io.StringIO()
    render(status, stream)
    return stream.getvalue()


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_in_a_pipe_it_is_plain_and_fits_with_nothing_left_out(status, monkeypatch, columns):
    everything = text_of(status)
    monkeypatch.setenv("COLUMNS", str(columns))
    text = text_of(status)
    assert "\x1b" not in text
    lines = text.splitlines()
    assert max(len(line) for line in lines if not line.startswith("  lifted by: ")) <= columns
    assert [line for line in lines if line != line.rstrip()] == []
    assert "…" not in text
    assert set(everything.split()) == set(text.split())


def test_each_part_of_a_table_that_is_too_wide_has_the_names_of_its_rows(status, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    lines = text_of(status).splitlines()
    last = lines.index("STRATEGY             REALISED UNREALISED")
    assert lines[last + 1 :][:2] == [
        "alice-bitcoin-grid -12,345.68       2.10",
        "bob-sol                     -          -",
    ]


def test_what_the_accounts_share_of_an_exchange_is_one_line(status):
    assert "HTTP requests in 5 s to Bybit: 490 of 540 free, 20 lent to workers" in text_of(status).splitlines()
    status["requests"] = []  # nothing is counted
    assert "requests" not in text_of(status)


def test_without_columns_a_pipe_has_120(status, monkeypatch):
    everything = text_of(status)
    monkeypatch.delenv("COLUMNS")
    assert text_of(status) == everything


def test_lines_say_what_they_should(status):
    lines = text_of(status).splitlines()
    alice, bob, grid, sol, writer, paper = (
        next(line.split() for line in lines if line.startswith(start))
        for start in ("alice ", "bob ", "alice-bitcoin", "bob-sol", "writer", "paper")
    )
    assert alice == [
        "alice",
        "RUNNING",
        "healthy",
        "active",
        "websocket",
        "3m12s",
        "2",
        "61",
        "MB",
        "0.1",
        "s",
        "10,000.50",
    ]
    assert bob[:6] == ["bob", "BACKOFF", "-", "offline", "-", "-"]
    assert " ".join(grid) == (
        "alice-bitcoin-grid BTCUSDT shadow halted 61234.50 0.012 @ 60999.12 0 18/20 1234 -12,345.68 2.10"
    )
    assert sol[3:] == ["-"] * 8
    assert "lag 0.4 s, 12345 rows, held by DBeaver (pid 77)" in " ".join(writer)
    assert "http://127.0.0.1:40001, 60 orders, 999 trades, 4 connections, synthetic x1" in " ".join(paper)
    assert "! alice-bitcoin-grid: price left the grid" in lines
    assert "! worker-bob is BACKOFF: killed by SIGKILL; next start in 3 s" in lines


@pytest.mark.parametrize(
    ("way", "socket", "shown"),
    [
        ("http", None, "http"),
        ("http", "lost", "http (lost)"),
        ("http", "signing in", "http (signing in)"),
        ("websocket", "ready", "websocket"),
    ],
)
def test_it_says_by_which_way_orders_leave(status, way, socket, shown):
    status["accounts"][0]["order_entry"] = {"way": way, "socket": socket, "down_s": 0.0}
    alice = next(line for line in text_of(status).splitlines() if line.startswith("alice "))
    assert f" {shown} " in alice


def test_a_request_that_is_tried_again_is_shown_with_its_last_error(status):
    item = {"order": "0123456789abcdef-1z", "request": "create", "attempt": 2, "error": "too many visits"}
    status["accounts"][0]["strategies"] = [{**STRATEGY, "reason": "", "retrying": [item]}]
    notes = [line for line in text_of(status).splitlines() if line.startswith("! alice-bitcoin-grid")]
    assert notes == [
        "! alice-bitcoin-grid: retry 2 of the create request for 0123456789abcdef-1z is due: too many visits"
    ]


def test_what_holds_a_fleet_is_one_line_with_the_command_that_lifts_it(status):
    """Each strategy had a line of its own, and none said what to do."""
    item = {"order": "o", "request": "create", "attempt": 1, "error": "too many visits"}
    rows = [account(f"a{n}", strategies=[{**STRATEGY, "strat_id": f"s{n}", "state": "paused"}]) for n in range(8)]
    rows[7]["strategies"] = [{**STRATEGY, "strat_id": "s7", "state": "active", "reason": "", "retrying": [item, item]}]
    notes = [
        line for line in text_of({**status, "accounts": rows}).splitlines() if line.startswith(("! s", "  lifted"))
    ]
    resume = pasteable("resume", data_dir="/d")
    assert notes == [
        "! s0, s1, s2, s3, s4, s5 and 1 more: price left the grid",
        f"  lifted by: `{resume}` with their names, or with --all",
        "! s7: 2 create requests are tried again: too many visits",
    ]


@pytest.mark.parametrize(
    ("state", "health", "target"),
    [
        ("halted", "healthy", "a/s"),
        ("latched", "healthy", "a/s"),
        ("latched", "circuit_open", "a"),
        ("waiting", "", ""),
    ],
)
def test_what_lifts_a_hold_is_not_broken_where_the_screen_ends(status, monkeypatch, state, health, target):
    monkeypatch.setenv("COLUMNS", "40")
    rows = [account("a", health, strategies=[{**STRATEGY, "strat_id": "s", "state": state}])]
    text = text_of({**status, "accounts": rows})
    assert (f"\n  lifted by: {pasteable(f'resume {target}', data_dir='/d')}\n" in text) is bool(target)
    assert ("lifted by" in text) is bool(target)
    assert "circuit_open" not in text


def test_how_far_a_host_of_a_fleet_is_behind_in_postgresql_and_why(status):
    shipping = {"lag_s": 250.0, "rows": 7, "error": "connection refused"}
    text = text_of({**status, "writer": {**status["writer"], "shipping": shipping}})
    assert "behind in PostgreSQL: connection refused" in " ".join(text.split())


def test_no_writer_and_no_paper_before_they_exist(status):
    assert "paper" not in text_of({**status, "paper": None})


def test_the_model_of_some_accounts_and_strategies(status: dict[str, Any]):
    assert select(status, None) is status
    alice, bob = select(status, [Addressed("alice")]), select(status, [Addressed("bob")])
    assert (exit_code(alice), exit_code(bob)) == (ExitCode.OK, ExitCode.DEGRADED)
    assert [row["account"] for row in bob["accounts"]] == ["bob"]
    assert bob["reasons"] == ["bob: its process is BACKOFF"]
    both = select(status, [Addressed("alice", "alice-bitcoin-grid"), Addressed("bob")])
    assert [(row["account"], len(row["strategies"])) for row in both["accounts"]] == [("alice", 1), ("bob", 1)]
    assert both["reasons"] == ["bob: its process is BACKOFF"]
    assert select(status, [Addressed("alice", "other")])["accounts"][0]["strategies"] == []


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.4, "0s"), (59.9, "59s"), (60, "1m00s"), (3599, "59m59s"), (7500, "2h05m"), (273600, "3d04h")],
)
def test_duration(value, text):
    assert duration(value) == text


def test_small_forms():
    assert [seconds(value) for value in (None, 0.04, 99.9, 150)] == ["-", "0.0 s", "99.9 s", "2m30s"]
    assert [size(None), size(1_500_000)] == ["-", "2 MB"]
    assert [money(None), money("-0.004"), money("1234567.891")] == ["-", "-0.00", "1,234,567.89"]
    assert [leg(None), leg({"size": "0.000"}), leg({"size": "5", "entry": None})] == ["-", "0", "5"]


def test_open_alerts_are_shown_with_their_count_and_of_one_account_when_asked(status):
    halt: dict[str, Any] = {"account": "alice", "strategy": "btc", "child": "", "key": "halt.BTCUSDT", "level": "ERROR"}
    halt |= {"since": "2026-11-28T18:02:11Z", "count": 1, "text": "btc is halted: a fault"}
    down: dict[str, Any] = {"account": "", "strategy": "", "child": "worker-bob", "key": "down", "level": "CRITICAL"}
    down |= {"since": "2026-11-28T18:00:00Z", "count": 6, "text": "killed by SIGKILL"}
    status["incidents"] = [halt, down]
    lines = [line for line in text_of(status).splitlines() if "alert" in line]
    assert lines == [
        "! alert open since 2026-11-28 18:02:11: ERROR alice btc: btc is halted: a fault",
        "! alert open since 2026-11-28 18:00:00, 6 times: CRITICAL worker-bob: killed by SIGKILL",
    ]
    halt["text"] = "x" * 400
    assert f"  all of it: {pasteable('alerts', data_dir='/d')}" in text_of(status).splitlines(), (
        "what to do is at its end"
    )
    assert select(status, [Addressed("alice")])["incidents"] == [halt]
    assert select(status, [Addressed("alice", "sol")])["incidents"] == []
    assert select(status, [Addressed("alice", "btc")])["incidents"] == [halt]


def test_what_an_account_has_and_was_charged_in_other_coins_is_one_line(status):
    row = status["accounts"][0]
    assert "other coins" not in text_of(status)
    row["other_coins"] = {"MNT": {"balance": "12.5", "usd": "6.25"}, "BTC": {"balance": "0.1", "usd": None}}
    row["strategies"] = [{**STRATEGY, "other_fees": {"MNT": "0.30"}}, {**STRATEGY, "other_fees": {"MNT": "0.2"}}]
    line = f"{row['account']}: other coins: 12.5 MNT (6.25 USD), 0.1 BTC; fees in other coins: 0.5 MNT"
    assert line in text_of(status)


def test_words_of_others_are_neither_markup_nor_lines_of_their_own(status):
    said = "10001 [red]bold[/red] [/] :smile: \x1b[2J\nFATAL alice\x9b" + "x" * 100_000
    status["reasons"] = [said]
    status["accounts"][0]["strategies"][0]["reason"] = said
    text = text_of(status)
    assert "[red]bold[/red] [/] :smile:" in text
    assert "\x1b" not in text
    assert not any(line.startswith("FATAL") for line in text.splitlines())
    assert "characters)" in text
    assert len(text) < 10_000
