"""What a log line looks like, in the file and on the console. Registered secrets are replaced in the finished line."""

from __future__ import annotations

import json
import logging
import re
import urllib.parse
from datetime import UTC, datetime

from pythonjsonlogger.orjson import OrjsonFormatter

__all__ = ["ConsoleFormatter", "JsonFormatter", "register_secret"]

_HIDDEN = "********"
_SHORTEST_SECRET = 6

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

_secrets: set[str] = set()


def register_secret(value: str) -> None:
    """Never let `value` appear in a line, as it is, as JSON or as part of a URL. Very short values are left alone."""
    if len(value) >= _SHORTEST_SECRET:
        _secrets.update((value, json.dumps(value)[1:-1], urllib.parse.quote(value, safe="")))


def _redacted(line: str) -> str:
    for secret in _secrets:
        if secret in line:
            line = line.replace(secret, _HIDDEN)
    return line


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
        return _redacted(super().format(record))


class ConsoleFormatter(logging.Formatter):
    """`12:00:01.123 INFO    worker-alice [fill] alice/btc: message`."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        time = _utc(record).strftime("%H:%M:%S.%f")[:-3]
        who = "/".join(part for part in (_field(record, "account"), _field(record, "strategy")) if part)
        tag, message = _field(record, "tag") or _tag(record.name), record.getMessage()
        if (own := _OWN_TAG.match(message)) is not None:
            tag, message = own.group(1), message[own.end() :]
        line = f"{time} {record.levelname:<7} {self._process:<12} [{tag}] {who}{': ' if who else ''}{message}"
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            line += f" ({type(error).__name__}: {error}; the log file has the traceback)"
        return _redacted(line)


def _utc(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _field(record: logging.LogRecord, name: str) -> str:
    return str(record.__dict__.get(name) or "")


def _tag(logger: str) -> str:
    name = logger
    while name:
        if name in _TAGS:
            return _TAGS[name]
        name = name.rpartition(".")[0]
    return logger.partition(".")[0]
