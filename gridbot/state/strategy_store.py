"""Keeps what strategies save across restarts, one small file each: `grids/<strategy>.grid.json` for the kind `grid`.

Each change is in the journal with the execution that made it (`state_log`); the file follows. A saved state says which
executions it has been told: those recorded before it, and the `told`. A file that cannot be read, or belongs to
another strategy, is renamed aside and reported; the strategy goes on from the journal, or starts without it.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Generic

from gridbot.core import ExecutionEvent
from gridbot.state.state_log import Document, StateLog
from gridbot.strategies.base import SavedState, StateT, StrategyKind

__all__ = ["FORMAT", "GridAnchorStore", "Saved", "file_name"]

log = logging.getLogger(__name__)

FORMAT = 1
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,80}")


@dataclass(frozen=True, slots=True)
class Saved(Generic[StateT]):
    """What an earlier life left of a strategy.

    `untold` are the executions that it counted and that `state` does not know, in the order of counting. `told` are
    ids of executions that `state` knows and that may not be counted yet.
    """

    state: StateT
    untold: tuple[ExecutionEvent, ...] = ()
    told: frozenset[str] = frozenset()


class GridAnchorStore(Generic[StateT]):
    """States of one kind of strategy, among the documents of an account; that of a grid has its levels and anchor.

    The class has the name of the specification, where the grid was the only kind. `on_problem` gets each failure to
    read as a sentence.
    """

    def __init__(self, states: StateLog, kind: StrategyKind[Any, StateT], on_problem: Callable[[str], object]) -> None:
        self._states = states
        self._kind = kind
        self._on_problem = on_problem

    def name(self, strat_id: str) -> str:
        """The file of a strategy."""
        return file_name(self._kind.name, strat_id)

    def load(self, strat_id: str) -> Saved[StateT] | None:
        """What was saved, or None if there is nothing or it was set aside. Reads the disk: call it at start."""
        name, kind = self.name(strat_id), self._kind.name
        path = self._states.files.path(name)
        try:
            body = self._states.load(name)
            if body is None:
                return None
            state = self._kind.read_state(_state_in(body, strat_id, kind))
        except OSError as error:
            self._on_problem(f"{path}: expected a readable {kind} file, got {error}; a new {kind} is built")
            return None
        except ValueError as error:
            self._on_problem(f"{path}: {error}; set aside as {self._set_aside(name)}, a new {kind} is built")
            return None
        told, seq = frozenset(body.get("told", ())), body.get("seq")
        if seq is None:  # of a version that did not number them: nothing tells what came after
            return Saved(state)
        after = self._states.executions_after(strat_id, seq)
        return Saved(state, tuple(execution for execution in after if execution.exec_id not in told), told)

    def save(self, strat_id: str, state: SavedState, told: Collection[str] = ()) -> None:
        """Have the state survive from the journal's next write on. Never waits for the disk.

        `told` are the executions that it knows and that are not recorded yet.
        """
        body = {"format": FORMAT, "strat_id": strat_id, self._kind.name: state.to_dict(), "told": sorted(told)}
        self._states.keep(self.name(strat_id), body)

    def _set_aside(self, name: str) -> str:
        try:
            return self._states.files.set_aside(name)
        except OSError as error:
            return f"nothing, as the rename failed ({error})"


def file_name(kind: str, strat_id: str) -> str:
    """The file of a strategy of this kind; an id that is not a plain file name is hashed."""
    plain = _PLAIN_NAME.fullmatch(strat_id)
    name = strat_id if plain else hashlib.sha256(strat_id.encode()).hexdigest()[:32]
    return f"{kind}s/{name}.{kind}.json"


def _state_in(body: Document, strat_id: str, kind: str) -> dict[str, Any]:
    """The saved state. Raise ValueError, saying what was expected, for anything but a document of this strategy."""
    for name, wanted in (("format", FORMAT), ("strat_id", strat_id)):
        if body.get(name) != wanted:
            raise ValueError(f"expected {name} {wanted!r}, got {body.get(name)!r}")
    state = body.get(kind)
    if not isinstance(state, dict):
        raise ValueError(f"expected an object in {kind}, got {state!r}")
    return state
