"""What is declared of an operator command."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Command", "Target"]


class Target(StrEnum):
    """What a command acts on, and so which side carries it out: the supervisor the first, a worker the others."""

    FLEET = "fleet"
    ACCOUNT = "account"
    STRATEGY = "strategy"
    """One account; its argument `strategy` narrows the command to one strategy of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One operator command."""

    name: str
    target: Target
    arguments: str
    """The class in `gridbot.commands.arguments`; by name, because pydantic takes time to load."""
    summary: str
    """One line, for a list of commands."""
    help: str
    """What happens, in one or two sentences."""
    example: str
    """A command line that works, without the program's name."""
    below: str = ""
    """The command of the command line that it is below, as `ack` is below `alerts`."""
    needs_trading: bool = False
    """Whether only a worker that trades can carry it out; otherwise it may still be starting."""
    one_at_a_time: bool = False
    """Whether its arguments are about one account, so that it is for no more than one target."""
    dangerous: bool = False
    """Whether it can cost money when it is given by mistake. Ways in that cannot see the operator have it confirmed."""

    takes_s: float = 0.0
    """How long it may take after the worker has taken it; 0 for what is done when it is taken."""
    rescued: bool = False
    """Whether a rescue process carries it out where no worker can: it needs the exchange alone."""
    kept: bool = False
    """Whether it only stops orders: then a rescue keeps it for the next life of a worker that does not run or hangs."""

    @property
    def for_worker(self) -> bool:
        """Whether the worker of one account carries it out; otherwise the supervisor does."""
        return self.target is not Target.FLEET
