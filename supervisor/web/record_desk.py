"""What the reader of the records answers: one request, one reply. It runs in a process of its own (`record_process`).

Requests are JSON objects with `ask`; all other values are texts from the address that a browser has sent.

    rows    name, account, strategy, from, to, limit, format    a question of `row_catalogue`
    fleet   nothing                                             what `fleet_history` has

A reply has the status of HTTP, and a body or a file that the caller takes over. Nothing of a request reaches SQL but
what `Wanted` has parsed.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from textwrap import dedent
from typing import Any, Final

import duckdb
import orjson

from gridbot.command_line import pasteable
from gridbot.core.strict_numbers import count_or_none
from gridbot.private_files import make_directory
from gridbot.store.schema import quote
from supervisor.utc_time import utc_now
from supervisor.web.fleet_history import FleetHistory
from supervisor.web.record_file import HoldOver, Records, TooLong, Unreadable
from supervisor.web.row_catalogue import CATALOGUE, RowQuestion
from supervisor.web.row_statements import Wanted
from supervisor.web.web_spec import downloads_directory

__all__ = ["MOST_FILE_ROWS", "MOST_ROWS", "RecordDesk", "Reply", "json_text"]

ROWS: Final = 1000
MOST_ROWS: Final = 5000
MOST_FILE_ROWS: Final = 200_000
LONGEST_NAME: Final = 100
KINDS: Final = {
    "csv": "(FORMAT csv, HEADER, USE_TMP_FILE false)",
    "parquet": "(FORMAT parquet, USE_TMP_FILE false)",
}
PARAMETERS: Final = ("account", "strategy", "from", "to", "limit", "format")
TOO_LONG: Final = (
    "this takes longer than the page may keep the records from being written: ask for a shorter span or one account, "
    "or paste its SQL into {}, which has more time"
)


@dataclass(frozen=True, slots=True)
class Reply:
    """`status` as in HTTP; `file` is for the caller to read and remove."""

    status: int
    body: bytes = b""
    file: str = ""


class Wrong(ValueError):
    """The request cannot be answered as it is."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class RecordDesk:
    """One per process."""

    def __init__(self, data_dir: Path, records: Records) -> None:
        self._downloads = downloads_directory(data_dir)
        self._too_long = TOO_LONG.format(pasteable("sql", data_dir=data_dir))
        self._records = records
        self._fleet = FleetHistory(records)

    def answer(self, request: Mapping[str, Any]) -> Reply:
        """The reply to one request; it raises for faults of ours only."""
        if request.get("ask") == "fleet":
            return Reply(200, json_text(self._fleet.document()))
        try:
            question, wanted, kind = _parsed(request)
            if kind == "json":
                return self._rows(question, wanted)
            return self._file(question, wanted, kind)
        except Wrong as error:
            return Reply(error.status, f"{error}\n".encode())

    def _rows(self, question: RowQuestion, wanted: Wanted) -> Reply:
        sql = dedent(question.statement(wanted)).strip()
        rows: list[tuple[Any, ...]] = []
        problem, as_of = "", utc_now()

        def read() -> None:
            nonlocal rows, as_of
            with self._opened(question, wanted) as con:
                as_of = self._records.as_of()
                rows = con.execute(sql).fetchall()

        try:
            _twice(read)
        except (TooLong, Unreadable) as error:
            rows, problem = [], self._why(error)
        document = {
            "name": question.name,
            "columns": list(question.columns),
            "units": question.columns,
            "rows": rows,
            "limit": wanted.limit,
            "limited": len(rows) >= wanted.limit,
            "sql": sql,
            "as_of": as_of,
            "missing": self._records.missing(),
            "problem": problem,
        }
        return Reply(200, json_text(document))

    def _file(self, question: RowQuestion, wanted: Wanted, kind: str) -> Reply:
        sql = question.statement(wanted)
        make_directory(self._downloads)
        path = self._downloads / f"{secrets.token_hex(16)}.{kind}"

        def write() -> None:
            with self._opened(question, wanted, path) as con:
                if missing := self._records.missing():
                    raise Unreadable(f"no file is made, {missing}")
                con.execute(f"COPY ({sql}) TO {quote(str(path))} {KINDS[kind]}")

        try:
            _twice(write)
            return Reply(200, file=str(path))
        except (TooLong, Unreadable) as error:
            with contextlib.suppress(OSError):
                os.unlink(path)
            return Reply(503, f"{self._why(error)}\n".encode())

    def _why(self, error: TooLong | Unreadable) -> str:
        return self._too_long if isinstance(error, TooLong) else str(error)

    @contextlib.contextmanager
    def _opened(
        self, question: RowQuestion, wanted: Wanted, writes: Path | None = None
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        if not question.copied:
            with self._records.reading(writes=writes) as con:
                yield con
            return
        mine = Wanted(wanted.account, wanted.strategy).asked.where()
        copied = {table: f"FROM {table} WHERE {mine}" for table in question.copied}
        with self._records.apart(copied, question.views, writes=writes) as con:
            yield con


def _twice(work: Callable[[], None]) -> None:
    """Once more when the file had to be given back: the machine may have been busy for a moment."""
    try:
        work()
    except HoldOver:
        work()


def _parsed(request: Mapping[str, Any]) -> tuple[RowQuestion, Wanted, str]:
    question = CATALOGUE.get(_text(request, "name"))
    if question is None:
        raise Wrong(404, f"expected one of {', '.join(CATALOGUE)}")
    if unknown := request.keys() - {"ask", "name", *PARAMETERS}:
        raise Wrong(400, f"expected the parameters {', '.join(PARAMETERS)}, got another one ({len(unknown)})")
    kind = _text(request, "format") or "json"
    if kind not in ("json", *KINDS):
        raise Wrong(400, f"expected the format json, {' or '.join(KINDS)}")
    account, strategy = _text(request, "account"), _text(request, "strategy")
    if strategy and not account:
        raise Wrong(400, "expected an account with the strategy")
    if question.copied and not account:
        raise Wrong(400, f"expected an account: {question.name} are worked out for one")
    since, until = _time(request, "from"), _time(request, "to")
    if since is not None and until is not None and since >= until:
        raise Wrong(400, "expected a beginning before the end")
    most = MOST_ROWS if kind == "json" else MOST_FILE_ROWS
    limit = _limit(request, ROWS if kind == "json" else MOST_FILE_ROWS, most)
    return question, Wanted(account, strategy, since, until, limit), kind


def _text(request: Mapping[str, Any], name: str) -> str:
    value = request.get(name, "")
    if not isinstance(value, str) or len(value) > LONGEST_NAME or not value.isprintable():
        raise Wrong(400, f"expected a text of at most {LONGEST_NAME} characters for {name}")
    return value


def _time(request: Mapping[str, Any], name: str) -> datetime | None:
    """UTC unless the text says otherwise; an empty text is no limit."""
    text = _text(request, name)
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
        found = found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo is not None else found
    except (ValueError, OverflowError):
        found = None
    if found is None or not 2000 <= found.year <= 2200:
        raise Wrong(400, f"expected a time such as 2026-11-30T03:12:00Z for {name}")
    return found


def _limit(request: Mapping[str, Any], otherwise: int, most: int) -> int:
    text = _text(request, "limit")
    if not text:
        return otherwise
    found = count_or_none(text)
    if found is None or not 1 <= found <= most:
        raise Wrong(400, f"expected 1 to {most} for limit")
    return found


def json_text(document: Any) -> bytes:
    """Amounts as exact text without zeros at the end, times as UTC."""
    return orjson.dumps(document, default=_plain, option=orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        text = format(value, "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"expected a value of the records, got {type(value).__name__}")
