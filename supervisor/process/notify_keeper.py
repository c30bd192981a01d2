"""The process that tells people of alerts, beside the fleet. When it dies, nobody notices but those who are told."""

from __future__ import annotations

import logging

from supervisor.children.pipe import Message
from supervisor.process.side_keeper import SideKeeper

__all__ = ["NotifyKeeper"]

log = logging.getLogger("supervisor")


class NotifyKeeper(SideKeeper):
    """It asks for news by the control socket (`alert_feed`), so nothing is to be done for it here."""

    name = "notify"
    missing = "nobody is told of alerts"

    def is_ready(self, message: Message) -> None:
        """Says whom it tells; names of routes only."""
        log.info(
            "notify: alerts are told to %s", ", ".join(message.get("routes", ())) or "nobody, there is a ping only"
        )
