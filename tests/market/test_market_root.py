"""Days as files: what is written is what is read, a day is replaced whole, and damage is found and named."""

from __future__ import annotations

import errno
import json
import os
import resource
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from gridbot.market.day import Day, DayRefused, day_start_ms, ticks_of
from gridbot.market.day_document import document_bytes, document_of
from gridbot.market.day_files import DOCUMENT, check_files, read_document, replace_columns
from gridbot.market.market_error import MarketError, unwritable
from gridbot.market.market_root import Market
from gridbot.market.pyramid import FACTOR
from tests.market.market_examples import DAY, INSTRUMENT, START_MS, made_day


def columns(day: Day) -> list[list[int]]:
    return [list(column) for column in (day.times_ms, day.prices, day.sizes, day.sides, day.marks_ms, day.marks)]


@pytest.fixture
def market(tmp_path: Path) -> Market:
    return Market(tmp_path / "market")


@pytest.mark.parametrize("size", [1, FACTOR, FACTOR**2 + 1, FACTOR**3 + 5])
def test_a_day_is_read_as_it_was_written(market: Market, size: int) -> None:
    day = made_day(
        [600_000 + at % 7 for at in range(size)],
        fundings=((START_MS, Decimal("-0.0000125")),),
        gaps=((START_MS + 5, START_MS + 9),),
        sources=("a.csv.gz",),
        notes=("tick size derived",),
    )
    market.put(day)
    read = market.day("BTCUSDT", DAY)
    assert columns(read) == columns(day)
    for name in ("symbol", "date", "kind", "instrument", "mark_unit", "fundings", "gaps", "sources", "notes", "tiers"):
        assert getattr(read, name) == getattr(day, name), name
    assert read.instrument.untold == day.instrument.untold
    for start in (0, size // 2):
        assert read.pyramid.next_outside(start, 600_000, 600_003) == day.pyramid.next_outside(start, 600_000, 600_003)


def test_what_is_read_is_mapped_and_cannot_be_changed(market: Market) -> None:
    market.put(made_day())
    read = market.day("BTCUSDT", DAY)
    with pytest.raises(ValueError, match="read-only"):
        read.prices[0] = 1


def test_symbols_days_and_span(market: Market) -> None:
    assert market.symbols() == []
    assert market.days("BTCUSDT") == []
    assert market.span("BTCUSDT") is None
    later = date(2026, 9, 3)
    market.put(ticks_of(INSTRUMENT, [day_start_ms(later)], [5]))
    market.put(made_day())
    market.put(ticks_of(replace(INSTRUMENT, symbol="1000PEPEUSDT"), [START_MS], [5]))
    (market.root / "notes.txt").write_text("mine")
    assert market.symbols() == ["1000PEPEUSDT", "BTCUSDT"]
    assert market.days("BTCUSDT") == [DAY, later]
    assert market.span("BTCUSDT") == (DAY, later)


def test_a_day_that_is_not_there_says_which_are(market: Market) -> None:
    with pytest.raises(MarketError, match=r"expected BTCUSDT on 2026-09-02, there is no day of this symbol; import or"):
        market.day("BTCUSDT", date(2026, 9, 2))
    market.put(made_day())
    with pytest.raises(MarketError, match=r"there are days from 2026-09-01 to 2026-09-01; import or fetch it"):
        market.day("BTCUSDT", date(2026, 9, 2))


@pytest.mark.parametrize("symbol", ["", "../BTCUSDT", "btcusdt", "A/B", ".."])
def test_what_is_no_symbol_names_no_directory(market: Market, symbol: str) -> None:
    with pytest.raises(MarketError, match="expected a symbol such as BTCUSDT"):
        market.day(symbol, DAY)
    with pytest.raises(MarketError, match="expected a symbol such as BTCUSDT"):
        market.days(symbol)


def test_a_day_is_replaced_whole_and_the_one_in_use_goes_on(market: Market) -> None:
    market.put(made_day([5, 6, 7]))
    before = market.day("BTCUSDT", DAY)
    market.put(made_day([8, 9]))
    assert list(market.day("BTCUSDT", DAY).prices) == [8, 9]
    assert list(before.prices) == [5, 6, 7]
    files = {path.name for path in market.directory("BTCUSDT", DAY).iterdir()}
    document = read_document(market.directory("BTCUSDT", DAY))
    assert document is not None
    assert files == {DOCUMENT} | {column.file for column in document.columns.values()}


def test_a_write_that_was_killed_leaves_the_day_of_before(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    market.put(made_day([5, 6, 7]))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("gridbot.market.day_files.write_atomic", killed)
        with pytest.raises(KeyboardInterrupt):
            market.put(made_day([8, 9]))
    assert list(market.day("BTCUSDT", DAY).prices) == [5, 6, 7]
    market.put(made_day([8, 9]))
    assert len(list(market.directory("BTCUSDT", DAY).glob("prices-*"))) == 1


def test_a_disk_that_takes_no_more_leaves_the_day_of_before_and_nothing_else(market: Market) -> None:
    market.put(made_day([5, 6, 7]))
    before = sorted(market.directory("BTCUSDT", DAY).iterdir())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(MarketError, match=r"2026-09-01: cannot be written: File too large$"):
            market.put(made_day(range(1, 13_000)))  # the times, and of the prices a part
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(market.day("BTCUSDT", DAY).prices) == [5, 6, 7]
    assert sorted(market.directory("BTCUSDT", DAY).iterdir()) == before
    full = OSError(errno.ENOSPC, "No space left on device")
    assert str(unwritable(Path("x"), full)).endswith(
        "No space left on device; make room and do it again: what was there before is there"
    )


def test_one_part_is_replaced_and_the_others_stay(market: Market) -> None:
    document = market.put(made_day([5, 6, 7]))
    directory = market.directory("BTCUSDT", DAY)
    marks = {"marks_ms": np.array([START_MS + 60_000]), "marks": np.array([77])}
    replace_columns(directory, replace(document, mark_unit=Decimal("0.001")).with_part("marks", ("m.json",), ()), marks)
    day = market.day("BTCUSDT", DAY)
    assert list(day.prices) == [5, 6, 7]
    assert (list(day.marks), day.mark_unit) == ([77], Decimal("0.001"))
    assert day.sources == ("made in memory", "m.json")


def test_a_day_without_ticks_is_kept_but_no_day_to_trade_on(market: Market) -> None:
    document = market.put(made_day([5, 6, 7]))
    directory = market.directory("BTCUSDT", DAY)
    none = {name: np.empty(0, np.int64) for name in ("times_ms", "prices", "sizes", "sides")}
    replace_columns(directory, replace(document, form=None), none)
    assert market.days("BTCUSDT") == []
    assert [found.kind for found in market.documents("BTCUSDT")] == [None]
    with pytest.raises(MarketError, match="expected BTCUSDT on"):
        market.day("BTCUSDT", DAY)


def test_a_day_that_breaks_its_promises_is_not_written(market: Market) -> None:
    with pytest.raises(DayRefused, match="prices, index 0"):
        market.put(replace(made_day(), prices=np.array([0, 1, 2])))
    assert market.symbols() == []


def test_files_are_for_their_user_alone(market: Market) -> None:
    market.put(made_day())
    for path in (market.root, *market.root.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path


class TestDamage:
    """Each is found, and the text says which file."""

    @pytest.fixture
    def directory(self, market: Market) -> Path:
        market.put(made_day([5, 6, 7]))
        return market.directory("BTCUSDT", DAY)

    def file(self, directory: Path, name: str) -> Path:
        return next(directory.glob(f"{name}-*.npy"))

    def test_nothing_is_found_where_nothing_is_wrong(self, directory: Path) -> None:
        document = read_document(directory)
        assert document is not None
        assert check_files(directory, document) == []

    def test_a_changed_entry(self, market: Market, directory: Path) -> None:
        path = self.file(directory, "prices")
        data = bytearray(path.read_bytes())
        data[-8] ^= 1
        path.write_bytes(data)
        document = read_document(directory)
        assert document is not None
        (found,) = check_files(directory, document)
        assert found.startswith(f"{path}: expected the checksum ")
        assert found.endswith("the file was changed since it was imported")

    def test_a_file_that_was_cut(self, market: Market, directory: Path) -> None:
        path = self.file(directory, "prices")
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(MarketError, match=r"prices-.*\.npy: cannot be read: .*; import the day again"):
            market.day("BTCUSDT", DAY)

    def test_a_file_of_another_length(self, market: Market, directory: Path) -> None:
        np.save(self.file(directory, "prices"), np.arange(4))
        document = read_document(directory)
        assert document is not None
        (found,) = check_files(directory, document)
        assert "expected (3,) of int64, got (4,) of int64" in found

    def test_a_file_that_is_gone(self, market: Market, directory: Path) -> None:
        path = self.file(directory, "sides")
        path.unlink()
        document = read_document(directory)
        assert document is not None
        assert check_files(directory, document) == [f"{path}: expected 3 entries, the file is missing"]
        with pytest.raises(MarketError, match="expected a column of the day, got nothing"):
            market.day("BTCUSDT", DAY)

    def test_a_link_is_not_followed(self, market: Market, directory: Path, tmp_path: Path) -> None:
        path = self.file(directory, "prices")
        path.rename(tmp_path / "elsewhere.npy")
        path.symlink_to(tmp_path / "elsewhere.npy")
        with pytest.raises(MarketError, match=r"prices-.*cannot be read"):
            market.day("BTCUSDT", DAY)

    def test_an_array_of_objects_is_not_unpickled(self, market: Market, directory: Path) -> None:
        np.save(self.file(directory, "prices"), np.array([print, 1, 2], dtype=object), allow_pickle=True)
        with pytest.raises(MarketError, match=r"got .* of object"):
            market.day("BTCUSDT", DAY)

    def test_columns_that_do_not_fit_each_other(self, market: Market, directory: Path) -> None:
        document = read_document(directory)
        assert document is not None
        replace_columns(directory, document, {"sides": np.array([1, 1], np.int8)})
        with pytest.raises(MarketError, match="expected columns of one length"):
            market.day("BTCUSDT", DAY)

    def test_a_pyramid_of_other_prices(self, market: Market, directory: Path) -> None:
        document = read_document(directory)
        assert document is not None
        replace_columns(directory, document, {"pyramid": np.zeros((2, 3), np.int64)})
        with pytest.raises(MarketError, match="expected a pyramid of 0 entries, got 3"):
            market.day("BTCUSDT", DAY)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"format": 2}, "expected format 1, got 2; import the day again"),
            ({"form": "guesses"}, "expected a form of trades, candles, tickers, got 'guesses'"),
            ({"gaps": [[1, -1]]}, "expected a time in ms"),
            ({"fundings": [[1, "1_0"]]}, "expected a number"),
            ({"columns": {"prices": {"file": "../x", "rows": 1, "sha256": ""}}}, "expected the name of a file beside"),
            ({"instrument": {}}, "expected a day as an import writes it"),
            ({"symbol": 5}, "expected text, got 5"),
            ({"symbol": "ETHUSDT"}, "expected the day that its place says, got 'ETHUSDT' on 2026-09-01"),
        ],
    )
    def test_a_document_that_is_not_ours(
        self, market: Market, directory: Path, change: dict[str, object], words: str
    ) -> None:
        path = directory / DOCUMENT
        path.write_text(json.dumps(json.loads(path.read_bytes()) | change))
        self.is_named_by_whoever_wants_it(market, words)

    def test_a_document_that_is_no_json(self, market: Market, directory: Path) -> None:
        (directory / DOCUMENT).write_text("{")
        self.is_named_by_whoever_wants_it(market, r"day\.json: cannot be read: expected JSON")

    @pytest.mark.parametrize(
        ("put", "words"),
        [
            (lambda path: path.symlink_to("nowhere"), "Too many levels of symbolic links"),
            (os.mkfifo, "cannot be read: expected JSON"),
        ],
    )
    def test_a_document_that_is_no_file(
        self, market: Market, directory: Path, put: Callable[[Path], None], words: str
    ) -> None:
        (directory / DOCUMENT).unlink()
        put(directory / DOCUMENT)
        self.is_named_by_whoever_wants_it(market, words)

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
    def test_a_day_of_another_user(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(directory.parent.parent)
        for place in (directory.parent.parent, directory.parent):
            place.chmod(0o755)
        os.seteuid(65534)
        try:
            market = Market(Path())
            assert market.days("BTCUSDT") == [DAY]
            with pytest.raises(MarketError, match=r"give this user the right to read BTCUSDT/2026-09-01$"):
                market.documents("BTCUSDT")
        finally:
            os.seteuid(0)

    def is_named_by_whoever_wants_it(self, market: Market, words: str) -> None:
        later, day_ms = DAY + timedelta(days=1), 86_400_000
        day = made_day()
        market.put(replace(day, date=later, times_ms=day.times_ms + day_ms, marks_ms=day.marks_ms + day_ms))
        assert market.days("BTCUSDT") == [DAY, later]
        assert len(market.day("BTCUSDT", later)) == len(made_day())
        for ask in (lambda: market.day("BTCUSDT", DAY), lambda: market.documents("BTCUSDT")):
            with pytest.raises(MarketError, match=words):
                ask()


def test_a_place_that_is_no_directory_is_named(market: Market) -> None:
    market.root.write_text("a file")
    assert market.symbols() == []
    with pytest.raises(MarketError, match="cannot be written"):
        market.put(made_day())


def test_a_document_is_the_same_after_writing_and_reading(market: Market) -> None:
    document = market.put(made_day(fundings=((START_MS, Decimal("0.00010000")),)))
    assert document_of(document_bytes(document)) == document
