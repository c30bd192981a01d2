"""Where the grids of an account's strategies survive a restart: one small file each, replaced as a whole.

`save` never blocks: it leaves the newest state for a single background thread, which writes a temporary file, syncs it
and renames it over the old one, so that a reader finds the old grid or the new one and never half of either. A file
that cannot be read, or belongs to another strategy, is renamed aside and reported; the strategy starts without it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gridbot.strategies.grid.state import GridState

__all__ = ["GridAnchorStore"]

log = logging.getLogger(__name__)

_FORMAT = 1
_RETRY_S = 1.0
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,80}")


class GridAnchorStore:
    """Grid states in `directory`, by strategy. `on_problem` hears every failure as a sentence, from either thread."""

    def __init__(self, directory: Path, on_problem: Callable[[str], None] | None = None) -> None:
        self._directory = directory
        self._on_problem = on_problem
        self._waiting: dict[str, GridState] = {}
        self._writing = False
        self._closed = False
        self._last_failure = ""
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None
        directory.mkdir(parents=True, exist_ok=True)

    def path(self, strat_id: str) -> Path:
        """The file of a strategy; an id that is no plain file name is hashed."""
        plain = _PLAIN_NAME.fullmatch(strat_id)
        name = strat_id if plain else hashlib.sha256(strat_id.encode()).hexdigest()[:32]
        return self._directory / f"{name}.grid.json"

    # ------------------------------------------------------------------ reading

    def load(self, strat_id: str) -> GridState | None:
        """The saved state, or None if there is none or it was set aside. Reads the disk: call it at start."""
        path = self.path(strat_id)
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._report(f"{path}: expected a readable grid file, got {error}; the grid is built anew")
            return None
        try:
            return _decode(text, strat_id)
        except ValueError as error:
            aside = self._set_aside(path)
            self._report(f"{path}: {error}; set aside as {aside}, the grid is built anew")
            return None

    def _set_aside(self, path: Path) -> str:
        number = 1
        while (aside := path.with_name(f"{path.name}.bad-{number}")).exists():
            number += 1
        try:
            path.rename(aside)
        except OSError as error:
            return f"nothing, as the rename failed ({error})"
        return aside.name

    # ------------------------------------------------------------------ writing

    def save(self, strat_id: str, state: GridState) -> None:
        """Have the state written soon; of several waiting ones the newest wins. Never waits for the disk."""
        with self._change:
            if self._closed:
                raise RuntimeError("expected an open grid store, got a save after close")
            self._waiting[strat_id] = state
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="grid-store", daemon=True)
                self._thread.start()
            self._change.notify_all()

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until everything saved so far is on disk; False if that took longer than `timeout` seconds."""
        with self._change:
            return self._change.wait_for(lambda: not self._waiting and not self._writing, timeout)

    def close(self, timeout: float = 10.0) -> bool:
        """Write what is waiting and stop the thread; False if that took longer than `timeout` seconds."""
        done = self.flush(timeout)
        with self._change:
            self._closed = True
            self._change.notify_all()
            thread = self._thread
        if thread is not None and done:
            thread.join(timeout)
        return done

    def _run(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return
                strat_id = next(iter(self._waiting))
                state = self._waiting.pop(strat_id)
                self._writing = True
            failure = self._try_write(strat_id, state)
            with self._change:
                self._writing = False
                if failure:
                    self._waiting.setdefault(strat_id, state)
                self._change.notify_all()
            self._report_write(failure)
            if failure and self._wait_closed(_RETRY_S):
                return

    def _wait_closed(self, timeout: float) -> bool:
        with self._change:
            return self._change.wait_for(lambda: self._closed, timeout)

    def _try_write(self, strat_id: str, state: GridState) -> str:
        try:
            self._write(strat_id, state)
        except OSError as error:
            return f"{self.path(strat_id)}: expected to write the grid, got {error}; trying again every {_RETRY_S:g} s"
        return ""

    def _report_write(self, failure: str) -> None:
        """Say a failure once, however long it lasts."""
        if failure and failure != self._last_failure:
            self._report(failure)
        self._last_failure = failure

    def _write(self, strat_id: str, state: GridState) -> None:
        path = self.path(strat_id)
        temporary = path.with_name(f"{path.name}.tmp")
        with open(temporary, "wb") as file:
            file.write(_encode(strat_id, state))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        directory = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _report(self, sentence: str) -> None:
        log.warning("%s", sentence)
        if self._on_problem is not None:
            self._on_problem(sentence)


def _encode(strat_id: str, state: GridState) -> bytes:
    body = {"format": _FORMAT, "strat_id": strat_id, "grid": state.to_dict()}
    return json.dumps({**body, "checksum": _checksum(body)}, indent=1).encode()


def _decode(text: bytes, strat_id: str) -> GridState:
    """Raise ValueError, saying what was expected, for anything but a whole file of this strategy."""
    try:
        body = json.loads(text)
    except ValueError as error:
        raise ValueError(f"expected a JSON object, got a torn or foreign file ({error})") from None
    if not isinstance(body, dict):
        raise ValueError(f"expected a JSON object, got {type(body).__name__}")
    checksum = body.pop("checksum", None)
    if checksum != _checksum(body):
        raise ValueError("expected a checksum that fits the content, got another; the file was damaged or edited")
    for name, wanted in (("format", _FORMAT), ("strat_id", strat_id)):
        if body.get(name) != wanted:
            raise ValueError(f"expected {name} {wanted!r}, got {body.get(name)!r}")
    grid = body.get("grid")
    if not isinstance(grid, dict):
        raise ValueError(f"expected an object in grid, got {grid!r}")
    return GridState.from_dict(grid)


def _checksum(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]
