"""What Bybit keeps of the past, as days: `gridbot-supervisor data fetch`. Network, files.

Trades are the daily files of the archive; mark prices, fundings, instruments and, where trades are missing and candles
are wanted, klines are answers of REST. All is kept below `.fetch` until it is imported.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import orjson

from gridbot.atomic_file import write_atomic
from gridbot.core.strict_numbers import time_or_none
from gridbot.doors.plain_text import shown
from gridbot.market.day import DAY_MS, day_start_ms
from gridbot.market.day_document import DayDocument
from gridbot.market.download import Download, FetchFailed, require_address
from gridbot.market.importer import ImportOptions, ImportResult, import_files, locked
from gridbot.market.market_error import MarketError, unwritable
from gridbot.market.market_root import Market
from gridbot.market.rule_book import RuleBook, read_instruments
from gridbot.market.table_files import LONGEST_LINE, opened, reading
from gridbot.private_files import open_private

__all__ = ["ARCHIVE", "REST", "Fetched", "Wanted", "fetch"]

ARCHIVE: Final = "https://public.bybit.com"
REST: Final = "https://api.bybit.com"
MINUTE_MS: Final = 60_000
KLINES: Final = 1000
FUNDINGS: Final = 200
MOST_DAYS: Final = 4000
OnRows = Callable[[Path, int], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be fetched: days of a symbol, the last one included.

    `candles`: klines where the archive has no trades of a day. `again`: also what is there. `derive` and `skip_bad` are
    those of an import.
    """

    symbol: str
    first: date
    last: date
    candles: bool = False
    again: bool = False
    derive: bool = False
    skip_bad: bool = False
    archive: str = ARCHIVE
    rest: str = REST

    def days(self) -> list[date]:
        """Raise FetchFailed for a span that is none."""
        count = (self.last - self.first).days + 1
        if not 0 < count <= MOST_DAYS:
            raise FetchFailed(f"expected a span of 1 to {MOST_DAYS} days, got {self.first} to {self.last}")
        return [self.first + timedelta(days=number) for number in range(count)]


@dataclass(slots=True)
class Fetched:
    """What came: what became of it, days without trades in the archive, and what was there already."""

    result: ImportResult = field(default_factory=lambda: ImportResult([], []))
    missing: list[date] = field(default_factory=list)
    there: list[date] = field(default_factory=list)


async def fetch(
    market: Market, wanted: Wanted, download: Download, on_rows: OnRows = lambda _path, _rows: None
) -> Fetched:
    """Fetch days and import them. What was fetched before something failed is there for the next run.

    Raise FetchFailed, and MarketError as `import_files` does.
    """
    days = wanted.days()
    require_address("archive", wanted.archive, ARCHIVE)
    require_address("REST", wanted.rest, REST)
    market.directory(wanted.symbol, wanted.first)  # no symbol, no directory
    directory = market.root / ".fetch" / wanted.symbol
    fetched = Fetched()
    with locked(directory):
        known = {} if wanted.again else {document.date: document for document in market.documents(wanted.symbol)}
        paths = [path async for path in _files(directory, wanted, days, known, download, fetched)]
        rules_path = directory / "instruments.json"
        given = None if wanted.derive else read_instruments(rules_path)
        source = f"{wanted.rest} ({wanted.last})"
        rules = RuleBook(given, source, derive=wanted.derive)
        options = ImportOptions(symbol=wanted.symbol, skip_bad=wanted.skip_bad, replace=wanted.again)
        fetched.result = import_files(market, paths, rules, options, on_rows)
        days_refused = [day for day in fetched.result.days if day.refused is not None]
        kept = {_dump(directory, wanted.symbol, day.date) for day in days_refused if day.may_pass}
        refused = {file.path for file in fetched.result.files if file.refused is not None}
        refused |= {_dump(directory, wanted.symbol, day.date) for day in days_refused} - kept
        for path in (*paths, rules_path):
            with contextlib.suppress(OSError):
                if path in refused:
                    open_private(_refusal(path), "wb").close()
                elif path not in kept:
                    path.unlink()
    return fetched


def _dump(directory: Path, symbol: str, day: date) -> Path:
    return directory / f"{symbol}{day}.csv.gz"


def _refusal(path: Path) -> Path:
    """A file beside one that was refused. That one is there to be looked at, or to be taken by other rules."""
    return path.with_name(f"{path.name}.refused")


def _has_rows(path: Path) -> bool:
    """Whether a file of the archive has more than the names of columns: it has some without, and empty ones. One that
    is damaged has: the import says what is wrong with it, and the other days go on."""
    try:
        with reading(path), opened(path) as file:
            return bool(file.readline(LONGEST_LINE)) and bool(file.readline(LONGEST_LINE).strip())
    except MarketError:
        return True


