"""`gridbot-supervisor data`: what is typed, what is printed, and the exit codes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from supervisor.cli import data_commands, data_progress
from supervisor.cli.main import cli
from supervisor.exit_codes import CommandError, ExitCode

HEAD = "timestamp,symbol,side,size,price\n"
GOOD = "1788220801.5,BTCUSDT,Buy,0.005,60000.1\n1788307199,BTCUSDT,Sell,0.001,60000.2\n"


class Typed:
    """Commands with one directory of market data."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def __call__(self, *words: str, code: ExitCode = ExitCode.OK) -> str:
        result = self.result(*words)
        shown = result.output
        if isinstance(result.exception, CommandError):
            shown, result.exit_code = shown + result.exception.text, result.exception.code
        elif result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert (result.exit_code, shown) == (code, shown)
        return shown

    def result(self, *words: str) -> Result:
        return CliRunner().invoke(cli, ["data", *words, "--market", str(self.home / "market")])

    def file(self, name: str, text: str) -> str:
        (self.home / name).write_text(text)
        return str(self.home / name)


@pytest.fixture
def typed(tmp_path: Path) -> Typed:
    return Typed(tmp_path)


def test_import_list_check_and_export(typed: Typed) -> None:
    path = typed.file("BTCUSDT2026-09-01.csv", HEAD + GOOD)
    assert typed("import", path).splitlines() == [
        "symbol   day         form    ticks  doubles  marks  fundings  gaps",
        "BTCUSDT  2026-09-01  trades      2        0      0         0     1",
        "1 file, 0 refused, 2 rows read, 1 day",
    ]
    assert " ".join(typed("list").split()) == (
        "symbol from to days of trades of candles of tickers with marks with fundings ticks gaps "
        "BTCUSDT 2026-09-01 2026-09-01 1 1 0 0 0 0 2 1"
    )
    assert "2026-09-01  trades      2      0         0     1  0.10  0.001  BTCUSDT2026-09-01.csv" in typed(
        "list", "BTCUSDT"
    )
    checked = typed("check", code=ExitCode.DIFFERS)
    assert "BTCUSDT 2026-09-01 wrong: nothing from 00:00:01 to 23:59:59 UTC (1440 minutes)\n" in checked
    assert "BTCUSDT note on 1 day: no mark prices: the last price is taken for them\n" in checked
    assert checked.endswith("1 day looked at, 1 thing wrong\n")
    for words in (("list", "ETHUSDT"), ("check", "ETHUSDT"), ("export", "ETHUSDT", "--out", str(typed.home / "px"))):
        shown = typed(*words, code=ExitCode.NOTHING)
        assert shown == f"no market data of ETHUSDT in {typed.home / 'market'}; there is data of BTCUSDT\n"
    assert typed("export", "BTCUSDT", "--out", str(typed.home / "px")).strip().endswith("BTCUSDT2026-09-01.parquet")


def test_what_is_passed_over_and_days_without_ticks_are_told(typed: Typed) -> None:
    typed.file("notes.txt", "x")
    typed.file("ETHUSDT2026-09-01.csv", HEAD)
    typed.file("BTCUSDT.csv", "timestamp,fundingRate\n1788220800,0.0001\n")
    told = typed("import", str(typed.home)).splitlines()
    assert told[2] == f"{typed.home}: passed over 1 file (notes.txt)"
    assert told[3] == f"no rows: {typed.home / 'ETHUSDT2026-09-01.csv'}"
    words = typed("list").splitlines()[1].split()
    assert words == ["BTCUSDT", *["2026-09-01"] * 2, "1", "0", "0", "0", "0", "1", "0", "0"]
    alone = "BTCUSDT 2026-09-01 wrong: expected ticks, got marks or fundings alone; import trades or candles\n"
    assert alone in typed("check", code=ExitCode.DIFFERS)


