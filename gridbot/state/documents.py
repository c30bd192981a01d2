"""Small files that a worker needs to start: atomic, owned by one account, never in the way of trading.

`data/state/<account>/` holds the ledger's checkpoint, the next link-id generation and the latches. A file is written as
a temporary one, synced and renamed; one that cannot be read is set aside with a message, and the start goes on without
it (the journal and the exchange know the rest).
"""

from __future__ import annotations

import asyncio
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson

__all__ = ["StateFile", "write_atomic"]

log = logging.getLogger(__name__)


def write_atomic(path: Path, data: bytes) -> None:
    """Replace a file as a whole: after a crash there is the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


class StateFile:
    """One JSON document. `save` runs in a thread; while one save is under way the newest document waits, older go."""

    def __init__(self, path: Path, pool: ThreadPoolExecutor) -> None:
        self.path = path
        self._pool = pool
        self.on_disk: dict[str, Any] | None = None
        """The newest document that is known to be safe."""
        self._waiting: dict[str, Any] | None = None
        self._task: asyncio.Task[None] | None = None

    def load(self) -> dict[str, Any] | None:
        """The document, or None when there is none (or it is torn: then it is set aside and said so)."""
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            document = orjson.loads(raw)
            if isinstance(document, dict):
                self.on_disk = document
                return document
            problem = f"expected an object, got {type(document).__name__}"
        except orjson.JSONDecodeError as error:
            problem = str(error)
        aside = self.path.with_name(self.path.name + ".damaged")
        os.replace(self.path, aside)
        log.warning("%s cannot be read (%s); kept as %s, starting without it", self.path, problem, aside.name)
        return None

    def save(self, document: dict[str, Any]) -> None:
        """Write soon; never blocks, never raises (a failure is logged and the next save tries again)."""
        self._waiting = document
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._write())

    def save_now(self, document: dict[str, Any]) -> None:
        """Write before going on, for start and stop."""
        write_atomic(self.path, orjson.dumps(document))
        self.on_disk = document

    async def flush(self) -> None:
        if self._task is not None:
            await self._task

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting is not None:
            document, self._waiting = self._waiting, None
            try:
                await loop.run_in_executor(self._pool, write_atomic, self.path, orjson.dumps(document))
                self.on_disk = document
            except OSError as error:
                log.error("cannot write %s: %s; trading goes on, the next change tries again", self.path, error)
