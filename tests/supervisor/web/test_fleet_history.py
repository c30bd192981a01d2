"""What the fleet's table has of the records, on records worked out by hand: figures, kinds of money, days, work."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from decimal import Decimal

import duckdb
import pytest
from click.testing import CliRunner

from gridbot.records.record_types import UtcMs
from gridbot.store.reading import database_path
from supervisor.cli.main import cli
from supervisor.web import fleet_history
from supervisor.web.fleet_history import FleetHistory
from supervisor.web.record_file import RecordFile
from tests.store.night import START_MS, Life, make_night
from tests.store.session import write_all

D = Decimal
NIGHT = datetime(1970, 1, 1) + timedelta(milliseconds=START_MS)  # noqa: DTZ001 - UTC
DAY_MS = 86_400_000


class Watched(RecordFile):
    """Counts what the matching of pairs is asked to copy."""

    def __init__(self, place):
        super().__init__(place, hold_s=60.0)
        self.copies: list[str] = []
        self.readings = 0

    def reading(self, **more):
        self.readings += 1
        return super().reading(**more)

    def apart(self, copied, views=(), **more):
        self.copies.append(copied["corrections"])
        return super().apart(copied, views, **more)


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    directory = tmp_path_factory.mktemp("night")
    make_night(directory)
    return directory


def at(moment):
    return lambda: moment


def by_key(document):
    return {(row["account"], row["money"], row["strategy"]): row for row in document["strategies"]}


def test_money_of_all_time_and_of_today_is_that_of_pnl_and_kinds_of_money_stay_apart(night):
    """alice traded on paper, then on testnet, under one name; bob has real money and shadow strategies."""
    for now, today in ((NIGHT + timedelta(hours=1), "2023-11-14"), (NIGHT + timedelta(hours=3), "2023-11-15")):
        document = FleetHistory(RecordFile(night, hold_s=60.0), now=at(now)).document()
        assert (document["problems"], document["pairs_waiting"]) == ({}, 0)
        assert document["day"].isoformat() == today
        shown = by_key(document)
        assert shown.keys() == {
            *(("alice", "paper", "btc_grid"), ("alice", "testnet", "btc_grid"), ("bob", "real", "ltc_grid")),
            ("bob", "shadow", "ltc_shadow"),
        }
        for name, words in (("total", []), ("today", ["--from", today])):
            told = CliRunner().invoke(cli, ["pnl", *words, "--json", "--data-dir", str(night)])
            rows = {(row["account"], row["money"], row["strategy"]): row for row in json.loads(told.output)["rows"]}
            for key, there in shown.items():
                row = rows.get(key, {})
                for column in ("realised", "fees", "funding", "net", "fills"):
                    assert there[name][column] == D(str(row.get(column, 0))), (key, column)
                assert there[name]["grid"] == D(str(row.get("grid_profit", 0)))
    assert shown["alice", "paper", "btc_grid"]["total"]["grid"] == 2
    assert shown["alice", "testnet", "btc_grid"]["total"]["grid"] == 11
    assert shown["bob", "real", "ltc_grid"]["last_fill"] == NIGHT + timedelta(seconds=4)


def test_the_curve_has_the_last_equity_of_each_half_hour_and_the_highest_is_of_all_time(tmp_path, monkeypatch):
    life = Life(tmp_path, "alice")
    begin_ms, life.now_ms = life.now_ms, DAY_MS
    life.began("paper")
    life.wallet("500")  # in 1970: the machine did not know the time
    life.now_ms = begin_ms
    life.wallet("2000")  # forty days ago
    life.now_ms += 40 * DAY_MS
    for equity in ("1000", "1100", "1050"):
        life.wallet(equity)
    life.now_ms += 3_600_000
    life.wallet("900")
    life.close()
    write_all(tmp_path)
    now = datetime(1970, 1, 1) + timedelta(milliseconds=life.now_ms + 1000)  # noqa: DTZ001 - UTC
    records = Watched(tmp_path)
    history = FleetHistory(records, now=lambda: now)
    for _ in range(2):
        [alice] = history.document()["accounts"]
        assert records.readings < 20, "not one for each month since 1970"
        assert (alice["account"], alice["money"], alice["highest"]) == ("alice", "paper", D(2000))
        assert [value for _, value in alice["curve"]] == [1050.0, 900.0]
        assert [part for part, _ in alice["curve"]] == [45, 47]
    with duckdb.connect(database_path(tmp_path), read_only=True) as con:
        [(fall,)] = con.execute("SELECT drawdown FROM equity ORDER BY seq DESC LIMIT 1").fetchall()
    assert fall == alice["highest"] - D(900), "the drawdown of the view"


def test_pairs_are_worked_out_again_only_where_something_was_traded_and_not_all_the_time(tmp_path, monkeypatch):
    def trade(name, price, run):
        life = Life(tmp_path, name, run)
        life.now_ms = START_MS + 10_000 * int(run[4:])
        life.began("paper")
        life.fill("Buy", "100", "1", exchange_ts=UtcMs(life.now_ms))
        life.fill("Sell", price, "1", exchange_ts=UtcMs(life.now_ms + 1))
        life.close()
        write_all(tmp_path)

    monkeypatch.setattr(fleet_history, "TOGETHER", 3)
    monkeypatch.setattr(fleet_history, "GRID_TURN_S", 60.0)
    seconds = 0.0
    records = Watched(tmp_path)
    history = FleetHistory(records, now=lambda: NIGHT, clock=lambda: seconds)
    assert "there is no database" in history.document()["problems"]["total"]
    trade("alice", "101", "run-1")
    trade("bob", "102", "run-1")
    rows = by_key(history.document())
    assert [row["total"]["grid"] for row in rows.values()] == [1, 2]
    assert len(records.copies) == 2, "each by itself: together they have more executions than are done at once"
    history.document()
    assert len(records.copies) == 2, "nothing was traded since"
    trade("bob", "103", "run-2")
    rows = by_key(history.document())
    assert [row["total"]["grid"] for row in rows.values()] == [1, 5]
    assert len(records.copies) == 3
    assert "'bob'" in records.copies[-1]
    history._grid_next_s = 100.0
    trade("alice", "104", "run-2")
    document = history.document()
    assert document["pairs_waiting"] == 1, "it has had its share of the time"
    assert by_key(document)["alice", "paper", "btc_grid"]["total"]["grid"] == 1
    seconds = 101.0
    assert by_key(history.document())["alice", "paper", "btc_grid"]["total"]["grid"] == 5


def test_what_cannot_be_read_in_time_is_not_known_and_what_was_known_stays(night):
    records = RecordFile(night, hold_s=60.0)
    history = FleetHistory(records, now=lambda: NIGHT)
    known = history.document()
    records._hold_s = 0.0
    later = history.document()
    assert later["strategies"] == known["strategies"]
    assert later["as_of"] == known["as_of"]
    assert "it is tried again" in later["problems"]["today"]
    history._now = lambda: NIGHT + timedelta(days=1)
    tomorrow = history.document()
    assert not [row for row in tomorrow["strategies"] if "today" in row], "yesterday's money is not today's"
    assert [row["total"] for row in tomorrow["strategies"]] == [row["total"] for row in known["strategies"]]
    never = FleetHistory(RecordFile(night, hold_s=0.0), now=lambda: NIGHT).document()
    assert (never["strategies"], never["as_of"]) == ([], None), "nothing is no zero"
