"""The files of a day: `.npy` columns, named by their content, and `day.json`, which says which of them count.

A change writes new columns beside the old ones and then replaces `day.json`: whoever reads has the day of before or of
after, and a process that is killed in between leaves files that the next change removes. A column that somebody has
mapped goes on as it was.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gridbot.atomic_file import put_in_place, remove_abandoned, temporary_beside, write_atomic
from gridbot.market.day import Day, check_day
from gridbot.market.day_document import Column, DayDocument, document_bytes, document_of
from gridbot.market.market_error import MarketError, unwritable
from gridbot.market.pyramid import FACTOR, Level, Pyramid, levels_of
from gridbot.private_files import make_directory, open_private, private_open

__all__ = ["DOCUMENT", "check_files", "open_day", "put_day", "read_document", "replace_columns"]

DOCUMENT: Final = "day.json"
LONGEST_DOCUMENT: Final = 1 << 24
TYPES: Final = {"sides": np.dtype("i1")}
WHOLE: Final = np.dtype("<i8")
TICKS: Final = ("times_ms", "prices", "sizes", "sides")
MARKS: Final = ("marks_ms", "marks")


def read_document(directory: Path) -> DayDocument | None:
    """What `day.json` says; None when there is none. Raise MarketError when it is not as we wrote it."""
    path = directory / DOCUMENT
    try:
        # A pipe of this name would keep us waiting for its other end.
        with open(private_open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            return document_of(file.read(LONGEST_DOCUMENT))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        raise MarketError(f"{path}: cannot be read: {error}; give this user the right to read {directory}") from error
    except (OSError, ValueError) as error:
        raise MarketError(f"{path}: cannot be read: {error}; remove {directory} and import the day again") from error


def put_day(directory: Path, day: Day) -> DayDocument:
    """Write a day of memory, in place of what was there. Raise MarketError, DayRefused."""
    check_day(day)
    document = DayDocument(
        symbol=day.symbol,
        date=day.date,
        instrument=day.instrument,
        form=day.kind,
        mark_unit=day.mark_unit,
        fundings=day.fundings,
        gaps=day.gaps,
        sources={"ticks": day.sources} if day.sources else {},
        notes={"ticks": day.notes} if day.notes else {},
    )
    return replace_columns(directory, document, {name: getattr(day, name) for name in (*TICKS, *MARKS)})


def replace_columns(directory: Path, document: DayDocument, columns: Mapping[str, NDArray[Any]]) -> DayDocument:
    """Write some columns of a day and keep the others that `document` names. Returns the document as it was written.

    The pyramid is made when the prices are among them. Raise MarketError.
    """
    given = dict(columns)
    if "prices" in given:
        given["pyramid"] = _packed(levels_of(given["prices"]))
    try:
        make_directory(directory)
        remove_abandoned(directory / DOCUMENT, locked=True)
        written = {name: _put_column(directory, name, values) for name, values in given.items() if values.size}
        kept = {name: column for name, column in document.columns.items() if name not in given}
        now = replace(document, columns=kept | written)
        write_atomic(directory / DOCUMENT, document_bytes(now))
        _remove_others(directory, {column.file for column in now.columns.values()} | {DOCUMENT})
    except OSError as error:
        _remove_unnamed(directory)
        raise unwritable(directory, error) from error
    return now


def open_day(directory: Path) -> Day | None:
    """A day with its columns mapped; None when there is none, or none with ticks. Raise MarketError."""
    for last_try in (False, True):
        document = read_document(directory)
        if document is None or document.kind is None:
            return None
        try:
            return _opened(directory, document)
        except FileNotFoundError as error:  # it was replaced since its document was read
            if last_try:
                raise MarketError(
                    f"{error.filename}: expected a column of the day, got nothing; import it again"
                ) from None
    raise AssertionError("unreachable")


def check_files(directory: Path, document: DayDocument) -> list[str]:
    """What is wrong with the files of a day, in words: missing, of another size, of another content."""
    found: list[str] = []
    for name, column in document.columns.items():
        try:
            values = _mapped(directory, name, document)
        except FileNotFoundError:
            found.append(f"{directory / column.file}: expected {column.rows} entries, the file is missing")
        except MarketError as error:
            found.append(str(error))
        else:
            if (sha256 := _sha256(values)) != column.sha256:
                found.append(
                    f"{directory / column.file}: expected the checksum {column.sha256[:16]}..., got {sha256[:16]}...; "
                    "the file was changed since it was imported"
                )
    return found


def _opened(directory: Path, document: DayDocument) -> Day:
    columns = {name: _mapped(directory, name, document) for name in (*TICKS, *MARKS, "pyramid")}
    sizes = {name: len(columns[name]) for name in TICKS}
    if len(set(sizes.values())) > 1 or len(columns["marks"]) != len(columns["marks_ms"]):
        raise MarketError(f"{directory / DOCUMENT}: expected columns of one length, got {sizes}; import the day again")
    assert document.kind is not None
    assert document.instrument is not None  # document_of has seen to it
    return Day(
        symbol=document.symbol,
        date=document.date,
        kind=document.kind,
        instrument=document.instrument,
        **{name: columns[name] for name in (*TICKS, *MARKS)},
        pyramid=Pyramid(columns["prices"], _levels(directory, columns["pyramid"], len(columns["prices"]))),
        mark_unit=document.mark_unit,
        fundings=document.fundings,
        gaps=document.gaps,
        sources=tuple(word for words in document.sources.values() for word in words),
        notes=tuple(word for words in document.notes.values() for word in words),
        version=hashlib.sha256(document_bytes(replace(document, sources={}, notes={}))).hexdigest(),
    )


def _put_column(directory: Path, name: str, values: NDArray[Any]) -> Column:
    """Write one column under the name of its content. A name that is there already is written again all the same."""
    plain = np.ascontiguousarray(values, TYPES.get(name, WHOLE))
    sha256 = _sha256(plain)
    path = directory / f"{name}-{sha256[:16]}.npy"
    temporary = temporary_beside(path)
    try:
        with open_private(temporary, "xb") as file:
            np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(plain))
            file.write(plain.data.cast("B"))  # numpy's own way of writing does not say why a disk takes no more
        put_in_place(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    return Column(path.name, int(plain.shape[-1]), sha256)


def _mapped(directory: Path, name: str, document: DayDocument) -> NDArray[Any]:
    """A column, mapped read-only. Raise FileNotFoundError, MarketError."""
    kind, column = TYPES.get(name, WHOLE), document.columns.get(name)
    if column is None:
        return np.empty((2, 0) if name == "pyramid" else 0, kind)
    path, wanted = directory / column.file, (2, column.rows) if name == "pyramid" else (column.rows,)
    try:
        with open(private_open(path, os.O_RDONLY), "rb") as file, warnings.catch_warnings():
            warnings.simplefilter("error")
            if np.lib.format.read_magic(file) != (1, 0):
                raise ValueError("not version 1.0 of .npy")
            shape, by_column, dtype = np.lib.format.read_array_header_1_0(file)
            if (shape, by_column, dtype) != (wanted, False, kind):
                raise ValueError(f"expected {wanted} of {kind}, got {shape} of {dtype}")
            # A plain array over the map: slices of np.memmap cost ten times as much.
            return np.asarray(np.memmap(file, dtype, mode="r", offset=file.tell(), shape=shape)).view(np.ndarray)
    except FileNotFoundError:
        raise
    except (OSError, ValueError, UserWarning) as error:
        raise MarketError(f"{path}: cannot be read: {error}; import the day again") from error


def _packed(levels: list[Level]) -> NDArray[np.int64]:
    """All levels in one array of two rows, from the lowest level up."""
    if not levels:
        return np.empty((2, 0), np.int64)
    return np.vstack([np.concatenate([level[side] for level in levels]) for side in (0, 1)])


def _levels(directory: Path, packed: NDArray[np.int64], size: int) -> list[Level]:
    levels: list[Level] = []
    at = 0
    while size > FACTOR:
        size = -(-size // FACTOR)
        levels.append((packed[0, at : at + size], packed[1, at : at + size]))
        at += size
    if at != packed.shape[1]:
        raise MarketError(
            f"{directory}: expected a pyramid of {at} entries, got {packed.shape[1]}; import the day again"
        )
    return levels


def _sha256(values: NDArray[Any]) -> str:
    return hashlib.sha256(values.data if values.size else b"").hexdigest()


def _remove_unnamed(directory: Path) -> None:
    """Remove what a failed change has written: where a disk is full, its place is wanted."""
    with contextlib.suppress(MarketError):
        there = read_document(directory)
        _remove_others(directory, {column.file for column in there.columns.values()} if there else set())


def _remove_others(directory: Path, wanted: set[str]) -> None:
    """Remove columns of before. What stays because it cannot be removed does no harm."""
    for path in directory.glob("*.npy*"):
        if path.name not in wanted:
            with contextlib.suppress(OSError):
                path.unlink()
