"""One JSON document that survives a restart.

`StateFile` has what can be had from elsewhere: the ledger's checkpoint, the next link-id generation, the run. A damaged
one is set aside, and the account starts without it. `StopFile` has what stops orders: latch and holds. A damaged one is
never taken for none, and the journal has each of them before the file (`state_log`).
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import Any, TypeVar

import orjson

from gridbot.ports import Files
from gridbot.state.state_log import StateLog

__all__ = ["LoneStopFile", "StateFile", "StopFile", "Unreadable"]

T = TypeVar("T")

log = logging.getLogger(__name__)


class Unreadable(Exception):
    """There is a document, but not what it says; the text names the file and the reason."""


class StateFile:
    """The document `name` of an account.

    A document that cannot be read is set aside with a message, and the account starts without it: what it held is also
    in the journal or on the exchange.
    """

    def __init__(self, files: Files, name: str, *, share: Callable[[str, bytes, bool], None] | None = None) -> None:
        self._files = files
        self._name = name
        self._share = share
        """Gives what is written to the fleet of several hosts that the account is in."""
        self.on_disk: dict[str, int] | None = None
        """The whole numbers of the newest document that is known to be safe; the rest of it may be large."""

    def __str__(self) -> str:
        return str(self._files.path(self._name))

    def load(self) -> dict[str, Any] | None:
        """The document; None when there is none, or when it was damaged and set aside. Raises OSError."""
        try:
            raw = self._files.read(self._name)
            if raw is None:
                return None
            document = _decode(raw)
        except (ValueError, IsADirectoryError) as error:
            aside = self._files.set_aside(self._name)
            log.warning("%s cannot be read (%s); kept as %s, starting without it", self, error, aside)
            return None
        self.on_disk = _numbers(document)
        return document

    def save(self, document: dict[str, Any], safe: Callable[[], None] = lambda: None) -> None:
        """Write soon. Never blocks, never raises; a failure is an alert and tried again.

        `safe` is called, in any thread, when this document is on the disk.
        """
        data = orjson.dumps(document)  # now: the caller may change its document afterwards
        numbers = _numbers(document)
        if self._share is not None:
            self._share(self._name, data, False)

        def written() -> None:
            self.on_disk = numbers
            safe()

        self._files.write_soon(self._name, lambda: data, written)

    def save_now(self, document: dict[str, Any]) -> None:
        """Write before going on, for start and stop. Raises OSError."""
        data = orjson.dumps(document)
        if self._share is not None:
            self._share(self._name, data, False)
        self._files.write(self._name, data)
        self.on_disk = _numbers(document)


class StopFile:
    """The document `name` of an account, by its state log."""

    def __init__(self, states: StateLog, name: str) -> None:
        self._states = states
        self._name = name

    def __str__(self) -> str:
        return str(self._states.files.path(self._name))

    def load_as(self, read: Callable[[dict[str, Any]], T]) -> T | None:
        """What `read` makes of the document; None only when there is neither a file nor a record of it.

        Raises Unreadable for a file that the disk does not give, that is torn, or that `read` refuses by a KeyError,
        TypeError, ValueError, AttributeError or ArithmeticError, when the journal does not have the document, or may
        have lost a newer one. The file stays, so the next start cannot take it for none either; a copy is kept beside
        it, because the next save replaces it.
        """
        try:
            document = self._states.load(self._name)
        except OSError as error:
            raise Unreadable(f"{self} cannot be read ({error.strerror or error})") from error
        except ValueError as error:
            raise self._unreadable(str(error)) from error
        if document is None:
            return None
        if doubt := self._states.doubt(self._name):
            raise self._unreadable(doubt)
        try:
            return read(document)
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise self._unreadable(str(error) if isinstance(error, ValueError) else repr(error)) from error

    def save(self, document: dict[str, Any]) -> None:
        """In the journal before this returns, if the disk takes it; in the file soon. Never raises."""
        self._states.keep(self._name, document, at_once=True)

    def _unreadable(self, text: str) -> Unreadable:
        files = self._states.files
        with contextlib.suppress(OSError):
            raw = files.read(self._name)
            if raw is not None:
                files.write_soon(f"{self._name}.bad", lambda: raw)
        return Unreadable(f"{self} cannot be read ({text}; a copy is kept as {self._name}.bad)")


class LoneStopFile:
    """The document `name` of a supervisor about what stops orders: a file alone, as it has no state log.

    A damaged one is never taken for none; workers keep the same in their own journals.
    """

    def __init__(self, files: Files, name: str) -> None:
        self._files = files
        self._name = name

    def __str__(self) -> str:
        return str(self._files.path(self._name))

    def load_as(self, read: Callable[[dict[str, Any]], T]) -> T | None:
        """What `read` makes of the document; None when there is none.

        Raises Unreadable for a file that the disk does not give, that is torn, or that `read` refuses by a KeyError,
        TypeError, ValueError, AttributeError or ArithmeticError. A copy is kept beside it: the next save replaces it.
        """
        try:
            raw = self._files.read(self._name)
        except OSError as error:
            raise Unreadable(f"{self} cannot be read ({error.strerror or error})") from error
        if raw is None:
            return None
        try:
            return read(_decode(raw))
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            self._files.write_soon(f"{self._name}.bad", lambda: raw)
            text = str(error) if isinstance(error, ValueError) else repr(error)
            raise Unreadable(f"{self} cannot be read ({text}; a copy is kept as {self._name}.bad)") from error

    def save(self, document: dict[str, Any]) -> None:
        """Write soon. Never blocks, never raises; a failure is an alert and tried again."""
        data = orjson.dumps(document)
        self._files.write_soon(self._name, lambda: data)


def _numbers(document: dict[str, Any]) -> dict[str, int]:
    return {name: value for name, value in document.items() if type(value) is int}


def _decode(raw: bytes) -> dict[str, Any]:
    """The JSON object. Raises ValueError, which says what it is instead."""
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"expected JSON, got {error}") from None
    if not isinstance(document, dict):
        raise ValueError(f"expected a JSON object, got {type(document).__name__}")
    return document
