"""Days of market data as tables for people."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING

from gridbot.doors.plain_text import one_line

if TYPE_CHECKING:
    from gridbot.market.day_document import DayDocument
    from gridbot.market.day_writing import DayResult

__all__ = ["day_table", "document_table", "spans_in_words", "symbol_table"]

LONGEST_NOTE = 300


def _table(head: Sequence[str], rows: Sequence[Sequence[object]], notes: Sequence[Sequence[str]] = ()) -> str:
    """Columns of equal width, numbers to the right, and below a row what is to be said of it."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    lines = ["  ".join(name.ljust(width) for name, width in zip(head, widths, strict=True)).rstrip()]
    for row, source, said in itertools.zip_longest(cells, rows, notes, fillvalue=()):
        lines.append(
            "  ".join(
                cell.rjust(width) if isinstance(value, int) else cell.ljust(width)
                for cell, value, width in zip(row, source, widths, strict=True)
            ).rstrip()
        )
        lines += [f"    {one_line(note, LONGEST_NOTE)}" for note in said]
    return "\n".join(lines)


def day_table(days: Sequence[DayResult]) -> str:
    """What became of the days of an import; what is said of many days alike is said once."""
    written = [day for day in days if day.refused is None]
    head = ("symbol", "day", "form", "ticks", "doubles", "marks", "fundings", "gaps")
    rows = [
        (day.symbol, day.date, day.form or "-", day.ticks, day.doubles, day.marks, day.fundings, day.gaps)
        for day in written
    ]
    said = [
        day.notes if number == 0 or day.notes != written[number - 1].notes else () for number, day in enumerate(written)
    ]
    return _table(head, rows, said) if rows else "no day was written"


def document_table(documents: Sequence[DayDocument]) -> str:
    """Days one by one, with their sources."""
    head = ("symbol", "day", "form", "ticks", "marks", "fundings", "gaps", "tick", "step", "sources")
    return _table(
        head,
        [
            (
                *(day.symbol, day.date, day.form or "-", _count(day, "prices"), _count(day, "marks")),
                *(len(day.fundings), len(day.gaps)),
                "-" if day.instrument is None else day.instrument.tick_size,
                "-" if day.instrument is None else day.instrument.qty_step,
                one_line(_sources(day), 80),
            )
            for day in documents
        ],
    )


def symbol_table(documents: Sequence[DayDocument]) -> str:
    """One line a symbol: of how many days there is what, then ticks and gaps of all of them."""
    forms = ("trades", "candles", "tickers")
    head = ("symbol", "from", "to", "days", *(f"of {form}" for form in forms), "with marks", "with fundings")
    rows = []
    for symbol, group in itertools.groupby(documents, key=lambda day: day.symbol):
        days = list(group)
        rows.append(
            (
                *(symbol, days[0].date, days[-1].date, len(days)),
                *(sum(day.form == form for day in days) for form in forms),
                *(sum(_count(day, "marks") > 0 for day in days), sum(bool(day.fundings) for day in days)),
                *(sum(_count(day, "prices") for day in days), sum(len(day.gaps) for day in days)),
            )
        )
    return _table((*head, "ticks", "gaps"), rows)


def spans_in_words(days: Sequence[date]) -> Iterator[str]:
    """Days in words, those that follow one another together."""
    begin = 0
    for at, day in enumerate(days):
        if at + 1 == len(days) or (days[at + 1] - day).days > 1:
            yield f"on {day}" if at == begin else f"from {days[begin]} to {day} ({at + 1 - begin} days)"
            begin = at + 1


def _sources(day: DayDocument) -> str:
    return ", ".join(dict.fromkeys(word for part in day.sources if part != "instrument" for word in day.sources[part]))


def _count(day: DayDocument, column: str) -> int:
    return day.columns[column].rows if column in day.columns else 0
