"""The rules of what is imported, and what an import says, keeps to itself and gives back."""

from __future__ import annotations

import gzip
import json
import os
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet
import pytest

from gridbot.market.day import day_start_ms, ticks_of
from gridbot.market.importer import locked
from gridbot.market.input_files import input_files
from gridbot.market.market_error import MarketError
from gridbot.market.parquet_days import write_parquet
from gridbot.market.rule_book import DERIVED, Finest, read_instruments
from gridbot.market.table_files import RULES
from tests.market.import_place import HEAD, Place, trade
from tests.market.market_examples import DAY, INSTRUMENT, START_MS, made_day


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


class TestRules:
    def test_shipped_rules_hold_where_no_others_are_given(self, place: Place) -> None:
        place.file("ETHUSDT2026-09-01.csv", HEAD + trade(1, "2500.01", "0.02", symbol="ETHUSDT"))
        place.take(rules=None)
        assert place.document(symbol="ETHUSDT").sources["instrument"] == ("rules as shipped with the paper exchange",)

    def test_rules_are_worked_out_of_data_of_an_unknown_symbol(self, place: Place) -> None:
        rows = "".join(trade(at, f"{3 + at * 0.0005:.4f}", str(1 + at), symbol="NEWUSDT") for at in range(1, 30))
        place.file("NEWUSDT2026-09-01.csv", HEAD + rows)
        place.take(rules=None)
        day = place.market.day("NEWUSDT", DAY)
        assert (day.instrument.tick_size, day.instrument.qty_step) == (Decimal("0.0005"), Decimal("0.02"))
        assert DERIVED in day.notes

    def test_a_file_without_the_symbol_is_said(self, place: Place) -> None:
        place.file("ETHUSDT2026-09-01.csv", HEAD + trade(1, symbol="ETHUSDT"))
        assert "expected rules of ETHUSDT, got none" in place.take().refused[0]

    def test_instruments_of_a_file(self, place: Place) -> None:
        row = {
            "symbol": "BTCUSDT",
            "contractType": "LinearPerpetual",
            "status": "Trading",
            "priceFilter": {"tickSize": "0.5"},
            "lotSizeFilter": {"qtyStep": "0.001", "minOrderQty": "0.001", "maxOrderQty": "100"},
        }
        tier = {
            "symbol": "BTCUSDT",
            "riskLimitValue": "5",
            "maintenanceMargin": "0.1",
            "initialMargin": "0.2",
            "maxLeverage": "9",
        }
        answers = [
            {"result": {"list": [row, {**row, "contractType": "InversePerpetual", "symbol": "X"}]}},
            {"result": {"list": [tier]}},
        ]
        found = read_instruments(place.file("i.json", "\n".join(map(json.dumps, answers))))
        assert found.keys() == {"BTCUSDT"}
        assert found["BTCUSDT"].tick_size == Decimal("0.5")
        assert len(found["BTCUSDT"].tiers) == 1
        for text, words in (("{", "expected JSON"), ("[]", "expected answers of market/instruments-info")):
            with pytest.raises(MarketError, match=words):
                read_instruments(place.file("i.json", text))
        with pytest.raises(MarketError, match="cannot be read"):
            read_instruments(place.home / "none.json")

    @pytest.mark.parametrize(
        ("texts", "step"),
        [(["61800.30", "61800.4"], "0.1"), (["0.07", "0.12"], "0.0001"), (["1000", "3000"], "2"), (["0", "x"], None)],
    )
    def test_the_finest_step(self, texts: list[str], step: str | None) -> None:
        finest = Finest()
        finest.see(texts)
        assert finest.step == (None if step is None else Decimal(step))


def test_what_cannot_be_imported_is_said(place: Place) -> None:
    for name, words in (("none.csv", "there is none"), ("notes.txt", "expected a file that ends with .csv")):
        if name == "notes.txt":
            place.file(name, "x")
        with pytest.raises(MarketError, match=words):
            place.take(place.home / name)
    place.file("x.csv", HEAD + trade(1))
    assert place.take().refused == []  # a directory's other files are passed over
    assert "symbol" in place.take(place.file("y.csv", "timestamp,side,size,price\n1,Buy,1,1\n")).refused[0]


def test_a_disk_that_takes_nothing_is_said(place: Place) -> None:
    place.file("BTCUSDT2026-09-01.csv", HEAD + trade(1))
    place.market.root.mkdir()
    (place.market.root / ".import").write_text("no directory")
    with pytest.raises(MarketError, match="cannot be written"):
        place.take()


@pytest.mark.parametrize(
    ("name", "symbol", "day"),
    [
        ("BTCUSDT2026-09-01.csv.gz", "BTCUSDT", DAY),
        ("1000PEPEUSDT2026-09-01.csv", "1000PEPEUSDT", DAY),
        ("BTCPERP2026-09-01.csv", "BTCPERP", DAY),
        ("BTCUSDT_2026-09-01.csv.gz", "BTCUSDT", DAY),
        ("BTCUSDT2026-09-01-marks.parquet", "BTCUSDT", DAY),
        ("BTCUSDT_1_2026-09-01_2026-09-30.csv.gz", "BTCUSDT", None),
        ("BTCUSDT-2026-09.csv.gz", "BTCUSDT", None),
        ("BTCUSDT2026-13-01.csv", "BTCUSDT", None),
        ("ETHUSDT-1m-futures.feather", "ETHUSDT", None),
        ("BTCUSDT_markprice.csv", "BTCUSDT", None),
        ("market.csv", None, None),
        ("BTCUSDT-benchmark.csv", "BTCUSDT", None),
        ("mine.csv", None, None),
    ],
)
def test_what_a_name_says(place: Place, name: str, symbol: str | None, day: date | None) -> None:
    (found,) = input_files([place.file(name, "x")]).files
    assert (found.symbol, found.day, found.is_marks) == (
        symbol,
        day,
        "mark" in name.replace("market", "").replace("benchmark", ""),
    )


