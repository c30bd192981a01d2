"""Which files there are to import, what their names say, and how each is read. Reads directories."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from gridbot.market.answer_files import ANSWER_SUFFIXES, read_answers
from gridbot.market.market_error import MarketError
from gridbot.market.record_files import RECORD_SUFFIXES, read_records
from gridbot.market.table_files import TABLE_SUFFIXES, read_table
from gridbot.market.text_columns import Rows

__all__ = ["InputFile", "input_files", "rows_of"]

KNOWN: Final = (*TABLE_SUFFIXES, *ANSWER_SUFFIXES, *RECORD_SUFFIXES)
PACKED: Final = (".gz", ".zst")
NAME: Final = re.compile(
    r"([A-Z0-9]{2,30}?(?:USDT|USDC|PERP|USD))(?![A-Z0-9])|([A-Z0-9]{2,30}?(?:USDT|USDC|PERP|USD))(?=[0-9]{4}-)"
)
DATE: Final = re.compile(r"[-_]?([0-9]{4}-[0-9]{2}-[0-9]{2})(?![0-9_-]*[0-9]{4}-[0-9]{2}-[0-9]{2})")
OTHER_PRICES: Final = ("premium_index", "spot_index", "index_price", "index-price", "indexprice", "premium-index")


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file, and what its name says: `SYMBOLyyyy-mm-dd...` is a day of Bybit's archive, `mark` in it mark prices."""

    path: Path
    symbol: str | None
    day: date | None
    is_marks: bool = False


def input_files(paths: Iterable[Path]) -> list[InputFile]:
    """Files of market data: those named, and all of the known kinds below the directories named, by name.

    Raise MarketError for a file of another kind that was named, and for what is not there.
    """
    found: dict[Path, InputFile] = {}
    for path in paths:
        if path.is_dir():
            for inner in _below(path):
                found.setdefault(inner, _named(inner))
        elif not path.exists():
            raise MarketError(f"{path}: expected a file or a directory, there is none")
        elif _kind(path) is None:
            raise MarketError(
                f"{path}: expected a file that ends with {', '.join(KNOWN)}, perhaps with .gz or .zst after it"
            )
        else:
            found.setdefault(path, _named(path))
    return list(found.values())


def rows_of(path: Path) -> Iterator[Rows]:
    """The rows of a file. Raise MarketError."""
    kind = _kind(path)
    if kind in ANSWER_SUFFIXES:
        return read_answers(path)
    if kind in RECORD_SUFFIXES:
        return read_records(path)
    return read_table(path)


def _kind(path: Path) -> str | None:
    ends = path.suffixes[-2:] if path.suffix in PACKED else path.suffixes[-1:]
    return ends[0] if ends and ends[0] in KNOWN else None


def _below(directory: Path) -> Iterator[Path]:
    """Links to directories are not followed: one may lead back here."""
    for place, folders, names in os.walk(directory):
        folders.sort()
        for name in sorted(names):
            if not name.startswith(".") and _kind(path := Path(place, name)) is not None:
                yield path


def _named(path: Path) -> InputFile:
    name = path.name
    lowered = name.lower()
    if any(word in lowered for word in OTHER_PRICES):
        raise MarketError(f"{path}: expected traded or mark prices, got a file of index prices; leave it out")
    found = NAME.match(name)
    if found is None:
        return InputFile(path, None, None, "mark" in lowered)
    dated = DATE.match(name, found.end())
    try:
        day = date.fromisoformat(dated.group(1)) if dated else None
    except ValueError:
        day = None
    return InputFile(path, found.group(1) or found.group(2), day, "mark" in lowered)
