"""The only place that knows Apprise: sends a message to an address, and says in plain words why it did not arrive.

Apprise writes addresses to its log (at DEBUG whole ones, in warnings the host, which is the token of some services),
and so do the HTTP libraries below it. Nothing of theirs reaches ours: only the number of an HTTP answer is taken.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from gridbot.command_line import install_line
from supervisor.notify.message_text import Message

if TYPE_CHECKING:
    from apprise import Apprise

__all__ = ["AppriseDoor", "Door", "NoApprise"]

SPEAKERS: Final = (
    "apprise",
    "urllib3",
    "requests",
    "requests_oauthlib",
    "oauthlib",
    "markdown",
    "MARKDOWN",
    "charset_normalizer",
)
_ANSWER: Final = re.compile(r"\berror=([1-5][0-9]{2})\b")
UNREADABLE: Final = (
    "Apprise cannot read this address; https://github.com/caronc/apprise/wiki has the form of each service"
)


class NoApprise(Exception):
    """The package is not installed; the text says what to do."""


class Door(Protocol):
    """Sends messages; blocks."""

    def send(self, line: str, message: Message) -> str:
        """Why it did not arrive; "" when it did. Never raises."""


class AppriseDoor:
    """`addresses` by the names of their lines. Raises NoApprise."""

    def __init__(self, addresses: Mapping[str, str]) -> None:
        for name in SPEAKERS:
            logger = logging.getLogger(name)
            logger.propagate = False
            logger.addHandler(logging.NullHandler())
        try:
            import apprise
        except ImportError:
            raise NoApprise(f"expected the package apprise, got none; install it: {install_line('apprise')}") from None
        # No image of Apprise's in messages, no store of its own on the disk, and one message at a time.
        asset = apprise.AppriseAsset(
            app_id="gridbot", app_desc="gridbot", app_url="", image_url_mask="", image_url_logo="",
            async_mode=False, secure_logging=True, storage_mode="memory",
        )  # fmt: skip
        self._apprise = apprise
        self._services: dict[str, Apprise | None] = {}
        for line, address in addresses.items():
            service = apprise.Apprise(asset=asset)
            self._services[line] = service if _added(service, address) else None
            if "overflow=" not in address.lower():
                # what is longer than a service takes (a text message, Pushover) would be refused again and again
                for each in service:
                    each.overflow_mode = apprise.OverflowMode.SPLIT

    @property
    def unreadable(self) -> list[str]:
        """The lines whose address Apprise cannot read."""
        return [line for line, service in self._services.items() if service is None]

    def send(self, line: str, message: Message) -> str:
        """Why it did not arrive; "" when it did. Never raises."""
        service = self._services.get(line)
        if service is None:
            return UNREADABLE
        answers: list[str] = []

        def heard(entry: Any, _: Any) -> None:
            answers.extend(_ANSWER.findall(entry.message))

        try:
            arrived = service.notify(
                body=message.body,
                title=message.title,
                notify_type=self._apprise.NotifyType(message.mood),
                body_format=self._apprise.NotifyFormat.TEXT,
                log_callback=heard,
            )
        except BaseException as error:  # noqa: BLE001 - a service of others; its text may have the address
            return f"it failed with {type(error).__name__}"
        if arrived:
            return ""
        return (
            f"the service answered HTTP {answers[-1]}" if answers else "the service could not be reached, or refused it"
        )


def _added(service: Apprise, address: str) -> bool:
    try:
        return bool(service.add(address)) and len(service) == 1
    except Exception:  # noqa: BLE001 - as above
        return False