def test_a_directory_is_gone_through_without_following_links(place: Place) -> None:
    path = place.file("BTCUSDT2026-09-01.csv", "x")
    (place.home / "again").symlink_to(place.home)
    place.file(".hidden.csv", "x")
    (place.home / "BTCUSDT-again.csv").symlink_to(path)  # the same file by two names is read once
    (place.home / "x.csv").symlink_to(place.home / "none")  # whoever reads it says so
    found = input_files([place.home, path])
    assert [file.path.name for file in found.files] == ["BTCUSDT-again.csv", "x.csv"]
    assert found.passed_over == []


def test_what_a_directory_has_beside_market_data_is_said(place: Place) -> None:
    for name in ("a.txt", "b.csv.zip", "BTCUSDT2026-09-01_premium_index.csv.gz", "c.parquet.gz"):
        place.file(name, "x")
    os.mkfifo(place.home / "BTCUSDT2026-09-01.csv")
    with pytest.raises(MarketError, match="got something else, such as a pipe"):
        place.take(place.home / "BTCUSDT2026-09-01.csv")
    place.file("BTCUSDT2026-09-02.CSV.GZ", gzip.compress((HEAD + trade(86_401)).encode()))
    done = place.take()
    assert (done.refused, [day.date.day for day in done.days]) == ([], [2])
    unknown, index = done.passed_over
    assert "passed over 4 files (BTCUSDT2026-09-01.csv, a.txt, b.csv.zip, c.parquet.gz)" in unknown
    assert "passed over 1 file (BTCUSDT2026-09-01_premium_index.csv.gz): index prices" in index
    (place.home / "empty").mkdir()
    (place.home / "other").mkdir()
    place.file("other/x.xlsx", "x")
    assert "1 file (x.xlsx): market data ends with .csv, " in place.take(place.home / "other").passed_over[0]
    assert "expected files of market data, got none" in place.take(place.home / "empty").passed_over[0]


def test_one_import_at_a_time(place: Place) -> None:
    with locked(place.market.root), pytest.raises(MarketError, match=r"process \d+ imports into it"):
        place.take()


def test_the_rules_of_its_time_go_along_with_an_exported_day(place: Place, tmp_path: Path) -> None:
    before = replace(INSTRUMENT, tick_size=Decimal("0.5"), max_order_qty=Decimal(7))
    later = day_start_ms(date(2026, 9, 2))
    old, new = (ticks_of(rules, [at], [at % 1000 + 5]) for rules, at in ((before, START_MS), (INSTRUMENT, later)))
    out = tmp_path / "out"
    out.mkdir()
    for day in (old, new):
        write_parquet(day, place.market.put(day), out)
    again = Place(tmp_path / "again")
    assert again.take(out, rules=None).refused == []
    for day in (old, new):
        assert again.market.day("BTCUSDT", day.date).instrument == day.instrument
        assert again.ticks(day.date) == place.ticks(day.date)
    assert again.document().sources["instrument"] == ("rules of BTCUSDT2026-09-01.parquet",)
    given = replace(INSTRUMENT, tick_size=Decimal("0.25"))  # what is given counts before them
    again.take(out, rules={"BTCUSDT": given})
    assert again.market.day("BTCUSDT", DAY).instrument == given
    again.file("BTCUSDT.csv", HEAD + trade(1))
    (text, *_) = again.take(out, again.home, rules=None).refused
    assert "BTCUSDT2026-09-01.parquet: expected the rules by which another file of the day was read, got others" in text
    table = pyarrow.parquet.read_table(out / "BTCUSDT2026-09-01.parquet").replace_schema_metadata({RULES: "{}"})
    pyarrow.parquet.write_table(table, out / "BTCUSDT2026-09-01.parquet")
    (text, *_) = again.take(out, rules=None).refused
    assert "expected the rules of an instrument in its metadata, got '{}'" in text


def test_what_was_exported_can_be_imported_again(place: Place, tmp_path: Path) -> None:
    trades = made_day([600_000, 600_005, 599_999], fundings=((START_MS, Decimal("0.0001")),))
    place.market.put(trades)
    candles = f"start,symbol,open,high,low,close,volume\n{day_start_ms(date(2026, 9, 2))},BTCUSDT,5,9.5,4.9,8,0.009\n"
    place.take(place.file("BTCUSDT-1m.csv", candles))
    (tmp_path / "other").mkdir()
    other = Place(tmp_path / "other")
    for document in place.market.documents("BTCUSDT"):
        write_parquet(place.market.day("BTCUSDT", document.date), document, other.home)
    assert other.take().refused == []
    for day in (DAY, date(2026, 9, 2)):
        assert other.ticks(day) == place.ticks(day)
        mine, theirs = place.market.day("BTCUSDT", day), other.market.day("BTCUSDT", day)
        assert (mine.fundings, mine.kind) == (theirs.fundings, theirs.kind)
        assert [int(mark) * mine.mark_unit for mark in mine.marks] == [
            int(mark) * theirs.mark_unit for mark in theirs.marks
        ]
