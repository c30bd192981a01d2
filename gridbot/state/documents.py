"""One JSON document that survives a restart: the ledger's checkpoint, the next link-id generation, the loss latch."""

from __future__ import annotations

import logging
from typing import Any

import orjson

from gridbot.ports import Files

__all__ = ["StateFile"]

log = logging.getLogger(__name__)


class StateFile:
    """The document `name` of an account.

    A document that cannot be read is set aside with a message, and the account starts without it: what it held is also
    in the journal or on the exchange.
    """

    def __init__(self, files: Files, name: str) -> None:
        self._files = files
        self._name = name
        self.on_disk: dict[str, Any] | None = None
        """The newest document that is known to be safe."""

    def __str__(self) -> str:
        return str(self._files.path(self._name))

    def load(self) -> dict[str, Any] | None:
        """The document; None when there is none, or when it was damaged and set aside. Raises OSError."""
        raw = self._files.read(self._name)
        if raw is None:
            return None
        try:
            document = orjson.loads(raw)
            problem = "" if isinstance(document, dict) else f"expected a JSON object, got {type(document).__name__}"
        except orjson.JSONDecodeError as error:
            document, problem = None, f"expected JSON, got {error}"
        if problem:
            aside = self._files.set_aside(self._name)
            log.warning("%s cannot be read (%s); kept as %s, starting without it", self, problem, aside)
            return None
        self.on_disk = document
        return self.on_disk

    def save(self, document: dict[str, Any]) -> None:
        """Write soon. Never blocks, never raises; a failure is logged and tried again."""
        data = orjson.dumps(document)  # now: the caller may change its document afterwards
        self._files.write_soon(self._name, lambda: data, lambda: self._is_safe(document))

    def save_now(self, document: dict[str, Any]) -> None:
        """Write before going on, for start and stop. Raises OSError."""
        self._files.write(self._name, orjson.dumps(document))
        self._is_safe(document)

    def _is_safe(self, document: dict[str, Any]) -> None:
        self.on_disk = document
