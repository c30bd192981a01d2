"""`day.json`: all of a day that is no column, and which files are its columns. Pure.

Decimals are text. A document that was changed by hand is read as strictly as anything from outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date
from decimal import Decimal
from typing import Any, Final

import orjson

from gridbot.core.instrument import Instrument, RiskTier
from gridbot.core.strict_numbers import amount_of, decimal_of, time_of, whole_of
from gridbot.doors.bounded_json import read_json
from gridbot.doors.plain_text import shown
from gridbot.market.day import Kind

__all__ = [
    "FORMAT",
    "FORMS",
    "PARTS",
    "Column",
    "DayDocument",
    "document_bytes",
    "document_of",
    "instrument_of",
    "row_of",
]

FORMAT: Final = 1
FORMS: Final = ("trades", "candles", "tickers")
PARTS: Final = ("ticks", "marks", "fundings", "instrument")
"""What is imported apart from the rest, and replaced apart from it."""
LONGEST_NAME: Final = 200
"""Characters of a file's name."""
_TEXTS: Final = frozenset({"symbol", "status"})
_OPTIONAL: Final = frozenset({"price_limit_x", "price_limit_y", "delivery_ms", "max_market_qty"})
_LATER: Final = frozenset({"max_market_qty"})
"""Fields that days of before do not have."""


@dataclass(frozen=True, slots=True)
class Column:
    """One file of a day: its name, its entries, and the SHA-256 of their bytes."""

    file: str
    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class DayDocument:
    """A day without its columns; units as in `Day`. `kind` and `instrument` are None while it has no ticks.

    `form` is what its ticks were made of: trades, candles, or recorded tickers, which are of the kind candles.

    `sources` and `notes` are for people, by part.
    """

    symbol: str
    date: date
    instrument: Instrument | None = None
    form: str | None = None
    mark_unit: Decimal = Decimal("0.01")
    fundings: tuple[tuple[int, Decimal], ...] = ()
    gaps: tuple[tuple[int, int], ...] = ()
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    columns: Mapping[str, Column] = field(default_factory=dict)

    @property
    def kind(self) -> Kind | None:
        """What `Day` says of it."""
        if self.form is None:
            return None
        return "trades" if self.form == "trades" else "candles"

    def with_part(self, part: str, sources: tuple[str, ...], notes: tuple[str, ...]) -> DayDocument:
        """The same with other words about one part."""
        return replace(
            self,
            sources={name: words for name, words in (dict(self.sources) | {part: sources}).items() if words},
            notes={name: words for name, words in (dict(self.notes) | {part: notes}).items() if words},
        )


def document_bytes(day: DayDocument) -> bytes:
    """A document as it is kept, for people to read."""
    document = {
        "format": FORMAT,
        "symbol": day.symbol,
        "date": day.date.isoformat(),
        "form": day.form,
        "instrument": None if day.instrument is None else row_of(day.instrument),
        "mark_unit": str(day.mark_unit),
        "fundings": [[at, str(rate)] for at, rate in day.fundings],
        "gaps": [list(gap) for gap in day.gaps],
        "sources": {part: list(words) for part, words in day.sources.items()},
        "notes": {part: list(words) for part, words in day.notes.items()},
        "columns": {
            name: {"file": column.file, "rows": column.rows, "sha256": column.sha256}
            for name, column in day.columns.items()
        },
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n"


def document_of(data: bytes) -> DayDocument:
    """The inverse of `document_bytes`. Raise ValueError, saying what was expected, for anything else."""
    document = read_json(data)
    try:
        if document["format"] != FORMAT:
            raise ValueError(f"expected format {FORMAT}, got {shown(document['format'])}; import the day again")
        form = document["form"]
        if form not in (*FORMS, None):
            raise ValueError(f"expected a form of {', '.join(FORMS)}, got {shown(form)}")
        return DayDocument(
            symbol=_text(document["symbol"]),
            date=_date(document["date"]),
            form=form,
            instrument=_instrument(document["instrument"], form),
            mark_unit=amount_of(document["mark_unit"]),
            fundings=tuple((time_of(at), decimal_of(rate)) for at, rate in document["fundings"]),
            gaps=tuple((time_of(begin), time_of(end)) for begin, end in document["gaps"]),
            sources=_words(document["sources"]),
            notes=_words(document["notes"]),
            columns={
                _text(name): Column(_file_name(column["file"]), whole_of(column["rows"]), _text(column["sha256"]))
                for name, column in document["columns"].items()
            },
        )
    except (LookupError, TypeError, AttributeError, ArithmeticError) as error:
        raise ValueError(
            f"expected a day as an import writes it, got {shown(document)} ({shown(str(error))})"
        ) from error


def _instrument(row: Any, form: str | None) -> Instrument | None:
    if row is None and form is None:
        return None
    return instrument_of(row)


def row_of(instrument: Instrument) -> dict[str, Any]:
    """An instrument as plain values; numbers with a point are text."""
    row: dict[str, Any] = {}
    for entry in fields(Instrument):
        value = getattr(instrument, entry.name)
        row[entry.name] = str(value) if isinstance(value, Decimal) else value
    row["untold"] = sorted(instrument.untold)
    row["tiers"] = [
        {entry.name: str(getattr(tier, entry.name)) for entry in fields(RiskTier)} for tier in instrument.tiers
    ]
    return row


def instrument_of(row: Mapping[str, Any]) -> Instrument:
    """The inverse of `row_of`. ValueError, KeyError or TypeError for anything else."""
    values: dict[str, Any] = {}
    for entry in fields(Instrument):
        name = entry.name
        value: Any = row.get(name) if name in _LATER else row[name]
        if name == "tiers":
            values[name] = tuple(
                RiskTier(**{part.name: amount_of(tier[part.name]) for part in fields(RiskTier)}) for tier in value
            )
        elif name == "untold":
            values[name] = frozenset(map(_text, value))
        elif name in _TEXTS:
            values[name] = _text(value)
        elif value is None and name in _OPTIONAL:
            values[name] = None
        elif name in ("funding_interval_minutes", "delivery_ms"):
            values[name] = whole_of(value)
        else:
            values[name] = amount_of(value)
    return Instrument(**values)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {shown(value)}")
    return value


def _date(value: object) -> date:
    try:
        return date.fromisoformat(_text(value))
    except ValueError:
        raise ValueError(f"expected a date such as 2026-09-01, got {shown(value)}") from None


def _file_name(value: object) -> str:
    name = _text(value)
    if "/" in name or name in ("", ".", "..") or len(name) > LONGEST_NAME:
        raise ValueError(f"expected the name of a file beside day.json, got {shown(name)}")
    return name


def _words(value: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    return {_text(part): tuple(map(_text, words)) for part, words in value.items()}
