"""The answer to a statement as table, csv or json.

A table that is wider than the screen comes as records: a block of lines per row, with a line or more per column.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

import orjson
from rich.cells import cell_len

from gridbot.doors.plain_text import json_line, one_line, printable, printable_lines
from supervisor.cli.sentence_lines import wrapped
from supervisor.status.screen_width import UNBOUNDED

__all__ = ["plain_document", "rendered"]

Row = Sequence[Any]

WIDTH_ROWS: Final = 1000
"""Rows that decide how wide the columns of a table are."""
LEAST_ROOM: Final = 20
"""Columns that a value of a record gets at least; where the names leave fewer it stands on lines of its own."""
_NESTED: Final = orjson.OPT_PASSTHROUGH_DATETIME
_JSON: Final = orjson.OPT_INDENT_2 | _NESTED
_INTEGERS: Final = range(-(2**63), 2**64)
"""What orjson writes as a number; larger ones are text."""
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
"""What would move a terminal's cursor or colour it; a csv keeps its tabs and line ends."""
_PLAN: Final = ["explain_key", "explain_value"]
"""The columns of what EXPLAIN says, which has many lines."""
LONGEST_CELL: Final = 4000


def _plain(value: Any) -> Any:
    """Value for JSON: money stays text, so that no reader makes a float of it; times are ISO 8601 in UTC."""
    if isinstance(value, Decimal):
        return _decimal(value)
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds") + ("" if value.tzinfo else "Z")
    if isinstance(value, date):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else str(value)


def _decimal(value: Decimal) -> str:
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return _decimal(value)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="milliseconds")
    if isinstance(value, dict | list | tuple):
        return orjson.dumps(_json_value(value), default=_plain, option=_NESTED).decode()
    return value.hex() if isinstance(value, bytes) else str(value)


def plain_document(value: Any) -> Any:
    """Lists and objects with every value as `sql --format json` has it: money and times as text."""
    if isinstance(value, dict):
        return {str(name): plain_document(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain_document(inner) for inner in value]
    return value if value is None or isinstance(value, str | int | float | bool) else _plain(value)


def _shown(value: Any, *, has_lines: bool) -> str:
    """A cell of a table: words of others move no cursor, begin no line, and fill no screen."""
    text = _cell(value)
    return printable_lines(text) if has_lines else one_line(text, LONGEST_CELL)


def rendered(
    columns: Sequence[str], batches: Iterable[Sequence[Row]], style: str, width: int = UNBOUNDED
) -> Iterator[str]:
    """The answer as table, csv or json (a list of objects), in pieces of whole lines: one batch is in memory.

    `width` is the columns that a table may have.
    """
    if style == "json":
        return _json(columns, batches)
    return _csv(columns, batches) if style == "csv" else _table(columns, batches, width)


def _json(columns: Sequence[str], batches: Iterable[Sequence[Row]]) -> Iterator[str]:
    before = "["
    for row in itertools.chain.from_iterable(batches):
        found = {name: _json_value(value) for name, value in zip(columns, row, strict=True)}
        lines = json_line(orjson.dumps(found, default=_plain, option=_JSON).decode()).split("\n")
        yield "\n".join([before, *(f"  {line}" for line in lines)])
        before = ","
    yield "[]\n" if before == "[" else "\n]\n"


def _csv(columns: Sequence[str], batches: Iterable[Sequence[Row]]) -> Iterator[str]:
    for batch in itertools.chain([[columns]], batches):
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerows([_cell(value) for value in row] for row in batch)
        yield _CONTROL.sub(lambda sign: printable(sign[0]), buffer.getvalue())


def _table(columns: Sequence[str], batches: Iterable[Sequence[Row]], width: int) -> Iterator[str]:
    """Columns are as wide as the first rows need; a longer value further down makes its column wider from there on."""
    batches, has_lines = iter(batches), list(columns) == _PLAN
    first = list(itertools.islice(itertools.chain.from_iterable(batches), WIDTH_ROWS))
    numeric = [any(_is_number(row[index]) for row in first[:100]) for index in range(len(columns))]
    widths = [cell_len(name) for name in columns]
    titles = [list(columns)]
    for batch in itertools.chain([first], batches):
        rows = [[_shown(value, has_lines=has_lines) for value in row] for row in batch]
        lines = [*titles, *itertools.chain.from_iterable(map(_lines, rows))]
        widths = [max(before, *map(cell_len, column)) for before, *column in zip(widths, *lines, strict=True)]
        if titles and rows and sum(widths) + 2 * (len(widths) - 1) > width:
            yield from _records(columns, itertools.chain([first], batches), width)
            return
        titles = []
        yield "".join(f"{_aligned(row, widths, numeric)}\n" for row in lines)


def _records(columns: Sequence[str], batches: Iterable[Sequence[Row]], width: int) -> Iterator[str]:
    names = max(map(cell_len, columns))
    for number, row in enumerate(itertools.chain.from_iterable(batches), 1):
        lines = [f"--- row {number}"]
        for name, value in zip(columns, row, strict=True):
            title = name + " " * (names - cell_len(name))
            lines += _entry(title, _shown(value, has_lines=list(columns) == _PLAN), width)
        yield "".join(f"{line.rstrip()}\n" for line in lines)


def _entry(title: str, text: str, width: int) -> list[str]:
    """A column of a record. Text of several lines keeps them; words that are too long, such as ids, stay whole."""
    room = width - cell_len(title) - 2
    if "\n" in text or (room < LEAST_ROOM and cell_len(text) > room):
        return [title, *text.rstrip("\n").split("\n")]
    indent = " " * (cell_len(title) + 2)
    first, *more = wrapped(text, max(room, LEAST_ROOM), further="")
    return [f"{title}  {first}", *(indent + line for line in more)]


def _aligned(row: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    padded = []
    for text, width, right in zip(row, widths, numeric, strict=True):
        blanks = " " * (width - cell_len(text))
        padded.append(blanks + text if right else text + blanks)
    return "  ".join(padded).rstrip()


def _lines(row: Sequence[str]) -> Iterator[Sequence[str]]:
    """A row whose values have several lines, such as the plan of EXPLAIN, as several rows."""
    if not any("\n" in text for text in row):
        return iter([row])
    return itertools.zip_longest(*(text.rstrip("\n").split("\n") for text in row), fillvalue="")


def _json_value(value: Any) -> Any:
    """The value with all that orjson cannot write as a number or a name made text, however deep it is."""
    if isinstance(value, dict):
        return {_name(name): _json_value(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(each) for each in value]
    return str(value) if isinstance(value, int) and value not in _INTEGERS else value


def _name(value: Any) -> str:
    """The key of a map."""
    return value if isinstance(value, str) else _cell(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)
