"""`gridbot-supervisor backtest`: from a file and market data to results, and what it says when something is missing."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import get_args

import pytest
from click.testing import CliRunner, Result
from pydantic import BaseModel

from gridbot.backtest import run
from gridbot.backtest.drive import Drive
from gridbot.backtest.overrides import SECRETS, SECTIONS
from gridbot.backtest.run_days import DaysInMemory
from gridbot.config.errors import looks_secret
from gridbot.market.market_root import Market
from supervisor.cli.backtest import backtest
from supervisor.exit_codes import CommandError, ExitCode
from tests.backtest.backtest_examples import START_MS, day_of

CONFIG = """
environment: paper
accounts: [{name: alice, balance: 10000}]
strategies:
  - {strat_id: btc, account: alice, symbol: BTCUSDT, grid_count: 4, grid_step: 1.0, amount: q0.01}
storage: {data_dir: DATA}
"""
SPAN = ("--from", "2026-01-05", "--to", "2026-01-05T00:10")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A configuration, and a day on which the Buy at 49,500 is filled."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "g.yaml").write_text(CONFIG.replace("DATA", str(tmp_path / "data")))
    Market(tmp_path / "data" / "market").put(day_of([50_000] * 5 + [49_400] * 50))
    return tmp_path


def called(place: Path, *words: str) -> Result:
    return CliRunner().invoke(backtest, [*words, "-c", str(place / "conf" / "g.yaml")])


def refused(place: Path, *words: str) -> tuple[str, int]:
    result = called(place, *SPAN, *words)
    if isinstance(result.exception, CommandError):
        return result.exception.text, result.exception.code
    return result.output, result.exit_code


def test_a_run_says_what_came_of_it_and_is_listed(place):
    result = called(place, *SPAN, "--name", "first")
    assert result.exit_code == 0, result.output
    assert "alice btc: 1 fill, realised 0.00, fees 0.10, funding 0.00" in result.output
    assert "warning: BTCUSDT: no mark prices" in result.output
    assert str(place / "data" / "backtests" / "first.duckdb") in result.output
    listed = CliRunner().invoke(backtest, ["list", "-c", str(place / "conf" / "g.yaml")])
    assert "first  2026-01-05 00:00 to 2026-01-05 00:10  alice  1 fill" in listed.output


def test_other_settings_are_tried_and_checked_as_those_of_the_file(place):
    assert "alice btc: 1 fill" in called(place, *SPAN, "--set", "grid_step=0.9").output
    assert called(place, "list").output.endswith("alice  1 fill  grid_step=0.9\n")
    text, code = refused(place, "--set", "grid_stp=0.3")
    assert (code, "did you mean `grid_step`?" in text) == (ExitCode.CONFIG, True)
    text, code = refused(place, "--set", "caps.max_open_orders=none")
    assert (code, "--set caps.max_open_orders: " in text) == (ExitCode.CONFIG, True)
    assert "got `none`" in text
    text, code = refused(place, "--set", "grid_step")
    assert (code, text.startswith("--set: grid_step: expected KEY=VALUE")) == (ExitCode.CONFIG, True)
    text, code = refused(place, "--set", "strat_id=other")
    assert (code, "strat_id: expected a setting to try, got a name" in text) == (ExitCode.CONFIG, True)
    text, code = refused(place, "--set", "session_loss_limit=5")
    assert (code, "expected account.caps.session_loss_limit, got `session_loss_limit`" in text) == (4, True)
    assert "account.caps.max_margin" not in refused(place, "--set", "max_margin=5")[0]


@pytest.mark.parametrize("key", ["account.api_key", "paper.keys.x", "settings.accounts.0.api_key"])
def test_a_secret_is_not_tried(place, key):
    """It was kept with the results, and would be listed."""
    text, code = refused(place, "--set", f"{key}=hush")
    assert (code, f"expected a setting to try, got `{key}`" in text, "hush" in text) == (ExitCode.CONFIG, True, False)


def test_under_a_key_that_is_nearly_a_secret_no_value_is_shown(place):
    text, code = refused(place, "--set", "account.api_kye=hush")
    assert (code, "did you mean `api_key`?" in text, "hush" in text) == (ExitCode.CONFIG, True, False)


def test_no_key_with_a_secret_is_left_out():
    """Each key of the models that is a secret by its type or its name."""

    def secrets(model: type[BaseModel], before: str, *outer: type[BaseModel]) -> Iterator[str]:
        for name, field in model.model_fields.items():
            if "SecretStr" in str(field.annotation) or looks_secret((name,)):
                yield before + name
            for inner in models_in(field.annotation):
                if inner not in outer:
                    yield from secrets(inner, f"{before}{name}.", *outer, inner)

    def models_in(kind: object) -> Iterator[type[BaseModel]]:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield kind
        for inner in get_args(kind):
            yield from models_in(inner)

    sections = (("", ""), ("account", "account."), ("paper", "paper."), ("settings", "settings."))
    keys = [key for section, before in sections for key in secrets(SECTIONS[section], before)]
    assert {"account.api_secret", "settings.telegram.token", "settings.notify.routes.urls"} <= set(keys)
    assert [key for key in keys if not any(f"{key}.".startswith(f"{each}.") for each in SECRETS)] == []


def test_what_is_missing_is_named_with_what_would_help(place):
    text, code = refused(place, "--market", str(place / "none"))
    assert (code, f"got '{place / 'none'}', which is not there" in text) == (ExitCode.USAGE, True)
    text, code = refused(place, "--market", str(place))
    assert code == ExitCode.REFUSED
    assert "market data of BTCUSDT from 2026-01-05 to 2026-01-05" in text
    assert "data fetch BTCUSDT --from 2026-01-05 --to 2026-01-05" in text
    assert "for btc of alice" in text
    assert "--account and --strategy run a part" in text
    text, code = refused(place, "--account", "bob")
    assert (code, "(alice), got 'bob'" in text) == (ExitCode.USAGE, True)
    text, code = refused(place, "--strategy", "eth")
    assert (code, "(btc), got 'eth'" in text) == (ExitCode.USAGE, True)
    assert "5-40, got 'soon'" in refused(place, "--latency", "soon")[0]
    assert called(place, "--to", "2026-01-05").exit_code == ExitCode.USAGE
    text, code = refused(place, "--to", "9999-12-31")
    assert (code, "expected --to in a year from 1970 to 2999, got 9999-12-31" in text) == (ExitCode.USAGE, True)
    text, code = refused(place, "--name", "a/b")
    assert (code, "--name: expected a name of letters" in text) == (ExitCode.USAGE, True)
    text, code = refused(place, "--from", "2026-01-06")
    assert (code, "--from before --to, got 2026-01-06 and 2026-01-05T00:10" in text) == (ExitCode.USAGE, True)


def test_what_is_said_of_a_run_that_was_broken_off_is_true_of_its_records(place, monkeypatch):
    """Between two tellings of progress more had been recorded than was said: 153 fills, and 157 in the table."""
    tick = Drive.run

    def broken_off(drive: Drive, to_us: int) -> None:
        tick(drive, to_us - 60_000_000)
        raise KeyboardInterrupt

    monkeypatch.setattr(Drive, "run", broken_off)
    result = run(
        place / "conf" / "g.yaml", Market(place / "data" / "market"), from_="2026-01-05", to="2026-01-05T00:10",
        name="half",
    )  # fmt: skip
    assert result.sql("SELECT finished, fills FROM backtests") == [(False, 1)]
    assert result.relation("executions").aggregate("count(*)").fetchall() == [(1,)]
    assert result.summary["to_ts"] > result.summary["from_ts"]
    result.close()


def test_the_results_are_relations_and_tables_of_arrow(place):
    path, market = place / "conf" / "g.yaml", Market(place / "data" / "market")
    result = run(path, market, from_="2026-01-05", to="2026-01-05T00:10", into=place / "mine.duckdb")
    assert result.relation("executions").aggregate("count(*)").fetchall() == [(1,)]
    assert result.relation("fills").limit(1).fetchall()
    assert result.arrow("executions").num_rows == 1
    assert result.summary["ticks"] == 55
    result.close()


@pytest.mark.parametrize("command", [["list"], SPAN])
def test_without_its_extra_it_says_what_to_install(
    place: Path, command: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    result = CliRunner().invoke(backtest, [*command, "--config", str(place / "conf" / "g.yaml")], standalone_mode=False)
    assert isinstance(result.exception, CommandError)
    assert result.exception.code == ExitCode.USAGE
    assert "-m pip install 'pyarrow>=18'" in str(result.exception)


def test_what_a_shadow_made_is_not_taken_for_money_of_the_wallet(place):
    lines = called(place, *SPAN, "--set", "shadow_mode=true").output.splitlines()
    assert any(line.startswith("  alice btc (shadow, not in the wallet): 1 fill,") for line in lines), lines


def test_a_seed_that_the_results_cannot_keep_leaves_nothing_behind(place):
    assert "--seed" in refused(place, "--seed", "9" * 30)[0]
    assert not (place / "data" / "backtests").exists()


def test_gaps_outside_the_span_are_not_of_it(place):
    market = Market(place / "data" / "market")
    day = market.day("BTCUSDT", market.days("BTCUSDT")[0])
    begin_ms = int(day.times_ms[0])
    gaps = ((begin_ms - 3_600_000, begin_ms), (begin_ms + 540_000, begin_ms + 7_200_000))
    result = run(
        place / "conf" / "g.yaml",
        DaysInMemory([replace(day, gaps=gaps)]),
        from_="2026-01-05",
        to="2026-01-05T00:10",
        into=place / "gaps.duckdb",
    )
    kept = result.summary["market"]["BTCUSDT"]["gaps"]
    assert [(low - begin_ms, high - begin_ms) for low, high in kept] == [(540_000, 600_000 - begin_ms % 86_400_000)]
    assert any("BTCUSDT: 1 gap in the data, 1 min together" in text for text in result.summary["warnings"])
    result.close()


def test_a_price_is_kept_with_the_mark_that_the_run_had_then(place):
    day = day_of([50_000] * 50, every_ms=10_000, marks=[(START_MS + 90_000, 4_900_050)], mark_unit=Decimal("0.01"))
    result = run(
        place / "conf" / "g.yaml",
        DaysInMemory([day]),
        from_="2026-01-05",
        to="2026-01-05T00:10",
        into=place / "marks.duckdb",
    )
    rows = result.sql("SELECT epoch_ms(exchange_ts), last_price, mark_price FROM tickers ORDER BY seq")
    result.close()
    assert {mark == (last if at < START_MS + 90_000 else Decimal("49000.5")) for at, last, mark in rows} == {True}
    assert {at >= START_MS + 90_000 for at, *_ in rows} == {True, False}, "some before the first mark, some after"
