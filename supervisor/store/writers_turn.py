"""Leaves the database file to a running writer, between two times that a command has it.

A writer that finds the file held looks again each quarter of a second (`writer_process.HELD_WAIT_S`). A command that
opens it again at once, for its next question or the next file of an export, would leave it no turn until it is done.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from typing import Final

__all__ = ["REST_S", "WritersTurn"]

REST_S: Final = 0.3


class WritersTurn:
    """After `held_s` seconds with the file, in one piece or in many, it is left alone for `REST_S` before the next."""

    def __init__(self, held_s: float) -> None:
        self._held_s = held_s
        self._had_s, self._left_at = 0.0, -math.inf

    def leave(self) -> None:
        """Before the file is opened: wait as long as it takes, which is mostly not at all."""
        rest_s = self._left_at + REST_S - time.monotonic()
        if rest_s > 0 and self._had_s >= self._held_s:
            time.sleep(rest_s)
            rest_s = 0.0
        if rest_s <= 0:
            self._had_s = 0.0

    @contextlib.contextmanager
    def count(self, since: float) -> Iterator[None]:
        """The file is had since then (monotonic) until the block ends."""
        try:
            yield
        finally:
            self._left_at = time.monotonic()
            self._had_s += self._left_at - since
