"""`pnl`, `positions`, `orders`, `fills`: figures worked out by hand, and no sum over two kinds of money."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from supervisor.cli.main import cli
from supervisor.exit_codes import CommandError, ExitCode
from supervisor.store import record_questions
from tests.store.kit import make_recorder, record_executions
from tests.store.night import make_night
from tests.store.session import write_all


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("night")
    make_night(directory)
    return directory


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "240")


def run(night: Path, *words: str) -> Result:
    result = CliRunner().invoke(cli, [*words, "--data-dir", str(night)])
    if result.exception is not None and not isinstance(result.exception, SystemExit | CommandError):
        raise result.exception
    return result


def document(night: Path, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(night, *words, "--json").output)
    return found


def rows(night: Path, *words: str) -> list[tuple[str, ...]]:
    return [tuple(line.split()) for line in run(night, *words).output.splitlines()]


def test_profit_by_strategy_never_adds_up_two_kinds_of_money(night: Path) -> None:
    """alice traded on paper and then on testnet, bob with real money and a shadow strategy beside."""
    head, *lines = rows(night, "pnl")
    assert head == (
        *("ACCOUNT", "STRATEGY", "SYMBOL", "MONEY", "FILLS", "VOLUME", "REALISED", "GRID_PROFIT", "FEES", "FUNDING"),
        *("NET", "UNREALISED"),
    )
    assert lines[:6] == [
        ("bob", "ltc_grid", "LTCUSDT", "real", "2", "101", "1", "1", "0.0202", "0", "0.9798", "0"),
        ("alice", "btc_grid", "BTCUSDT", "testnet", "1", "110", "11", "11", "0.022", "0.05", "10.928", "0"),
        ("alice", "btc_grid", "BTCUSDT", "paper", "2", "299", "2", "2", "0.0598", "0", "1.9402", "0"),
        ("bob", "btc_grid", "BTCUSDT", "shadow", "0", "0", "0", "0", "0", "0", "0", "-1.5"),
        ("bob", "ltc_shadow", "ETHUSDT", "shadow", "1", "10", "0", "0", "0.002", "0", "-0.002", "0"),
        ("total", "shadow", "1", "10", "0", "0", "0.002", "0", "-0.002", "-1.5"),
    ]
    assert " ".join(lines[6]).startswith("NET = REALISED - FEES - FUNDING")


def test_at_80_columns_a_table_comes_in_parts_with_the_names_of_its_rows(night: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    parts = run(night, "pnl").output.split("\n\n")
    assert all(len(line) <= 80 for part in parts for line in part.splitlines())
    assert len(parts) == 2
    assert all(part.startswith("ACCOUNT  STRATEGY    SYMBOL   MONEY") for part in parts)
    assert sorted(word for part in parts for word in part.splitlines()[0].split()[4:]) == sorted(
        ("FILLS", "VOLUME", "REALISED", "GRID_PROFIT", "FEES", "FUNDING", "NET", "UNREALISED")
    )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--by", "account"], {("alice", "paper"), ("alice", "testnet"), ("bob", "real"), ("bob", "shadow")}),
        (["--by", "symbol"], {("BTCUSDT", "paper"), ("BTCUSDT", "testnet"), ("LTCUSDT", "real"), ("ETHUSDT", "shadow"),
                              ("BTCUSDT", "shadow")}),
        (["--by", "day"], {("2023-11-14", "paper"), ("2023-11-14", "testnet"), ("2023-11-14", "real"),
                           ("2023-11-14", "shadow")}),
        (["--by", "account", "bob/ltc_grid"], {("bob", "real")}),
        (["--by", "account", "--group", "night"], {("alice", "paper"), ("alice", "testnet")}),
        (["--by", "account", "--from", "2023-11-14T23:00"], {("alice", "testnet"), ("bob", "shadow")}),
        (["--by", "account", "--to", "2023-11-14T23:00", "a*"], {("alice", "paper")}),
        (["--by", "day", "--from", "2023-11-15"], set()),
        (["--by", "day", "--from", "2023-11-14", "--to", "2023-11-14", "alice"],
         {("2023-11-14", "paper"), ("2023-11-14", "testnet")}),
    ],
)  # fmt: skip
def test_what_a_row_of_profit_is(night: Path, words: list[str], expected: set[tuple[str, str]]) -> None:
    found = document(night, "pnl", *words)
    key = {"account": "account", "symbol": "symbol", "day": "day"}[words[1]]
    assert {(row[key], row["money"]) for row in found["rows"]} == expected
    for total in found["totals"]:
        members = [row for row in found["rows"] if row["money"] == total["money"]]
        assert total["rows"] == len(members)
        assert float(total["net"]) == pytest.approx(sum(float(row["net"]) for row in members))


def test_sums_of_whole_days_and_of_executions_are_the_same(night: Path) -> None:
    """Of bob's days the writer keeps sums; a span that begins at another time is added up from his executions."""
    by_day = document(night, "pnl", "bob", "--from", "2023-11-14", "--to", "2023-11-14")["rows"]
    by_hand = document(night, "pnl", "bob", "--from", "2023-11-14T00:00:01", "--to", "2023-11-14")["rows"]
    assert by_day == by_hand
    assert {row["unrealised"] for row in by_day} == {None}, "nobody knows what legs were worth at the end of a span"