async def _files(
    directory: Path,
    wanted: Wanted,
    days: Sequence[date],
    known: dict[date, DayDocument],
    download: Download,
    fetched: Fetched,
) -> Any:
    """The paths of what is to be imported, each when it is there."""
    rest = _Rest(download, wanted)
    await rest.instruments(directory / "instruments.json")
    fundings = await rest.fundings(directory / f"{wanted.symbol}-fundings.json", days)
    if fundings is not None:
        yield fundings
    for day in days:
        before = known.get(day)
        if before is not None and before.form == "trades":
            fetched.there.append(day)
        else:
            target = _dump(directory, wanted.symbol, day)
            is_refused = _refusal(target).exists() and not (wanted.skip_bad or wanted.derive)
            if wanted.again or is_refused:  # by the same rules the same file would be refused again
                target.unlink(missing_ok=True)
            _refusal(target).unlink(missing_ok=True)
            url = f"{wanted.archive.rstrip('/')}/trading/{wanted.symbol}/{target.name}"
            if (is_there := await download.file(url, target)) and not (is_there := _has_rows(target)):
                target.unlink()
            if is_there:
                yield target
            elif wanted.candles:
                yield await rest.klines("kline", directory / f"{wanted.symbol}{day}-candles.json", day)
            else:
                fetched.missing.append(day)
                continue
        # Those of a day that had not ended yet are the marks of a part of it.
        if day not in fetched.there or before is None or "marks" not in before.columns:
            yield await rest.klines("mark-price-kline", directory / f"{wanted.symbol}{day}-mark.json", day)


class _Rest:
    def __init__(self, download: Download, wanted: Wanted) -> None:
        self._download, self._symbol, self._base = download, wanted.symbol, wanted.rest.rstrip("/")

    async def _ask(self, what: str, **params: int | str) -> Any:
        texts = {"category": "linear", "symbol": self._symbol, **{name: str(value) for name, value in params.items()}}
        return await self._download.answer(f"{self._base}/v5/market/{what}", texts)

    async def instruments(self, path: Path) -> None:
        answers = [await self._ask("instruments-info"), await self._ask("risk-limit")]
        if not list(_rows(answers[0], self._symbol)):
            raise FetchFailed(f"{self._base}: expected the contract {self._symbol}, it has none")
        _keep(path, answers)

    async def fundings(self, path: Path, days: Sequence[date]) -> Path | None:
        """All fundings of the days; the newest come first, and at most `FUNDINGS` at once."""
        start, end = day_start_ms(days[0]), day_start_ms(days[-1]) + DAY_MS - 1
        answers = []
        while end >= start:
            answer = await self._ask("funding/history", startTime=start, endTime=end, limit=FUNDINGS)
            times = [_time(row, "fundingRateTimestamp", start, end) for row in _rows(answer, self._symbol)]
            if not times:
                break
            answers.append(answer)
            end = min(times) - 1
        if not answers:
            return None
        _keep(path, answers)
        return path

    async def klines(self, what: str, path: Path, day: date) -> Path:
        """The minutes of a day, in two answers."""
        answers = []
        start = day_start_ms(day)
        for begin in range(start, start + DAY_MS, KLINES * MINUTE_MS):
            end = min(begin + KLINES * MINUTE_MS, start + DAY_MS) - 1
            answer = await self._ask(what, interval=1, start=begin, end=end, limit=KLINES)
            for row in _rows(answer, self._symbol):
                _time(row, 0, begin, end)
            answers.append(answer)
        _keep(path, answers)
        return path


def _rows(answer: Any, symbol: str) -> Iterator[Any]:
    """The rows of an answer about a symbol. Raise FetchFailed."""
    try:
        result = answer["result"]
        of, rows = result.get("symbol", symbol), list(result["list"])
        found = {of, *(row.get("symbol", symbol) for row in rows if isinstance(row, dict))}
    except (LookupError, TypeError, AttributeError):
        raise FetchFailed(f"expected rows of {symbol}, got {shown(str(answer), 200)}") from None
    if found != {symbol}:
        raise FetchFailed(f"expected rows of {symbol}, got some of {shown(', '.join(map(str, found - {symbol})))}")
    yield from rows


def _time(row: Any, place: Any, begin: int, end: int) -> int:
    try:
        at = time_or_none(row[place])
    except (LookupError, TypeError):
        at = None
    if at is None or not begin <= at <= end:
        raise FetchFailed(f"expected a row of {begin} to {end} ms, got {shown(str(row), 200)}")
    return at


def _keep(path: Path, answers: Sequence[Any]) -> None:
    try:
        write_atomic(path, b"\n".join(map(orjson.dumps, answers)) + b"\n")
    except OSError as error:
        raise FetchFailed(str(unwritable(path, error))) from error
