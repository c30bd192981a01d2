"""The process that is asked and given commands by Telegram, beside the fleet."""

from __future__ import annotations

import logging

from supervisor.children.pipe import Message
from supervisor.process.side_keeper import SideKeeper

__all__ = ["TelegramKeeper"]

log = logging.getLogger("supervisor")


class TelegramKeeper(SideKeeper):
    """It asks and commands by the control socket, so nothing is to be done for it here."""

    name = "telegram"
    missing = "nobody is answered there"

    def is_ready(self, message: Message) -> None:
        """Says how many may talk to it."""
        log.info("telegram: %s users may ask or command", message.get("users"))
