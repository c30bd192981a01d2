"""The page's process beside the fleet."""

from __future__ import annotations

import logging

from supervisor.children.pipe import Message
from supervisor.process.side_keeper import SideKeeper

__all__ = ["WebKeeper"]

log = logging.getLogger("supervisor")


class WebKeeper(SideKeeper):
    """Remembers the port of the page, which the next process gets again."""

    name = "web"
    missing = "the page is not there"
    alerts = False

    def is_ready(self, message: Message) -> None:
        """Takes the page's address."""
        self._launch.web_port = int(message["port"])
        log.info("web: the page is at %s", message.get("url"))
