"""What goes wrong with market data, for people."""

from __future__ import annotations

from pathlib import Path

from gridbot.shortage import is_shortage

__all__ = ["MarketError", "unwritable", "why_not_kept"]


class MarketError(Exception):
    """Market data cannot be read or written; the text names the file and says what to do."""


def unwritable(place: Path, error: OSError) -> MarketError:
    """A place that took nothing, why, and what to do."""
    where = f" ({error.filename})" if error.filename is not None and str(error.filename) != str(place) else ""
    return MarketError(f"{place}: cannot be written: {why_not_kept(error)}{where}")


def why_not_kept(error: OSError) -> str:
    """Why a disk took nothing, and what helps."""
    remedy = "; make room and do it again: what was there before is there" if is_shortage(error) else ""
    return f"{error.strerror or error}{remedy}"
