"""A command from afar between its two steps. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from gridbot.commands.command import Command
from gridbot.commands.targets import Addressed

__all__ = ["GOOD_S", "Prepared"]

GOOD_S: Final = 60.0
"""Seconds between its two steps, at most."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A command that was read, checked and looked at, and not given: what a second step would carry out."""

    command: Command
    args: Json
    targets: tuple[Addressed, ...]
    accounts: tuple[str, ...]
    """Whose number a second step has to name."""
    shown: Json
    is_dry: bool = False
    plan: str = ""
    """Of a reload: what was shown."""

    @property
    def needs_second_step(self) -> bool:
        return self.command.dangerous and not self.is_dry
