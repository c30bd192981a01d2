"""The readable story of one run."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Trace"]


class Trace:
    """Lines with their time, when `on`."""

    def __init__(self, *, on: bool = True) -> None:
        self.on = on
        self.lines: list[str] = []
        self.at_s: Callable[[], float] = lambda: 0.0

    def note(self, text: str) -> None:
        """Add a line."""
        if self.on:
            self.lines.append(f"{self.at_s():9.3f}  {text}")
