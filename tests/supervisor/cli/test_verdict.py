"""`gridbot-supervisor verdict`: two days that a backtest has recorded are judged by backtests of the second of them."""

from __future__ import annotations

import json
import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from click.testing import CliRunner, Result

from gridbot.backtest import DaysInMemory, Options, run
from gridbot.config.loading import load_config
from gridbot.config.snapshots import account_snapshot
from gridbot.market.day import Day, day_start_ms, ticks_of
from gridbot.market.market_root import Market
from gridbot.paper.settings import MatchingModel
from gridbot.private_files import copy_private
from supervisor.cli.day_verdict import _Judge
from supervisor.cli.main import cli
from supervisor.cli.verdict_backtest import _with_price_at
from supervisor.cli.verdict_causes import DUST
from supervisor.exit_codes import CommandError, ExitCode
from supervisor.store.query import Limits, Query
from tests.backtest.backtest_examples import BTC, STRATEGY

SECOND = date(2026, 1, 6)
MIDNIGHT_MS = day_start_ms(SECOND)
STEP_MS = 1000
END = datetime(2026, 1, 6, 0, 3, tzinfo=UTC)
TICKS = 150
"""On either side of midnight."""


def two_days() -> list[Day]:
    """Prices that wander from level to level of a ladder around 60,000, on both sides of a midnight.

    They stop at a level or half way to the next: often they touch an order and turn back.
    """
    levels = [BTC.ticks(Decimal(60_000))]
    for _ in range(12):
        levels = [round(levels[0] * 0.997), *levels, round(levels[-1] * 1.003)]
    places = sorted({*levels, *((low + high) // 2 for low, high in pairwise(levels))})
    draw, place, prices = random.Random(7), places.index(600_000), [600_000]
    while len(prices) < 2 * TICKS:
        place = min(max(place + draw.choice((-1, 1)), 4), len(places) - 5)
        prices.append(places[place])
    times = [MIDNIGHT_MS + STEP_MS * (number - TICKS) for number in range(2 * TICKS)]
    sizes = [10_000] * TICKS
    return [ticks_of(BTC, times[part], prices[part], sizes) for part in (slice(TICKS), slice(TICKS, None))]


def configured(directory: Path, **strategy: Any) -> Path:
    path = directory / "mine.yaml"
    document = {
        "environment": "paper",
        "accounts": [{"name": "alice", "balance": 10_000}],
        "strategies": [{**STRATEGY, "grid_count": 20, "grid_step": 0.3, **strategy}],
        "storage": {"data_dir": str(directory / "data")},
    }
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a configuration, and the records of both days, filled at the first touch."""
    directory = tmp_path_factory.mktemp("traded")
    days = two_days()
    run(
        configured(directory), DaysInMemory(days), from_=days[0].date, to=END,
        options=Options(matching=MatchingModel.TOUCH), into=directory / "data" / "gridbot.duckdb",
    ).close()  # fmt: skip
    Market(directory / "data" / "market").put(days[1])
    return directory


def judged(directory: Path, *words: str, config: Path | None = None) -> Result:
    line = ["verdict", "-c", str(config or directory / "mine.yaml"), "--account", "alice", "--day", str(SECOND), *words]
    result = CliRunner().invoke(cli, line)
    if isinstance(result.exception, CommandError):
        result.exit_code, result.stderr_bytes = result.exception.code, result.exception.text.encode()
    return result


def cause_sums(document: dict[str, Any]) -> dict[str, tuple[int | None, Decimal]]:
    return {each["cause"]: (each["fills"], Decimal(each["net"])) for each in document["causes"]}


def test_the_same_market_and_the_same_exchange_give_the_same_fills(traded: Path, tmp_path: Path) -> None:
    """From midnight on, though the account had traded before: ladder, legs and wallet are those of midnight."""
    result = judged(traded, "--matching", "touch", "--latency", "0.01", "--json", "--keep", str(tmp_path / "b.duckdb"))
    document = json.loads(result.stdout)
    assert (result.exit_code, document["verdict"]) == (ExitCode.OK, "same")
    assert document["from"] == "2026-01-06T00:00:00Z"
    assert document["rows"] > 20
    assert document["causes"] == []
    here, there = (Decimal(document["money"][side]["net"]) for side in ("here", "there"))
    assert abs(here - there) < DUST
    assert (tmp_path / "b.duckdb").exists()


def test_what_is_filled_by_luck_has_its_cause_and_its_money(traded: Path, tmp_path: Path) -> None:
    into = tmp_path / "why.duckdb"
    result = judged(traded, "--matching", "through", "--json", "--into", str(into))
    document = json.loads(result.stdout)
    assert (result.exit_code, document["verdict"]) == (ExitCode.DIFFERS, "differs")
    causes = cause_sums(document)
    assert causes["queue"][0]
    assert causes["follows from queue"][0], "ladders that a fill has parted"
    assert "unexplained" not in causes
    counted = sum(fills for fills, _ in causes.values() if fills is not None)
    assert counted == document["differing"]
    here, there = (Decimal(document["money"][side]["net"]) for side in ("here", "there"))
    assert abs(sum(net for _, net in causes.values()) - (there - here)) < DUST
    rows = CliRunner().invoke(cli, ["sql", "--data-dir", str(into), "SELECT DISTINCT why FROM compared_causes"])
    assert "was not reached" in rows.stdout


def test_a_cap_that_held_the_account_back_is_told_in_one_line(traded: Path, tmp_path: Path) -> None:
    directory = tmp_path
    days = two_days()
    run(
        configured(directory), DaysInMemory(days), from_=days[0].date, to=END,
        overrides={"caps.max_notional": "2500"}, into=directory / "data" / "gridbot.duckdb",
    ).close()  # fmt: skip
    result = judged(directory, "--brief", "--market", str(traded / "data" / "market"))
    assert result.exit_code == ExitCode.DIFFERS
    [line] = result.stdout.splitlines()
    assert line.startswith("differs: alice on 2026-01-06 and its backtest: ")
    assert "cap " in line


def test_it_has_the_settings_of_that_day(traded: Path, tmp_path: Path) -> None:
    """Those of today made another ladder, and all of it differed. A file of records will do as a place."""
    other = configured(tmp_path, grid_step=0.5)
    records = tmp_path / "kept.duckdb"
    copy_private(traded / "data" / "gridbot.duckdb", records)
    ran = account_snapshot(load_config(traded / "mine.yaml"), "alice")
    ran["account"]["keep_warm"] = False  # as a version recorded it that had this key
    with duckdb.connect(str(records)) as con:
        for number, (day, config) in enumerate(((4, {"storage": {}}), (5, ran))):
            con.execute(
                """INSERT INTO run_events_stored (account, run_id, seq, local_ts, event, about_run_id, environment,
                    version, config_hash, config, pid, reason)
                VALUES ('alice', 'r', ?, ?, 'start', ?, 'paper', '1', ?, ?, 1, '')""",
                [-number, datetime(2026, 1, day), str(number), str(number), json.dumps(config)],  # noqa: DTZ001
            )
    words = ("--data-dir", str(records), "--market", str(traded / "data" / "market"), "--matching", "touch",
             "--latency", "0.01", "--json")  # fmt: skip
    document = json.loads(judged(tmp_path, *words, config=other).stdout)
    assert document["verdict"] == "same"
    assert "with the settings it had that day; the configuration has others now" in document["notes"]
    nothing: Any = None
    for file, notes in ((other, 1), (traded / "mine.yaml", 0)):
        judge = _Judge(load_config(file), Query(records, Limits()), "alice", SECOND, nothing, tmp_path, tmp_path)
        assert len(judge._take_settings_of_the_day()) == notes, "a key that is gone is no other setting"


def test_without_imported_data_the_recorded_prices_are_the_market(traded: Path, tmp_path: Path) -> None:
    result = judged(traded, "--market", str(tmp_path), "--json")
    notes = json.loads(result.stdout)["notes"]
    [note] = [text for text in notes if text.startswith("the market of BTCUSDT is ")]
    assert "s apart: fills between them are not seen; storage.public_trades: true" in note
    unsaid = "a backtest records no settings of a day: who is judged by another file's has to know"
    assert "its settings of that day are not recorded, so the configuration's are taken" in notes, unsaid


def test_days_and_accounts_that_are_not_there(traded: Path) -> None:
    line = ["verdict", "-c", str(traded / "mine.yaml"), "--account", "alice", "--day"]
    before = CliRunner().invoke(cli, [*line, str(SECOND - timedelta(days=9)), "--brief"])
    assert before.exit_code == ExitCode.NOTHING
    assert before.stdout == "nothing to compare: alice on 2025-12-28 and its backtest\n"
    wrong = CliRunner().invoke(cli, ["verdict", "-c", str(traded / "mine.yaml"), "--account", "alcie"])
    assert (wrong.exit_code, "did you mean alice?" in wrong.output) == (2, True)


def test_a_day_that_begins_later_has_the_price_of_then() -> None:
    """The account went by it; without it, the backtest built its ladder around the next one."""
    day = two_days()[1]
    first, second = (int(at) for at in day.times_ms[:2])
    begun = _with_price_at(day, first + 400)
    assert [int(at) for at in begun.times_ms[:2]] == [first + 400, second]
    assert (list(begun.prices), begun.sizes[0], len(begun.sizes)) == (list(day.prices), 0, len(day))
    assert _with_price_at(day, first) is _with_price_at(day, second) is day
