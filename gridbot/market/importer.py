"""From files to days: what `gridbot-supervisor data import` does.

Files whose names say their day are taken day by day, all others together first. A file with a wrong row is refused,
and with it each day that it would have been a part of; those that are there stay as they were.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np

from gridbot.core.instrument import Instrument
from gridbot.doors.plain_text import printable
from gridbot.lock_file import Locked, release_lock, take_lock
from gridbot.market.column_layout import Layout, LayoutRefused, layout_of
from gridbot.market.day_spool import DaySpool
from gridbot.market.day_writing import DayResult, DayWriting, Words
from gridbot.market.input_files import InputFile, InputFiles, input_files, rows_of
from gridbot.market.market_error import MarketError, unwritable
from gridbot.market.market_root import Market
from gridbot.market.row_reading import FileRows, Mistakes
from gridbot.market.rule_book import Finest, RuleBook
from gridbot.market.text_columns import Rows
from gridbot.private_files import make_directory

__all__ = ["FileResult", "ImportOptions", "ImportResult", "import_files", "locked"]

LOCK: Final = "import.lock"
SPOOL: Final = ".import"
TICK_KINDS: Final = ("trades", "candles", "tickers")


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How files are read. `kind`, `symbol` and `columns` (part: name in the file) are what somebody says of all files.

    `quiet_ms`: a time without a trade that is longer is a gap. `replace`: candles may take the place of trades.
    """

    kind: str | None = None
    symbol: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    skip_bad: bool = False
    replace: bool = False
    quiet_ms: int = 300_000


