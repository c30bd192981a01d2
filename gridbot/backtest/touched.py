"""To which symbols something has happened since somebody looked at them, so that nobody looks at all others."""

from __future__ import annotations

from collections.abc import Collection

__all__ = ["Symbols", "Touched"]

Symbols = Collection[str] | None
"""What something is about; None: all symbols."""


class Touched:
    """One for each who looks. Something may have happened to all of them at first."""

    __slots__ = ("symbols",)

    def __init__(self) -> None:
        self.symbols: set[str] | None = None
        """Which they are so far; None: all."""

    def note(self, about: Symbols) -> None:
        """Something has happened to these; None: to all."""
        if about is None:
            self.symbols = None
        elif self.symbols is not None:
            self.symbols.update(about)

    def take(self) -> Symbols:
        """Which they are; None: all. Nothing has happened since then."""
        found, self.symbols = self.symbols, set()
        return found
