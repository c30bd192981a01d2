"""What a log line looks like, in the file and on the console. Registered secrets are replaced in the finished line."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from typing import Any

from pythonjsonlogger.orjson import OrjsonFormatter

from gridbot.doors.plain_text import json_line, one_line, printable, printable_lines
from gridbot.hidden_words import redacted, register_secret

__all__ = ["ConsoleFormatter", "JsonFormatter", "register_secret"]

LONGEST_WHOLE = 100_000
"""Characters of a message in a line of JSON."""
LONGEST_SHOWN = 2_000
"""Characters of one on the console."""

# The tag of a console line, by the longest matching logger name. `extra={"tag": "fill"}` or a message that begins with
# `[fill] ` says otherwise.
_TAGS = {
    "gridbot": "acct",
    "gridbot.bybit": "rest",
    "gridbot.bybit.streams": "ws",
    "gridbot.execution": "order",
    "gridbot.paper": "paper",
    "gridbot.worker.reconciler": "recon",
    "gridbot.worker.strategy_runner": "grid",
    "supervisor": "sup",
    "supervisor.store": "store",
    "gridbot.store": "store",
}

_OWN_TAG = re.compile(r"\[([a-z_]+)\] ")


def _cut(text: str) -> str:
    return f"{text[:LONGEST_WHOLE]}... ({len(text)} characters)"


def _plain_fields(record: logging.LogRecord) -> dict[str, Any]:
    """Its fields as texts that any JSON can have: a line is never lost for what others said."""
    plain = (bool, float, type(None))
    fields = {name: value if isinstance(value, plain) else _plain(value) for name, value in record.__dict__.items()}
    own = {name: record.__dict__[name] for name in ("levelno", "created", "process", "exc_info")}
    return fields | own | {"msg": _plain(record.getMessage()), "args": None}


def _plain(value: object) -> str:
    try:
        text = value if isinstance(value, str) else repr(value)
    except (ValueError, RecursionError):
        text = f"a {type(value).__name__} that cannot be written"
    return _cut(printable(text)) if len(text) > LONGEST_WHOLE else printable(text)


class JsonFormatter(OrjsonFormatter):
    """One object per line: time, level, process, pid, account, strategy, logger, message, then the extras."""

    def __init__(self, process: str) -> None:
        fields = ("time", "levelname", "process_name", "process", "account", "strategy", "name", "message")
        renamed = {"levelname": "level", "process": "pid", "process_name": "process", "name": "logger"}
        super().__init__(fields, rename_fields=renamed, json_default=str)
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        record.__dict__["time"] = _utc(record).isoformat(timespec="microseconds").replace("+00:00", "Z")
        record.__dict__["process_name"] = self._process
        if len(str(record.msg)) > LONGEST_WHOLE:
            record = logging.makeLogRecord(record.__dict__ | {"msg": _cut(record.getMessage()), "args": None})
        try:
            line = super().format(record)
        except (TypeError, ValueError, RecursionError):  # a lone surrogate, a number beyond 64 bits, endless nesting
            line = super().format(logging.makeLogRecord(_plain_fields(record)))
        return redacted(json_line(line))

    def formatException(self, ei: Any) -> Any:
        return printable_lines(str(super().formatException(ei)))


class ConsoleFormatter(logging.Formatter):
    """`12:00:01.123 INFO    worker-alice [fill] alice/btc: message`."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        time = _utc(record).strftime("%H:%M:%S.%f")[:-3]
        who = "/".join(part for part in (_field(record, "account"), _field(record, "strategy")) if part)
        tag, message = _field(record, "tag") or _tag(record.name), one_line(record.getMessage(), LONGEST_SHOWN)
        if (own := _OWN_TAG.match(message)) is not None:
            tag, message = own.group(1), message[own.end() :]
        line = f"{time} {record.levelname:<7} {self._process:<12} [{tag}] {who}{': ' if who else ''}{message}"
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            line += f" ({type(error).__name__}: {one_line(str(error))}; the log file has the traceback)"
        return redacted(line)


def _utc(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _field(record: logging.LogRecord, name: str) -> str:
    return one_line(str(record.__dict__.get(name) or ""))


def _tag(logger: str) -> str:
    name = logger
    while name:
        if name in _TAGS:
            return _TAGS[name]
        name = name.rpartition(".")[0]
    return logger.partition(".")[0]
