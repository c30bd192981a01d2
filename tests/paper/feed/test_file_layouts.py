"""Market files of all ages and kinds, composed here line by line: read right, or refused with the reason."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from gridbot.core.vocabulary import Side
from gridbot.paper.feed.file_layouts import layout_of, parse_trade, without_column_names
from gridbot.paper.feed.klines import STEPS
from gridbot.paper.feed.replay import ReplayError, first_prices, read_file

D = Decimal
IN_BAR = 3 * STEPS + 1
DUMP = "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional"
SPOT = "id,timestamp,price,volume,side,rpi"


def utc(*parts: int) -> float:
    return datetime(*parts, tzinfo=UTC).timestamp()  # type: ignore[arg-type,misc]


def file_of(folder: Path, *lines: str, name: str = "a.csv") -> Path:
    path = folder / name
    text = "".join(f"{line}\n" for line in lines)
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def dumped(at: str, price: str, side: str = "Buy", symbol: str = "BTCUSDT") -> str:
    return f"{at},{symbol},{side},0.5,{price},PlusTick,6c0d,1,0.5,1"


@pytest.mark.parametrize("name", ["BTCUSDT_1_2024-01-01_2024-01-31.csv.gz", "plain.csv"])
def test_klines_for_metatrader_have_no_names_and_moscow_time(tmp_path: Path, name: str) -> None:
    path = file_of(tmp_path, "2024.01.01 00:00,100,110,90,105,16", "2024.01.01 00:01,105,106,95,96,32", name=name)
    tape = list(read_file(path, "BTCUSDT"))
    assert len(tape) == 2 * IN_BAR
    assert [tape[number][0] for number in (0, IN_BAR)] == [utc(2023, 12, 31, 21), utc(2023, 12, 31, 21, 1)]
    assert (tape[0][1].price, tape[-1][1].price) == (D(100), D(96))
    assert sum(trade.size for _, trade in tape) == D(48)
    assert first_prices({"BTCUSDT": path}) == {"BTCUSDT": D(100)}


def test_metatrader_may_have_date_and_time_apart_and_more_columns_are_named(tmp_path: Path) -> None:
    path = file_of(tmp_path, "2024.01.01,03:00,100,110,90,105,16")
    assert next(read_file(path, "BTCUSDT"))[0] == utc(2024, 1, 1)
    path = file_of(tmp_path, "2024.01.01,03:00,100,110,90,105,16,7")
    with pytest.raises(ReplayError, match=r"a\.csv line 1: not a kline"):
        list(read_file(path, "BTCUSDT"))


@pytest.mark.parametrize(("minutes", "later"), [(5, "00:05"), (60, "01:00")])
def test_bars_of_five_minutes_or_an_hour_fill_their_time(tmp_path: Path, minutes: int, later: str) -> None:
    path = file_of(tmp_path, "2024.01.01 00:00,100,110,90,105,16", f"2024.01.01 {later},105,106,95,96,32")
    stamps = [at for at, _ in read_file(path, "BTCUSDT")]
    assert stamps == sorted(stamps)
    gaps = {round(after - before, 3) for before, after in pairwise(stamps)}
    assert gaps == {round(minutes * 60 / IN_BAR, 3)}


def test_a_minute_that_is_missing_does_not_make_the_bars_longer(tmp_path: Path) -> None:
    rows = [f"2024.01.01 00:{minute:02},100,110,90,105,16" for minute in (0, 3, 4, 7)]
    stamps = [at for at, _ in read_file(file_of(tmp_path, *rows), "BTCUSDT")]
    assert stamps[IN_BAR - 1] < stamps[0] + 60


def test_klines_that_are_newest_first_are_turned_round(tmp_path: Path) -> None:
    """Bybit's market/kline answers so, and people save that."""
    rows = ("start,open,high,low,close,volume", "120,105,106,95,96,1", "60,100,110,90,105,1")
    tape = list(read_file(file_of(tmp_path, *rows), "BTCUSDT"))
    assert (tape[0][0], tape[0][1].price, tape[-1][1].price) == (60.0, D(100), D(96))


def test_dumps_of_2020_are_newest_first_and_become_oldest_first(tmp_path: Path) -> None:
    stamps = ("1585180790.9", "1585180790.9", "1585180790.2", "1585180700.0")
    lines = [dumped(at, f"{6700 + number}.5") for number, at in enumerate(stamps)]
    tape = list(read_file(file_of(tmp_path, DUMP, *lines, name="a.csv.gz"), "BTCUSDT"))
    assert [at for at, _ in tape] == sorted(map(float, stamps))
    assert [trade.price for _, trade in tape] == [D("6703.5"), D("6702.5"), D("6701.5"), D("6700.5")]
    assert first_prices({"BTCUSDT": tmp_path / "a.csv.gz"}) == {"BTCUSDT": D("6703.5")}


