"""Klines as a market source."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow
import pytest
from pyarrow import feather

from gridbot.core.vocabulary import Side
from gridbot.paper.feed.klines import STEPS, Bar, kline_trades, parse_bar
from gridbot.paper.feed.replay import ReplayError, read_file
from tests.case_table import case_table

D = Decimal
HEADER = ["date", "open", "high", "low", "close", "volume"]
KLINES = Path(__file__).parents[4] / "shared" / "data" / "klines-1m"


@pytest.mark.parametrize(
    ("close", "corners"), [("105", ["100", "90", "110", "105"]), ("95", ["100", "110", "90", "95"])]
)
def test_the_path_inside_a_bar(close: str, corners: list[str]) -> None:
    tape = list(kline_trades("BTCUSDT", Bar(60.0, D(100), D(110), D(90), D(close), D(32))))
    assert [tape[i * STEPS][1].price for i in range(4)] == [D(price) for price in corners]
    assert sum(trade.size for _, trade in tape) == D(32)
    assert all(60 <= at < 120 for at, _ in tape)
    assert [at for at, _ in tape] == sorted(at for at, _ in tape)
    assert tape[1][1].side is (Side.SELL if close == "105" else Side.BUY)


@case_table("start", ["1746316800", 1746316800000, "2025-05-04T00:00:00+00:00", "2025-05-04 00:00:00"])
def test_times_are_understood_in_the_usual_spellings(start: object) -> None:
    bar = parse_bar(HEADER, [start, "1", "2", "0.5", "1.5", "10"])
    assert bar.start_s == datetime(2025, 5, 4, tzinfo=UTC).timestamp()


def test_a_csv_of_klines_is_replayed_and_a_bad_bar_is_named(tmp_path: Path) -> None:
    path = tmp_path / "k.csv"
    path.write_text("start,open,high,low,close,volume\n60,100,110,90,105,16\n120,100,90,110,105,16\n")
    with pytest.raises(ReplayError, match=r"k\.csv line 3: not a kline"):
        next(read_file(path, "BTCUSDT"))  # before anything is traded on it
    path.write_text("start,open,high,low,close,volume\n60,100,110,90,105,16\n120,105,110,90,105,16\n")
    tape = read_file(path, "BTCUSDT")
    assert [next(tape)[1].price for _ in range(3)] == [D(100), D(98), D(96)]


def test_a_file_of_neither_kind_says_what_is_expected(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ReplayError, match="expected the columns timestamp, side"):
        list(read_file(path, "BTCUSDT"))


def test_parquet_is_read_without_further_packages(tmp_path: Path) -> None:
    path = tmp_path / "k.parquet"
    duckdb.connect().execute(
        "COPY (SELECT TIMESTAMP '2025-05-04' AS date, 100.5 AS open, 110.0 AS high, 90.0 AS low, 105.0 AS close, "
        f"16.0 AS volume) TO '{path}' (FORMAT parquet)"
    )
    tape = list(read_file(path, "BTCUSDT"))
    assert len(tape) == 3 * STEPS + 1
    assert (tape[0][1].price, tape[0][0]) == (D("100.5"), datetime(2025, 5, 4, tzinfo=UTC).timestamp())
    (tmp_path / "bad.parquet").write_text("no")
    with pytest.raises(ReplayError, match="cannot be read"):
        list(read_file(tmp_path / "bad.parquet", "BTCUSDT"))


def feather_file(path: Path) -> Path:
    columns = {"date": [datetime(2025, 5, 4, tzinfo=UTC)], "open": [100.5], "high": [110.0], "low": [90.0]}
    feather.write_feather(pyarrow.table(columns | {"close": [105.0], "volume": [16.0]}), str(path))
    return path


def test_feather_is_read_with_pyarrow(tmp_path: Path) -> None:
    tape = list(read_file(feather_file(tmp_path / "k.feather"), "BTCUSDT"))
    assert len(tape) == 3 * STEPS + 1
    assert (tape[0][1].price, tape[0][0]) == (D("100.5"), datetime(2025, 5, 4, tzinfo=UTC).timestamp())
    (tmp_path / "bad.feather").write_text("no")
    with pytest.raises(ReplayError, match="cannot be read"):
        list(read_file(tmp_path / "bad.feather", "BTCUSDT"))


def test_feather_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = feather_file(tmp_path / "k.feather")
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # what an import of a package that is not there does
    with pytest.raises(ReplayError, match=r"k\.feather: .*pip install pyarrow"):
        list(read_file(path, "BTCUSDT"))


@pytest.mark.skipif(not KLINES.exists(), reason="needs the shared market data")
def test_real_klines_of_a_feather_file() -> None:
    path = next(path for path in sorted(KLINES.glob("*.feather")) if "BTC" in path.name)
    tape = read_file(path, "BTCUSDT")
    trades = [next(tape) for _ in range(100)]
    assert all(D(10000) < trade.price < D(1000000) for _, trade in trades)
