"""To which symbols something has happened since somebody looked at them, so that nobody looks at all others."""

from __future__ import annotations

from collections.abc import Collection

__all__ = ["Symbols", "Touched"]

Symbols = Collection[str] | None
"""What something is about; None: all symbols."""


class Touched:
    """One for each who looks. Something may have happened to all of them at first."""

    __slots__ = ("_symbols",)

    def __init__(self) -> None:
        self._symbols: set[str] | None = None

    @property
    def symbols(self) -> Symbols:
        """Which they are, without looking at them."""
        return self._symbols

    def note(self, about: Symbols) -> None:
        """Something has happened to these; None: to all."""
        if about is None:
            self._symbols = None
        elif self._symbols is not None:
            self._symbols.update(about)

    def take(self) -> Symbols:
        """Which they are; None: all. Nothing has happened since then."""
        found, self._symbols = self._symbols, set()
        return found
