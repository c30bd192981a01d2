"""What the lines of another program's log mean: the file that `compare log --map` names (docs/comparison.md).

A line is JSON, a row of a CSV file, or text that a regular expression takes apart (`line`); each way it becomes named
*columns*. `patterns` look into one of them (`message`) and name more. `values` says which column has what, `always`
what is the same in all lines. Nothing of a line is evaluated.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from datetime import UTC, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args
from zoneinfo import ZoneInfo

from pydantic import ConfigDict, Field, ValidationError, field_validator, model_validator

from gridbot.config.errors import ConfigError, Problem, expected
from gridbot.config.validation_problems import problems_of
from gridbot.config.yaml_nodes import read_document
from gridbot.doors.strict_model import StrictModel

__all__ = ["ACTIONS", "LogMap", "Pattern", "load_map"]

LONGEST: Final = 1 << 20
"""Bytes of a map."""
Action = Literal["place", "cancel", "fill", "skip"]
ACTIONS: Final = ("place", "cancel", "fill", "skip")
Value = Literal[
    "time", "action", "symbol", "side", "direction", "closes", "price", "size", "order", "fee", "realised"
]  # fmt: skip
WORDS: Final = {
    "action": dict.fromkeys(ACTIONS, ""),
    "side": {"Buy": "", "Sell": ""},
    "direction": {"long": "", "short": ""},
    "closes": {"yes": "", "no": ""},
}
"""What the words of a log may stand for."""
Name = Annotated[str, Field(min_length=1, max_length=200)]


class _Section(StrictModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Pattern(_Section):
    """What a line says when this expression is found in its message."""

    looks: str
    action: Action

    @field_validator("looks")
    @classmethod
    def _compiles(cls, text: str) -> str:
        names = set(_compiled(text).groupindex)
        if unknown := sorted(names - _VALUES):
            raise expected(
                f"groups named after values ({', '.join(sorted(_VALUES))})", "rename the group", got=unknown[0]
            )
        return text


class Units(_Section):
    """What one of the log's units is: of prices in USDT, of sizes in base coin; or sizes are worth USDT."""

    price: Decimal = Field(default=Decimal(1), gt=0)
    size: Decimal = Field(default=Decimal(1), gt=0)
    size_in: Literal["base", "usdt"] = "base"


class LogMap(_Section):
    """One map."""

    lines: Literal["json", "csv", "text"]
    line: str | None = None
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    columns: tuple[Name, ...] = ()
    message: Name = "message"
    patterns: tuple[Pattern, ...] = ()
    others: Literal["skip", "refuse"] = "skip"
    values: dict[Value, Name] = Field(default_factory=dict)
    always: dict[Value, Name] = Field(default_factory=dict)
    time_format: Name = "iso"
    zone: Name = "UTC"
    words: dict[Literal["action", "side", "direction", "closes"], dict[str, Name]] = Field(default_factory=dict)
    symbols: dict[str, Name] = Field(default_factory=dict)
    units: Units = Units()

    @field_validator("line")
    @classmethod
    def _line_compiles(cls, text: str | None) -> str | None:
        if text is not None and not _compiled(text).groupindex:
            raise expected("named groups, such as (?P<time>...)", "name the parts of the line")
        return text

    @field_validator("zone")
    @classmethod
    def _is_a_zone(cls, name: str) -> str:
        _zone(name)
        return name

    @field_validator("words")
    @classmethod
    def _are_words(cls, words: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
        for of, meanings in words.items():
            for word, meaning in meanings.items():
                if meaning not in WORDS[of]:
                    raise expected(f"{' or '.join(WORDS[of])} for the word {word!r}", got=f"`{meaning}`")
        return words

    @model_validator(mode="after")
    def _is_whole(self) -> LogMap:
        if (self.lines == "text") != (self.line is not None):
            raise expected(
                "`line:`, a regular expression, where `lines` is text, and only there",
                key="line",
                got="nothing" if self.line is None else "one",
            )
        said: set[str] = {*self.values, *self.always}
        if self.line is not None:
            said |= set(_compiled(self.line).groupindex) & _VALUES
        for number, pattern in enumerate(self.patterns, 1):
            _require(said | set(_compiled(pattern.looks).groupindex), pattern.action, f"pattern {number}")
        if not self.patterns:
            _require(said, "place", "the map")
            if "action" not in said:
                raise expected("`patterns`, or an `action` in `values` or `always`", key="patterns", got="neither")
        return self

    @property
    def tz(self) -> tzinfo:
        """Where times that name no zone were written."""
        return _zone(self.zone)

    @property
    def actions(self) -> frozenset[str]:
        """What its lines can say."""
        if self.patterns:
            return frozenset(pattern.action for pattern in self.patterns) - {"skip"}
        word = self.always.get("action")
        named = {word} if word is not None else set(self.words.get("action", {}).values()) or set(ACTIONS)
        return frozenset(named) - {"skip"}


_VALUES: Final = frozenset(get_args(Value))
_NEEDED: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "place": (("time",), ("symbol",), ("side",), ("price",), ("size",)),
    "cancel": (("time",), ("order", "price"), ("order", "side"), ("order", "symbol")),
    "fill": (("time",), ("symbol",), ("side",), ("price",), ("size",)),
    "skip": (),
}
"""Of each action the values of which one is needed."""


def _require(said: set[str], action: str, where: str) -> None:
    for names in _NEEDED[action]:
        if not said & set(names):
            raise expected(
                f"a column for `{'` or `'.join(names)}` of a {action} ({where})",
                "name it in `values`, as a group of the expression, or in `always`",
                key="values",
                got="none",
            )


def _compiled(text: str) -> re.Pattern[str]:
    try:
        with warnings.catch_warnings(action="ignore", category=FutureWarning):  # of a doubled bracket: it may be meant
            return re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise expected(f"a regular expression ({error})") from None


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise expected("a time zone such as UTC or Europe/Berlin") from None


def load_map(path: Path) -> LogMap:
    """The map in a file. Raise ConfigError with everything that is wrong with it, OSError when it cannot be read."""
    with path.open("rb") as file:
        text = file.read(LONGEST + 1)
    try:
        document = read_document(text.decode("utf-8"), {})
    except UnicodeDecodeError as error:
        problem = Problem((), "text in UTF-8", f"another kind of byte at {error.start}", "save it as UTF-8")
        raise ConfigError(str(path), [problem]) from None
    problems = list(document.problems)
    if len(text) > LONGEST:
        problems = [Problem((), f"at most {LONGEST:,} bytes", "more", "name the map, not the log")]
    found: LogMap | None = None
    if not problems:
        if not isinstance(document.data, dict):
            problems.append(Problem((), "keys with values", "something else", "start from a map in conf/maps"))
        else:
            try:
                found = LogMap.model_validate(_plain(document.data))
            except ValidationError as error:
                found_wrong = problems_of(error, LogMap, document.raw)
                problems += [replace(each, line=each.line or document.line_of(each.loc)) for each in found_wrong]
    if problems or found is None:
        raise ConfigError(str(path), problems)
    return found


def _plain(data: dict[Any, Any]) -> dict[str, Any]:
    return {str(name): value for name, value in data.items()}
