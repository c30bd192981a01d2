"""What the supervisor gives the process of Telegram. The token is a secret, and shown nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from supervisor.telegram.bot_answers import Waits

__all__ = ["TelegramSpec"]


@dataclass(frozen=True, slots=True)
class TelegramSpec:
    """`api` is the address of the Bot API, `roles` are those of the users who may talk to the bot; times in seconds."""

    data_dir: Path
    api: str
    token: str = field(repr=False)
    roles: Mapping[int, str]
    poll_s: float = 25.0
    of_fleet: bool = False
    """Whether one of several hosts listens, by turns: what was seen has to be known to the next one, too."""
    waits: Waits = field(default_factory=Waits)

    @property
    def bot_id(self) -> str:
        """The number of the bot, which is no secret."""
        return self.token.partition(":")[0]