def test_grid_profit_that_takes_too_long_is_left_out_and_that_is_said(night: Path, monkeypatch: Any) -> None:
    assert {row["grid_profit"] for row in document(night, "pnl", "--no-grid")["rows"]} == {None}
    monkeypatch.setattr("supervisor.cli.record_commands.GRID_TIMEOUT_S", 0.0)
    monkeypatch.setattr("supervisor.store.query.call", _late_after(2))
    assert "GRID_PROFIT is left out: not done after" in run(night, "pnl").output


def _late_after(questions: int) -> Any:
    from supervisor.store.interruptible import Late, call

    asked = [0]

    def counted(connection: Any, work: Any, *, until: float) -> Any:
        asked[0] += 1
        if asked[0] > questions:
            raise Late
        return call(connection, work, until=until)

    return counted


def test_positions_and_orders(night: Path) -> None:
    assert run(night, "positions", "alice").output == "no position is open\n"
    [flat] = document(night, "positions", "alice", "--flat")["rows"]
    assert (flat["money"], flat["size"], flat["unrealised"]) == ("testnet", "0", "-1.5")
    [shadow] = document(night, "positions")["rows"]
    assert (shadow["money"], shadow["size"], shadow["value"]) == ("shadow", "3", "300")
    resting = document(night, "orders")
    assert [(row["order_link_id"], row["money"], row["value"]) for row in resting["rows"]] == [
        ("link-a", "paper", "99"),
        ("link-t", "testnet", "97"),
    ]
    assert [total["value"] for total in resting["totals"]] == ["97", "99"]
    history = document(night, "orders", "--history", "-n", "2")["rows"]
    assert [(row["order_link_id"], row["state"], row["ret_code"]) for row in history] == [
        ("link-b", "rejected", 110007),
        ("link-t", "open", None),
    ]
    assert run(night, "orders", "--from", "2023-11-15").output == "no order changed in that span\n"


def test_fills_as_table_and_csv_and_mistakes(night: Path, tmp_path: Path) -> None:
    lines = run(night, "fills", "-n", "2", "alice").output.splitlines()
    assert len(lines) == 3
    assert ["paper" in lines[1], "testnet" in lines[2]] == [True, True]
    table = list(csv.DictReader(run(night, "fills", "--csv").output.splitlines()))
    assert [row["money"] for row in table] == ["real", "real", "shadow", "paper", "paper", "testnet"]
    assert "seq" not in table[0]
    wrong = run(night, "fills", "alise")
    assert "did you mean alice" in str(wrong.exception)
    backwards = run(night, "fills", "--from", "2023-11-15", "--to", "2023-11-14")
    assert "expected --from before --to" in str(backwards.exception)
    nothing = run(tmp_path, "fills")
    assert isinstance(nothing.exception, CommandError)
    assert nothing.exception.code is ExitCode.NOT_RUNNING
    assert run(night, "fills", "--from", "2023-11-16").output == "no fill is recorded in that span\n"


@pytest.mark.parametrize("style", [["--json"], []])
def test_following_neither_misses_nor_repeats_a_fill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, style: list[str]
) -> None:
    """Fills come between two readings, of a new account too, while the file is held, and none is told twice."""
    alice = make_recorder(tmp_path)
    record_executions(alice, range(1, 6))
    write_all(tmp_path)
    steps: list[int] = []

    def meanwhile(_: float) -> None:
        steps.append(1)
        if len(steps) in (1, 2):
            record_executions(alice, range(6, 9) if len(steps) == 1 else range(9, 11))
        elif len(steps) == 3:
            bob = make_recorder(tmp_path, "bob")
            record_executions(bob, range(1, 3))
            bob.close()
        elif len(steps) == 5:
            raise KeyboardInterrupt
        write_all(tmp_path)

    ask: Any = record_questions.fills_after
    held: list[int] = []

    def held_once(*args: Any) -> Any:
        if len(steps) == 2 and not held:
            held.append(1)
            raise CommandError("the file was held", ExitCode.TIMEOUT)
        return ask(*args)

    monkeypatch.setattr("supervisor.cli.fills_follow.time.sleep", meanwhile)
    monkeypatch.setattr(record_questions, "fills_after", held_once)
    result = CliRunner().invoke(cli, ["fills", "-f", "-n", "3", *style, "--data-dir", str(tmp_path)])
    alice.close()
    seen = re.findall(r"e-[0-9]+", result.output)
    assert seen == ["e-3", "e-4", "e-5", "e-6", "e-7", "e-8", "e-9", "e-10", "e-1", "e-2"]
    assert held == [1]


def test_a_note_about_an_account_of_another_host_has_a_command_that_works_as_it_stands(tmp_path: Path) -> None:
    make_night(tmp_path)
    held = tmp_path / "state" / "alice" / "holder.json"
    held.parent.mkdir(parents=True)
    held.write_text("{}")
    said = run(tmp_path, "orders", "alice", "-c", "conf/demo.yaml").stderr
    assert re.search(r"`\S+ orders alice --fleet -c \S*conf/demo.yaml`", said), said
