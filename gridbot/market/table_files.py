"""Files of market data as batches of text columns, with the number of each row as an editor counts. Reads files.

CSV (`.csv`, also `.gz` and `.zst`), Parquet and Feather. A batch has a few hundred thousand rows: a file of any length
needs the memory of one batch, but for Feather, which is read whole.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet

from gridbot.doors.plain_text import one_line, shown
from gridbot.market.file_endings import kind_of, packing_of
from gridbot.market.market_error import MarketError
from gridbot.market.text_columns import Rows, texts_of

__all__ = ["LONGEST_LINE", "RULES", "csv_rows", "opened", "read_table", "reading", "require_text"]

BLOCK: Final = 1 << 23
LONGEST_LINE: Final = 1 << 20
BATCH_ROWS: Final = 1 << 17
MOST_COLUMNS: Final = 1000
LONGEST_HEAD: Final = 100_000
RULES: Final = "gridbot.instrument"
"""The key of an instrument's rules in the metadata of a Parquet file of ours; as `day.json` has them."""
METATRADER: Final = re.compile(r"[0-9]{4}\.[0-9]{2}\.[0-9]{2}( [0-9]{2}:[0-9]{2})?")
PRICES: Final = ("open", "high", "low", "close", "volume")
OTHER_SIGNS: Final = (";", "\t", "|")
NUMBER: Final = re.compile(r"[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Whatever goes wrong while a file is read is a MarketError that names it."""
    try:
        yield
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error, pa.ArrowException, ArithmeticError) as error:
        raise MarketError(f"{path}: cannot be read: {one_line(str(error))}") from error


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """A file's bytes, unpacked when its name ends with .gz or .zst; checksums are checked at the end. OSError."""
    packing = packing_of(path)
    if packing == ".gz":
        with gzip.open(path, "rb") as packed:
            yield packed  # type: ignore[misc]
    elif packing == ".zst":
        with path.open("rb") as raw, pa.CompressedInputStream(raw, "zstd") as stream:
            yield io.BufferedReader(stream, BLOCK)
    else:
        with path.open("rb") as file:
            yield file


def read_table(path: Path) -> Iterator[Rows]:
    """The rows of a table file. Raise MarketError."""
    kind = kind_of(path)
    with reading(path):
        if kind == ".parquet":
            file = pyarrow.parquet.ParquetFile(path)
            rules = (file.schema_arrow.metadata or {}).get(RULES.encode())
            yield from _batches(file.iter_batches(BATCH_ROWS), {"rules": rules.decode()} if rules else {})
        elif kind == ".feather":
            table = pyarrow.feather.read_table(path, memory_map=False)  # a mapped file that shrinks kills the process
            yield from _batches(table.to_batches(max_chunksize=BATCH_ROWS))
        else:
            with opened(path) as text:
                yield from csv_rows(text)


def _batches(batches: Any, hints: Mapping[str, str] = MappingProxyType({})) -> Iterator[Rows]:
    first = 1
    for batch in batches:
        _require_different(batch.schema.names)
        columns = {name: texts_of(batch.column(name)) for name in batch.schema.names if _can_be_text(batch, name)}
        yield Rows(columns, np.arange(first, first + len(batch)), hints=hints)
        first += len(batch)


def _can_be_text(batch: Any, name: str) -> bool:
    kind = batch.schema.field(name).type
    return not (pa.types.is_nested(kind) or pa.types.is_binary(kind))


def csv_rows(file: IO[bytes]) -> Iterator[Rows]:
    """The rows of a CSV file. Raise OSError, ArrowException and others that `reading` knows."""
    first = _line(file)
    names, line = _column_names(first)
    rest = first if line == 1 else b""
    while block := file.read(BLOCK):
        block = rest + block
        cut = block.rfind(b"\n") + 1
        if not cut and len(block) > LONGEST_LINE:
            raise OSError(f"line {line}: expected lines of at most {LONGEST_LINE} bytes, got none that ends")
        if cut:
            yield _parsed(block[:cut], names, line)
            line += block.count(b"\n", 0, cut)
        rest = block[cut:]
    if rest:
        yield _parsed(rest + b"\n", names, line)
    elif line == 2 and not rest:
        yield Rows({name: pa.array([], pa.string()) for name in names}, np.empty(0, np.int64))


def _line(file: IO[bytes]) -> bytes:
    first = file.readline(LONGEST_LINE)
    if not first.strip():
        raise OSError("expected a line with the names of the columns, got " + ("an empty one" if first else "nothing"))
    require_text(first, 1)
    if b"\r" in first.rstrip(b"\r\n"):
        raise OSError(
            "line 1: expected lines that end with \\n or \\r\\n, got \\r alone, as of old Macs; "
            "convert it: tr '\\r' '\\n' < OLD > NEW.csv"
        )
    return first.removeprefix(b"\xef\xbb\xbf")


