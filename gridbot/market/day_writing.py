"""What was read of files, written as days: ticks, marks and fundings of a day, each in place of what was there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gridbot.core.instrument import Instrument
from gridbot.doors.plain_text import printable
from gridbot.market.day import day_start_ms, sides_by_price
from gridbot.market.day_build import Conflict, copies_in, gaps_of, in_order, without_doubles
from gridbot.market.day_document import FORMS, DayDocument
from gridbot.market.day_files import read_document, replace_columns
from gridbot.market.day_rows import DayKey, Records
from gridbot.market.day_spool import DaySpool
from gridbot.market.market_error import MarketError
from gridbot.market.market_root import Market
from gridbot.market.row_reading import MARK_GRAIN, Funding, Read, place_of
from gridbot.market.rule_book import DERIVED
from gridbot.shortage import is_of_system

__all__ = ["DayResult", "DayWriting", "Words"]

NOTES: Final = {
    "candles": "candles: the way inside each is a rule, not what happened",
    "tickers": "recorded tickers: prices between samples are missing, and so are all sizes",
}
KEPT: Final = "not taken: there are trades of this day; --replace takes them all the same"
Rules: TypeAlias = Callable[[str], tuple[Instrument, str] | None]
SIDELESS: Final = frozenset({"candles", "tickers"})


class Words(NamedTuple):
    """What is said of a file in the days that it is a part of."""

    path: Path
    notes: tuple[str, ...]


class _Rate(NamedTuple):
    """A funding rate, the number of its file, and its place in words."""

    rate: Decimal
    file: int
    place: str


@dataclass(frozen=True, slots=True)
class DayResult:
    """What became of a day. Counts are what it has now; `form` is None while it has no ticks."""

    symbol: str
    date: date
    form: str | None
    ticks: int = 0
    doubles: int = 0
    marks: int = 0
    fundings: int = 0
    gaps: int = 0
    notes: tuple[str, ...] = ()
    refused: str | None = None
    may_pass: bool = False
    """Of a refused day: the system took it not, as a full disk does; nothing is wrong with its files."""


class DayWriting:
    """Collects what is read, and writes one day after the other."""

    def __init__(self, market: Market, spool: DaySpool, quiet_ms: int, *, replace: bool) -> None:
        self._market, self._spool, self._quiet_ms, self._replace = market, spool, quiet_ms, replace
        self._fundings: dict[tuple[str, date], dict[int, _Rate]] = {}
        self._spans: dict[DayKey, set[int]] = {}
        """How long the candles of a day are, ms: where the files are of one length it is one number."""
        self._guessed: dict[DayKey, int] = {}

    def add(self, read: Read | Funding, number: int, path: Path) -> set[tuple[str, date]]:
        """Keep what was read of a file. Returns the days that it is of. Raise MarketError for a contradiction."""
        if isinstance(read, Funding):
            return {self._add_funding(read, number, path)}
        if not len(read.rows):
            return set()
        self._spool.add(read.symbol, read.kind, read.rows)
        first, last = int(read.rows["at"].min()), int(read.rows["at"].max())
        days = {(read.symbol, _day(ms)) for ms in {*range(first, last, 86_400_000), last}}
        for symbol, day in days:
            key = DayKey(symbol, day, read.kind)
            if read.is_sure:
                self._spans.setdefault(key, set()).add(read.span_ms)
            self._guessed[key] = max(read.span_ms, self._guessed.get(key, 0))
        return days

    def _add_funding(self, read: Funding, number: int, path: Path) -> tuple[str, date]:
        day = (read.symbol, _day(read.at_ms))
        rates = self._fundings.setdefault(day, {})
        place = place_of(path, read.row)
        known = rates.setdefault(read.at_ms, _Rate(read.rate, number, place))
        if known.rate != read.rate:
            raise MarketError(
                f"{place}: rate: expected {known.rate} of {read.symbol} at {read.at_ms} ms, as {known.place} says, "
                f"got {read.rate}; import files of one source"
            )
        return day

    def days(self) -> set[tuple[str, date]]:
        """The days of which something waits to be written."""
        return {(key.symbol, key.date) for key in self._spool.waiting()} | set(self._fundings)

    def drop(self, days: set[tuple[str, date]]) -> None:
        """Forget what waits of some days."""
        self._spool.drop({key for key in self._spool.waiting() if (key.symbol, key.date) in days})
        for day in days:
            self._fundings.pop(day, None)

    def write(self, symbol: str, day: date, files: Sequence[Words], rules: Rules) -> DayResult | None:
        """Write a day; None when nothing waits of it. What cannot be written is said in the result."""
        fundings = self._fundings.pop((symbol, day), {})
        kinds = {
            key.kind: self._spool.take(key) for key in self._spool.waiting() if (key.symbol, key.date) == (symbol, day)
        }
        if not kinds and not fundings:
            return None
        try:
            directory = self._market.directory(symbol, day)
            before = read_document(directory) or DayDocument(symbol, day)
            columns: dict[str, NDArray[Any]] = {}
            coming = [kind for kind in FORMS if len(kinds.get(kind, ()))]
            kept: tuple[str, ...] = ()
            if before.kind == "trades" and coming and coming[0] != "trades" and not self._replace:
                kept, coming = (f"{' and '.join(coming)} {KEPT}",), []
            now, doubles = self._with_ticks(before, coming, kinds, columns, files, rules)
            now = _with_marks(now, kinds.get("marks"), columns, files)
            if fundings:
                now = replace(now, fundings=tuple((at, known.rate) for at, known in sorted(fundings.items())))
                now = now.with_part(
                    "fundings",
                    tuple(sorted({printable(files[known.file].path.name) for known in fundings.values()})),
                    (),
                )
            written = before if now is before else replace_columns(directory, now, columns)
        except MarketError as error:
            return DayResult(symbol, day, None, refused=str(error), may_pass=is_of_system(error))
        return DayResult(
            symbol,
            day,
            written.form,
            ticks=_rows(written, "prices"),
            doubles=doubles,
            marks=_rows(written, "marks"),
            fundings=len(written.fundings),
            gaps=len(written.gaps),
            notes=(*(word for words in written.notes.values() for word in words), *kept),
        )

    def _with_ticks(
        self,
        before: DayDocument,
        coming: list[str],
        kinds: dict[str, Records],
        columns: dict[str, NDArray[Any]],
        files: Sequence[Words],
        rules: Rules,
    ) -> tuple[DayDocument, int]:
        if not coming:
            return before, 0
        kind, others = coming[0], coming[1:]
        span_ms = self._span_ms(DayKey(before.symbol, before.date, kind))
        rows, doubles, notes = _settled(kinds[kind], files, kind)
        prices = np.ascontiguousarray(rows["price"])
        columns["times_ms"] = np.ascontiguousarray(rows["at"])
        columns["prices"] = prices
        columns["sizes"] = np.ascontiguousarray(rows["size"])
        columns["sides"] = sides_by_price(prices) if kind in SIDELESS else np.ascontiguousarray(rows["side"])
        quiet_ms = span_ms if kind == "candles" else self._quiet_ms
        if kind in NOTES:
            notes.append(NOTES[kind])
        if others:
            notes.append(f"{' and '.join(others)} of the same day were left out: {kind} say more")
        found = rules(before.symbol)
        assert found is not None  # nothing is read of a symbol without them
        instrument, source = found
        now = replace(
            before,
            form=kind,
            instrument=instrument,
            gaps=gaps_of(columns["times_ms"], day_start_ms(before.date), quiet_ms),
        )
        now = now.with_part("ticks", _names(rows, files), tuple(notes))
        return now.with_part("instrument", (source,), (DERIVED,) if source == DERIVED else ()), doubles

    def _span_ms(self, key: DayKey) -> int:
        """How long each candle of a day is, ms. Raise MarketError where files do not agree: they would overlap."""
        spans = self._spans.pop(key, set())
        guessed = self._guessed.pop(key, 0)
        if len(spans) > 1:
            lengths = " and of ".join(f"{span / 1000:g} s" for span in sorted(spans))
            raise MarketError(
                f"{key.symbol} {key.date}: expected candles of one length, got some of {lengths}; import one"
            )
        return spans.pop() if spans else guessed


def _with_marks(
    before: DayDocument, rows: Records | None, columns: dict[str, NDArray[Any]], files: Sequence[Words]
) -> DayDocument:
    if rows is None or not len(rows):
        return before
    settled, _, notes = _settled(rows, files, "marks")
    marks, unit = np.ascontiguousarray(settled["price"]), MARK_GRAIN
    divisor = int(np.gcd.reduce(marks))
    while divisor % 10 == 0:
        divisor //= 10
        marks, unit = marks // 10, unit * 10
    columns["marks_ms"], columns["marks"] = np.ascontiguousarray(settled["at"]), marks
    return replace(before, mark_unit=unit.normalize()).with_part("marks", _names(settled, files), tuple(notes))


def _settled(rows: Records, files: Sequence[Words], kind: str) -> tuple[Records, int, list[str]]:
    """Rows in order and each once, how many were there twice, and what is to be said. Raise MarketError."""
    ordered = in_order(rows)
    kept, doubles, conflict = without_doubles(ordered.rows)
    if conflict is not None:
        raise MarketError(_said(conflict, files))
    if kind == "trades" and (copies := copies_in(kept)) is not None:
        first, second = (files[number].path for number in copies)
        raise MarketError(
            f"{second}: expected other trades than those of {first}, got most of them again, and they have no ids to "
            "tell by; import one of the two"
        )
    notes = [note for number in np.unique(kept["file"]) for note in files[int(number)].notes]
    if ordered.out_of_order and kind in ("trades", "tickers"):  # four ticks of a candle are one row
        notes.append(f"{ordered.out_of_order} rows were more than a second out of order, and sorted")
    if doubles:
        notes.append(f"{doubles} rows were there twice, and left out")
    return kept, doubles, notes


def _said(conflict: Conflict, files: Sequence[Words]) -> str:
    (first, row), (second, other) = conflict.first, conflict.second
    return (
        f"{place_of(files[second].path, other)}: expected what {place_of(files[first].path, row)} says "
        "with the same id or time, "
        "got something else; import files of one source"
    )


def _names(rows: Records, files: Sequence[Words]) -> tuple[str, ...]:
    return tuple(printable(files[int(number)].path.name) for number in np.unique(rows["file"]))


def _rows(document: DayDocument, name: str) -> int:
    return document.columns[name].rows if name in document.columns else 0


def _day(ms: int) -> date:
    return datetime.fromtimestamp(ms // 1000, UTC).date()
