"""The arguments of each operator command, and the check of arguments that came from outside."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from gridbot.commands.command import Command
from gridbot.commands.wording import CommandMistake, did_you_mean, one_of, shown
from gridbot.doors.bounded_json import read_json

__all__ = [
    "AckArguments",
    "AdoptArguments",
    "Arguments",
    "CancelArguments",
    "CorrectArguments",
    "FlattenArguments",
    "MuteArguments",
    "NoArguments",
    "OnCommandLine",
    "PauseArguments",
    "ReduceArguments",
    "ReloadArguments",
    "RestartArguments",
    "ResumeArguments",
    "StopArguments",
    "UnmuteArguments",
    "Values",
    "arguments_model",
    "choices",
    "read_arguments",
]


class Values(StrEnum):
    """What an argument names, so that a shell can complete it."""

    STRATEGY = "strategy"


@dataclass(frozen=True, slots=True)
class OnCommandLine:
    """How a field looks on a command line where it is not simply `--field`."""

    option: str = ""
    positional: str = ""
    """Its name in the usage line, when it is given without an option."""
    by_target: bool = False
    """Whether the targets of the command line give it, and no option does."""
    values: Values | None = None


class Arguments(BaseModel):
    """Base: an unknown argument is a mistake, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NoArguments(Arguments):
    """For a command that takes none."""


class _OfStrategies(Arguments):
    """For all strategies of an account, or for one."""

    strategy: Annotated[
        str | None, Field(description="Only this strategy (its strat_id)."), OnCommandLine(values=Values.STRATEGY)
    ] = None


class _WithReason(_OfStrategies):
    """For what holds until `resume`: status and records show the reason."""

    reason: Annotated[str | None, Field(description="Why, for status and records.", max_length=200)] = None


class PauseArguments(_WithReason):
    cancel: Annotated[bool, Field(description="Also cancel its resting orders.")] = False


class ReduceArguments(_WithReason):
    pass


class CancelArguments(_WithReason):
    leave_running: Annotated[
        bool, Field(description="Do not pause: what is wanted is placed anew with the next price.")
    ] = False
    foreign: Annotated[
        bool, Field(description="Also cancel orders that are not ours; of a whole account on every symbol.")
    ] = False


class FlattenArguments(_WithReason):
    band: Annotated[
        str | None,
        Field(
            description="Percent of the last price that a limit may give away [default: 0.5].",
            pattern=r"^[0-9]{1,2}(\.[0-9]{1,4})?$",
        ),
    ] = None
    market_after: Annotated[
        str | None,
        Field(
            description="Seconds after which what is left goes at the market [default: 5].",
            pattern=r"^[0-9]{1,4}(\.[0-9]{1,3})?$",
        ),
    ] = None
    foreign: Annotated[
        bool,
        Field(description="Also cancel orders that are not ours; of a whole account on every symbol, closing it all."),
    ] = False


class ResumeArguments(_OfStrategies):
    pass


class CorrectArguments(Arguments):
    as_of: Annotated[
        str, Field(description="Number of the newest record that the figures include.", pattern=r"^[0-9]{1,18}$")
    ]
    figures: Annotated[str, Field(description="The exchange's figures and ours of each execution, JSON.")] = "[]"
    orders: Annotated[str, Field(description="Rows of open_orders that do not rest on the exchange, JSON.")] = "[]"

    @property
    def as_of_record(self) -> int:
        return int(self.as_of)

    @property
    def listed_figures(self) -> list[dict[str, Any]]:
        """One object an execution. ValueError for anything else."""
        return _objects("figures", self.figures)

    @property
    def listed_orders(self) -> list[dict[str, Any]]:
        """One object an order. ValueError for anything else."""
        return _objects("orders", self.orders)


class AdoptArguments(_OfStrategies):
    apply: Annotated[bool, Field(description="Take over what fits; without it everything is only shown.")] = False
    ladder: Annotated[
        bool, Field(description="Lay the strategy's ladder on the orders first, instead of around the market price.")
    ] = False
    any_quantity: Annotated[
        bool, Field(description="Take over orders of another quantity than the strategy's now, too.")
    ] = False


class StopArguments(Arguments):
    force: Annotated[bool, Field(description="Kill everything at once; resting orders stay on the exchange.")] = False
    mode: Annotated[
        Literal["keep", "cancel", "flatten"] | None,
        Field(description="What becomes of orders [default: on_stop]."),
        OnCommandLine(option="--orders"),
    ] = None