def _column_names(first: bytes) -> tuple[list[str], int]:
    """Names of the columns, and the number of the first line with data: Bybit's files for MetaTrader have no names."""
    if len(first) > LONGEST_HEAD:
        raise OSError(f"line 1: expected the names of the columns, got {len(first)} bytes or more without an end")
    (cells,) = csv.reader([first.decode("utf-8").rstrip("\r\n")])
    if found := METATRADER.fullmatch(cells[0]):
        return [*(("time",) if found.group(1) else ("day", "clock")), *PRICES], 1
    if len(cells) > MOST_COLUMNS:
        raise OSError(f"line 1: expected at most {MOST_COLUMNS} columns, got {len(cells)}")
    if len(cells) == 1 and (sign := next((sign for sign in OTHER_SIGNS if sign in cells[0]), None)):
        raise OSError(
            f"line 1: expected commas between the columns, got {shown(sign)}; "
            "write it anew with commas between, and with points in numbers"
        )
    if all(NUMBER.fullmatch(name) for name in cells):
        raise OSError(
            f"line 1: expected the names of the columns, got numbers: {shown(', '.join(cells), 100)}; "
            "put a line with names before it, such as time,open,high,low,close,volume"
        )
    names = [name.strip() for name in cells]
    _require_different(names, "line 1: ")
    return names, 2


def _require_different(names: Sequence[str], place: str = "") -> None:
    if twice := {name for name in names if names.count(name) > 1}:
        raise OSError(f"{place}expected names of columns that differ, got {shown(min(twice))} twice")


def require_text(block: bytes, first: int) -> None:
    """Raise OSError where bytes are no text in UTF-8, with the number of the line; `first` is that of the first one.

    Arrow would print a traceback of its own for a row with too many columns that is no text.
    """
    head = block[:100]
    if first == 1 and (head.startswith((b"\xff\xfe", b"\xfe\xff")) or 3 * head.count(0) > len(head)):
        raise OSError("line 1: expected text in UTF-8, got UTF-16; convert it: iconv -f UTF-16 -t UTF-8 OLD > NEW")
    if first == 1 and 0 in head:
        raise OSError(
            "line 1: expected text in UTF-8, got a byte of zero, which no text has; is it another kind of file?"
        )
    if block.isascii():
        return
    try:
        block.decode("utf-8")
    except UnicodeDecodeError as error:
        line = first + block.count(b"\n", 0, error.start)
        raise OSError(
            f"line {line}: expected text in UTF-8, got byte {block[error.start]:#04x}; "
            "convert it, such as with iconv -f LATIN1 -t UTF-8 OLD > NEW"
        ) from None


def _require_whole_lines(block: bytes, first: int, rows: int) -> None:
    """Each line is one row: after a quotation mark without its other one, the numbers of lines would be wrong."""
    if rows == block.count(b"\n"):
        return
    lines = block.split(b"\n")[:-1]
    for number, line in enumerate(lines, start=first):
        if line.count(b'"') % 2:
            raise OSError(f"line {number}: expected the row to end with its line, got a quotation mark that is open")
        if b"\r" in line.rstrip(b"\r"):
            raise OSError(f"line {number}: expected one row, got a \\r in the middle of the line")
    raise OSError(f"lines {first} to {first + len(lines) - 1}: expected a row in each line, got {rows} rows")


def _parsed(block: bytes, names: Sequence[str], first: int) -> Rows:
    require_text(block, first)
    broken: list[tuple[int, str]] = []

    def skip(row: Any) -> str:
        broken.append(
            (
                first + row.number - 1,
                f"expected {row.expected_columns} columns, got {row.actual_columns}: {shown(row.text, 200)}",
            )
        )
        return "skip"

    try:
        table = pyarrow.csv.read_csv(
            pa.py_buffer(block),
            read_options=pyarrow.csv.ReadOptions(column_names=names, use_threads=False, block_size=len(block) + 1),
            parse_options=pyarrow.csv.ParseOptions(invalid_row_handler=skip, ignore_empty_lines=False),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        last = first + block.count(b"\n") - 1
        raise OSError(f"lines {first} to {last}: {one_line(str(error))}") from error
    _require_whole_lines(block, first, len(table) + len(broken))
    numbers = np.arange(first, first + len(table) + len(broken))
    columns = {name: texts_of(table.column(name)) for name in names}
    rows = Rows(columns, np.delete(numbers, [at - first for at, _ in broken]), broken)
    said = pa.array(np.zeros(len(table), bool))
    empty = pa.array(np.ones(len(table), bool))
    # Some dumps repeat the names of the columns in their middle; empty lines say nothing.
    if len(table):
        said = _all([pc.equal(columns[name], name) for name in names])
        empty = _all([pc.equal(columns[name], "") for name in names])
    return rows.take(~pc.or_(said, empty).to_numpy(zero_copy_only=False))


def _all(masks: list[Any]) -> Any:
    found = masks[0]
    for mask in masks[1:]:
        found = pc.and_(found, mask)
    return found
