"""What is wrong with a configuration file: where, what was expected, what was found, what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gridbot.doors.plain_text import printable

if TYPE_CHECKING:
    from pydantic_core import PydanticCustomError

__all__ = ["ConfigError", "Loc", "Problem", "expected", "looks_secret"]

Loc = tuple[str | int, ...]

_SECRET_WORDS = ("api_key", "secret", "token", "password", "dsn")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to repair. `line` counts from 1; None for the file as a whole."""

    loc: Loc
    expected: str
    got: str
    do: str
    line: int | None = None

    @property
    def key(self) -> str:
        """The place as people write it: `strategies[2].grid_step`."""
        text = ""
        for part in self.loc:
            text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
        return text or "the file"

    def text(self, file: str) -> str:
        where = file if self.line is None else f"{file}:{self.line}"
        return printable(f"{where}: {self.key}: expected {self.expected}, got {self.got}; {self.do}")


class ConfigError(Exception):
    """The configuration cannot be used. `problems` has every reason, in the order of the file."""

    def __init__(self, file: str, problems: Iterable[Problem]) -> None:
        self.file = file
        self.problems = sorted(set(problems), key=lambda problem: (problem.line or 0, problem.key))
        super().__init__("\n".join(problem.text(file) for problem in self.problems))

    def __reduce__(self) -> tuple[Any, ...]:
        return ConfigError, (self.file, self.problems)


def expected(what: str, do: str = "correct the value", *, key: str = "", got: str = "") -> PydanticCustomError:
    """An error for validators to raise; pydantic carries its sentence through to `validation_problems`.

    A validator of a whole model names the key, and what it got if that is not simply the value there.
    """
    from pydantic_core import PydanticCustomError  # here: `status` reads `storage.data_dir` without the models

    context = {"what": what, "do": do, "key": key, "got": got}
    return PydanticCustomError("gridbot", "expected {what}; {do}", context)


def looks_secret(loc: Loc) -> bool:
    """Whether a value at this place must never be shown."""
    return any(isinstance(part, str) and any(word in part.lower() for word in _SECRET_WORDS) for part in loc)
