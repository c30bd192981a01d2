"""`gridbot-supervisor compare`, as docs/comparison.md shows it, on an hour composed by hand."""

from __future__ import annotations

import gzip
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gridbot.compare.store_side import StoreSide
from gridbot.store.reading import connect
from supervisor.cli.main import cli
from supervisor.exit_codes import CommandError, ExitCode
from supervisor.store import compared_sides
from supervisor.store.compared_sides import Facts
from tests.compare.composed import LIVE, SHADOW, compose

ROOT = Path(__file__).resolve().parents[3]
MAPS = ROOT / "conf" / "maps"
CONSOLE = MAPS / "original-console.log"
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("data")
    compose(directory)
    return directory


@pytest.fixture
def run(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.delenv("COLUMNS", raising=False)

    def run(*words: str) -> Result:
        result = CliRunner().invoke(cli, ["compare", *words, "--data-dir", str(data_dir)])
        if isinstance(result.exception, CommandError):
            result.exit_code = result.exception.code
            result.stderr_bytes = result.exception.text.encode()
        return result

    return run


def found(run: Run, *words: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(run(*words, "--json").stdout)
    return document


def counts(document: dict[str, Any]) -> dict[str, dict[str, int]]:
    return {what: {name: n for name, n in of.items() if n} for what, of in document["counts"].items()}


def test_the_commands_of_the_page_say_what_it_shows(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs" / "comparison.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\nbin/gridbot-supervisor (.*?)\n```\n\n```\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert [command.split()[0] for command, _ in blocks] == ["compare", "sql", "compare"]
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("COLUMNS", raising=False)
    for command, shown in blocks:
        words = shlex.split(command.replace("result.duckdb", str(tmp_path / "result.duckdb")))
        place = [] if words[0] == "sql" else ["--data-dir", str(data_dir)]
        result = CliRunner().invoke(cli, [*words, *place])
        assert result.stdout == shown, command
        assert result.exit_code == (0 if words[0] == "sql" else ExitCode.DIFFERS)


def test_each_difference_is_told_once_with_what_the_other_side_knows(run: Run) -> None:
    document = found(run, "shadow", f"alice/{LIVE}", f"alice/{SHADOW}")
    assert counts(document) == {
        "place": {"same": 4, "only_here": 1, "size": 1, "time": 1},
        "cancel": {"same": 1},
        "fill": {"only_here": 1, "time": 1},
    }
    assert (document["verdict"], document["rows"], document["differing"]) == ("differs", 10, 5)
    why = {row["price"]: row["why"] for row in document["first"] if row["outcome"] == "only_here"}
    assert why == {"60000.1": "still rests there", "59820.1": "refused there: max_notional"}
    assert document["worst"][0]["worth"] == 120.0002
    assert document["money"]["here"]["fills"] == 2
    assert document["money"]["there"] == {
        "fills": 1, "volume": "119.88", "fees": "0.023976", "realised": "0", "funding": "0", "net": "-0.023976",
    }  # fmt: skip


def test_tolerances_decide_what_is_the_same_and_the_exit_code(run: Run) -> None:
    sides = (f"alice/{LIVE}", f"alice/{SHADOW}")
    wide = run("shadow", *sides, "--tolerance", "time=12,size=34", "--tolerance", "rows=20", "--json")
    assert (wide.exit_code, counts(json.loads(wide.stdout))["place"]) == (ExitCode.OK, {"same": 6, "only_here": 1})
    assert run("shadow", *sides, "--tolerance", "time=12,size=34,rows=20,money=0.09").exit_code == ExitCode.DIFFERS
    near = found(run, "shadow", *sides, "--reach", "time=10")
    assert counts(near)["fill"] == {"only_here": 2, "only_there": 1}


def test_a_span_begins_with_what_rests_and_ends_before_its_end(run: Run) -> None:
    sides = ("shadow", f"alice/{LIVE}", f"alice/{SHADOW}", "--from", "2026-11-02T10:05", "--to", "2026-11-02T10:07")
    result = run(*sides, "--json")
    assert (result.exit_code, counts(json.loads(result.stdout))) == (ExitCode.OK, {"place": {"same": 4}})
    before = run("shadow", f"alice/{LIVE}", f"alice/{SHADOW}", "--to", "2026-11-01")
    assert before.exit_code == ExitCode.NOTHING
    assert before.stdout.splitlines()[-1] == f"nothing to compare: alice/{LIVE} and alice/{SHADOW}"
    fills = found(run, "shadow", f"alice/{LIVE}", f"alice/{SHADOW}", "--only", "fills", "--to", "2026-11-02")
    assert list(fills["counts"]) == ["fill"]


def test_another_database_may_have_the_second_side(run: Run, data_dir: Path, tmp_path: Path) -> None:
    compose(tmp_path)
    same = run("shadow", f"alice/{LIVE}", f"alice/{LIVE}", "--other", str(tmp_path), "--brief")
    assert (same.exit_code, same.stdout) == (ExitCode.OK, "")
    alone = run("shadow", f"alice/{LIVE}", f"alice/{LIVE}")
    assert (alone.exit_code, "expected two strategies, got" in alone.output) == (2, True)


def test_strategies_of_two_symbols_are_not_compared(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of their rows differed, which says nothing."""
    two = [Facts(StoreSide("alice", name), None, None, None, {name: None}, 0) for name in ("BTCUSDT", "ETHUSDT")]
    monkeypatch.setattr(compared_sides, "facts_of", lambda query, names: two)
    refused = run("shadow", f"alice/{LIVE}", f"alice/{SHADOW}")
    assert refused.exit_code == ExitCode.NOTHING
    assert (
        "expected both on one symbol, got alice/alice-btc on BTCUSDT and alice/alice-btc-shadow on ETHUSDT"
        in refused.stderr
    )


def test_every_row_is_kept_for_sql_and_a_failure_leaves_the_file_as_it_was(run: Run, tmp_path: Path) -> None:
    into = tmp_path / "kept.duckdb"
    sides = ("shadow", f"alice/{LIVE}", f"alice/{SHADOW}", "--into", str(into))
    assert run(*sides).exit_code == ExitCode.DIFFERS
    with connect(into) as con:
        rows = con.execute("SELECT count(*), count(*) FILTER (outcome = 'same') FROM compared").fetchone()
        assert rows == (10, 5)
        levels = con.execute("SELECT sum(same + only_here + other_size + other_time) FROM compared_levels").fetchone()
        assert levels == (10,)
        assert con.execute("SELECT verdict, rows, differing FROM comparison").fetchone() == ("differs", 10, 5)
        assert con.execute("SELECT side, fills FROM compared_money ORDER BY side").fetchall() == [
            ("here", 2),
            ("there", 1),
        ]
    before = into.read_bytes()
    assert run("shadow", f"alice/{LIVE}", "alice/nobody", "--into", str(into)).exit_code == 2
    assert run("log", f"alice/{LIVE}", str(MAPS / "columns.yaml"), "--map", str(MAPS / "columns.yaml"), "--into",
               str(into)).exit_code == 4  # fmt: skip
    assert into.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["kept.duckdb"]
    nowhere = run("shadow", f"alice/{LIVE}", f"alice/{SHADOW}", "--into", str(into / "below"))
    assert (nowhere.exit_code, "cannot be written" in nowhere.stderr) == (1, True)


def test_names_that_nobody_has_are_a_mistake_of_the_command_line(run: Run, tmp_path: Path) -> None:
    wrong = run("shadow", f"alice/{LIVE}", "alice/alice-bct-shadow")
    assert wrong.exit_code == 2
    assert wrong.stderr.endswith(f"got 'alice/alice-bct-shadow'; did you mean alice/{SHADOW}?")
    for words in (("--tolerance", "colour=1"), ("--tolerance", "time"), ("--reach", "time=-1"), ("--from", "soon")):
        assert run("shadow", f"alice/{LIVE}", f"alice/{SHADOW}", *words).exit_code == 2
    nothing = CliRunner().invoke(cli, ["compare", "shadow", "a/b", "a/c", "--data-dir", str(tmp_path)])
    assert isinstance(nothing.exception, CommandError)
    assert nothing.exception.code is ExitCode.NOT_RUNNING


def test_the_log_of_the_bot_it_replaces(run: Run, tmp_path: Path) -> None:
    console = str(MAPS / "original-console.yaml")
    live = found(run, "log", f"alice/{LIVE}", str(CONSOLE), "--map", console)
    assert counts(live) == {
        "place": {"same": 5, "only_here": 1, "size": 1},
        "cancel": {"same": 1},
        "fill": {"same": 2},
    }
    packed = tmp_path / "old.log.gz"
    packed.write_bytes(gzip.compress(CONSOLE.read_bytes()))
    assert counts(found(run, "log", f"alice/{LIVE}", str(packed), "--map", console)) == counts(live)
    assert live["notes"] == [
        "2 of 11 lines of original-console.log are other messages",
        "the log does not say whether an order is long or short: levels are compared by side and price",
    ]
    empty = tmp_path / "empty.log"
    empty.touch()
    error = run("log", f"alice/{LIVE}", str(empty), "--map", console).exception
    assert isinstance(error, CommandError)
    assert (error.code, "none in 0 lines; does the map fit?" in error.text) == (ExitCode.NOTHING, True)


def test_a_part_of_a_log_differs_by_nothing_that_is_not_in_it(run: Run, tmp_path: Path) -> None:
    """Its times are whole seconds, its last line is a fill of that second; of what rests it says nothing."""
    lines = CONSOLE.read_text().splitlines(keepends=True)
    part = tmp_path / "part.log"
    for first, last, same, left_out in (
        ("10:07:31", "10:15:06", {"place": 1, "fill": 2}, 4),
        ("10:15:06", "10:22:01", {"fill": 1}, 5),
        ("10:00:00", "10:15:06", {"place": 5, "fill": 2}, 0),
    ):
        part.write_text("".join(line for line in lines if first <= line[11:19] <= last))
        found_here = found(run, "log", f"alice/{LIVE}", str(part), "--map", str(MAPS / "original-console.yaml"))
        assert {what: of["same"] for what, of in counts(found_here).items() if "same" in of} == same
        note = f"part.log begins in the middle: {left_out} orders that rested here before were left out"
        assert (note in found_here["notes"]) == (left_out > 0)
        assert not [row for row in found_here["first"] if "rested before" in (row["why"] or "")]


def test_the_log_of_its_shadow_mode_in_json(run: Run, tmp_path: Path) -> None:
    def line(clock: str, message: str) -> str:
        said = {"timestamp": f"2026-11-02 {clock}", "level": "INFO", "logger": "gridbot.executor", "message": message}
        return json.dumps(said)

    def place(side: str, price: str, closes: str, name: str) -> str:
        return (
            f"[SHADOW] Would place {side} order: BTCUSDT qty=0.002 price={price} reduce_only={closes} client_id={name} "
            f"link_id={name}-m1"
        )

    log = tmp_path / "old.jsonl"
    lines = [
        line("09:00:00,100", place("Buy", "59940.0", "False", "aa")),
        line("10:00:00,214", place("Sell", "60060.1", "False", "bb")),
        line("10:00:00,215", place("Buy", "59880.0", "True", "cc")),
        line("10:00:00,216", place("Sell", "60120.2", "False", "dd")),
        line("10:22:00,010", "[SHADOW] Would cancel order: BTCUSDT order_id=shadow_dd reason=outside_grid"),
        line("10:22:00,011", "[SHADOW] Would cancel order: BTCUSDT order_id=shadow_zz reason=outside_grid"),
        line("10:22:00,012", "Same-order error active"),
        '{"timestamp": "2026-11-02 10:2',
    ]
    log.write_text("\n".join(lines))
    document = found(run, "log", f"alice/{SHADOW}", str(log), "--map", str(MAPS / "original-json.yaml"))
    assert document["counts"]["place"]["same"] == 3
    assert (document["counts"]["place"]["only_there"], document["counts"]["cancel"]["same"]) == (1, 1)
    closing = next(row for row in document["first"] if row["outcome"] == "only_there")
    assert (closing["direction"], closing["side"], closing["price"]) == ("short", "Buy", "59880")
    assert document["notes"] == [
        "1 of 7 lines of old.jsonl are other messages",
        "the last line of old.jsonl is being written, and was left out",
        "1 cancels name orders that old.jsonl does not place, and were left out",
    ]


def test_columns_of_a_program_of_ones_own(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "orders.csv"
    log.write_text(
        "time,event,market,side,position,price,usd,id\n"
        "1793613600.214,ORDER,BTC-PERP,B,L,59940.0,119.88,a1\n"
        "1793613600.3,ORDER,BTC-PERP,S,S,60060.2,120.1202,a2\n"
        "1793613601,ORDER,ETH-PERP,S,S,2500,10,a3\n"
        "1793614051,FILL,BTC-PERP,B,L,59940.0,119.88,a1\n"
    )
    document = found(run, "log", f"alice/{LIVE}", str(log), "--map", str(MAPS / "columns.yaml"), "--only", "fills")
    assert counts(document) == {"fill": {"same": 1}}
    document = found(run, "log", f"alice/{LIVE}", str(log), "--map", str(MAPS / "columns.yaml"))
    assert counts(document)["place"] == {"same": 1, "only_here": 3, "price": 1}
    others = tmp_path / "others.csv"
    others.write_text(log.read_text().replace("BTC-", "ETH-"))
    nothing = run("log", f"alice/{LIVE}", str(others), "--map", str(MAPS / "columns.yaml"))
    assert nothing.exit_code == ExitCode.NOTHING
    assert f"got alice/{LIVE} on BTCUSDT and others.csv on ETH-PERP" in nothing.stderr
    assert "rows of other symbols were left out: ETH-PERP" in document["notes"]


def test_what_never_ran_at_the_same_time_does_not_differ_by_all_that_rests(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "orders.csv"
    log.write_text("time,event,market,side,position,price,usd,id\n1825149600,ORDER,BTC-PERP,B,L,59940.0,119.88,a1\n")
    words = ("log", f"alice/{LIVE}", str(log), "--map", str(MAPS / "columns.yaml"))
    for more in ((), ("--from", "2026-12-01")):
        later = run(*words, *more)
        assert later.exit_code == ExitCode.NOTHING
        assert "one ends at 2026-11-02 1" in later.stderr


def test_a_line_that_is_not_what_the_map_says_ends_the_reading_with_its_place(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "orders.csv"
    log.write_text("time,event,market,side,position,price,usd,id\n1793613600,ORDER,BTC-PERP,B,L,1e99,1,a\n")
    wrong = run("log", f"alice/{LIVE}", str(log), "--map", str(MAPS / "columns.yaml"))
    assert wrong.exit_code == ExitCode.CONFIG
    assert wrong.stderr == f"{log} line 2: expected a price above zero and below 1,000,000,000, got '1e99'"
    bad = tmp_path / "map.yaml"
    bad.write_text("lines: csv\nvalues:\n  colour: x\n")
    wrong = run("log", f"alice/{LIVE}", str(log), "--map", str(bad))
    assert wrong.exit_code == ExitCode.CONFIG
    assert wrong.stderr.startswith(f"{bad}:3: values.colour: expected ")
