"""The options of every comparison, the file that it may be kept in, and what may be expected to fail."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from gridbot.atomic_file import put_in_place, remove_abandoned, temporary_beside
from gridbot.compare.log_file import LogMistake
from gridbot.compare.store_side import DECISIONS, FILLS
from gridbot.compare.tolerances import EXACT_WORDS, Reach, Tolerance, tolerance_of
from gridbot.config.errors import ConfigError
from gridbot.store.file_errors import first_line
from supervisor.cli.options import Seconds, UtcTime, memory_option
from supervisor.exit_codes import CommandError, ExitCode
from supervisor.store.query import Limits, SqlFailed

__all__ = ["Asked", "comparison_options", "plain", "result_file", "verdict_options"]

Command = TypeVar("Command", bound=Callable[..., Any])
KINDS: Final = {"all": (*DECISIONS, *FILLS), "decisions": DECISIONS, "fills": FILLS}
PERCENT: Final = 10_000
"""A percent in parts in a million."""


@dataclass(frozen=True, slots=True)
class Asked:
    """How to compare, and what to do with what is found."""

    since: datetime | None
    until: datetime | None
    kinds: tuple[str, ...]
    tolerance: Tolerance
    reach: Reach
    into: Path | None
    limits: Limits
    as_json: bool
    brief: bool
    rows: int


def _read_tolerance(default: Tolerance) -> Callable[..., Tolerance]:
    def read(_: click.Context, parameter: click.Parameter, values: Sequence[str]) -> Tolerance:
        try:
            return tolerance_of(values, default)
        except ValueError as error:
            raise click.BadParameter(str(error), param=parameter) from None

    return read


def _reach(_: click.Context, parameter: click.Parameter, values: Sequence[str]) -> Reach:
    try:
        found = tolerance_of(values, Tolerance(price=Decimal("0.05"), time=Decimal(60)))
    except ValueError as error:
        raise click.BadParameter(str(error), param=parameter) from None
    return Reach(int(found.time * 1000), min(int(found.price * PERCENT), 100 * PERCENT - 1))


def comparison_options(command: Command) -> Command:
    """The options of a comparison, as `Asked`."""
    return _with_asked(command, (*_span_options(), *_shared_options(Tolerance())))


def verdict_options(command: Command) -> Command:
    """The same for a day's fills, as `Asked`."""
    return _with_asked(command, _shared_options(Tolerance(size=Decimal(1), time=Decimal(60))))


def _with_asked(command: Command, options: Sequence[Callable[[Any], Any]]) -> Command:
    @functools.wraps(command)
    def with_asked(**given: Any) -> Any:
        names = ("tolerance", "reach", "into", "as_json", "brief", "rows")
        found = {name: given.pop(name) for name in names}
        limits = Limits(given.pop("wait_s"), given.pop("timeout_s"), given.pop("memory"))
        since, until, only = given.pop("since", None), given.pop("until", None), given.pop("only", "fills")
        return command(**given, asked=Asked(since, until, KINDS[only], **found, limits=limits))

    for option in reversed(options):
        with_asked = option(with_asked)
    return with_asked  # type: ignore[return-value]


def _span_options() -> tuple[Callable[[Any], Any], ...]:
    return (
        click.option("--from", "since", type=UtcTime(), help="Begin, UTC [default: as soon as both have begun]."),
        click.option("--to", "until", type=UtcTime(end=True),
                     help="End, UTC; a day counts whole [default: as long as both are recorded]."),
        click.option("--only", type=click.Choice(tuple(KINDS)), default="all", help="Leave out fills, or all else."),
    )  # fmt: skip


def _shared_options(tolerance: Tolerance) -> tuple[Callable[[Any], Any], ...]:
    return (
        click.option("--tolerance", multiple=True, metavar="NAME=NUMBER,...", callback=_read_tolerance(tolerance),
                     help=f"What is still the same: {EXACT_WORDS} [default: {tolerance}]."),
        click.option("--reach", multiple=True, metavar="NAME=NUMBER,...", callback=_reach,
                     help="How far apart a pair may be, in time (seconds) and price (percent) "
                     "[default: time=60,price=0.05]."),
        click.option("--into", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE.duckdb",
                     help="Keep every row in this database, for SQL."),
        click.option("--json", "as_json", is_flag=True, help="The summary as one JSON object."),
        click.option("--brief", is_flag=True, help="One line, for alerts; nothing when all is the same."),
        click.option("--rows", type=click.IntRange(min=0, max=5), default=5, show_default=True,
                     help="Differences that are told, of the first and of the worst."),
        click.option("--wait", "wait_s", type=Seconds(least=0), default=5.0, show_default=True,
                     help="Seconds to wait for the file."),
        click.option("--timeout", "timeout_s", type=Seconds(), default=600.0, show_default=True,
                     help="Seconds each step may take."),
        memory_option(),
    )  # fmt: skip


@contextlib.contextmanager
def result_file(into: Path | None) -> Iterator[Path | None]:
    """A new file that gets the name `into` when all is in it. Raise CommandError when it cannot be written."""
    if into is None:
        yield None
        return
    import duckdb

    target = into.resolve()
    new = temporary_beside(target)
    try:
        remove_abandoned(target)
        yield new
        put_in_place(new, target)
    except OSError as error:
        code = ExitCode.REFUSED if isinstance(error, PermissionError) else ExitCode.UNEXPECTED
        raise CommandError(f"{into} cannot be written: {error.strerror or error}", code) from error
    except duckdb.IOException as error:
        raise CommandError(f"{into} cannot be written: {first_line(error)}", ExitCode.UNEXPECTED) from error
    finally:
        with contextlib.suppress(OSError):
            new.unlink()


@contextlib.contextmanager
def plain() -> Iterator[None]:
    """What may be expected to fail, in a sentence."""
    import duckdb

    from supervisor.store.interruptible import Late

    try:
        yield
    except SqlFailed as error:
        raise CommandError(str(error), error.exit_code) from None
    except (LogMistake, ConfigError) as error:
        raise CommandError(str(error), ExitCode.CONFIG) from None
    except Late:
        raise CommandError("not done in time; give it longer with --timeout", ExitCode.TIMEOUT) from None
    except (MemoryError, duckdb.OutOfMemoryException):
        text = "the comparison needs more memory or disk; compare a shorter time, or raise --memory"
        raise CommandError(text, ExitCode.UNEXPECTED) from None