def test_days_that_were_asked_for_and_are_not_there(typed: Typed) -> None:
    typed("import", typed.file("BTCUSDT2026-09-01.csv", HEAD + GOOD))
    found = typed("check", "ETHUSDT", "BTCUSDT", "--from", "2026-08-30", "--to", "2026-09-04", code=ExitCode.DIFFERS)
    assert "ETHUSDT 2026-08-30 wrong: expected days from 2026-08-30 to 2026-09-04, there are none" in found
    assert "BTCUSDT 2026-08-30 wrong: expected this day, 2 are missing before 2026-09-01\n" in found
    assert "BTCUSDT 2026-09-04 wrong: expected this day, 3 are missing after 2026-09-01\n" in found
    assert "1 day looked at, 4 things wrong\n" in found
    nothing = typed("check", "BTCUSDT", "--from", "2026-09-02", code=ExitCode.NOTHING)
    assert "no market data of BTCUSDT from 2026-09-02 to the last day in" in nothing
    for words in (("check",), ("export", "BTCUSDT", "--out", str(typed.home / "px")), ("fetch", "BTCUSDT")):
        swapped = typed(*words, "--from", "2026-09-02", "--to", "2026-09-01", code=ExitCode.USAGE)
        assert "expected --to on the day of --from or after it, got 2026-09-02 to 2026-09-01; swap them" in swapped


def test_a_gap_is_as_long_as_it_is_said_to_be(typed: Typed) -> None:
    path = typed.file("BTCUSDT2026-09-01.csv", HEAD + GOOD)
    typed("import", path, "--gap", "1440")
    assert typed("check").endswith("1 day looked at, 0 things wrong\n")


def test_a_refused_file_is_named_and_ends_with_7(typed: Typed) -> None:
    path = typed.file("BTCUSDT2026-09-01.csv", HEAD + GOOD + "1788220801,BTCUSDT,Buy,0,60000\n")
    shown = typed("import", path, code=ExitCode.REFUSED)
    assert f"refused: {path} line 4: size: expected a number above zero, got '0'\n" in shown
    assert "nothing of a refused file is in: get it again or correct it; --skip-bad leaves wrong rows out\n" in shown
    assert shown.endswith("1 file, 1 refused, 0 rows read, 0 days\n")
    left_out = typed("import", path, "--skip-bad")
    assert f"left out: {path} line 4: size: expected a number above zero, got '0'\n" in left_out


def test_many_wrong_rows_are_counted(typed: Typed) -> None:
    rows = "".join(f"1788220801,BTCUSDT,Buy,0.001,{60000 + at}.15\n" for at in range(30))
    shown = typed("import", typed.file("BTCUSDT2026-09-01.csv", HEAD + GOOD + rows), "--skip-bad")
    assert shown.count("left out: ") == 21
    assert "left out: 10 more rows of " in shown


def test_columns_by_option_and_by_file(typed: Typed) -> None:
    path = typed.file("mine.csv", "when,o,high,low,close\n1788220800,60000,60000,60000,60000\n")
    typed("import", path, "--symbol", "BTCUSDT", "--column", "time=when", "--column", "open=o")
    described = typed.file("map.yaml", "as: candles\nsymbol: BTCUSDT\ncolumns: {time: when, open: o}\n")
    assert "BTCUSDT  2026-09-01  candles" in typed("import", path, "--map", described)
    for text in ("as: guesses", "colour: red", "columns: [1]", "as: [", "- 1", "[]", "columns: {time: 1}"):
        typed("import", path, "--map", typed.file("map.yaml", text), code=ExitCode.USAGE)
    assert "expected PART=NAME" in typed("import", path, "--column", "when", code=ExitCode.USAGE)
    twice = typed("import", path, "--column", "time=when", "--column", "time=o", code=ExitCode.USAGE)
    assert "--column: expected one name for time, got 'when' and 'o'" in twice
    for symbol in ("btcusdt", ""):
        wrong = typed("import", path, "--symbol", symbol, code=ExitCode.USAGE)
        assert f"--symbol: expected a symbol such as BTCUSDT, got {symbol!r}" in wrong