@dataclass(slots=True)
class FileResult:
    """What became of a file: its rows, those left out as wrong, and why it was refused."""

    path: Path
    rows: int = 0
    skipped: int = 0
    named: list[str] = field(default_factory=list)
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What became of an import."""

    days: list[DayResult]
    files: list[FileResult]
    passed_over: list[str] = field(default_factory=list)
    """What is to be said of files in directories that are no market data."""

    @property
    def refused(self) -> list[str]:
        """Why files and days were refused."""
        words = [file.refused for file in self.files] + [day.refused for day in self.days]
        return [text for text in dict.fromkeys(words) if text is not None]


def import_files(
    market: Market,
    paths: Iterable[Path],
    rules: RuleBook,
    options: ImportOptions | None = None,
    on_rows: Callable[[Path, int], None] = lambda _path, _rows: None,
) -> ImportResult:
    """Import files and directories. `on_rows` hears of each file and of how many rows of it were read.

    Raise MarketError when nothing can be imported at all: no such file, no rules, another import under way.
    """
    try:
        with locked(market.root), DaySpool(market.root / SPOOL) as spool:
            return _Import(
                market, input_files(paths, market.root), rules, options or ImportOptions(), on_rows, spool
            ).run()
    except OSError as error:
        raise unwritable(market.root, error) from error


@contextlib.contextmanager
def locked(root: Path) -> Iterator[None]:
    """One writer at a time below a directory of market data. Raise MarketError."""
    try:
        make_directory(root)
        lock = take_lock(root / LOCK)
    except Locked as error:
        raise MarketError(f"{root}: process {error} imports into it; wait until it has ended") from None
    except OSError as error:
        raise unwritable(root, error) from error
    try:
        yield
    finally:
        release_lock(lock)


class _Import:
    def __init__(
        self,
        market: Market,
        found: InputFiles,
        rules: RuleBook,
        options: ImportOptions,
        on_rows: Callable[[Path, int], None],
        spool: DaySpool,
    ) -> None:
        self._files, self._passed_over, self._spool = found.files, found.passed_over, spool
        self._rules, self._options, self._on_rows = rules, options, on_rows
        self._results = [FileResult(file.path) for file in self._files]
        self._writing = DayWriting(market, spool, options.quiet_ms, replace=options.replace)
        self._scanned: tuple[dict[str, Finest], dict[str, Finest]] | None = None

    def run(self) -> ImportResult:
        days: list[DayResult] = []
        numbered = list(enumerate(self._files))
        several = [item for item in numbered if item[1].day is None]
        dated = sorted((item for item in numbered if item[1].day is not None), key=lambda item: _group(item[1]))
        self._read_several(several)
        for group, files in itertools.groupby(dated, key=lambda item: _group(item[1])):
            self._rules.begin_day()
            own = self._read(list(files)) | {group}
            if any(self._results[number].refused for number, file in dated if _group(file) == group):
                self._writing.drop(own)
            days += self._written(own)
        self._rules.begin_day()
        days += self._written(self._writing.days())
        return ImportResult(sorted(days, key=lambda day: (day.symbol, day.date)), self._results, self._passed_over)

    def _read_several(self, files: list[tuple[int, InputFile]]) -> None:
        """Read files of any days. What is refused takes its symbol with it: it may have had rows of each day."""
        touched = self._read(files)
        refused = [file for number, file in files if self._results[number].refused]
        symbols = {self._options.symbol or file.symbol for file in refused}
        self._writing.drop({day for day in touched if None in symbols or day[0] in symbols})

    def _written(self, days: Iterable[tuple[str, date]]) -> list[DayResult]:
        words = [
            Words(
                result.path,
                (f"{printable(result.path.name)}: {_counted(result.skipped)} left out",) * bool(result.skipped),
            )
            for result in self._results
        ]
        found = [self._writing.write(symbol, day, words, self._rules.find) for symbol, day in sorted(days)]
        return [result for result in found if result is not None]

    def _read(self, files: list[tuple[int, InputFile]]) -> set[tuple[str, date]]:
        """Read files into the spool. Returns the days that they touch."""
        touched: set[tuple[str, date]] = set()
        for number, file in files:
            result = self._results[number]
            mistakes = Mistakes(file.path, self._options.skip_bad)
            reader = FileRows(
                file.path, number, self._instrument, mistakes, self._options.symbol or file.symbol, file.day
            )
            try:
                for rows in rows_of(file.path):
                    layout = self._layout(file, rows)
                    if file.day is not None and "rules" in rows.hints and layout.kind in TICK_KINDS:
                        self._rules.carry(file.path, rows.hints["rules"])
                    for read in reader.read(rows, layout):
                        touched |= self._writing.add(read, number, file.path)
                    result.rows += len(rows)
                    self._on_rows(file.path, len(rows))
            except MarketError as error:
                result.refused = str(error)
            result.skipped, result.named = mistakes.count, mistakes.named
        return touched

    def _layout(self, file: InputFile, rows: Rows) -> Layout:
        names, kind = list(rows.columns), self._options.kind or rows.hints.get("kind")
        if kind is None and file.is_marks:
            with contextlib.suppress(LayoutRefused):
                return layout_of(names, "marks", self._options.columns)
        try:
            return layout_of(names, kind, self._options.columns)
        except LayoutRefused as error:
            raise MarketError(f"{file.path}: {error}") from None

    def _instrument(self, symbol: str) -> Instrument:
        found = self._rules.find(symbol)
        if found is None:
            prices, sizes = self._scan()
            self._rules.derived(symbol, prices.get(symbol, Finest()), sizes.get(symbol, Finest()))
            found = self._rules.find(symbol)
            assert found is not None
        return found[0]

    def _scan(self) -> tuple[dict[str, Finest], dict[str, Finest]]:
        """All prices and sizes of all files, by symbol: they are read twice where rules have to be derived."""
        if self._scanned is None:
            prices: dict[str, Finest] = {}
            sizes: dict[str, Finest] = {}
            for file in self._files:
                try:
                    for rows in rows_of(file.path):
                        layout = self._layout(file, rows)
                        if layout.kind in TICK_KINDS:
                            _see(rows, layout, self._options.symbol or file.symbol, prices, sizes)
                except MarketError:
                    continue  # the second reading says so
            self._scanned = prices, sizes
        return self._scanned


PRICE_PARTS: Final = {"trades": ("price",), "candles": ("open", "high", "low", "close"), "tickers": ("last",)}
SIZE_PARTS: Final = {"trades": ("size",), "candles": ("volume",), "tickers": ()}


def _see(rows: Rows, layout: Layout, symbol: str | None, prices: dict[str, Finest], sizes: dict[str, Finest]) -> None:
    by_symbol = [(symbol, rows)]
    if "symbol" in layout:
        texts = rows.columns[layout.columns["symbol"]].to_pylist()
        column = np.array(texts, dtype=object)
        by_symbol = [(name, rows.take(column == name)) for name in set(texts)]
    for name, mine in by_symbol:
        if name is None:
            continue
        for parts, seen in ((PRICE_PARTS, prices), (SIZE_PARTS, sizes)):
            for part in parts[layout.kind]:
                if part in layout:
                    texts = mine.columns[layout.columns[part]].unique().to_pylist()
                    seen.setdefault(name, Finest()).see(texts)


def _counted(rows: int) -> str:
    return f"{rows} wrong row{'' if rows == 1 else 's'}"


def _group(file: InputFile) -> tuple[str, date]:
    assert file.day is not None
    return file.symbol or "", file.day
