"""The answer to a statement as table, csv or json."""

from __future__ import annotations

import csv
import io
from datetime import date, datetime
from decimal import Decimal
from typing import IO, Any

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from supervisor.store.query import Answer

__all__ = ["render"]


def _plain(value: Any) -> Any:
    """Value for JSON: money stays text, so that no reader makes a float of it; times are ISO 8601 in UTC."""
    if isinstance(value, Decimal):
        return _decimal(value)
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds") + ("" if value.tzinfo else "Z")
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


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
    return str(value)


def render(answer: Answer, style: str, stream: IO[str]) -> None:
    """Write an answer as table, csv or json (a list of objects)."""
    if style == "json":
        rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
        text = orjson.dumps(rows, default=_plain, option=orjson.OPT_INDENT_2 | orjson.OPT_PASSTHROUGH_DATETIME)
        stream.write(text.decode() + "\n")
    elif style == "csv":
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(answer.columns)
        writer.writerows([_cell(value) for value in row] for row in answer.rows)
    else:
        _render_table(answer, stream)


def _render_table(answer: Answer, stream: IO[str]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, name in enumerate(answer.columns):
        numeric = any(
            isinstance(row[index], int | float | Decimal) and not isinstance(row[index], bool)
            for row in answer.rows[:100]
        )
        table.add_column(Text(name), justify="right" if numeric else "left", no_wrap=True)
    for row in answer.rows:
        table.add_row(*(Text(_cell(value)) for value in row))
    # Rendered wide on purpose: a terminal wraps or a pager scrolls, but no number is ever shortened.
    buffer = io.StringIO()
    Console(file=buffer, width=10_000, highlight=False).print(table)
    stream.write("".join(f"{line.rstrip()}\n" for line in buffer.getvalue().splitlines()))