def test_rules_of_a_file_or_of_the_data(typed: Typed) -> None:
    path = typed.file("NEWUSDT2026-09-01.csv", HEAD + GOOD.replace("BTC", "NEW"))
    assert "tick size and quantity step are worked out from the data" in typed("import", path)
    none = typed.file("none.json", "{}")
    assert "expected answers of market/instruments-info" in typed(
        "import", path, "--instruments", none, code=ExitCode.REFUSED
    )
    typed("import", path, "--instruments", none, "--derive", code=ExitCode.USAGE)


def test_where_there_is_nothing(typed: Typed) -> None:
    (typed.home / "empty").mkdir()
    for words in (
        ("list",),
        ("list", "BTCUSDT"),
        ("check",),
        ("import", str(typed.home / "empty")),
        ("export", "BTCUSDT", "--out", "x"),
    ):
        typed(*words, code=ExitCode.NOTHING)
    assert "there is none" in typed("import", "none.csv", code=ExitCode.REFUSED)


def test_market_data_is_beside_the_records(tmp_path: Path) -> None:
    (tmp_path / "BTCUSDT2026-09-01.csv").write_text(HEAD + GOOD)
    words = ["data", "import", str(tmp_path / "BTCUSDT2026-09-01.csv"), "--data-dir", str(tmp_path / "data")]
    assert CliRunner().invoke(cli, words).exit_code == 0
    assert (tmp_path / "data" / "market" / "BTCUSDT" / "2026-09-01" / "day.json").exists()


def test_without_the_extra_the_command_says_what_to_install(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    assert "-m pip install 'numpy>=2.0,<3'" in typed("list", code=ExitCode.USAGE)


def test_a_terminal_sees_how_far_it_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with data_progress.row_progress([]) as on_rows:
        on_rows(Path("[a].csv"), 1_234_567)
    assert "[a].csv" in capsys.readouterr().err


def test_help_needs_no_numpy() -> None:
    assert "numpy" not in vars(data_commands)


def test_a_day_that_cannot_be_read_is_named_and_keeps_no_other_from_anybody(typed: Typed) -> None:
    later = GOOD.replace("17882", "17883").replace("17883072", "17883936")
    typed("import", typed.file("a.csv", HEAD + GOOD), typed.file("b.csv", HEAD + later))
    document = typed.home / "market" / "BTCUSDT" / "2026-09-01" / "day.json"
    document.write_text("{")
    for words in (("list",), ("list", "BTCUSDT")):
        said = typed(*words, code=ExitCode.REFUSED)
        assert "2026-09-02" in said
        assert f"left out: {document}: cannot be read" in said
        assert f"remove {document.parent} and import the day again" in said
    said = typed("check", code=ExitCode.DIFFERS)
    assert said.startswith(f"BTCUSDT 2026-09-01 wrong: {document}: cannot be read")
    assert "2 days looked at" in said
    assert "missing" not in said
    assert "2 days looked at" not in typed("check", "--from", "2026-09-02", code=ExitCode.DIFFERS)
    out = typed.home / "out"
    typed("export", "BTCUSDT", "--from", "2026-09-02", "--out", str(out))
    assert len(list(out.iterdir())) == 1
    assert "cannot be read" in typed("export", "BTCUSDT", "--out", str(out), code=ExitCode.REFUSED)
    document.unlink()
    (document.parent.parent / "2026-09-02" / "day.json").write_text("{")
    assert "left out: " in typed("list", code=ExitCode.REFUSED)


def test_a_copy_of_the_database_has_the_market_of_the_bot(tmp_path: Path) -> None:
    beside, own = tmp_path / "copies" / "market", tmp_path / "data" / "market"
    assert data_commands.market_to_read(None, beside, own) == beside
    own.mkdir(parents=True)
    assert data_commands.market_to_read(None, beside, own) == own
    assert data_commands.market_to_read(str(own), beside) == own
