"""Which files there are to import, what their names say, and how each is read. Reads directories."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final, NamedTuple

from gridbot.doors.plain_text import one_line
from gridbot.market.answer_files import read_answers
from gridbot.market.file_endings import ANSWERS, ENDINGS, RECORDS, kind_of
from gridbot.market.market_error import MarketError
from gridbot.market.record_files import read_records
from gridbot.market.table_files import read_table
from gridbot.market.text_columns import Rows

__all__ = ["InputFile", "InputFiles", "input_files", "rows_of"]

NAME: Final = re.compile(
    r"([A-Z0-9]{2,30}?(?:USDT|USDC|PERP|USD))(?![A-Z0-9])|([A-Z0-9]{2,30}?(?:USDT|USDC|PERP|USD))(?=[0-9]{4}-)"
)
DATE: Final = re.compile(r"[-_]?([0-9]{4}-[0-9]{2}-[0-9]{2})(?![0-9_-]*[0-9]{4}-[0-9]{2}-[0-9]{2})")
OTHER_PRICES: Final = ("premium_index", "spot_index", "index_price", "index-price", "indexprice", "premium-index")
MARKS: Final = re.compile(r"(?<![a-z])(?i:mark(?!et|ed|er|in))")
"""A word of its own, not a part of market or benchmark."""
NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file, and what its name says: `SYMBOLyyyy-mm-dd...` is a day of Bybit's archive, `mark` in it mark prices."""

    path: Path
    symbol: str | None
    day: date | None
    is_marks: bool = False


class InputFiles(NamedTuple):
    """The files to be read, and what is to be said of those of directories that were passed over."""

    files: list[InputFile]
    passed_over: list[str]


def input_files(paths: Iterable[Path], apart: Path | None = None) -> InputFiles:
    """Files of market data: those named, and all of the known kinds below the directories named, by name.

    `apart` is a directory that is left out where it is below another: what was imported before. A file that is there by
    two names, such as by a link, is read once. Raise MarketError for a file of another kind that was named, and for
    what is not there.
    """
    found: dict[tuple[int, int] | Path, InputFile] = {}
    said: list[str] = []
    for path in paths:
        if path.is_dir():
            taken, passed = _below(path, apart.resolve() if apart else None)
            for inner in taken:
                found.setdefault(_identity(inner), _named(inner))
            said += passed
        elif not path.exists():
            raise MarketError(f"{path}: expected a file or a directory, there is none")
        elif not path.is_file():
            raise MarketError(f"{path}: expected a file or a directory, got something else, such as a pipe")
        elif kind_of(path) is None:
            raise MarketError(f"{path}: expected a file that ends with {ENDINGS}; unpack or convert it")
        elif _is_of_index(path):
            raise MarketError(f"{path}: expected traded or mark prices, got a file of index prices; leave it out")
        else:
            found.setdefault(_identity(path), _named(path))
    return InputFiles(list(found.values()), said)


def rows_of(path: Path) -> Iterator[Rows]:
    """The rows of a file. Raise MarketError."""
    kind = kind_of(path)
    if kind in ANSWERS:
        return read_answers(path)
    if kind in RECORDS:
        return read_records(path)
    return read_table(path)


def _below(directory: Path, apart: Path | None) -> tuple[list[Path], list[str]]:
    """Files that can be read, and words about the others. Links to directories are not followed: one may lead back."""
    taken: list[Path] = []
    unknown: list[str] = []
    index: list[str] = []
    for place, folders, names in os.walk(directory, onerror=_unreadable):
        folders[:] = sorted(name for name in folders if apart is None or Path(place, name).resolve() != apart)
        for name in sorted(names):
            path = Path(place, name)
            if name.startswith("."):
                continue
            if kind_of(path) is None or (path.exists() and not path.is_file()):
                unknown.append(name)
            elif _is_of_index(path):
                index.append(name)
            else:
                taken.append(path)
    said = []
    if unknown:
        ends = "" if taken else f": market data ends with {ENDINGS}"
        said.append(f"{directory}: passed over {_listed(unknown)}{ends}")
    if index:
        said.append(f"{directory}: passed over {_listed(index)}: index prices are nobody's to trade at")
    if not taken and not said:
        said.append(f"{directory}: expected files of market data, got none")
    return taken, said


def _unreadable(error: OSError) -> None:
    raise MarketError(f"{error.filename}: cannot be read: {error.strerror}") from error


def _listed(names: list[str]) -> str:
    shown = ", ".join(one_line(name, 80) for name in names[:NAMED])
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{len(names)} file{'' if len(names) == 1 else 's'} ({shown}{more})"


def _identity(path: Path) -> tuple[int, int] | Path:
    try:
        status = path.stat()
    except OSError:
        return path  # whoever reads it says so
    return status.st_dev, status.st_ino


def _is_of_index(path: Path) -> bool:
    return any(word in path.name.lower() for word in OTHER_PRICES)


def _named(path: Path) -> InputFile:
    name = path.name
    is_marks = MARKS.search(name) is not None
    found = NAME.match(name)
    if found is None:
        return InputFile(path, None, None, is_marks)
    dated = DATE.match(name, found.end())
    try:
        day = date.fromisoformat(dated.group(1)) if dated else None
    except ValueError:
        day = None
    return InputFile(path, found.group(1) or found.group(2), day, is_marks)
