"""Options and arguments that commands share. Imports nothing heavy, to keep `status` quick."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gridbot.config.paths import CONFIG_VARIABLE, DATA_DIR_VARIABLE, data_directory
from supervisor.exit_codes import CommandError, ExitCode

if TYPE_CHECKING:
    from gridbot.config.models import GridbotConfig

__all__ = [
    "config_option",
    "data_dir_option",
    "fair_memory",
    "load_or_refuse",
    "memory_option",
    "place_options",
    "records_option",
]

Command = TypeVar("Command", bound=Callable[..., Any])
Decorator = Callable[[Command], Command]


def config_option(text: str = "Configuration file [default: conf/demo.yaml].") -> Decorator[Any]:
    """-c/--config as `config`, text or None; `gridbot.config.paths.find_config` makes a path of it."""
    return click.option("-c", "--config", envvar=CONFIG_VARIABLE, help=text)


def data_dir_option(text: str = "Where everything is written [default: of the configuration].") -> Decorator[Any]:
    """--data-dir as `data_dir`, text or None; `gridbot.config.paths.data_directory` makes a path of it."""
    return click.option("--data-dir", envvar=DATA_DIR_VARIABLE, help=text)


def place_options(text: str = "Where everything is written [default: of the configuration].") -> Decorator[Any]:
    """--config and --data-dir, for commands around a running supervisor; `text` is the help of the second."""
    return lambda command: config_option()(data_dir_option(text)(command))


def records_option(text: str = "Data directory of the bot.") -> Decorator[Any]:
    """--data-dir as `data_dir`, a Path, for commands that read the records themselves."""
    return click.option(
        "--data-dir",
        type=click.Path(path_type=Path),
        envvar=DATA_DIR_VARIABLE,
        default=data_directory,
        show_default="of the configuration",
        help=text,
    )


def memory_option() -> Decorator[Any]:
    """--memory as `memory`, such as 2GB: what one statement may take."""
    return click.option(
        "--memory",
        default=_default_memory,
        show_default="a quarter of the machine's, 1 to 4 GB",
        help="Memory a statement may take.",
    )


def fair_memory(total: int) -> str:
    """A quarter of the machine's bytes, but 1 to 4 GB: the bot runs on the same machine."""
    return f"{min(4, max(1, total // 4 // 1024**3))}GB"


def _default_memory() -> str:
    import psutil

    return fair_memory(psutil.virtual_memory().total)


def load_or_refuse(config_file: Path, data_dir: str | None) -> GridbotConfig:
    """The checked configuration. Raises CommandError (exit code 4) with every problem of the file."""
    from gridbot.config.errors import ConfigError
    from gridbot.config.loading import load_config

    try:
        return load_config(config_file, data_dir=data_dir)
    except ConfigError as error:
        raise CommandError(str(error), ExitCode.CONFIG) from None
