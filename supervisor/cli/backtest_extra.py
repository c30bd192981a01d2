"""The extra `gridbot[backtest]`: commands that need it say what to install where it is not there."""

from __future__ import annotations

import importlib

from gridbot.command_line import install_line
from supervisor.exit_codes import CommandError, ExitCode

__all__ = ["NEEDED", "need_backtest_extra"]

NEEDED = ("numpy", "pyarrow")


def need_backtest_extra() -> None:
    """Raise CommandError (exit code 2) when a package of the extra is missing."""
    for package in NEEDED:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise CommandError(
                f"expected the package {package}, got: {error}; install it: {install_line(package)}",
                ExitCode.USAGE,
            ) from None
