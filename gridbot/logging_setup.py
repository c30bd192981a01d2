"""Logging of a process: JSON lines to `data/logs/<process>.jsonl`, readable lines on the console, no waiting for disk.

    logger call ── _Enqueue (message, account, strategy fixed here) ── queue ── listener thread ┬─ rotating JSON file
                                                                                               └─ stderr

The queue is bounded: when the disk cannot follow, lines are dropped and counted, and the caller never waits. Secrets
that were registered are replaced in the finished line, wherever they came from. Times are UTC.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import logging
import logging.handlers
import os
import queue
import sys
from collections.abc import Iterator, MutableMapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TextIO

from gridbot.config.models import LoggingConfig
from gridbot.log_lines import ConsoleFormatter, JsonFormatter, register_secret
from gridbot.private_files import make_directory, shared_open

__all__ = ["StrategyLogger", "context", "for_strategy", "log_path", "register_secret", "setup_logging", "stop_logging"]

QUEUE_LINES = 20_000

# Libraries that log every request; pybit at DEBUG even logs signed ones.
_TAMED = {
    "pybit": logging.WARNING,
    "websocket": logging.CRITICAL + 1,  # repeats what pybit and our own watch report
    "aiohttp": logging.WARNING,
    "asyncio": logging.WARNING,
}

_context: ContextVar[tuple[str, str]] = ContextVar("gridbot_log_context", default=("", ""))
_running: list[_Logs] = []


class StrategyLogger(logging.LoggerAdapter[logging.Logger]):
    """Adds `account` and `strategy`, and keeps the caller's own `extra`."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs


def for_strategy(account: str, strategy: str = "", *, name: str = "gridbot") -> StrategyLogger:
    """Logger `name` whose every line carries these ids."""
    return StrategyLogger(logging.getLogger(name), {"account": account, "strategy": strategy})


@contextlib.contextmanager
def context(account: str, strategy: str = "") -> Iterator[None]:
    """Lines logged inside, by any logger of this task or thread, carry these ids."""
    token = _context.set((account, strategy))
    try:
        yield
    finally:
        _context.reset(token)


def log_path(process: str, data_dir: Path) -> Path:
    """The JSON lines of a process."""
    return data_dir / "logs" / f"{process}.jsonl"


def setup_logging(
    process: str,
    config: LoggingConfig,
    data_dir: Path,
    console: bool = True,
    *,
    account: str = "",
    stream: TextIO | None = None,
) -> None:
    """Send all logging of this process to its file, and to `stream` (stderr) when `console`.

    `account` is written into lines that have none of their own. A second call replaces the first. Raises OSError when
    the directory cannot be written, RuntimeError when there is no room for a thread.
    """
    stop_logging()
    path = log_path(process, data_dir)
    make_directory(path.parent)
    file = _File(path, maxBytes=config.max_bytes, backupCount=config.backups, encoding="utf-8")
    file.setFormatter(JsonFormatter(process))
    file.setLevel(config.level)
    targets: list[logging.Handler] = [file]
    if console:
        screen = logging.StreamHandler(stream or sys.stderr)
        screen.setFormatter(ConsoleFormatter(process))
        screen.setLevel(config.console_level)
        targets.append(screen)
    logs = _Logs(account, targets)
    try:
        logs.listener.start()
    except BaseException:  # no room for a thread: nobody would write the lines
        file.close()
        raise
    _running.append(logs)
    root = logging.getLogger()
    root.addHandler(logs.entrance)
    root.setLevel(min(target.level for target in targets))
    for name, level in _TAMED.items():
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(True)


@atexit.register
def stop_logging() -> None:
    """Write what is queued and close the file. Safe to call twice."""
    while _running:
        logs = _running.pop()
        logging.getLogger().removeHandler(logs.entrance)
        logs.listener.stop()
        for target in logs.listener.handlers:
            with contextlib.suppress(OSError):  # a full disk, which must not change how the process ends
                target.close()


class _Logs:
    """The parts of one set-up."""

    def __init__(self, account: str, targets: list[logging.Handler]) -> None:
        lines: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.entrance = _Enqueue(lines, account)
        self.listener = logging.handlers.QueueListener(lines, *targets, respect_handler_level=True)


class _Enqueue(logging.handlers.QueueHandler):
    """Runs in the caller: fixes what could change afterwards, and never blocks."""

    def __init__(self, lines: queue.SimpleQueue[Any], account: str) -> None:
        super().__init__(lines)
        self._lines = lines
        self._account = account
        self._dropped = 0

    def filter(self, record: logging.LogRecord) -> bool:
        # Not only by the loggers' levels: some libraries set those themselves.
        if record.levelno < _TAMED.get(record.name.partition(".")[0], logging.NOTSET):
            return False
        return bool(super().filter(record))

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        account, strategy = _context.get()
        fields = record.__dict__
        fields["account"] = fields.get("account") or account or self._account
        fields["strategy"] = fields.get("strategy") or strategy
        record.msg, record.args = record.getMessage(), None
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        if self._lines.qsize() >= QUEUE_LINES:
            self._dropped += 1
            return
        if self._dropped:
            record.__dict__["lines_dropped_before"], self._dropped = self._dropped, 0
        self._lines.put(record)


class _File(logging.handlers.RotatingFileHandler):
    """A full disk costs log lines and one sentence on stderr, not a traceback per line.

    The next line that it takes says how many were lost (`lines_lost_before`). A file that somebody has removed is made
    again: lines must not go where nobody finds them.
    """

    _lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        lost = self._lost
        if lost:
            record.__dict__["lines_lost_before"] = lost
        if not os.path.exists(self.baseFilename):
            try:
                self.close()
                make_directory(Path(self.baseFilename).parent)
                self.stream = self._open()
            except OSError:
                self.handleError(record)
                return
        super().emit(record)
        if self._lost == lost:
            self._lost = 0

    def handleError(self, record: logging.LogRecord) -> None:
        self._lost += 1
        if self._lost == 1:
            reason = str(sys.exc_info()[1])
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write(f"gridbot: cannot write {self.baseFilename}: {reason}; log lines are lost\n")

    def _open(self) -> Any:
        return _WholeLines(self.baseFilename)


class _WholeLines:
    """A file to which lines are appended. What a full disk has cut off is no beginning of the next line.

    It has what `RotatingFileHandler` needs of a text file, and no buffer.
    """

    def __init__(self, path: str) -> None:
        self._fd = shared_open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        size = os.fstat(self._fd).st_size
        self._is_cut = size > 0 and os.pread(self._fd, 1, size - 1) != b"\n"

    def write(self, text: str) -> None:
        """Raises OSError when the disk does not take all of it."""
        data = text.encode("utf-8", "backslashreplace")
        if self._is_cut:
            data = b"\n" + data
        written = os.write(self._fd, data)
        self._is_cut = written < len(data)
        if self._is_cut:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def flush(self) -> None:
        """Nothing is held back."""

    def seek(self, *_: int) -> None:
        """All is appended."""

    def tell(self) -> int:
        return os.fstat(self._fd).st_size

    def close(self) -> None:
        os.close(self._fd)