def test_names_that_come_again_in_the_middle_are_passed_over_and_lines_are_still_counted(tmp_path: Path) -> None:
    lines = [DUMP, dumped("100", "1.5"), DUMP, dumped("200", "2.5")]
    assert [at for at, _ in read_file(file_of(tmp_path, *lines), "BTCUSDT")] == [100.0, 200.0]
    with pytest.raises(ReplayError, match=r"a\.csv line 5: not a trade"):
        list(read_file(file_of(tmp_path, *lines, dumped("300", "x")), "BTCUSDT"))


def test_spot_dumps_have_milliseconds_volume_and_small_letters(tmp_path: Path) -> None:
    path = file_of(tmp_path, SPOT, "1,1704067200123,42000.5,0.25,buy,0", "2,1704067201000,42000.4,1,sell,0")
    (at, first), (_, second) = read_file(path, "BTCUSDT")
    assert at == pytest.approx(utc(2024, 1, 1) + 0.123)
    assert (first.price, first.size, first.side, second.side) == (D("42000.5"), D("0.25"), Side.BUY, Side.SELL)


def test_a_small_step_back_is_the_same_moment_and_a_big_one_is_refused(tmp_path: Path) -> None:
    lines = [DUMP, dumped("100.0", "1"), dumped("102.0", "1"), dumped("101.5", "1")]
    assert [at for at, _ in read_file(file_of(tmp_path, *lines), "BTCUSDT")] == [100.0, 102.0, 102.0]
    path = file_of(tmp_path, *lines, dumped("90", "1"))
    with pytest.raises(ReplayError, match=r"expected one order of time, got 1970-01-01T00:01:30.* sort the file"):
        list(read_file(path, "BTCUSDT"))


def test_an_inverse_contract_is_refused_since_its_sizes_are_dollars(tmp_path: Path) -> None:
    path = file_of(tmp_path, DUMP, dumped("100", "6.5", symbol="DOTUSD"))
    with pytest.raises(ReplayError, match=r"expected sizes in base coin, got 'DOTUSD'.* take the file of its USDT"):
        list(read_file(path, "DOTUSDT"))


def test_an_empty_file_says_so(tmp_path: Path) -> None:
    """Bybit has 44-byte files of 2022-12-12."""
    with pytest.raises(ReplayError, match="got an empty file"):
        list(read_file(file_of(tmp_path, name="a.csv.gz"), "BTCUSDT"))
    with pytest.raises(ReplayError, match="the file has none"):
        first_prices({"BTCUSDT": file_of(tmp_path, DUMP)})


def test_what_is_told_by_columns_alone() -> None:
    assert without_column_names(["2024.01.01 00:00", "1"]) == ("time", "open", "high", "low", "close", "volume")
    assert without_column_names(["timestamp", "price"]) == without_column_names([]) == ()
    assert layout_of(["open", "high", "low", "close", "date"]).is_klines
    spot = layout_of(SPOT.split(","))
    assert parse_trade(spot, ["1", "1704067200000", "2", "3", "sell", "0"]).size == D(3)
    with pytest.raises(ValueError, match="missing \\['size'\\], got 'timestamp, side, price'"):
        layout_of(["timestamp", "side", "price"])


@pytest.mark.parametrize(
    "line",
    [
        *(dumped(at, "60000") for at in ("inf", "nan", "-1", "1e30", "9" * 5000, "9999-12-31", "٢٠٢٦.01.01 00:00", "")),
        *(dumped("1800000000", price) for price in ("0", "-1", "1e30", "1_0", "NaN", "", "x" * 100_000)),
        dumped("1800000000", "60000", side="x" * 100_000),
    ],
)
def test_a_line_that_is_no_trade_is_named_and_not_shown_whole(tmp_path: Path, line: str) -> None:
    """An infinite time was an endless loop."""
    path = file_of(tmp_path, DUMP, dumped("1800000000", "60000"), line)
    with pytest.raises(ReplayError, match="line 3: not a trade") as refused:
        list(read_file(path, "BTCUSDT"))
    assert len(str(refused.value)) < 1_000


@pytest.mark.parametrize(
    "content", [gzip.compress(b"x" * 1000, mtime=0)[:-9] + b"\x00" * 9, b"\x1f\x8b\x08\x00rubbish", b"no gzip"]
)
def test_a_damaged_archive_is_an_error_of_the_replay(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(content)
    with pytest.raises(ReplayError, match="cannot be read"):
        list(read_file(path, "BTCUSDT"))


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"timestamp," + b"x" * 200_000 + b"\n"])
def test_a_file_that_is_no_text_is_an_error_of_the_replay(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(ReplayError, match="cannot be read"):
        list(read_file(path, "BTCUSDT"))


def test_nanoseconds_and_milliseconds_are_told_apart(tmp_path: Path) -> None:
    lines = [dumped(f"18{'0' * zeros}", "60000") for zeros in (8, 11, 14, 17)]
    path = file_of(tmp_path, DUMP, *lines)
    assert [at_s for at_s, _ in read_file(path, "BTCUSDT")] == [1.8e9] * 4
