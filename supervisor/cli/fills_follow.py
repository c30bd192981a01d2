"""`fills -f`: each trade once, as soon as it is in the database, by short readings a second apart."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Mapping
from typing import Final

import click
import orjson

from supervisor.cli.answer_output import plain_document, rendered
from supervisor.cli.record_output import Row, rounded
from supervisor.exit_codes import CommandError, ExitCode
from supervisor.store import record_questions
from supervisor.store.record_questions import Asked

__all__ = ["follow"]

POLL_S: Final = 1.0
NAMES: Final = (
    "exchange_ts",
    "money",
    "account",
    "strategy",
    "symbol",
    "direction",
    "side",
    "price",
    "qty",
    "value",
    "fee",
    "realised",
    "maker",
    "exec_id",
)
WIDTHS: Final = {
    "exchange_ts": 23,
    "money": 7,
    "account": 10,
    "strategy": 14,
    "symbol": 12,
    "direction": 5,
    "side": 4,
    "price": 12,
    "qty": 10,
    "value": 12,
    "fee": 9,
    "realised": 10,
    "maker": 5,
    "exec_id": 0,
}
"""Columns of a line that is printed when nobody knows the next ones."""
NUMBERS: Final = frozenset(("price", "qty", "value", "fee", "realised"))

Ask = Callable[..., list[list[Row]]]


def follow(ask: Ask, asked: Asked, lines: int, style: str) -> None:
    """Print the newest `lines` trades and then all that come, until Ctrl-C. Raises CommandError.

    The first reading says up to which number of each account it has looked, in the same state of the records.
    """
    shown, newest = ask(record_questions.fills(asked, lines), record_questions.newest_fills())
    seen = {row["account"]: row["seq"] for row in newest}
    printer = _Printer(style)
    printer.show(shown)
    live = Asked(asked.addressed)
    while True:
        time.sleep(POLL_S)
        try:
            rows, newest = ask(record_questions.fills_after(live, seen), record_questions.newest_fills())
        except CommandError as error:
            if error.code is not ExitCode.TIMEOUT:
                raise
            continue  # somebody has the file for longer: what came meanwhile comes with the next reading
        printer.show(rows)
        seen |= {row["account"]: row["seq"] for row in newest}


class _Printer:
    """Lines of a table, of CSV, or of JSON, an object each."""

    def __init__(self, style: str) -> None:
        self._style = style
        self._has_head = False

    def show(self, rows: list[Row]) -> None:
        for row in rows:
            self._one({name: row[name] for name in NAMES})

    def _one(self, row: Row) -> None:
        if self._style == "json":
            click.echo(orjson.dumps(plain_document(row)).decode())
            return
        if self._style == "csv":
            head, line = "".join(rendered(list(row), [[list(row.values())]], "csv")).splitlines()
        else:
            head, line = _line({name: name.upper() for name in row}), _line(_texts(rounded(row)))
        if not self._has_head:
            click.echo(head)
            self._has_head = True
        click.echo(line)


def _texts(row: Row) -> dict[str, str]:
    """Each value as a cell of a CSV file has it."""
    _, cells = csv.reader("".join(rendered(list(row), [[list(row.values())]], "csv")).splitlines())
    return dict(zip(row, cells, strict=True))


def _line(texts: Mapping[str, str]) -> str:
    cells = [text.rjust(WIDTHS[name]) if name in NUMBERS else text.ljust(WIDTHS[name]) for name, text in texts.items()]
    return " ".join(cells).rstrip()
