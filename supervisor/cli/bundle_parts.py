"""The parts of a bundle: each is read by itself, so that what is broken costs only itself; here they lose secrets."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson

from gridbot.config.bundle_redaction import Redaction
from gridbot.doors.plain_text import one_line
from gridbot.hidden_words import spellings
from supervisor.cli.patient_client import PatientClient
from supervisor.control.control_client import ControlError
from supervisor.metrics.metrics_token import token_path

__all__ = ["Asked", "Part", "parts"]

LOGS_PART: Final = 0.5
RECORDS_PART: Final = 0.25
STATE_PART: Final = 0.15
"""Of the size of all that each kind may have; the rest is for status, doctor and configuration."""
LEAST_LOG: Final = 20_000
WAIT_S: Final = 10.0
LONGEST_TOLD: Final = 300
STATES: Final = ("state", "notify", "telegram")
"""Directories of what is kept over a restart: of accounts, of messages about alerts, of Telegram."""
NOT_STATE: Final = frozenset({".sock", ".lock", ".tmp"})


@dataclass(frozen=True, slots=True)
class Part:
    """A file of the bundle."""

    name: str
    data: bytes

    @property
    def size(self) -> int:
        """Bytes, before they are packed."""
        return len(self.data)


@dataclass(frozen=True)
class Asked:
    """What a bundle is made of: `most` bytes in all, `rows` records of each table."""

    place: Path
    config_file: Path
    data_dir: str | None
    offline: bool
    most: int
    rows: int

    def redaction(self) -> Redaction:
        """What takes out the secrets that can be known here."""
        return _redaction(self)


def parts(asked: Asked) -> tuple[list[Part], list[str]]:
    """The files, and what was left out and why. No file has a secret."""
    found: list[Part] = []
    left_out: list[str] = []
    room = asked.most
    for what, read in _KINDS.items():
        try:
            for part in read(asked, left_out):
                clean = Part(part.name, asked.redaction().of(part.data))
                if clean.size > room:
                    left_out.append(f"{part.name}: {clean.size:,} bytes, and {room:,} are left (--max-size)")
                    continue
                room -= clean.size
                found.append(clean)
        except Exception as error:  # noqa: BLE001 - a bug report is wanted because something is broken
            left_out.append(f"{what}: {_told(asked, error)}")
    return found, left_out


def _told(asked: Asked, error: Exception) -> str:
    text = one_line(getattr(error, "text", "") or str(error) or type(error).__name__, LONGEST_TOLD)
    return asked.redaction().of(text.encode()).decode(errors="replace")


@cache
def _redaction(asked: Asked) -> Redaction:
    return Redaction(spelling for secret in _secrets(asked) for spelling in spellings(secret))


def _secrets(asked: Asked) -> Iterator[str]:
    """All that this user can know: of the file, of the paper accounts, tokens of the page and of metrics.

    A file that is refused here (its variables may be the service's alone) leaves what looks like a secret.
    """
    from gridbot.config.errors import ConfigError
    from gridbot.config.loading import load_file
    from gridbot.config.paper_secrets import SEED_FILE, control_token, paper_seed, with_paper_secrets

    settings = None
    try:
        settings = load_file(asked.config_file, data_dir=str(asked.place)).config
        yield from settings.secrets()
    except (ConfigError, OSError):
        pass
    if (asked.place / SEED_FILE).exists():
        with contextlib.suppress(OSError, ValueError):
            seed = paper_seed(asked.place)
            yield seed.hex()
            yield control_token(seed)
            if settings is not None:
                yield from with_paper_secrets(settings, seed).secrets()
    token_file = None if settings is None else settings.web.metrics_token_file
    for path in filter(None, (token_file, token_path(asked.place))):
        try:
            yield path.read_text(errors="replace").strip()
        except OSError:
            continue


def _json(name: str, value: object) -> Part:
    return Part(name, orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str))


def _versions(_: Asked, __: list[str]) -> Iterator[Part]:
    from gridbot.version import __version__
    from supervisor.cli.machine_size import this_machine

    machine = this_machine()
    yield _json(
        "versions.json",
        {
            "gridbot": __version__,
            "python": sys.version,
            "platform": platform.platform(),
            "libc": " ".join(platform.libc_ver()),
            "cores": machine.cores,
            "memory": machine.memory,
            "packages": _packages(),
        },
    )


def _packages() -> dict[str, str]:
    """Versions of all that is installed, by name. `Distribution.version` would take each description apart, too."""
    from email import message_from_string
    from importlib.metadata import distributions

    found = {}
    for each in distributions():
        text = each.read_text("METADATA") or each.read_text("PKG-INFO") or ""
        said = message_from_string(text.partition("\n\n")[0])
        found[str(said["Name"])] = str(said["Version"])
    return dict(sorted(found.items()))


def _status(asked: Asked, left_out: list[str]) -> Iterator[Part]:
    """Status, and what each account runs with, of a supervisor that runs."""
    try:
        with PatientClient(asked.place, timeout=WAIT_S) as client:
            status = client.status()
            yield _json("status.json", status)
            running = {row["account"]: client.running_config(row["account"]) for row in status["accounts"]}
            yield _json("running-configuration.json", running)
    except ControlError as error:
        left_out.append(f"status.json: {_told(asked, error)}")


def _configuration(asked: Asked, _: list[str]) -> Iterator[Part]:
    """The values in force with their sources, as `config show` has them; what is wrong with a file that is refused."""
    from gridbot.config.errors import ConfigError
    from gridbot.config.loading import load_file
    from supervisor.status.config_sections import sections, sections_document

    try:
        file = load_file(asked.config_file, data_dir=str(asked.place))
    except ConfigError as error:
        yield Part("configuration-refused.txt", str(error).encode())
        return
    found = list(sections(file, os.environ))
    yield _json("configuration.json", {"config": str(asked.config_file), "sections": sections_document(found)})


def _doctor(asked: Asked, _: list[str]) -> Iterator[Part]:
    from gridbot.doctor.findings import worst
    from supervisor.cli.doctor import document, examine, running_status, settings_of
    from supervisor.cli.options import load_file_or_refuse

    file = load_file_or_refuse(asked.config_file, str(asked.place))
    settings = settings_of(file.config, asked.place)
    findings = examine(settings, asked.place, running_status(asked.place), None, offline=asked.offline)
    yield _json("doctor.json", document(findings, worst(findings)))


def _logs(asked: Asked, left_out: list[str]) -> Iterator[Part]:
    """The end of every log, of crashes and of standard error, each as much as there is room for all."""
    directory = asked.place / "logs"
    paths = sorted(path for path in directory.glob("*") if path.suffix in (".jsonl", ".log") and path.is_file())
    if not paths:
        left_out.append(f"logs: none are in {directory}")
    each = max(LEAST_LOG, int(asked.most * LOGS_PART) // max(1, len(paths)))
    for path in paths:
        yield from _end_of(asked, path, f"logs/{path.name}", each, left_out)


def _end_of(asked: Asked, path: Path, name: str, most: int, left_out: list[str]) -> Iterator[Part]:
    """The last lines of a file: a line that is cut may have half a secret, so it is left out."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - most))
            data = file.read(most)
    except OSError as error:
        left_out.append(f"{name}: {_told(asked, error)}")
        return
    if size > most:
        data = data.partition(b"\n")[2]
        left_out.append(f"{name}: the first {size - len(data):,} bytes")
    yield Part(name, data)


def _state(asked: Asked, left_out: list[str]) -> Iterator[Part]:
    """The documents and logs of state, each whole or not at all."""
    room = int(asked.most * STATE_PART)
    there = [each for kind in STATES for each in (asked.place / kind).rglob("*")]
    for path in sorted(each for each in there if each.is_file() and not each.is_symlink()):
        name = str(path.relative_to(asked.place))
        if path.suffix in NOT_STATE:
            continue
        try:
            size = path.stat().st_size
            if size > room:
                left_out.append(f"{name}: {size:,} bytes, and {room:,} are left for state")
                continue
            yield Part(name, path.read_bytes())
            room -= size
        except OSError as error:
            left_out.append(f"{name}: {_told(asked, error)}")


def _records(asked: Asked, left_out: list[str]) -> Iterator[Part]:
    """The last rows of each table, newest first, as CSV."""
    from gridbot.records.columns import RECORD_TYPES
    from gridbot.store.reading import connect, database_path, names_in
    from gridbot.store.row_contexts import CONTEXT_TABLE
    from supervisor.store.query import Limits, Query

    if not asked.rows or not database_path(asked.place).exists():
        left_out.append("records: " + ("--rows 0" if not asked.rows else f"there is no {database_path(asked.place)}"))
        return
    with connect(asked.place, timeout_s=WAIT_S) as con:
        tables = [table for table in RECORD_TYPES if table in names_in(con)]
    room = int(asked.most * RECORDS_PART) // max(1, len(tables))
    query = Query(asked.place, Limits(wait_s=WAIT_S))
    for table in tables:
        try:
            at = "exchange_ts" if table == CONTEXT_TABLE else "local_ts"  # which it has, so that older rows are skipped
            answer = query.ask(f"SELECT * FROM {table} ORDER BY {at} DESC LIMIT {asked.rows}")
        except Exception as error:  # noqa: BLE001 - the other tables are there
            left_out.append(f"records/{table}.csv: {_told(asked, error)}")
            continue
        if not answer.rows:
            continue
        data, kept = _csv(answer.columns, answer.rows, room)
        if kept < len(answer.rows):
            left_out.append(f"records/{table}.csv: all but the last {kept} records")
        yield Part(f"records/{table}.csv", data)


def _csv(columns: list[str], rows: list[tuple[Any, ...]], room: int) -> tuple[bytes, int]:
    """As many rows as there is room for, and how many those are."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    kept, end = 0, text.tell()
    for row in rows:
        writer.writerow(row)
        if text.tell() > room:
            text.truncate(end)
            break
        kept, end = kept + 1, text.tell()
    return text.getvalue().encode("utf-8", "surrogatepass"), kept


_KINDS: Final[dict[str, Callable[[Asked, list[str]], Iterator[Part]]]] = {
    "versions.json": _versions,
    "status.json": _status,
    "configuration.json": _configuration,
    "doctor.json": _doctor,
    "records": _records,
    "state": _state,
    "logs": _logs,
}
