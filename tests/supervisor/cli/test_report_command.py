"""`gridbot-supervisor report`: what it writes, and what it says when there is nothing to write."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gridbot.backtest import DaysInMemory, Options
from gridbot.backtest import run as run_backtest
from gridbot.paper.settings import MatchingModel
from supervisor.cli.main import cli
from supervisor.exit_codes import CommandError, ExitCode
from tests.backtest.backtest_examples import config_of, day_of
from tests.report.grid_session import GridSession, trade, write_all
from tests.store.session import make_session


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("data")
    make_session(directory)
    return directory


def run(data_dir: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, ["report", "--data-dir", str(data_dir), *words])


def refusal(data_dir: Path, *words: str) -> CommandError:
    found = run(data_dir, *words).exception
    assert isinstance(found, CommandError), found
    return found


def test_it_writes_a_file_that_only_its_user_can_read(data_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "alice.html"
    result = run(data_dir, "--account", "alice", "--out", str(out))
    assert result.exit_code == 0, result.output
    first, second = result.stdout.splitlines()
    assert first.startswith("alice, paper money, 2023-11-14 22:13 to 2023-11-15 22:13 UTC: +5.00 USDT")
    assert second == f"{out}: {out.stat().st_size / 1000:,.0f} kB"
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_without_a_file_name_it_goes_into_the_data_directory(data_dir: Path) -> None:
    result = run(data_dir, "--account", "bob")
    assert result.exit_code == 0, result.output
    [written] = (data_dir / "reports").iterdir()
    assert written.name == "bob-2023-11-14T2213-2023-11-14T2213.html"
    assert result.stdout.splitlines()[1].startswith(str(written))


def test_it_goes_to_standard_output_and_what_has_not_come_yet_is_no_part_of_it(data_dir: Path) -> None:
    result = run(data_dir, "--account", "alice", "--strategy", "btc_grid", "--to", "2999-01-01", "--out", "-")
    assert "2999" not in result.stdout
    assert result.stdout.startswith("<!doctype html>")
    assert result.stdout.rstrip().endswith("</html>")


def test_a_single_account_needs_no_name(tmp_path: Path) -> None:
    session = GridSession(tmp_path, "carol")
    trade(session)
    session.close()
    write_all(tmp_path)
    result = run(tmp_path)
    assert result.stdout.startswith("carol, paper money, 2023-11-14 22:13 to 2023-11-14 22:13 UTC: +3.81 USDT, holding")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "--account: expected alice or bob, got no --account"),
        (("--account", "alise"), "--account: expected alice or bob, got 'alise'; did you mean alice?"),
        (("--account", "alice", "--strategy", "btc"), "--strategy: expected btc_grid, got 'btc'"),
        (("--account", "alice", "--from", "yesterday"), "expected a date or time in UTC such as 2026-11-01"),
        (("--account", "alice", "--from", "2023-13-01"), "expected a date or time in UTC such as 2026-11-01"),
        (("--account", "alice", "--from", "2024-01-02", "--to", "2024-01-01T00:00"), "that ends after it begins"),
        (("--run", "../x"), "--run: expected a backtest, and there is none in"),
        (("--account", "alice", "--out", "/nowhere/x.html"), "--out: expected a file in a directory that is there"),
    ],
)  # fmt: skip
def test_what_is_typed_wrong_is_a_mistake_of_the_command_line(
    data_dir: Path, words: tuple[str, ...], told: str
) -> None:
    result = run(data_dir, *words)
    assert result.exit_code == ExitCode.USAGE
    assert told in result.output


@pytest.mark.parametrize(
    "words", [("--from", "2024-01-01"), ("--to", "2023-11-13"), ("--from", "2023-11-15", "--to", "2023-11-15T12:00")]
)
def test_a_span_without_records_is_said(data_dir: Path, words: tuple[str, ...]) -> None:
    error = refusal(data_dir, "--account", "bob", *words)
    assert error.code == ExitCode.NOTHING
    assert error.text == (
        "nothing is recorded of bob in that span; its records go from 2023-11-14 22:13 to 2023-11-14 22:13 UTC"
    )


def test_without_a_database(tmp_path: Path) -> None:
    error = refusal(tmp_path / "mistyped")
    assert error.code == ExitCode.NOT_RUNNING
    assert not (tmp_path / "mistyped").exists()


def test_a_backtest(tmp_path: Path) -> None:
    """The real engine on a price that falls and rises: the page has its settings, and what is optimistic in it."""
    prices = [60_000 + 900 * (abs(second % 240 - 120) / 120 - 0.5) for second in range(600)]
    for name, step, until in (("saw", 0.2, "00:10"), ("other", 0.3, "00:01"), ("same", 0.2, "00:01")):
        run_backtest(
            config_of({"grid_step": step, "grid_count": 10}),
            DaysInMemory([day_of(prices)]),
            from_="2026-01-05",
            to=f"2026-01-05T{until}",
            options=Options(matching=MatchingModel.TOUCH),
            into=tmp_path / "backtests" / f"{name}.duckdb",
        )
    (tmp_path / "backtests" / "broken.duckdb").write_bytes(b"no database")
    result = run(tmp_path, "--run", "saw")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("saw: alice, backtest, 2026-01-05 00:00 to 2026-01-05 00:")
    [written] = (tmp_path / "reports").iterdir()
    page = written.read_text(encoding="utf-8")
    for text in (
        "Optimistic matching: touch",
        "The parts add up to the change of equity",
        "distance of levels, %",
        "1 other backtest with other settings",
    ):
        assert text in page, text
    assert "reported by its name, such as --run broken" in refusal(tmp_path).text, "nothing was traded here"
    wrong = run(tmp_path, "--run", "sow")
    assert wrong.exit_code == ExitCode.USAGE
    assert "got 'sow'; did you mean saw?" in wrong.output


def test_without_jinja2_it_says_what_to_install(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    result = run(data_dir, "--account", "alice")
    assert result.exit_code == ExitCode.USAGE
    assert "-m pip install 'jinja2>=3.1,<4'" in result.output
