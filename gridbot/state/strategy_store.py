"""Keeps what strategies save across restarts, one small file each: `grids/<strategy>.grid.json` for the kind `grid`.

A reader finds the old state or the new one and never half of either. A file that cannot be read, or belongs to another
strategy, is renamed aside and reported; the strategy starts without it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Callable
from typing import Any, Generic

from gridbot.ports import Files
from gridbot.strategies.base import SavedState, StateT, StrategyKind

__all__ = ["GridAnchorStore"]

log = logging.getLogger(__name__)

_FORMAT = 1
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,80}")


class GridAnchorStore(Generic[StateT]):
    """States of one kind of strategy, among the files of an account; the state of a grid has its levels and anchor.

    The class has the name of the specification, where the grid was the only kind. `on_problem` gets each failure to
    read as a sentence.
    """

    def __init__(
        self, files: Files, kind: StrategyKind[Any, StateT], on_problem: Callable[[str], None] = log.warning
    ) -> None:
        self._files = files
        self._kind = kind
        self._on_problem = on_problem

    def name(self, strat_id: str) -> str:
        """The file of a strategy; an id that is not a plain file name is hashed."""
        plain = _PLAIN_NAME.fullmatch(strat_id)
        name = strat_id if plain else hashlib.sha256(strat_id.encode()).hexdigest()[:32]
        return f"{self._kind.name}s/{name}.{self._kind.name}.json"

    def load(self, strat_id: str) -> StateT | None:
        """The saved state, or None if there is none or it was set aside. Reads the disk: call it at start."""
        name, kind = self.name(strat_id), self._kind.name
        path = self._files.path(name)
        try:
            text = self._files.read(name)
        except OSError as error:
            self._on_problem(f"{path}: expected a readable {kind} file, got {error}; a new {kind} is built")
            return None
        if text is None:
            return None
        try:
            return self._kind.read_state(_decode(text, strat_id, kind))
        except ValueError as error:
            self._on_problem(f"{path}: {error}; set aside as {self._set_aside(name)}, a new {kind} is built")
            return None

    def save(self, strat_id: str, state: SavedState) -> None:
        """Have the state written soon; of several that wait the newest wins. Never waits for the disk."""
        self._files.write_soon(self.name(strat_id), lambda: _encode(strat_id, self._kind.name, state))

    def _set_aside(self, name: str) -> str:
        try:
            return self._files.set_aside(name)
        except OSError as error:
            return f"nothing, as the rename failed ({error})"


def _encode(strat_id: str, kind: str, state: SavedState) -> bytes:
    body = {"format": _FORMAT, "strat_id": strat_id, kind: state.to_dict()}
    return json.dumps({**body, "checksum": _checksum(body)}, indent=1).encode()


def _decode(text: bytes, strat_id: str, kind: str) -> dict[str, Any]:
    """The saved state. Raise ValueError, saying what was expected, for anything but a whole file of this strategy."""
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
    state = body.get(kind)
    if not isinstance(state, dict):
        raise ValueError(f"expected an object in {kind}, got {state!r}")
    return state


def _checksum(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]
