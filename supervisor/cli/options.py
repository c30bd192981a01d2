"""Options and arguments that commands share. Imports nothing heavy, to keep `status` quick."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from gridbot.command_line import pasteable
from gridbot.config.paths import CONFIG_VARIABLE, DATA_DIR_VARIABLE
from gridbot.doors.typed_years import TYPED_YEARS, is_typed_year
from supervisor.exit_codes import CommandError, ExitCode, unwritable

if TYPE_CHECKING:
    from gridbot.config.loading import LoadedFile
    from gridbot.config.models import GridbotConfig

__all__ = [
    "PastTime",
    "Seconds",
    "UtcTime",
    "example",
    "fair_memory",
    "load_file_or_refuse",
    "load_or_refuse",
    "load_with_secrets",
    "memory_option",
    "place_options",
    "with_secrets",
]

LONGEST_S: Final = 1e8
"""Three years."""
_CLOCK: Final = re.compile(r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SPAN: Final = re.compile(r"([0-9]{1,6}) ?([smhdw])")
_SPANS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
MEMORY: Final = re.compile(r"[0-9]+(\.[0-9]+)? *[KMGT]i?B", re.IGNORECASE)

Command = TypeVar("Command", bound=Callable[..., Any])
Decorator = Callable[[Command], Command]


def place_options(text: str = "Where everything is written [default: of the configuration].") -> Decorator[Any]:
    """-c/--config as `config` and --data-dir as `data_dir`, each text or None; `text` is the help of the second.

    `gridbot.config.paths.find_config` and `data_directory` turn them into paths.
    """
    directory = click.option("--data-dir", envvar=DATA_DIR_VARIABLE, help=text)
    file = click.option("-c", "--config", envvar=CONFIG_VARIABLE, help="Configuration file [default: conf/demo.yaml].")
    return lambda command: file(directory(command))


def example(line: str) -> str:
    """The epilog of --help. `line`: a command line as it is typed, without the program's name."""
    return f"Example: {pasteable(line)}"


class Seconds(click.FloatRange):
    """A time in seconds: neither negative nor endless, nor no number at all."""

    name = "seconds"

    def __init__(self, least: float = 0.001) -> None:
        super().__init__(least, LONGEST_S)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        seconds = float(super().convert(value, param, ctx))
        if math.isnan(seconds):
            self.fail(f"{value!r} is not a number of seconds", param, ctx)
        return seconds


class UtcTime(click.ParamType[datetime]):
    """A day or a time; UTC when it names no zone. A day is its first moment; as the `end` of a span it counts whole."""

    name = "time"

    def __init__(self, *, end: bool = False) -> None:
        self._end = end

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"expected a time such as 2026-11-01 or 2026-11-01T12:30, got {value!r:.60}", param, ctx)
        if not is_typed_year(moment):
            self.fail(f"expected a time {TYPED_YEARS}, got {value!r:.60}", param, ctx)
        if self._end and _DAY.fullmatch(str(value)):
            moment += timedelta(days=1)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class PastTime(UtcTime):
    """As `UtcTime`; also a time of the clock (the last time that it was 03:12 UTC), and so long ago: 90m, 24h, 7d."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        text, now = str(value).strip(), datetime.now(UTC)
        if (span := _SPAN.fullmatch(text)) is not None:
            back = timedelta(**{_SPANS[span[2]]: int(span[1])})
            if back > now - _EPOCH:
                self.fail(f"expected a time {TYPED_YEARS}, got {text!r}, which is longer ago", param, ctx)
            return now - back
        if _CLOCK.fullmatch(text):
            try:
                at = time.fromisoformat(text.zfill(5 if text.count(":") == 1 else 8))
            except ValueError:
                self.fail(f"expected a time of the clock such as 03:12, got {text!r}", param, ctx)
            moment = datetime.combine(now.date(), at, UTC)
            return moment if moment <= now else moment - timedelta(days=1)
        return super().convert(value, param, ctx)


class MemorySize(click.ParamType[str]):
    """Text that DuckDB reads as a size, such as 2GB."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value).strip()
        if not MEMORY.fullmatch(text) or not re.search("[1-9]", text):
            self.fail(f"expected a size such as 500MB or 2GB, got {value!r}", param, ctx)
        return text


def memory_option() -> Decorator[Any]:
    """--memory as `memory`, such as 2GB: what one statement may take."""
    return click.option(
        "--memory",
        type=MemorySize(),
        default=_default_memory,
        show_default="a quarter of the machine's, 1 to 4 GB",
        help="Memory a statement may take.",
    )


def fair_memory(total: int) -> str:
    """A quarter of the machine's bytes, but 1 to 4 GB: the bot runs on the same machine."""
    return f"{min(4, max(1, total // 4 // 1024**3))}GB"


def _default_memory() -> str:
    from supervisor.cli.machine_size import this_machine  # not earlier: `status` is quick

    return fair_memory(this_machine().memory)


def load_or_refuse(config_file: Path, data_dir: str | None) -> GridbotConfig:
    """The checked configuration. Raises CommandError (exit code 4) with every problem of the file."""
    return load_file_or_refuse(config_file, data_dir).config


def load_file_or_refuse(config_file: Path, data_dir: str | None) -> LoadedFile:
    """The same with the places of its values."""
    from gridbot.config.errors import ConfigError
    from gridbot.config.loading import load_file

    try:
        file = load_file(config_file, data_dir=data_dir)
    except ConfigError as error:
        raise CommandError(str(error), ExitCode.CONFIG) from None
    _hide_secrets(file.config)
    return file


def _hide_secrets(settings: GridbotConfig) -> None:
    """From whatever this process says of a mistake of its own."""
    from gridbot.hidden_words import register_secret

    for secret in settings.secrets():
        register_secret(secret)


def load_with_secrets(config_file: Path, data_dir: str | None) -> tuple[GridbotConfig, str]:
    """The checked configuration with the secrets of its paper accounts, and the token of the control endpoint.

    Makes the data directory and the seed of the secrets, when an account is on paper. Raises CommandError.
    """
    return with_secrets(load_or_refuse(config_file, data_dir))


def with_secrets(settings: GridbotConfig) -> tuple[GridbotConfig, str]:
    """The same of a configuration that is read already."""
    from gridbot.config.paper_secrets import control_token, paper_seed, with_paper_secrets

    if not any(account.environment == "paper" for account in settings.accounts):
        return settings, ""
    try:
        seed = paper_seed(settings.storage.data_dir)
    except OSError as error:
        raise unwritable(error) from None
    except ValueError as error:
        raise CommandError(str(error), ExitCode.REFUSED) from None
    filled = with_paper_secrets(settings, seed)
    _hide_secrets(filled)
    return filled, control_token(seed)