class ReloadArguments(Arguments):
    leave_positions: Annotated[
        bool, Field(description="Go on although positions of what is removed stay open; nobody looks after them then.")
    ] = False
    dry_run: Annotated[bool, Field(description="Change nothing."), OnCommandLine(by_target=True)] = False
    plan: Annotated[str, Field(description="What was confirmed.", max_length=64), OnCommandLine(by_target=True)] = ""
    variables: Annotated[
        dict[str, str], Field(description="Variables of the file, for new keys."), OnCommandLine(by_target=True)
    ] = Field(default_factory=dict, repr=False)


class RestartArguments(Arguments):
    child: Annotated[
        str,
        Field(description="A process, or the account of a worker."),
        OnCommandLine(by_target=True),
    ]


class AckArguments(Arguments):
    alert: Annotated[
        str, Field(description="The alert, by the id that alerts shows.", max_length=80), OnCommandLine(positional="ID")
    ]


class MuteArguments(Arguments):
    what: Annotated[
        str,
        Field(description="An open alert by its id, or the key of a kind of alerts.", max_length=80),
        OnCommandLine(positional="ID|KEY"),
    ]
    period: Annotated[
        str,
        Field(description="For how long: 30m, 1h, 2d; 30 days at most.", pattern=r"^[1-9][0-9]{0,4}[smhd]$"),
        OnCommandLine(option="--for"),
    ] = "1h"
    of_account: Annotated[
        str | None, Field(description="Of a key only the alerts of this account."), OnCommandLine(option="--account")
    ] = None

    @property
    def seconds(self) -> int:
        return min(MOST_MUTED_S, int(self.period[:-1]) * _UNIT_S[self.period[-1]])


class UnmuteArguments(Arguments):
    what: Annotated[
        str,
        Field(description="What was muted or acknowledged, by the same id or key.", max_length=80),
        OnCommandLine(positional="ID|KEY"),
    ]


MOST_MUTED_S: Final = 30 * 86400
_UNIT_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def arguments_model(command: Command) -> type[Arguments]:
    """The class of a command's arguments."""
    model: type[Arguments] = getattr(sys.modules[__name__], command.arguments)
    return model


def read_arguments(command: Command, raw: object) -> Arguments:
    """Checked arguments. `raw` is an object of JSON or None; in it null counts as not given.

    Raises CommandMistake, which names what the command takes.
    """
    given = {} if raw is None else raw
    if not isinstance(given, Mapping):
        raise CommandMistake(f"expected the arguments of {command.name} as an object, got {shown(raw)}")
    try:
        return arguments_model(command).model_validate({k: v for k, v in given.items() if v is not None})
    except ValidationError as error:
        raise CommandMistake("; ".join(_sentences(command, error))) from None


def choices(annotation: Any) -> tuple[str, ...]:
    """The words a field may be, when its type lists them; otherwise none."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(word for part in get_args(annotation) for word in choices(part))
    return ()


def _sentences(command: Command, error: ValidationError) -> Iterator[str]:
    known = list(arguments_model(command).model_fields)
    for problem in error.errors(include_url=False):
        name = str(problem["loc"][0])
        if problem["type"] == "extra_forbidden":
            takes = f"{one_of(known)} as an argument of" if known else "no arguments for"
            yield f"expected {takes} {command.name}, got {shown(name)}{did_you_mean(name, known)}"
        else:
            yield _wrong_value(command, name, problem)


def _wrong_value(command: Command, name: str, problem: ErrorDetails) -> str:
    field, got = arguments_model(command).model_fields[name], problem["input"]
    if problem["type"] == "missing":
        return f"expected {name} as an argument of {command.name}, got none"
    words = choices(field.annotation)
    if words:
        return f"expected a {name} of {', '.join(words)}, got {shown(got)}{did_you_mean(got, words)}"
    kind = "true or false" if field.annotation is bool else "text"
    return f"expected {kind} for {name} of {command.name}, got {shown(got)}"


def _objects(name: str, text: str) -> list[dict[str, Any]]:
    listed = read_json(text)
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise ValueError(f"expected a list of objects as {name}, got {text:.200}")
    return listed
