"""Read-only statements on the records, for `sql` and `ledger`, while the bot runs and when it does not.

A statement runs on a read-only connection without access to files or network, with limits on time and memory. The
file is held only while the statement runs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from gridbot.store.file_errors import is_damage
from gridbot.store.reading import DatabaseLocked, NoDatabase, ReadingError, connect
from supervisor.exit_codes import ExitCode

__all__ = ["Answer", "Limits", "Query", "SqlFailed", "ask", "ask_all"]


class SqlFailed(Exception):
    """The statement cannot be answered; carries the exit code."""

    def __init__(self, message: str, exit_code: ExitCode) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class Answer:
    """Column names and rows."""

    columns: list[str]
    rows: list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one statement may take: seconds to wait for the file, seconds to run, memory, threads."""

    wait_s: float = 5.0
    timeout_s: float = 60.0
    memory: str = "1GB"
    threads: int = 2


@dataclass(frozen=True, slots=True)
class Query:
    """Where to ask, and the limits of each statement."""

    data_dir: Path
    limits: Limits

    def ask(self, statement: str, *, parquet: Path | None = None) -> Answer:
        """As `ask`."""
        return ask(self.data_dir, statement, self.limits, parquet=parquet)


def ask(data_dir: Path, statement: str, limits: Limits | None = None, *, parquet: Path | None = None) -> Answer:
    """Run one statement. With `parquet` the rows go to that file and the answer says how many. Raise SqlFailed."""
    [answer] = _answers(data_dir, [statement], limits or Limits(), parquet)
    return answer


def ask_all(data_dir: Path, statements: Sequence[str], limits: Limits | None = None) -> list[Answer]:
    """Run several statements on the same state of the records: the file is waited for once. Raise SqlFailed."""
    return _answers(data_dir, statements, limits or Limits(), None)


def _answers(data_dir: Path, statements: Sequence[str], limits: Limits, parquet: Path | None) -> list[Answer]:
    settings = {
        "memory_limit": limits.memory,
        "threads": str(limits.threads),
        "max_execution_time": str(max(1, int(limits.timeout_s * 1000))),
    }
    with _plain_errors(limits.timeout_s):
        statements = [_one_select(statement) for statement in statements]
        with connect(data_dir, timeout_s=limits.wait_s, config=settings) as con:
            if parquet is not None:
                con.execute(f"SET allowed_paths = ['{_escaped(parquet)}']")
                statements = [f"COPY ({each}) TO '{_escaped(parquet)}' (FORMAT parquet)" for each in statements]
            con.execute("SET enable_external_access = false")
            con.execute("SET lock_configuration = true")
            found = []
            for statement in statements:
                cursor = con.execute(statement)
                found.append(Answer([column[0] for column in cursor.description or []], cursor.fetchall()))
            return found


def _escaped(path: Path) -> str:
    return str(path.absolute()).replace("'", "''")


def _one_select(statement: str) -> str:
    """The statement without its semicolon. Raise SqlFailed unless it is exactly one that only reads."""
    found = duckdb.extract_statements(statement)
    if len(found) != 1:
        raise SqlFailed(f"expected one SQL statement, got {len(found)}", ExitCode.USAGE)
    allowed = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
    if found[0].type not in allowed:
        kind = found[0].type.name
        raise SqlFailed(f"expected a statement that only reads (SELECT, DESCRIBE, EXPLAIN), got {kind}", ExitCode.USAGE)
    return statement.strip().rstrip(";").rstrip()


@contextlib.contextmanager
def _plain_errors(timeout_s: float) -> Iterator[None]:
    try:
        yield
    except NoDatabase as exc:
        raise SqlFailed(str(exc), ExitCode.NOT_RUNNING) from exc
    except DatabaseLocked as exc:
        raise SqlFailed(str(exc), ExitCode.TIMEOUT) from exc
    except ReadingError as exc:
        raise SqlFailed(str(exc), ExitCode.UNEXPECTED) from exc
    except duckdb.InterruptException as exc:
        raise SqlFailed(f"not done after {timeout_s:g} s; give it longer with --timeout", ExitCode.TIMEOUT) from exc
    except duckdb.OutOfMemoryException as exc:
        text = f"the query needs more memory than allowed ({str(exc).splitlines()[0]}); raise --memory"
        raise SqlFailed(text, ExitCode.UNEXPECTED) from exc
    except duckdb.PermissionException as exc:
        raise SqlFailed(
            f"only the records can be read here, no files or network: {_headline(exc)}", ExitCode.USAGE
        ) from exc
    except (duckdb.ProgrammingError, duckdb.DataError, duckdb.NotSupportedError) as exc:
        raise SqlFailed(_headline(exc), ExitCode.USAGE) from exc
    except duckdb.Error as exc:
        hint = "; gridbot-supervisor rebuild makes a new file" if is_damage(exc) else ""
        raise SqlFailed(_headline(exc) + hint, ExitCode.UNEXPECTED) from exc


def _headline(exc: BaseException) -> str:
    """DuckDB's message as one line: what is wrong, the hint, and where."""
    lines = [line.strip() for line in str(exc).splitlines() if line.strip() and set(line.strip()) != {"^"}]
    return " ".join(lines)
