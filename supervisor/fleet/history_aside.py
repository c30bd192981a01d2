"""What of the history cannot be written for now, while everything else goes on: set aside for a while, and named.

One damaged file or odd record must not hold up other days and accounts, which are thousands.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator

from gridbot.store.file_errors import first_line

__all__ = ["SetAside"]

log = logging.getLogger("supervisor.fleet")


class SetAside:
    """`errors`: those that say something about one thing alone; it is tried again after `wait_s`. `clock` in s."""

    def __init__(
        self, errors: tuple[type[Exception], ...], wait_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._errors = errors
        self._wait_s = wait_s
        self._clock = clock
        self._known: dict[str, tuple[float, str]] = {}

    def may(self, about: str) -> bool:
        """Whether it may be tried now."""
        return about not in self.waiting()

    def waiting(self) -> list[str]:
        """What is not to be tried yet."""
        now_s = self._clock()
        return [about for about, (until_s, _) in self._known.items() if now_s < until_s]

    @contextlib.contextmanager
    def trying(self, about: str) -> Iterator[None]:
        """Set it aside when one of `errors` comes of it, which ends here."""
        try:
            yield
        except self._errors as error:
            text = first_line(error)
            if self._known.get(about, (0.0, ""))[1] != text:
                log.error("the history of %s is left as it is: %s; everything else goes on", about, text)
            self._known[about] = (self._clock() + self._wait_s, text)
        else:
            self._known.pop(about, None)

    def said(self) -> str | None:
        """What is wrong with the first of them, for people; None when nothing is."""
        return next((f"{about}: {text}" for about, (_, text) in self._known.items()), None)
